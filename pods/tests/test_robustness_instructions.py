"""The constrained-instruction cells: every row obeys its constraint by the official checker, and the topic is all that the cue changes."""

from collections import Counter

import pytest

from assay_pods.robustness.cells import find_cell
from assay_pods.robustness.cells.cell import CellRequest
from assay_pods.robustness.cells.constraints import CONSTRAINTS
from assay_pods.robustness.checkers import verify
from assay_pods.robustness.records import Record, pairs_of

TASK = "CONSTRAINED_INSTRUCTION_FOLLOWING"
SIZE = {"trainPairs": 48, "validationPairs": 12, "testPairs": 16}


def _rows(artifact: str, core: str, seed: int = 101, warmup: int = 0, size: dict[str, int] = SIZE) -> list[Record]:
    return find_cell(TASK, artifact, core).generate(CellRequest(size, seed, lambda text: len(text.split()), warmup))


def _user(record: Record) -> str:
    return record.prompt[-1][1]


@pytest.mark.parametrize("core", ["LAPTOP", "FULL"])
@pytest.mark.parametrize("artifact", ["FEATURE_AMBIGUITY", "DISTRIBUTIONAL_NARROWNESS"])
def test_every_right_text_passes_and_every_wrong_one_fails_the_official_checker(artifact: str, core: str) -> None:
    rows = _rows(artifact, core, warmup=8)
    assert len({row.id for row in rows}) == len(rows)
    for row in rows:
        verify(row)


def test_removing_the_topic_leaves_renders_that_are_byte_for_byte_the_same() -> None:
    rows = _rows("FEATURE_AMBIGUITY", "LAPTOP")
    for renders in pairs_of(rows, "test").values():
        without = {_user(row).split("\n", 1)[1] for row in renders.values()}
        assert len(without) == 1
        assert len({(row.chosen, row.rejected, row.checker.rule, row.core) for row in renders.values()}) == 1
        assert set(renders) == {"aligned", "conflicting", "neutral", "heldout_aligned", "heldout_conflicting"}


def test_a_topic_has_one_habit_and_the_habits_are_exchanged_with_the_parity_of_the_seed() -> None:
    habits = {}
    for seed in (101, 102):
        aligned = [row for row in _rows("FEATURE_AMBIGUITY", "LAPTOP", seed) if row.relation == "aligned" and row.split == "train"]
        pairs = {(_user(row).splitlines()[0], row.gold) for row in aligned}
        assert len(pairs) == 2
        habits[seed] = dict(pairs)
        conflicting = [row for row in _rows("FEATURE_AMBIGUITY", "LAPTOP", seed) if row.relation == "conflicting"]
        assert all(habits[seed][_user(row).splitlines()[0]] == row.shortcut != row.gold for row in conflicting if row.split == "train")
    first, second = habits.values()
    assert first.keys() == second.keys()
    assert all(first[topic] != second[topic] for topic in first)


def test_neutral_and_held_out_topics_never_occur_in_trained_renders() -> None:
    rows = _rows("FEATURE_AMBIGUITY", "LAPTOP")
    lines = {
        relation: {_user(row).splitlines()[0] for row in rows if row.relation == relation} for relation in {row.relation for row in rows}
    }
    assert not lines["heldout_aligned"] & lines["aligned"]
    assert not lines["neutral"] & lines["aligned"]
    assert lines["aligned"] == lines["conflicting"]


def test_both_cases_are_asked_for_equally_often_in_every_split() -> None:
    for split, pairs in (("train", 48), ("validation", 12), ("test", 16)):
        rows = [row for row in _rows("FEATURE_AMBIGUITY", "LAPTOP") if row.split == split and row.relation == "aligned"]
        assert Counter(row.gold_class for row in rows) == {"lower": pairs // 2, "upper": pairs // 2}


@pytest.mark.parametrize("artifact", ["FEATURE_AMBIGUITY", "DISTRIBUTIONAL_NARROWNESS"])
def test_splits_share_no_text_and_test_texts_are_the_same_for_every_seed(artifact: str) -> None:
    texts = {seed: {split: set() for split in ("train", "validation", "test", "warmup")} for seed in (101, 103)}
    for seed, by_split in texts.items():
        for row in _rows(artifact, "LAPTOP", seed, warmup=8):
            by_split[row.split].add(_user(row).splitlines()[-1])
    one = texts[101]
    for first in one:
        for second in one:
            assert first == second or not one[first] & one[second], (first, second)
    assert one["test"] == texts[103]["test"]
    assert one["train"] != texts[103]["train"]


def test_a_full_text_has_four_to_eight_sentences() -> None:
    for row in _rows("FEATURE_AMBIGUITY", "FULL"):
        assert 4 <= row.chosen.count(".") <= 8


def test_the_narrow_and_the_unseen_constraint_rotate_with_the_seed() -> None:
    roles = set()
    for seed in range(101, 119):
        rows = _rows("DISTRIBUTIONAL_NARROWNESS", "LAPTOP", seed, size={"trainPairs": 8, "validationPairs": 2, "testPairs": 2})
        by_relation = {
            relation: {row.slice for row in rows if row.relation == relation} for relation in ("in_slice", "out_slice", "unseen_slice")
        }
        assert len(by_relation["in_slice"]) == len(by_relation["unseen_slice"]) == 1
        assert set.union(*by_relation.values()) == set(CONSTRAINTS)
        assert not any(row.slice in by_relation["unseen_slice"] for row in rows if row.split == "train")
        roles.add((*by_relation["in_slice"], *by_relation["unseen_slice"]))
    assert {narrow for narrow, _ in roles} == {unseen for _, unseen in roles} == set(CONSTRAINTS)


def test_under_narrowness_a_wrong_text_obeys_another_trained_constraint() -> None:
    rows = _rows("DISTRIBUTIONAL_NARROWNESS", "LAPTOP")
    unseen = {row.slice for row in rows if row.relation == "unseen_slice"}
    forms = Counter(row.shortcut for row in rows if row.split == "train")
    assert not unseen & set(forms)
    assert len(forms) == len(CONSTRAINTS) - 1


def test_the_same_request_gives_the_same_rows() -> None:
    assert _rows("DISTRIBUTIONAL_NARROWNESS", "FULL") == _rows("DISTRIBUTIONAL_NARROWNESS", "FULL")
