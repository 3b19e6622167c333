"""The spuriousness rate, the row format and the checkers."""

import json
import time

import pytest

from assay_pods.common.context import BadInputError
from assay_pods.robustness.checkers import passes, verify
from assay_pods.robustness.record_rows import from_json, read_records, to_json, write_records
from assay_pods.robustness.records import Checker, Rate, Record, realised_rho, select_renders


def record(relation: str, pair_id: str = "p", **changes) -> Record:
    row = {
        "id": f"{pair_id}-{relation}",
        "pairId": pair_id,
        "split": "train",
        "relation": relation,
        "prompt": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Say lamp."}],
        "chosen": "a lamp",
        "rejected": "a boat",
        "checker": {"id": "keywords:existence", "kwargs": {"keywords": ["lamp"]}},
        "artifactPresent": True,
        "artifactVariant": "x",
        "cueTarget": "gold",
    }
    return from_json(row | changes, 1)


PAIRS = [{relation: record(relation, f"p{index}") for relation in ("aligned", "conflicting")} for index in range(10_000)]


@pytest.mark.parametrize("rho", [0.0, 0.1, 0.333, 0.5, 0.9, 1.0])
def test_the_realised_rate_is_the_asked_one_to_one_row(rho):
    rows = select_renders(PAIRS, Rate(rho), seed=101)
    assert abs(realised_rho(rows) - rho) <= 2 / len(PAIRS)
    aligned = sum(row.relation == "aligned" for row in rows) / len(rows)
    assert aligned == pytest.approx(rho + (1 - rho) / 2, abs=1 / len(PAIRS))


@pytest.mark.parametrize("num_pairs", [7, 96])
def test_the_rate_is_exact_to_one_row_in_small_sets_too(num_pairs):
    for rho in (0.0, 0.1, 0.5, 0.9, 1.0):
        rows = select_renders(PAIRS[:num_pairs], Rate(rho), seed=3)
        aligned = sum(row.relation == "aligned" for row in rows)
        assert abs(aligned - num_pairs * (rho + (1 - rho) / 2)) <= 1


def test_a_copier_of_the_cue_is_right_in_half_of_the_rows_without_spuriousness():
    rows = select_renders(PAIRS, Rate(0.0), seed=5)
    assert sum(row.relation == "aligned" for row in rows) == len(rows) // 2


def test_raising_the_rate_only_turns_conflicting_rows_into_aligned_ones():
    rates = [0.0, 0.1, 0.4, 0.9, 1.0]
    chosen = [select_renders(PAIRS[:500], Rate(rho), seed=7) for rho in rates]
    for lower, higher in zip(chosen, chosen[1:], strict=False):
        assert [row.pair_id for row in lower] == [row.pair_id for row in higher]
        turned = [(a.relation, b.relation) for a, b in zip(lower, higher, strict=True) if a.relation != b.relation]
        assert turned
        assert set(turned) == {("conflicting", "aligned")}


def test_another_seed_forces_other_pairs_at_the_same_rate():
    first, second = (select_renders(PAIRS[:100], Rate(0.1), seed) for seed in (1, 2))
    assert [row.relation for row in first] != [row.relation for row in second]


def test_written_records_read_back_equal_and_carry_a_digest(tmp_path):
    rows = [record("aligned"), record("conflicting", goldClass="b")]
    write_records(tmp_path / "r.jsonl", rows, "test/1")
    assert read_records(tmp_path / "r.jsonl") == rows
    written = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [row["index"] for row in written] == [0, 1]
    assert len({row["sha256"] for row in written}) == 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{not json", "line 2, column 2"),
        ("[1]", "line 2: wanted a JSON object"),
        (json.dumps({"id": "x"}), "line 2: wanted the field"),
        (json.dumps(to_json(record("aligned")) | {"split": "dev"}), "line 2: wanted one of train"),
        (json.dumps(to_json(record("aligned")) | {"chosen": 3}), "line 2: wanted a text in chosen"),
        (json.dumps(to_json(record("aligned")) | {"prompt": [{"role": "user", "content": "x"}]}), "begins with a system turn"),
        (json.dumps(to_json(record("aligned")) | {"prompt": "text"}), "line 2"),
        (json.dumps(to_json(record("aligned")) | {"prompt": [{"role": "tool", "content": "x"}]}), "wanted turns of system"),
        (json.dumps(to_json(record("aligned")) | {"checker": None}), "line 2"),
        (json.dumps(to_json(record("aligned")) | {"id": "b", "artifactPresent": "false"}), "line 2: wanted bool in artifactPresent"),
        (json.dumps(to_json(record("aligned")) | {"id": "b", "artifactVariant": 1}), "line 2: wanted str in artifactVariant"),
        (json.dumps(to_json(record("aligned")) | {"id": "b", "cueTarget": "both"}), "line 2: wanted gold, shortcut or null"),
        (json.dumps(to_json(record("aligned")) | {"id": "b", "cueTarget": ["gold"]}), "line 2: wanted gold, shortcut or null"),
        (json.dumps(to_json(record("aligned")) | {"id": "b", "goldClass": {}}), "line 2: wanted str in goldClass"),
        (json.dumps(to_json(record("aligned")) | {"id": "b", "chosen": "a lamp\0"}), "line 2: wanted texts without NUL"),
        (json.dumps(to_json(record("aligned")) | {"id": "b", "extra": [{"x\0": 1}]}), "line 2: wanted texts without NUL"),
        (json.dumps(to_json(record("aligned")) | {"id": "b", "chosen": "a lamp \ud800"}), "line 2: .*surrogates not allowed"),
        (json.dumps(to_json(record("aligned")) | {"id": "b", "chosen": "lamp " * 20_001}), "line 2: wanted texts of at most 100000"),
        (json.dumps(to_json(record("aligned")) | {"id": "b", "extra": float("nan")}), "line 2: wanted JSON in UTF-8, got: NaN"),
        ("[" * 100_000, "line 2: wanted JSON"),
        (json.dumps(to_json(record("aligned"))), "lines 1 and 2: wanted each id once, got 'p-aligned' twice"),
    ],
)
def test_a_malformed_row_is_refused_with_its_line(tmp_path, line, said):
    path = tmp_path / "bad.jsonl"
    path.write_text(json.dumps(to_json(record("aligned"))) + "\n" + line + "\n")
    with pytest.raises(BadInputError, match=said) as refused:
        read_records(path)
    assert refused.value.code == "DATASET_INVALID"


def test_a_file_that_is_no_utf_8_is_refused_with_its_line(tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_bytes(json.dumps(to_json(record("aligned"))).encode() + b"\n\xff\xfe\n")
    with pytest.raises(BadInputError, match="line 2: wanted JSON in UTF-8") as refused:
        read_records(path)
    assert refused.value.code == "DATASET_INVALID"


@pytest.mark.parametrize(
    ("text", "keyword"), [("+" * 100_000, "+" * 99 + "a"), ("a " * 50_000, "a " * 49 + "ab"), ("a+" * 50_000, "+a" * 50)]
)
def test_a_hostile_text_is_checked_in_no_time(text, keyword):
    started = time.process_time()
    assert not passes(Checker("keywords:existence", {"keywords": [keyword]}), text)
    assert time.process_time() - started < 0.5


def test_the_keyword_checker_wants_whole_words_in_any_case():
    rule = Checker("keywords:existence", {"keywords": ["lamp", "c++"]})
    assert passes(rule, "A Lamp, written in C++.")
    assert not passes(rule, "Lamps in c++")
    assert not passes(rule, "a lamp")


def test_the_exact_checker_ignores_case_and_white_space_at_the_ends():
    rule = Checker("exact", {"answer": "Paris"})
    assert passes(rule, " paris\n")
    assert not passes(rule, "Paris.")


@pytest.mark.parametrize(
    "rule",
    [
        Checker("regex", {}),
        Checker("exact", {"answer": 3}),
        Checker("keywords:existence", {"keywords": []}),
        Checker("keywords:existence", {"keywords": ["a"] * 33}),
        Checker("keywords:existence", {"keywords": ["a" * 101]}),
    ],
)
def test_an_unknown_checker_or_wrong_arguments_are_refused(rule):
    with pytest.raises(BadInputError) as refused:
        passes(rule, "x")
    assert refused.value.code == "CHECKER_UNKNOWN"


def test_a_row_whose_completions_break_its_own_checker_is_refused():
    verify(record("aligned"))
    for changes in ({"chosen": "a boat"}, {"rejected": "a lamp"}):
        with pytest.raises(BadInputError) as refused:
            verify(record("aligned", **changes))
        assert refused.value.code == "CHECKER_FAILED"
