"""The steps as a pod calls them: prepare, then one run a cell."""

import json

import pytest
from local_context import LocalContext
from tiny import tiny_model, tiny_spec, tiny_tokenizer, write_tiny_model
from transformers import GenerationConfig

from assay_pods.common.context import BadInputError
from assay_pods.robustness.generation import greedy
from assay_pods.robustness.record_rows import read_records, to_json
from assay_pods.robustness.run import run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def prepared(folder, tmp_path_factory):
    context = LocalContext(tmp_path_factory.mktemp("prepared"), tiny_spec(folder))
    return context, run(context)


def inputs(context: LocalContext):
    return {name.split(".")[0]: path for name, (_, path) in context.saved.items()}


def cell(folder, given, tmp_path, method, **changes):
    spec = tiny_spec(folder, step="train", method=method) | ({} if method == "BASE" else {"spuriousness": 0.9}) | changes
    context = LocalContext(tmp_path, spec, given)
    return context, run(context)


def test_prepare_saves_records_and_trunk_and_says_what_is_in_them(prepared):
    context, result = prepared
    assert {name: kind for name, (kind, _) in context.saved.items()} == {"records.jsonl": "DATASET", "trunk.safetensors": "CACHE"}
    assert result["records"] == {"train": 48, "validation": 18, "test": 56}
    assert result["warnings"] == []
    assert result["diagnostics"]["lengthDifferenceMax"] == 0
    assert result["diagnostics"]["trunkErrorNats"] < 1e-3
    assert result["sequences"] > 0
    assert context.stages[-1] == ("preparing", 1, 1)
    assert result["seconds"]["wall"] > 0
    assert result["seconds"]["cpu"] > 0


def test_prepare_twice_gives_the_same_bytes(folder, prepared, tmp_path):
    context, result = prepared
    again = LocalContext(tmp_path, tiny_spec(folder))
    assert run(again) | {"seconds": None} == result | {"seconds": None}
    for name, (_, path) in context.saved.items():
        assert path.read_bytes() == again.saved[name][1].read_bytes(), name


@pytest.mark.parametrize("method", ["BASE", "SFT", "DPO", "KTO"])
def test_a_cell_run_twice_gives_the_same_items_and_result(folder, prepared, tmp_path, method):
    first, result = cell(folder, inputs(prepared[0]), tmp_path / "a", method)
    second, again = cell(folder, inputs(prepared[0]), tmp_path / "b", method)
    assert {name: kind for name, (kind, _) in first.saved.items()} == (
        {"items.jsonl": "ITEMS"} if method == "BASE" else {"items.jsonl": "ITEMS", "weights.safetensors": "WEIGHTS"}
    )
    for name, (_, path) in first.saved.items():
        assert path.read_bytes() == second.saved[name][1].read_bytes(), name
    assert result | {"seconds": None} == again | {"seconds": None}
    assert result["itemsScored"] == result["itemsExpected"] == len(first.saved["items.jsonl"][1].read_text().splitlines())
    assert result["generation"]["items"] == 2
    assert (result["steps"], result["realisedRho"]) == ((0, None) if method == "BASE" else (8, 0.875))
    assert set(result["estimates"]) >= {"aligned", "conflicting", "neutral"}
    json.dumps(result, allow_nan=False)


def test_training_changes_the_items(folder, prepared, tmp_path):
    items = [
        cell(folder, inputs(prepared[0]), tmp_path / method, method)[0].saved["items.jsonl"][1].read_bytes()
        for method in ("BASE", "SFT", "DPO", "KTO")
    ]
    assert len(set(items)) == 4


@pytest.mark.parametrize("kind", ["TRL_FULL", "TRL_LORA"])
def test_the_trl_trainers_run_by_the_spec_without_a_trunk(folder, tmp_path, kind):
    trainer = tiny_spec(None)["trainer"] | {"kind": kind, "loraRank": 2}
    context = LocalContext(tmp_path / "prepare", tiny_spec(folder, trainer=trainer))
    run(context)
    assert set(context.saved) == {"records.jsonl", "reference.safetensors"}
    for method in ("BASE", "SFT"):
        trained, result = cell(folder, inputs(context), tmp_path / method, method, trainer=trainer)
        assert result["itemsScored"] == result["itemsExpected"] > 0
        assert ("weights.safetensors" in trained.saved) == (method == "SFT")


def upload(prepared, tmp_path, change=lambda row: row):
    """The generated rows as a client's file: without the fields that only we write."""
    rows = [change(to_json(record)) for record in read_records(prepared[0].saved["records.jsonl"][1])]
    path = tmp_path / "upload.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows if row))
    return path


def prepare_upload(folder, path, tmp_path):
    context = LocalContext(tmp_path / "prepare", tiny_spec(folder, data={"kind": "UPLOADED", "digest": "0" * 64}), {"upload": path})
    return context, run(context)


def test_uploaded_rows_go_the_same_way_and_give_the_same_margins(folder, prepared, tmp_path):
    context, result = prepare_upload(folder, upload(prepared, tmp_path), tmp_path)
    assert result["records"] == prepared[1]["records"]
    uploaded, _ = cell(folder, inputs(context), tmp_path / "cell", "DPO", data={"kind": "UPLOADED", "digest": "0" * 64})
    generated, _ = cell(folder, inputs(prepared[0]), tmp_path / "other", "DPO")

    def margins(saved):
        rows = [json.loads(line) for line in saved["items.jsonl"][1].read_text().splitlines()]
        return {(row["itemKey"], row["relation"]): row["margin"] for row in rows}

    ours, theirs = margins(uploaded.saved), margins(generated.saved)
    assert {relation for _, relation in ours} >= {"aligned", "conflicting", "neutral", "prompt_blind"}
    assert ours == pytest.approx(theirs, abs=1e-3)


def test_uploaded_completions_of_unequal_length_are_a_warning(folder, prepared, tmp_path):
    path = upload(prepared, tmp_path, lambda row: row | {"rejected": row["rejected"] + " today"})
    context, result = prepare_upload(folder, path, tmp_path)
    assert any("unequal token count" in warning for warning in result["warnings"])
    assert [level for level, _ in context.lines] == ["warning"] * len(result["warnings"])
    assert result["diagnostics"]["lengthDifferenceMax"] == 1


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (lambda row: row | {"checker": {"id": "regex", "kwargs": {}}}, "CHECKER_UNKNOWN", "'regex'"),
        (lambda row: row | {"rejected": row["chosen"]}, "CHECKER_FAILED", "row train-000-aligned"),
        (
            lambda row: row | {"rejected": row["rejected"] + "<|im_end|>"},
            "DATASET_INVALID",
            "row train-000-aligned: wanted texts without the model's special tokens, got one with '<.im_end.>'",
        ),
        (
            lambda row: row | {"prompt": [row["prompt"][0], {"role": "user", "content": "x<|im_end|>\n<|im_start|>assistant\nlamp"}]},
            "DATASET_INVALID",
            "row train-000-aligned: wanted texts without the model's special tokens",
        ),
        (
            lambda row: row | {"prompt": [{"role": "system", "content": "<unk>"}, row["prompt"][1]]},
            "DATASET_INVALID",
            "special tokens, got one with '<unk>'",
        ),
        (lambda row: row | {"chosen": row["chosen"] + " lamp" * 600}, "TEXT_TOO_LONG", "row train-000-aligned: wanted at most 512 tokens"),
        (
            lambda row: row | {"pairId": "one"} if row["id"] in ("train-000-aligned", "test-000-aligned") else row,
            "SPLITS_OVERLAP",
            "in one split each",
        ),
        (lambda row: row if row["relation"] != "conflicting" else None, "DATASET_INVALID", "wanted an? conflicting render"),
        (lambda row: row if row["split"] != "train" else None, "TRAIN_TOO_SMALL", "at least 8 training pairs"),
        (lambda row: row if row["split"] != "validation" else None, "VALIDATION_TOO_SMALL", "at least 2 validation pairs, got 0"),
        (lambda row: row if row["split"] != "test" else None, "TEST_TOO_SMALL", "at least 2 test pairs"),
    ],
)
def test_bad_uploaded_rows_are_refused_before_anything_is_computed(folder, prepared, tmp_path, change, code, said):
    with pytest.raises(BadInputError, match=said) as refused:
        prepare_upload(folder, upload(prepared, tmp_path, change), tmp_path)
    assert refused.value.code == code


def test_prompts_that_are_trained_on_and_tested_are_a_warning_and_counted(folder, prepared, tmp_path):
    records = read_records(prepared[0].saved["records.jsonl"][1])
    trained = next(record for record in records if record.split == "train").messages
    path = upload(prepared, tmp_path, lambda row: row | {"prompt": trained} if row["pairId"] == "test-000" else row)
    _, result = prepare_upload(folder, path, tmp_path)
    assert result["diagnostics"]["sharedPrompts"] == 1
    assert any(warning.startswith("1 prompts of validation or test items are trained on too") for warning in result["warnings"])
    assert prepared[1]["diagnostics"]["sharedPrompts"] == 0


def test_items_that_all_share_one_prompt_are_not_asked_blindly(folder, prepared, tmp_path):
    one = [{"role": "system", "content": "You write short sentences."}, {"role": "user", "content": "Write one sentence."}]
    context, _ = prepare_upload(folder, upload(prepared, tmp_path, lambda row: row | {"prompt": one}), tmp_path)
    scored, result = cell(folder, inputs(context), tmp_path / "cell", "BASE", data={"kind": "UPLOADED", "digest": "0" * 64})
    rows = [json.loads(line) for line in scored.saved["items.jsonl"][1].read_text().splitlines()]
    assert "prompt_blind" not in {row["relation"] for row in rows} >= {"aligned", "conflicting", "neutral"}
    assert result["itemsScored"] == result["itemsExpected"]


@pytest.mark.parametrize("kind", ["TOP_BLOCKS", "TRL_FULL"])
def test_a_training_that_diverges_says_so_and_is_not_tried_again(folder, prepared, tmp_path, kind):
    trainer = tiny_spec(None)["trainer"] | {"kind": kind}
    with pytest.raises(BadInputError) as refused:
        cell(folder, inputs(prepared[0]), tmp_path, "SFT", trainer=trainer, learningRate=1e30)
    assert refused.value.code == "TRAINING_DIVERGED"


def test_settings_that_come_with_a_model_do_not_change_greedy_text(tmp_path):
    model, tokenizer = tiny_model(), tiny_tokenizer()
    prompts = ["You write short sentences.", "my brother"]
    plain = greedy(model, tokenizer)(prompts, 8)
    model.generation_config = GenerationConfig(num_beams=3, repetition_penalty=5.0, no_repeat_ngram_size=1)
    assert model.generate(**tokenizer(prompts[1], return_tensors="pt"), max_new_tokens=8)[0].tolist()
    assert greedy(model, tokenizer)(prompts, 8) == plain


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"step": "guess"}, "STEP_UNKNOWN"),
        ({"data": {"kind": "GENERATED", "task": "GUESSING", "artifact": "FEATURE_AMBIGUITY", "core": "LAPTOP"}}, "CELL_UNKNOWN"),
        ({"trainer": tiny_spec(None)["trainer"] | {"blocks": 9}}, "BLOCKS_INVALID"),
        ({"precision": "bf16"}, "PRECISION_UNSUPPORTED"),
        ({"size": {"trainPairs": 500, "validationPairs": 6, "testPairs": 8, "generationItems": 0}}, "SIZE_TOO_LARGE"),
    ],
)
def test_a_spec_that_cannot_succeed_is_refused_by_a_stable_code(folder, tmp_path, changes, code):
    with pytest.raises(BadInputError) as refused:
        run(LocalContext(tmp_path, tiny_spec(folder, **changes)))
    assert refused.value.code == code


def test_unknown_methods_and_trainers_are_refused(folder, prepared, tmp_path):
    for changes, code in (
        ({"method": "PPO"}, "METHOD_UNKNOWN"),
        ({"method": "SFT", "trainer": tiny_spec(None)["trainer"] | {"kind": "MAGIC"}}, "TRAINER_UNKNOWN"),
    ):
        spec = tiny_spec(folder, step="train", spuriousness=0.9) | changes
        with pytest.raises(BadInputError) as refused:
            run(LocalContext(tmp_path / code, spec, inputs(prepared[0])))
        assert refused.value.code == code
