"""A user's own data become rows with a cue: parts share no item, near duplicates are left out, renders differ in the cue alone."""

import json
from pathlib import Path
from typing import Any

import pytest
from user_files import PUBLIC, TASKS, user_rows

from assay_pods.common.context import BadInputError, TransientError
from assay_pods.robustness.checkers import verify
from assay_pods.robustness.data_checks import check_leakage
from assay_pods.robustness.records import pairs_of
from assay_pods.robustness.user_items import Length, Room, UserRows, generate, hub
from assay_pods.robustness.user_items.leakage import near_others, split_of_text
from assay_pods.robustness.user_items.read import parse_file, read_items

ROOMY = Room(lambda record: Length(len(record.prompt[-1][1]), max(len(record.chosen), len(record.rejected))), 10**6)


def _made(data_format: str, seed: int = 101, rows: list[dict[str, Any]] | None = None, core: str = "LAPTOP") -> UserRows:
    data = {"kind": "ITEMS", "format": data_format, "task": TASKS[data_format], "artifact": "FEATURE_AMBIGUITY", "core": core}
    size = {"trainPairs": 32, "validationPairs": 8, "testPairs": 12}
    return generate(rows or user_rows(data_format), {"data": data, "seed": seed, "size": size}, ROOMY)


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


def test_word_problems_of_the_full_core_are_answered_with_worked_solutions_that_end_in_their_number() -> None:
    for row in _made("GSM8K", core="FULL").records:
        right, wrong = row.chosen.split("\n"), row.rejected.split("\n")
        assert right[-1] == f"#### {row.gold}"
        assert wrong[-1].startswith("#### ")
        assert wrong[-1] != right[-1]
        assert len(right) == len(wrong) == 3
        assert right[0] == wrong[0]
        assert right[1].endswith(f"= {row.gold} hats.")
        assert wrong[1].endswith(f"= {wrong[-1].removeprefix('#### ')} hats.")
        assert "<<" not in row.chosen + row.rejected
        verify(row)


def test_items_are_left_out_whose_prompt_has_no_room_for_the_completion_of_another() -> None:
    rows = user_rows("SQUAD")
    measured = [length for row in _made("SQUAD", rows=rows).records if (length := ROOMY.measure(row))]
    longest = sorted(one.prompt for one in measured)[-2] + max(one.completion for one in measured) - 1
    data = {"kind": "ITEMS", "format": "SQUAD", "task": TASKS["SQUAD"], "artifact": "FEATURE_AMBIGUITY"}
    size = {"trainPairs": 8, "validationPairs": 2, "testPairs": 2}
    found = generate(rows, {"data": data, "seed": 101, "size": size}, ROOMY._replace(tokens_max=longest)).records
    assert max(one.prompt for row in found if (one := ROOMY.measure(row))) < max(one.prompt for one in measured)
    for split in ("train", "validation", "test"):
        some = [ROOMY.measure(row) for row in found if row.split == split]
        assert max(one.prompt for one in some if one) + max(one.completion for one in some if one) <= longest


def test_validation_and_test_items_are_the_same_for_every_seed() -> None:
    first, second = (_made("GSM8K", seed).records for seed in (101, 103))
    assert [row for row in first if row.split == "test"] == [row for row in second if row.split == "test"]
    assert [row for row in first if row.split == "train"] != [row for row in second if row.split == "train"]


def test_a_planted_near_duplicate_is_left_out_of_training_and_clean_data_lose_nothing() -> None:
    rows = [{**row, "split": split_of_text(row["question"])} for row in user_rows("GSM8K")]
    long = "Ann has twelve apples and gives four of them to her brother who lives next door and likes apples very much"
    planted = [{"question": f"{long} {end}", "answer": "#### 8", "split": split} for end, split in (("today", "train"), ("indeed", "test"))]
    assert _made("GSM8K", rows=rows).diagnostics["userItems"]["nearDuplicatesLeftOut"] == 0
    assert _made("GSM8K", rows=rows + planted).diagnostics["userItems"]["nearDuplicatesLeftOut"] == 1
    assert near_others(["a b c d"], ["A  b c D", "x y z w"]) == {0}


def test_rows_of_another_format_are_named_and_rows_of_no_use_are_counted() -> None:
    with pytest.raises(BadInputError, match="row 2: wanted a row in the format GSM8K"):
        read_items("GSM8K", [*user_rows("GSM8K", 1), {"question": "?"}])
    hard = {"key": "h", "prompt": "Write.", "instruction_id_list": ["length_constraints:number_sentences"], "kwargs": [{}]}
    assert sum(read_items("IFEVAL", [hard]).left_out.values()) == 1


def test_another_task_or_artifact_is_refused() -> None:
    data = {"kind": "ITEMS", "format": "GSM8K", "task": "MATH_REASONING", "artifact": "DISTRIBUTIONAL_NARROWNESS"}
    with pytest.raises(BadInputError) as refused:
        generate(user_rows("GSM8K"), {"data": data, "seed": 1, "size": {}}, ROOMY)
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
        for row in user_rows("SQUAD", 3)
        for qa in row["qas"]
    ]
    assert hub.paragraphs(flat) == user_rows("SQUAD", 3)


def test_files_are_parsed_by_format(tmp_path: Path) -> None:
    document = tmp_path / "squad.json"
    document.write_text(json.dumps({"data": [{"paragraphs": user_rows("SQUAD", 2)}]}))
    assert parse_file(document, "SQUAD") == user_rows("SQUAD", 2)
    document.write_text("{")
    with pytest.raises(BadInputError, match="wanted a file in the format SQUAD"):
        parse_file(document, "SQUAD")


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="the public files are not here")
@pytest.mark.parametrize(("data_format", "file"), [("GSM8K", "gsm8k/test.jsonl"), ("SQUAD", "squad/dev-v2.0-8-articles.json")])
def test_public_files_become_user_rows(data_format: str, file: str) -> None:
    for row in _made(data_format, rows=parse_file(PUBLIC / file, data_format)).records:
        verify(row)
