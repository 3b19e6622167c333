"""Metrics equal trec_eval's on fixtures whose values were taken from reference implementations, with one rule for ties everywhere."""

import math
import random

import numpy as np
import pytest
import pytrec_eval

from assay_pods.common.context import BadInputError
from assay_pods.retrieval.metrics import METRICS, mean, per_query
from assay_pods.retrieval.ordering import ranked, strictly_decreasing

QRELS = {"q1": {"d1": 1, "d2": 2, "d3": 0, "d4": 1}, "q2": {"d9": 1}, "q3": {"d5": 1}}
RUN = {
    "q1": [("d3", 4.0), ("d2", 3.0), ("d1", 2.0), ("d7", 1.0)],
    "q2": [("d1", 1.0), ("d9", 1.0)],
    "q4": [("d5", 1.0)],
}


def test_values_are_those_of_the_reference():
    found = per_query(QRELS, RUN)
    wanted = {"ndcg@10": 0.5627272554, "rr@10": 0.5, "ap": 0.3888888889, "recall@100": 0.6666666667, "judged@10": 0.75}
    assert found["q1"] == pytest.approx(wanted, abs=1e-9)
    assert list(found) == ["q1", "q2", "q3"]


def test_a_tie_goes_to_the_larger_id_in_every_metric():
    found = per_query(QRELS, RUN)["q2"]
    assert [found[name] for name in ("ndcg@10", "ap", "rr@10")] == [1.0, 1.0, 1.0]


def test_a_query_without_a_ranking_counts_nothing_and_one_that_nobody_judged_is_passed_over():
    found = per_query(QRELS, RUN)
    assert set(found["q3"].values()) == {0.0}
    means = {name: mean(QRELS, found, name).value for name in ("ndcg@10", "rr@10", "ap", "recall@100")}
    assert means == pytest.approx({"ndcg@10": 0.5209090851, "rr@10": 0.5, "ap": 0.4629629630, "recall@100": 0.5555555556}, abs=1e-9)


def test_codes_below_0_gain_nothing_and_relevance_begins_at_1():
    found = per_query({"q": {"d1": -1, "d2": 2, "d3": 1}}, {"q": [("d1", 3.0), ("d2", 2.0), ("d3", 1.0)]})["q"]
    assert found["ndcg@10"] == pytest.approx(0.6696718165, abs=1e-9)
    assert found["ap"] == pytest.approx(0.5833333333, abs=1e-9)
    assert found["judged@10"] == 1.0


def test_scores_that_are_equal_in_32_bits_keep_the_order_that_they_have():
    run = {"q": [("b", 1 + 1e-9), ("c", 1.0)]}
    assert per_query({"q": {"b": 1}}, run)["q"]["rr@10"] == 1.0
    plain = pytrec_eval.RelevanceEvaluator({"q": {"b": 1}}, {"recip_rank"}).evaluate({"q": dict(run["q"])})
    assert plain["q"]["recip_rank"] == 0.5, "the library alone would have taken them for equal"


def test_a_query_without_a_relevant_document_is_excluded_counted_and_told_in_both_means():
    qrels = QRELS | {"q5": {"d1": 0}}
    found = mean(qrels, per_query(qrels, RUN), "rr@10")
    assert (found.value, found.queries, found.excluded) == (0.5, 3, 1)
    plain = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(
        {query: dict(RUN.get(query, [])) for query in qrels if query in RUN} | {"q5": {"d1": 1.0}}
    )
    assert plain["q5"]["recip_rank"] == 0.0
    assert found.trec_eval == 0.375
    with pytest.raises(ValueError, match="got none of 1"):
        mean({"q": {"d": 0}}, {}, "ap")


@pytest.mark.parametrize("documents", [3, 40, 400])
def test_a_constant_score_ranks_by_id_alone(documents):
    ids = [f"d{place}" for place in range(documents)]
    random.Random(documents).shuffle(ids)
    order = sorted(ids, reverse=True)
    qrels = {"q": {order[2]: 1}}
    found = per_query(qrels, {"q": ranked(ids, np.ones(documents), 100)})["q"]
    assert [document for document, _ in ranked(ids, np.ones(documents), 100)] == order[:100]
    assert found["rr@10"] == pytest.approx(1 / 3)
    assert found["ndcg@10"] == pytest.approx(1 / math.log2(4))


def test_who_ties_for_the_last_place_is_settled_by_id_and_not_by_place():
    ids, scores = ["a", "é", "z", "b"], np.array([1.0, 0.5, 0.5, 0.5], dtype=np.float32)
    assert [document for document, _ in ranked(ids, scores, 2)] == ["a", "é"], "bytes of UTF-8: é stands after z"
    assert ranked(ids, scores, 0) == []
    assert len(ranked(ids, scores, 9)) == 4


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_scores_without_an_order_are_refused_with_the_document(wrong):
    with pytest.raises(BadInputError, match="'b' and 0 others") as refused:
        ranked(["a", "b"], np.array([1.0, wrong]), 2)
    assert refused.value.code == "SCORES_NOT_FINITE"


def test_on_random_rankings_all_metrics_equal_trec_evals():
    chance = random.Random(7)
    qrels = {f"q{n}": {f"d{place}": chance.choice([0, 0, 1, 2]) for place in range(chance.randint(1, 30))} | {"d900": 1} for n in range(40)}
    run = {query: [(f"d{place}", float(chance.randint(0, 10))) for place in chance.sample(range(40), 30)] for query in qrels}
    settled = {query: ranked([one for one, _ in pairs], np.array([score for _, score in pairs]), 1000) for query, pairs in run.items()}
    decreasing = {
        query: dict(zip([one for one, _ in pairs], strictly_decreasing(len(pairs)), strict=True)) for query, pairs in settled.items()
    }
    plain = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut_10", "recall_100", "map"}).evaluate(decreasing)
    for query, values in per_query(qrels, run).items():
        wanted = {"ndcg@10": plain[query]["ndcg_cut_10"], "recall@100": plain[query]["recall_100"], "ap": plain[query]["map"]}
        assert {name: values[name] for name in wanted} == pytest.approx(wanted, abs=1e-9)
        assert set(values) == set(METRICS)
