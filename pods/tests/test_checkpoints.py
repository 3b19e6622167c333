"""A training that was killed, released or divided, and what became of it."""

import json
import struct

import pytest
import torch
from local_context import KilledError, LocalContext, Wishes
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny import tiny_spec, write_tiny_model

from assay_pods.common.checkpoint_files import STATE_KEY, CheckpointError, check_made_for, read_state
from assay_pods.common.context import ReleasedError
from assay_pods.robustness.run import run

METHODS = ("SFT", "DPO", "KTO")
TRL_CELLS = [("TRL_LORA", "DPO"), ("TRL_FULL", "KTO"), ("TRL_FULL", "SFT")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def given(folder, tmp_path_factory):
    """Inputs of train runs by the trainer's kind."""
    made = {}
    for kind in ("TOP_BLOCKS", "TRL_LORA", "TRL_FULL"):
        context = LocalContext(tmp_path_factory.mktemp(kind), tiny_spec(folder, trainer=trainer_of(kind)))
        run(context)
        made[kind] = {name.split(".")[0]: path for name, (_, path) in context.saved.items()}
    return made


def trainer_of(kind):
    return tiny_spec(None)["trainer"] | {"kind": kind} | ({"loraRank": 2} if kind == "TRL_LORA" else {})


class Cell:
    """One train run of the tiny model; called once for each attempt."""

    def __init__(self, folder, given, tmp_path, kind, method):
        self.spec = tiny_spec(folder, step="train", method=method, spuriousness=0.9, trainer=trainer_of(kind))
        self.inputs = given[kind]
        self.tmp_path = tmp_path
        self.attempts = 0

    def context(self, **wishes):
        self.attempts += 1
        return LocalContext(self.tmp_path / str(self.attempts), self.spec, self.inputs, training=Wishes(**wishes))

    def whole(self, **wishes):
        context = self.context(**wishes)
        return context, run(context)


@pytest.fixture
def cell(folder, given, tmp_path):
    return lambda kind, method: Cell(folder, given, tmp_path, kind, method)


def outcome(context, result):
    """All that must be the same however often the run was interrupted."""
    return result | {"seconds": None}, {name: path.read_bytes() for name, (_, path) in context.saved.items()}


@pytest.mark.parametrize(("kind", "method"), [*(("TOP_BLOCKS", method) for method in METHODS), *TRL_CELLS])
def test_a_killed_and_resumed_training_equals_the_uninterrupted_one_bit_for_bit(cell, kind, method):
    this = cell(kind, method)
    undisturbed = outcome(*this.whole())
    # The second checkpoint is that of the first epoch's last step.
    killed = this.context(checkpoints_at=frozenset({2, 4}), killed_at=6)
    with pytest.raises(KilledError):
        run(killed)
    assert [step for step, _ in killed.checkpoints] == [2, 4]
    for _, path in killed.checkpoints:
        torch.rand(7)  # nothing may lean on what the process drew before
        context, result = this.whole(resume=path)
        assert outcome(context, result) == undisturbed
        assert any(stage == "training" for stage, _, _ in context.stages)


def test_a_resumed_training_does_only_what_is_left(cell):
    this = cell("TOP_BLOCKS", "DPO")
    killed = this.context(checkpoints_at=frozenset({5}), killed_at=6)
    with pytest.raises(KilledError):
        run(killed)
    resumed, _ = this.whole(resume=killed.checkpoints[0][1])
    assert [step for name, _, step in resumed.metrics if name == "loss"] == [6, 7, 8]


@pytest.mark.parametrize(("kind", "method"), [("TOP_BLOCKS", "KTO"), ("TRL_FULL", "SFT")])
def test_a_run_killed_while_it_scores_goes_on_from_the_last_step(cell, kind, method):
    this = cell(kind, method)
    context, result = this.whole(checkpoints_at=frozenset({8}) if kind == "TOP_BLOCKS" else frozenset({7}))
    again, same = this.whole(resume=context.checkpoints[-1][1])
    assert outcome(again, same) == outcome(context, result)
    assert len([name for name, _, _ in again.metrics if name == "loss"]) == (0 if kind == "TOP_BLOCKS" else 1)


@pytest.mark.parametrize("kind", ["TOP_BLOCKS", "TRL_LORA"])
def test_a_released_run_writes_its_checkpoint_first(cell, kind):
    this = cell(kind, "DPO")
    context = this.context(release_at=3)
    with pytest.raises(ReleasedError) as released:
        run(context)
    assert released.value.last_step == 3
    assert outcome(*this.whole(resume=context.checkpoints[0][1])) == outcome(*this.whole())


def test_the_same_state_gives_the_same_bytes(cell):
    this = cell("TOP_BLOCKS", "SFT")
    digests = {this.whole(checkpoints_at=frozenset({3}))[0].checkpoints[0][1].name for _ in range(2)}
    assert len(digests) == 1


def test_a_checkpoint_holds_all_that_training_leans_on_and_no_pickle(cell):
    path = cell("TOP_BLOCKS", "DPO").whole(checkpoints_at=frozenset({3}))[0].checkpoints[0][1]
    with safe_open(path, "pt") as file:
        names = list(file.keys())
        assert list(file.metadata()) == [STATE_KEY]
    assert {name.partition("/")[0] for name in names} == {"weight", "optimiser", "random"}
    assert len([name for name in names if name.startswith("optimiser")]) == 3 * len([name for name in names if name.startswith("weight")])
    state = read_state(path)
    assert state["step"] == 3
    assert state["schedule"]["last_epoch"] == 3
    assert len(state["log"]["losses"]) == 3
    assert set(state["random"]) == {"python", "numpy"}


def test_a_checkpoint_of_another_spec_is_refused(cell):
    this, other = cell("TOP_BLOCKS", "DPO"), cell("TOP_BLOCKS", "DPO")
    context, _ = this.whole(checkpoints_at=frozenset({3}))
    path = context.checkpoints[0][1]
    check_made_for(path, context.spec_sha256, 3)
    with pytest.raises(CheckpointError, match="wanted a checkpoint of step 4"):
        check_made_for(path, context.spec_sha256, 4)
    with pytest.raises(CheckpointError, match="wanted a checkpoint of the spec 0000"):
        check_made_for(path, "0" * 64, 3)
    other.spec = other.spec | {"spuriousness": 0.5}
    with pytest.raises(CheckpointError, match="wanted a checkpoint of the spec"):
        other.whole(resume=path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": 2}, "wanted a checkpoint of version 1, but got version 2"),
        ({"schedule": None}, "wanted a checkpoint that fits this training"),
        ({"optimiser": {"state": {}, "groups": []}}, "wanted a checkpoint that fits this training"),
        ({"log": None}, "wanted a checkpoint that fits this training"),
    ],
)
def test_a_checkpoint_that_does_not_fit_the_training_is_refused_with_a_sentence(cell, tmp_path, changes, said):
    this = cell("TOP_BLOCKS", "SFT")
    path = this.whole(checkpoints_at=frozenset({3}))[0].checkpoints[0][1]
    other = tmp_path / "other"
    save_file(load_file(path), other, {STATE_KEY: json.dumps(read_state(path) | changes)})
    with pytest.raises(CheckpointError, match=said):
        this.whole(resume=other)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 a pickle in a zip",
        struct.pack("<Q", 2**40) + b"{}",
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 100_000) + b"[" * 100_000,
        *(
            struct.pack("<Q", len(header)) + header
            for state in ("[]", "[" * 100_000, "no JSON")
            for header in [json.dumps({"__metadata__": {STATE_KEY: state}}).encode()]
        ),
    ],
)
def test_what_is_no_checkpoint_is_refused_with_a_sentence(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="^wanted a checkpoint"):
        read_state(path)


@pytest.mark.parametrize(("kind", "method"), [*(("TOP_BLOCKS", method) for method in METHODS), *TRL_CELLS])
@pytest.mark.parametrize("divisor", [2, 4])
def test_divided_batches_give_the_same_training_within_rounding_and_the_same_bytes_twice(cell, kind, method, divisor):
    this = cell(kind, method)
    whole, result = this.whole()
    divided, other = this.whole(micro_batch_divisor=divisor)
    again, same = this.whole(micro_batch_divisor=divisor)
    assert outcome(divided, other) == outcome(again, same)
    assert other["trainLoss"] == pytest.approx(result["trainLoss"], rel=1e-3)
    assert (other["steps"], other["tokens"]) == (result["steps"], result["tokens"])
    losses = [[value for name, value, _ in context.metrics if name == "loss"] for context in (whole, divided)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


@pytest.mark.parametrize(("kind", "method"), [("TOP_BLOCKS", "DPO"), ("TRL_LORA", "SFT"), ("TRL_FULL", "KTO")])
def test_a_run_that_is_to_score_what_there_is_ends_training_and_is_partial(cell, kind, method):
    context, result = cell(kind, method).whole(score_partial_at=3)
    assert result["partial"] is True
    assert result["steps"] == 3
    assert [step for name, _, step in context.metrics if name == "loss"] == [1, 2, 3]
    assert result["itemsScored"] == result["itemsExpected"]
    assert "training was ended after 3 of 8 steps, as asked" in result["warnings"]
    whole_tokens = cell(kind, method).whole()[1]["tokens"]
    assert 0 < result["tokens"] < whole_tokens
    assert "weights.safetensors" in context.saved
