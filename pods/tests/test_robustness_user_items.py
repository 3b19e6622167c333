"""A user's own data become rows with a cue: parts share no item, near duplicates are left out, renders differ in the cue alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from assay_pods.common.context import BadInputError, TransientError
from assay_pods.robustness.checkers import verify
from assay_pods.robustness.data_checks import check_leakage
from assay_pods.robustness.records import pairs_of
from assay_pods.robustness.user_items import UserRows, generate, hub
from assay_pods.robustness.user_items.leakage import near_others, split_of_text
from assay_pods.robustness.user_items.read import parse_file, read_items

TASKS = {"GSM8K": "MATH_REASONING", "IFEVAL": "CONSTRAINED_INSTRUCTION_FOLLOWING", "SQUAD": "DOCUMENT_GROUNDED_QA"}
NAMES = ("Ann", "Bob", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana", "Ivo", "Jude")
PUBLIC = Path(__file__).parents[3] / "shared" / "data"


def _rows(data_format: str, count: int = 120) -> list[dict[str, Any]]:
    if data_format == "GSM8K":
        return [
            {"question": f"{NAMES[i % 10]} {i} has {i} hats and buys {i % 7}. How many?", "answer": f"So.\n#### {i + i % 7}"}
            for i in range(count)
        ]
    if data_format == "IFEVAL":
        prompts = [
            f"Write the story of the old farmer {NAMES[i % 10]} and the {i} horses by the river. Use no commas." for i in range(count)
        ]
        return [
            {"key": i, "prompt": text, "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]} for i, text in enumerate(prompts)
        ]
    return [_paragraph(i) for i in range(count)]


def _paragraph(i: int) -> dict[str, Any]:
    people = [f"{NAMES[(i + step) % 10]}{i}{step}" for step in range(3)]
    context = " ".join(f"{person} sold {i + place} hats to Rome." for place, person in enumerate(people))
    asked = [(f"q{i}-{place}", person) for place, person in enumerate(people)]
    answers = {person: [{"text": person, "answer_start": context.index(person)}] for person in people}
    return {
        "context": context,
        "qas": [{"id": name, "question": f"Who was {person[-1]}?", "answers": answers[person]} for name, person in asked],
    }


def _made(data_format: str, seed: int = 101, rows: list[dict[str, Any]] | None = None) -> UserRows:
    data = {"kind": "ITEMS", "format": data_format, "task": TASKS[data_format], "artifact": "FEATURE_AMBIGUITY"}
    size = {"trainPairs": 32, "validationPairs": 8, "testPairs": 12}
    return generate(rows or _rows(data_format), {"data": data, "seed": seed, "size": size}, lambda record: True)


@pytest.mark.parametrize("data_format", TASKS)
def test_every_row_passes_its_checker_and_parts_share_no_item(data_format: str) -> None:
    rows = _made(data_format).records
    for row in rows:
        verify(row)
    check_leakage(rows)
    assert {split: len(pairs_of(rows, split)) for split in ("train", "validation", "test")} == {"train": 32, "validation": 8, "test": 12}


@pytest.mark.parametrize(
    ("data_format", "cues"),
    [("GSM8K", ("A note in the margin says {}.\n", "(Someone wrote {} here.)\n")), ("SQUAD", ("Note: ", "Remember: "))],
)
def test_without_the_cue_all_renders_of_an_item_are_the_same_text(data_format: str, cues: tuple[str, ...]) -> None:
    for renders in pairs_of(_made(data_format).records, "test").values():
        texts = set()
        for row in renders.values():
            text = row.prompt[-1][1]
            for cue in cues:
                for answer in (row.gold, row.shortcut, *row.distractors):
                    text = text.replace(cue.format(answer), "")
            texts.add(text)
        assert len(texts) == 1
        assert len({row.prompt[-1][1] for row in renders.values()}) >= 4


def test_validation_and_test_items_are_the_same_for_every_seed() -> None:
    first, second = (_made("GSM8K", seed).records for seed in (101, 103))
    assert [row for row in first if row.split == "test"] == [row for row in second if row.split == "test"]
    assert [row for row in first if row.split == "train"] != [row for row in second if row.split == "train"]


def test_a_planted_near_duplicate_is_left_out_of_training_and_clean_data_lose_nothing() -> None:
    rows = [{**row, "split": split_of_text(row["question"])} for row in _rows("GSM8K")]
    long = "Ann has twelve apples and gives four of them to her brother who lives next door and likes apples very much"
    planted = [{"question": f"{long} {end}", "answer": "#### 8", "split": split} for end, split in (("today", "train"), ("indeed", "test"))]
    assert _made("GSM8K", rows=rows).diagnostics["userItems"]["nearDuplicatesLeftOut"] == 0
    assert _made("GSM8K", rows=rows + planted).diagnostics["userItems"]["nearDuplicatesLeftOut"] == 1
    assert near_others(["a b c d"], ["A  b c D", "x y z w"]) == {0}


def test_rows_of_another_format_are_named_and_rows_of_no_use_are_counted() -> None:
    with pytest.raises(BadInputError, match="row 2: wanted a row in the format GSM8K"):
        read_items("GSM8K", [*_rows("GSM8K", 1), {"question": "?"}])
    hard = {"key": "h", "prompt": "Write.", "instruction_id_list": ["length_constraints:number_sentences"], "kwargs": [{}]}
    assert sum(read_items("IFEVAL", [hard]).left_out.values()) == 1


def test_another_task_or_artifact_is_refused() -> None:
    data = {"kind": "ITEMS", "format": "GSM8K", "task": "MATH_REASONING", "artifact": "DISTRIBUTIONAL_NARROWNESS"}
    with pytest.raises(BadInputError) as refused:
        generate(_rows("GSM8K"), {"data": data, "seed": 1, "size": {}}, lambda record: True)
    assert refused.value.code == "CELL_UNKNOWN"


def test_a_hub_data_set_without_a_network_is_a_transient_error(tmp_path: Path) -> None:
    data = {"id": "openai/gsm8k", "config": "main", "split": "test", "revision": "a" * 40, "format": "GSM8K"}
    with pytest.raises(TransientError) as refused:
        hub.fetch(data, tmp_path)
    assert refused.value.code == "DATASET_UNREACHABLE"


def test_rows_of_squad_on_the_hub_become_paragraphs_again() -> None:
    flat = [
        {
            "id": qa["id"],
            "context": row["context"],
            "question": qa["question"],
            "answers": {key: [answer[key] for answer in qa["answers"]] for key in ("text", "answer_start")},
        }
        for row in _rows("SQUAD", 3)
        for qa in row["qas"]
    ]
    assert hub.paragraphs(flat) == _rows("SQUAD", 3)


def test_files_are_parsed_by_format(tmp_path: Path) -> None:
    document = tmp_path / "squad.json"
    document.write_text(json.dumps({"data": [{"paragraphs": _rows("SQUAD", 2)}]}))
    assert parse_file(document, "SQUAD") == _rows("SQUAD", 2)
    document.write_text("{")
    with pytest.raises(BadInputError, match="wanted a file in the format SQUAD"):
        parse_file(document, "SQUAD")


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="the public files are not here")
@pytest.mark.parametrize(("data_format", "file"), [("GSM8K", "gsm8k/test.jsonl"), ("SQUAD", "squad/dev-v2.0-8-articles.json")])
def test_public_files_become_rows(data_format: str, file: str) -> None:
    for row in _made(data_format, rows=parse_file(PUBLIC / file, data_format)).records:
        verify(row)
