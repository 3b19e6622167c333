"""The known traps of the TRL trainers, one test each, on what TRL itself makes of our rows."""

import os
import subprocess
import sys

import pytest
import torch
from local_context import LocalContext, Wishes
from tiny import tiny_case, tiny_model, tiny_spec, tiny_tokenizer, write_tiny_model

from assay_pods.common.context import BadInputError
from assay_pods.common.models import LoadedModel
from assay_pods.robustness.encoding import Encoder, Text
from assay_pods.robustness.known_texts import KnownTexts, tensors_of
from assay_pods.robustness.run import run
from assay_pods.robustness.trl_reference import make_trainer, train_with_trl

METHODS = ["SFT", "DPO", "KTO"]


class Built:
    """A TRL trainer over the tiny case: as TRL makes it of texts, or with the tokens and log-probabilities that are known."""

    def __init__(self, tmp_path, method, *, known=False, kind="TRL_FULL", case=None, **wishes):
        self.case = case or tiny_case()
        self.work = self.case.work(method)
        spec = self.case.spec | {"method": method, "trainer": self.case.spec["trainer"] | {"kind": kind, "loraRank": 2}}
        context = LocalContext(tmp_path, spec, training=Wishes(**wishes))
        self.trainer = make_trainer(
            LoadedModel(tiny_model(), tiny_tokenizer()), self.work, context, shared=self.case.shared if known else None
        )
        self.rows = list(self.trainer.train_dataset)
        self.args = self.trainer.args

    def blocks(self):
        size = self.args.per_device_train_batch_size
        return [self.rows[start : start + size] for start in range(0, len(self.rows), size)]


@pytest.mark.parametrize("known", [False, True])
def test_kto_has_both_labels_in_every_block_and_as_many_of_each(tmp_path, known):
    """TRL's own unpairing puts all desirable rows first: half an epoch of one label."""
    for block in Built(tmp_path, "KTO", known=known).blocks():
        assert sum(row["label"] for row in block) == len(block) / 2


@pytest.mark.parametrize("known", [False, True])
def test_kto_never_compares_a_prompt_with_a_completion_of_its_own(tmp_path, known):
    built = Built(tmp_path, "KTO", known=known)
    own: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
    for row in built.rows:
        own.setdefault(tuple(row["prompt_ids"]), set()).add(tuple(row["completion_ids"]))
    assert all(len(completions) == 2 for completions in own.values())
    for row in built.rows:
        assert tuple(row["KL_completion_ids"]) not in own[tuple(row["prompt_ids"])]


def test_a_kto_block_of_one_row_which_would_be_its_own_stand_in_cannot_come_to_be(tmp_path):
    for pairs in (16, 17, 19):
        case = tiny_case(size={"trainPairs": pairs, "validationPairs": 2, "testPairs": 2, "generationItems": 0})
        blocks = Built(tmp_path / str(pairs), "KTO", case=case).blocks()
        assert {len(block) for block in blocks} == {8}


def test_kto_prompts_stand_once_in_a_block_and_in_the_order_in_which_they_were_given(tmp_path):
    built = Built(tmp_path, "KTO")
    assert built.args.train_sampling_strategy == "sequential"
    for block in built.blocks():
        assert len({tuple(row["prompt_ids"]) for row in block}) == len(block)


def test_a_text_that_trl_would_drop_before_it_forms_blocks_is_refused_before_trl_sees_it(tmp_path):
    built = Built(tmp_path, "KTO")
    assert len(built.rows) == sum(len(step.right) for step in built.work.steps), "nothing was filtered"
    longest = max(len(row["prompt_ids"]) for row in built.rows)
    with pytest.raises(BadInputError) as refused:
        Encoder(tiny_tokenizer(), tokens_max=longest).encode(built.work.steps[0].right[0])
    assert refused.value.code == "TEXT_TOO_LONG"


@pytest.mark.parametrize(("method", "rows", "parts"), [("SFT", 4, 2), ("DPO", 4, 2), ("KTO", 8, 1)])
def test_rows_in_memory_and_accumulation_are_told_apart_and_kto_takes_z0_over_the_whole_step(tmp_path, method, rows, parts):
    built = Built(tmp_path / "trainer", method, micro_batch_divisor=2)
    assert built.args.per_device_train_batch_size * built.args.gradient_accumulation_steps == rows
    assert built.args.gradient_accumulation_steps == parts
    folder = write_tiny_model(tmp_path / "model")
    trainer = tiny_spec(None)["trainer"] | {"kind": "TRL_FULL"}
    prepared = LocalContext(tmp_path / "prepare", tiny_spec(folder, trainer=trainer))
    run(prepared)
    inputs = {name.split(".")[0]: path for name, (_, path) in prepared.saved.items()}
    spec = tiny_spec(folder, step="train", method=method, spuriousness=0.5, trainer=trainer)
    result = run(LocalContext(tmp_path / "run", spec, inputs, training=Wishes(micro_batch_divisor=2)))
    assert result["batch"] == {"promptsPerStep": 4, "rowsPerStep": rows, "microBatchRows": rows // parts, "accumulation": parts}
    assert (result["clampedShare"] is not None) == (method == "KTO")
    if method == "KTO":
        assert 0 < result["clampedShare"] <= 1, "at the first step policy and reference are equal"


@pytest.mark.parametrize("known", [False, True])
def test_sft_neither_packs_rows_nor_masks_by_the_chat_template(tmp_path, known):
    built = Built(tmp_path, "SFT", known=known)
    assert (built.args.packing, built.args.assistant_only_loss, built.trainer.padding_free) == (False, False, False)
    assert len(built.rows) == sum(len(step.right) for step in built.work.steps)
    for row, text in zip(built.rows, (text for step in built.work.steps for text in step.right), strict=True):
        prompt_ids, completion_ids = built.case.plan.encoder.encode(text)
        assert row["input_ids"] == prompt_ids + completion_ids
        assert row["labels"] == [-100] * len(prompt_ids) + completion_ids


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_the_prompts_tokens_begin_those_of_the_text_and_every_completion_ends_with_the_end_token(tmp_path, method, known):
    built = Built(tmp_path, method, known=known)
    end = tiny_tokenizer().eos_token_id
    names = {"SFT": ["input_ids"], "DPO": ["chosen_ids", "rejected_ids"], "KTO": ["completion_ids", "KL_completion_ids"]}[method]
    texts = [text for step in built.work.steps for text in step.right]
    for row, text in zip(built.rows, texts, strict=True):
        assert all(row[name][-1] == end and row[name].count(end) >= 1 for name in names)
        if method != "SFT":
            assert row["prompt_ids"] == tiny_tokenizer()(text.prompt).input_ids, "nothing of the prompt was cut off"


@pytest.mark.parametrize("method", METHODS)
def test_eight_rows_at_once_and_four_twice_give_the_same_update(tmp_path, method):
    spec = tiny_spec(None)
    case = tiny_case(trainer=spec["trainer"] | {"promptsPerStep": 8})
    losses, weights = [], []
    for divisor in (1, 2):
        context = LocalContext(
            tmp_path / str(divisor),
            case.spec | {"trainer": case.spec["trainer"] | {"kind": "TRL_FULL"}},
            training=Wishes(micro_batch_divisor=divisor),
        )
        trained = train_with_trl(LoadedModel(tiny_model(), tiny_tokenizer()), case.work(method), context, case.shared)
        losses.append(trained.log.losses)
        weights.append(trained.weights)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    apart = max((weights[0][name] - weights[1][name]).abs().max().item() for name in weights[0])
    assert apart < 1e-3


@pytest.mark.parametrize("method", METHODS)
def test_more_padding_changes_no_loss(tmp_path, method):
    built = Built(tmp_path, method)
    collate = built.trainer.data_collator
    rows = built.rows[: built.args.per_device_train_batch_size]
    plain = built.trainer.compute_loss(built.trainer.model, collate(rows)).item()
    collate.pad_to_multiple_of = 64
    padded = collate(rows)
    assert padded["input_ids"].shape[1] % 64 == 0
    assert built.trainer.compute_loss(built.trainer.model, padded).item() == pytest.approx(plain, abs=1e-6)


@pytest.mark.parametrize("kind", ["TRL_FULL", "TRL_LORA"])
@pytest.mark.parametrize("method", METHODS)
def test_known_tokens_and_log_probabilities_give_the_losses_of_a_live_reference_model(tmp_path, method, kind):
    live, known = (Built(tmp_path / str(known), method, known=known, kind=kind) for known in (False, True))
    known.trainer.model.load_state_dict(live.trainer.model.state_dict())
    drift = torch.Generator().manual_seed(3)
    for built in (live, known):
        drift.manual_seed(3)
        with torch.no_grad():
            for parameter in built.trainer.model.parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.randn(parameter.shape, generator=drift) * 0.02)
    assert getattr(known.trainer, "ref_model", None) is None
    for first, second in zip(live.trainer.get_train_dataloader(), known.trainer.get_train_dataloader(), strict=True):
        assert torch.equal(first["input_ids"], second["input_ids"])
        losses = [built.trainer.compute_loss(built.trainer.model, batch).item() for built, batch in ((live, first), (known, second))]
        assert losses[0] == pytest.approx(losses[1], abs=1e-5)


@pytest.mark.parametrize("method", ["DPO", "KTO"])
def test_a_whole_training_is_the_same_with_known_log_probabilities(tmp_path, method):
    live = Built(tmp_path / "live", method)
    live.trainer.train()
    case = tiny_case()
    context = LocalContext(tmp_path / "known", case.spec | {"trainer": case.spec["trainer"] | {"kind": "TRL_FULL"}})
    known = train_with_trl(LoadedModel(tiny_model(), tiny_tokenizer()), case.work(method), context, case.shared)
    logged = [entry["loss"] for entry in live.trainer.state.log_history if "loss" in entry]
    # Rounding grows over eight updates at a rate this large; each batch by itself is held to 1e-5 above.
    assert known.log.losses == pytest.approx(logged, abs=1e-4)


def test_tokens_that_prepare_found_are_read_and_no_tokenizer_is_asked_again():
    case = tiny_case()
    texts = list(case.plan.tree.paths)

    class Forbidden:
        """A tokenizer that may be looked at and not used."""

        def __init__(self, tokenizer):
            self.__dict__["inner"] = tokenizer
            self.__dict__["used"] = False

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def __call__(self, *args, **kwargs):
            assert not self.used, "wanted the known tokens"
            return self.inner(*args, **kwargs)

    tokenizer = Forbidden(tiny_tokenizer())
    encoder = Encoder(tokenizer, known=KnownTexts(tensors_of(case.plan.tree)))
    tokenizer.__dict__["used"] = True
    for text in texts:
        assert encoder.encode(text) == case.plan.encoder.encode(text)
    with pytest.raises(AssertionError, match="wanted the known tokens"):
        encoder.encode(Text("another prompt", "another completion"))


def test_telemetry_is_off_before_a_trainer_is_built():
    """TRL sends a message when a trainer is built, unless it is told not to."""
    code = "import assay_pods.robustness.trl_reference, huggingface_hub.constants as c; print(c.HF_HUB_DISABLE_TELEMETRY)"
    off = ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_OFFLINE", "CI", "DO_NOT_TRACK", "DISABLE_TELEMETRY")
    clean = {name: value for name, value in os.environ.items() if name not in off}
    said = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "True"


@pytest.mark.parametrize("kind", ["TOP_BLOCKS", "TRL_FULL"])
def test_dpo_tells_the_log_probability_of_the_right_completion_itself(tmp_path, kind):
    """The loss falls also where right completions become less probable, only slower than wrong ones."""
    folder = write_tiny_model(tmp_path / "model")
    trainer = tiny_spec(None)["trainer"] | {"kind": kind}
    prepared = LocalContext(tmp_path / "prepare", tiny_spec(folder, trainer=trainer))
    run(prepared)
    inputs = {name.split(".")[0]: path for name, (_, path) in prepared.saved.items()}
    context = LocalContext(tmp_path / "run", tiny_spec(folder, step="train", method="DPO", spuriousness=0.5, trainer=trainer), inputs)
    result = run(context)
    told = [value for name, value, _ in context.metrics if name == "logps/chosen"]
    assert len(told) == result["steps"] == 8
    assert result["chosenLogprob"] == {"first": told[0], "last": told[-1]}
    case = tiny_case()
    right = case.work("DPO").steps[0].right
    by_hand = sum(case.shared.logprob(text) for text in right) / len(right)
    assert told[0] == pytest.approx(by_hand, abs=1e-3)


@pytest.mark.parametrize("kind", ["TOP_BLOCKS", "TRL_FULL"])
def test_methods_take_equally_many_updates_of_equally_many_prompts_and_their_tokens_are_told(tmp_path, kind):
    folder = write_tiny_model(tmp_path / "model")
    trainer = tiny_spec(None)["trainer"] | {"kind": kind}
    prepared = LocalContext(tmp_path / "prepare", tiny_spec(folder, trainer=trainer))
    run(prepared)
    inputs = {name.split(".")[0]: path for name, (_, path) in prepared.saved.items()}
    results = {
        method: run(
            LocalContext(tmp_path / method, tiny_spec(folder, step="train", method=method, spuriousness=0.5, trainer=trainer), inputs)
        )
        for method in METHODS
    }
    assert {result["steps"] for result in results.values()} == {8}
    assert {result["batch"]["promptsPerStep"] for result in results.values()} == {4}
    assert results["DPO"]["tokens"] == results["KTO"]["tokens"] == 2 * results["SFT"]["tokens"]
