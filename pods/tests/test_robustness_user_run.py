"""A user's own file goes the whole way: as it was uploaded into `prepare`, and from there into a trained and scored cell."""

import json
from pathlib import Path
from typing import Any

import pytest
from local_context import LocalContext
from tiny import tiny_spec, tokenizer_of, write_tiny_model
from user_files import PUBLIC, PUBLIC_FILES, TASKS, user_rows, write_file

from assay_pods.common.context import BadInputError
from assay_pods.robustness.record_rows import read_records
from assay_pods.robustness.records import pairs_of
from assay_pods.robustness.run import run

RELATIONS = {"aligned", "conflicting", "neutral", "heldout_aligned", "heldout_conflicting", "prompt_blind"}
SIZE = {"trainPairs": 16, "validationPairs": 4, "testPairs": 4, "generationItems": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = tokenizer_of(json.dumps(user_rows(data_format)) for data_format in TASKS)
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny", tokenizer)


def _spec(folder: Path, data_format: str, core: str = "LAPTOP", **changes: Any) -> dict[str, Any]:
    data = {
        "kind": "ITEMS",
        "format": data_format,
        "digest": "0" * 64,
        "task": TASKS[data_format],
        "artifact": "FEATURE_AMBIGUITY",
        "core": core,
    }
    trainer = tiny_spec(None)["trainer"] | {"epochs": 1, "maxLength": 1024}
    spec = tiny_spec(folder, version=2, data=data, size=SIZE, rateMode="CORRELATION", warmup=None, trainer=trainer)
    return spec | changes


def _prepared(folder: Path, data_format: str, file: Path, tmp_path: Path, core: str = "LAPTOP") -> tuple[LocalContext, dict[str, Any]]:
    context = LocalContext(tmp_path / "prepare", _spec(folder, data_format, core), {"upload": file})
    return context, run(context)


def _cell(folder: Path, data_format: str, prepared: LocalContext, tmp_path: Path, core: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    given = {name.split(".")[0]: path for name, (_, path) in prepared.saved.items()}
    cell = {"step": "train", "purpose": "CELL", "method": "DPO", "spuriousness": 0.9, "learningRate": 0.01, "curve": False}
    context = LocalContext(tmp_path / "cell", _spec(folder, data_format, core, **cell), given)
    result = run(context)
    return [json.loads(line) for line in context.saved["items.jsonl"][1].read_text().splitlines()], result


def _whole_way(folder: Path, data_format: str, file: Path, tmp_path: Path, core: str = "LAPTOP") -> None:
    prepared, found = _prepared(folder, data_format, file, tmp_path, core)
    records = read_records(prepared.saved["records.jsonl"][1])
    pairs = {split: len(pairs_of(records, split)) for split in ("train", "validation", "test")}
    assert pairs == {"train": 16, "validation": 4, "test": 4}
    assert found["diagnostics"]["userItems"]["usable"]["train"] >= 16
    items, result = _cell(folder, data_format, prepared, tmp_path, core)
    assert result["itemsScored"] == result["itemsExpected"] == len(items)
    assert {row["relation"] for row in items} >= RELATIONS
    assert all(row["margin"] != 0 for row in items if row["relation"] != "prompt_blind")
    assert len({row["itemKey"] for row in items if "generation" in row}) == 2
    assert result["steps"] == 4
    assert set(result["estimates"]) >= {"aligned", "conflicting", "neutral"}
    json.dumps(result, allow_nan=False)


@pytest.mark.parametrize("data_format", TASKS)
def test_an_uploaded_file_is_prepared_trained_on_and_scored(folder: Path, data_format: str, tmp_path: Path) -> None:
    _whole_way(folder, data_format, write_file(tmp_path, data_format), tmp_path)


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="the public files are not here")
@pytest.mark.parametrize("data_format", PUBLIC_FILES)
def test_a_public_file_is_prepared_trained_on_and_scored(folder: Path, data_format: str, tmp_path: Path) -> None:
    _whole_way(folder, data_format, PUBLIC / PUBLIC_FILES[data_format], tmp_path, core="FULL")


def test_worked_solutions_of_the_full_core_go_the_whole_way(folder: Path, tmp_path: Path) -> None:
    _whole_way(folder, "GSM8K", write_file(tmp_path, "GSM8K"), tmp_path, core="FULL")


def test_a_file_of_another_format_is_refused_before_anything_is_computed(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="row 1: wanted a row in the format GSM8K") as refused:
        _prepared(folder, "GSM8K", write_file(tmp_path, "IFEVAL"), tmp_path)
    assert refused.value.code == "DATASET_INVALID"


def test_a_file_of_too_few_items_is_refused_with_their_number(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="train pairs of this data set") as refused:
        _prepared(folder, "GSM8K", write_file(tmp_path, "GSM8K", 20), tmp_path)
    assert refused.value.code == "SIZE_TOO_LARGE"
