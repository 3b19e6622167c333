from collections import Counter

import pytest

from assay_pods.common.context import BadInputError
from assay_pods.retrieval import files, splits
from assay_pods.retrieval.files import Expansion, Query, Ranking
from assay_pods.retrieval.overlap import refuse_overlap

HASH = {"kind": "HASH", "dev": 0.15, "test": 0.5}
CROSS = {"kind": "CROSS_FIT", "folds": 5, "dev": 0.15}


def queries(count, split=None):
    return [Query(f"q{number}", f"what is number {number}", split) for number in range(count)]


def test_a_query_keeps_its_part_whatever_else_is_asked_and_in_whatever_order():
    some, all_ = queries(300), queries(900)
    parts = {query.id: query.split for query in splits.split(all_[::-1], HASH)}
    assert [parts[query.id] for query in some] == [query.split for query in splits.split(some, HASH)]
    shares = Counter(parts.values())
    assert abs(shares["test"] / 900 - 0.5) < 0.05
    assert abs(shares["dev"] / 900 - 0.15) < 0.04


def test_queries_of_one_text_share_a_part_so_that_no_tested_text_is_trained():
    twins = [Query(f"{twin}{number}", f"What is  number {number}{twin}") for number in range(60) for twin in "?!."]
    for how in (HASH, CROSS):
        found = splits.split(twins, how)
        for fold in splits.folds(found):
            lists = splits.parts(found, fold)
            refuse_overlap([*lists.train, *lists.dev], lists.test)


def test_cross_fitting_tests_every_query_once_and_never_selects_with_what_it_tests():
    found = splits.split(queries(203), CROSS)
    assert splits.folds(found) == [0, 1, 2, 3, 4]
    tested = Counter(query.id for fold in range(5) for query in splits.parts(found, fold).test)
    assert tested == dict.fromkeys((query.id for query in found), 1)
    for fold in range(5):
        lists = splits.parts(found, fold)
        assert sum(map(len, lists)) == 203
        assert len(lists.test) in (40, 41)
        assert len(lists.dev) in (24, 25)


def test_given_parts_stay_and_selection_is_cut_from_training_alone():
    given = [*queries(100, "train"), *(Query(f"t{number}", f"test {number}", "test") for number in range(20))]
    found = splits.split(given, {"kind": "GIVEN"})
    lists = splits.parts(found)
    assert [query.id for query in lists.test] == [f"t{number}" for number in range(20)]
    assert len(lists.dev) == 15
    assert all(query.id.startswith("q") for query in lists.dev)


def test_a_part_without_queries_is_named():
    with pytest.raises(BadInputError) as wrong:
        splits.split(queries(2), HASH)
    assert wrong.value.code == "SPLIT_EMPTY"
    with pytest.raises(BadInputError, match="no query for dev") as wrong:
        splits.require(splits.Parts(queries(1), [], queries(1)))
    assert wrong.value.code == "SPLIT_EMPTY"
    with pytest.raises(BadInputError) as wrong:
        splits.split(queries(3, "train"), {"kind": "GIVEN"})
    assert wrong.value.code == "SPLIT_EMPTY"


@pytest.mark.parametrize("planted", [Query("q1", "another text"), Query("other", "WHAT is number  1?")], ids=["id", "text"])
def test_a_test_query_whose_id_or_text_is_trained_on_is_refused_with_the_count(planted):
    refuse_overlap(queries(5), [Query("t", "what is number 5")])
    with pytest.raises(BadInputError, match="got 1 with the id or the text") as wrong:
        refuse_overlap(queries(5), [Query("t", "what is number 5"), planted])
    assert wrong.value.code == "QUERIES_OVERLAP"


def test_what_a_step_writes_the_next_reads_back_equal(tmp_path):
    path = tmp_path / "file.jsonl"
    written = [Query("q 1", "a line\u2028of text\r", "dev", 0, "seen"), Query("q2", "b", None, 3, None, (0, 2))]
    files.write_queries(path, written)
    assert files.read_queries(path) == written
    qrels = {"q2": {"d1": 0, "d2": 2}, "q1": {"d1": 1}}
    files.write_qrels(path, qrels)
    assert files.read_qrels(path) == qrels
    expansions = [Expansion("q1", "one", "planted", ""), Expansion("q1", "two", "planted", ""), Expansion("q2", "x", "m", "0a")]
    files.write_expansions(path, expansions)
    assert files.read_expansions(path) == {"q1": expansions[:2], "q2": expansions[2:]}
    ranking = Ranking("SOFTQE", "q1", ["d2", "d1"], [1 / 3, 0.1], 1.0, 7, 2)
    files.write_rankings(path, [ranking])
    assert files.read_rankings(path) == [ranking]
    assert files.read_rankings(path)[0].pairs == [("d2", 1 / 3), ("d1", 0.1)]
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_rankings(path, [ranking._replace(scores=[float("nan"), 0.0])])
