"""Metrics of rankings, a query at a time: trec_eval's figures, over rankings whose order is settled before.

nDCG@10 has the gain `relevance` and the discount log2(rank + 1), with the ideal ranking cut at 10 too (trec_eval's `ndcg_cut.10`). A
document is relevant from code 1 on, and a code below 0 gains nothing. The ranking is handed over with strictly decreasing scores, so
that no tie is left to the library.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pytrec_eval

from assay_pods.retrieval.ordering import Pair, ordered, strictly_decreasing

METRICS = ("ndcg@10", "rr@10", "recall@100", "ap", "judged@10")
RELEVANT = 1
"""The least code of a relevant document."""

_MEASURES = {"ndcg@10": "ndcg_cut_10", "recall@100": "recall_100", "ap": "map"}
_CUT = 10

Values = dict[str, float]


class Mean(NamedTuple):
    """A mean over queries by two rules."""

    value: float
    """Over the queries that have a relevant document; one without a ranking counts 0."""
    queries: int
    excluded: int
    """Queries that were judged and have no relevant document."""
    trec_eval: float
    """Where those count 0 as well, as in trec_eval over all judged queries."""


def per_query(qrels: Mapping[str, Mapping[str, int]], rankings: Mapping[str, Sequence[Pair]]) -> dict[str, Values]:
    """Measures every query that has a relevant document, in the order of the judgements.

    Args:
        qrels: Relevance by query and document.
        rankings: (document, score) by query, in any order; queries that nobody judged are passed over. A judged query that is not
            here, or whose ranking is empty, has the value 0 everywhere.

    Returns:
        By query, each of METRICS from 0 to 1. `judged@10` is the share of the first ten places (of fewer, where the ranking is
        shorter) whose document has a judgement.
    """
    answerable = {query: dict(judged) for query, judged in qrels.items() if has_relevant(judged)}
    orders = {query: [document for document, _ in ordered(rankings.get(query, ()))] for query in answerable}
    gains = {query: {document: max(0, code) for document, code in judged.items()} for query, judged in answerable.items()}
    whole = _evaluate(gains, orders, set(_MEASURES.values()))
    first = _evaluate(gains, {query: order[:_CUT] for query, order in orders.items()}, {"recip_rank"})
    found: dict[str, Values] = {}
    for query, judged in answerable.items():
        values = {name: whole.get(query, {}).get(measure, 0.0) for name, measure in _MEASURES.items()}
        top = orders[query][:_CUT]
        values["rr@10"] = first.get(query, {}).get("recip_rank", 0.0)
        values["judged@10"] = sum(document in judged for document in top) / len(top) if top else 0.0
        found[query] = {name: values[name] for name in METRICS}
    return found


def has_relevant(judged: Mapping[str, int]) -> bool:
    """Whether there is something to be found."""
    return any(code >= RELEVANT for code in judged.values())


def mean(qrels: Mapping[str, Mapping[str, int]], values: Mapping[str, Values], metric: str) -> Mean:
    """Gives a metric's mean over queries.

    Args:
        qrels: What `per_query` was given.
        values: What it gave.
        metric: One of METRICS.

    Raises:
        ValueError: no query has a relevant document.
    """
    if not values:
        raise ValueError(f"wanted a query with a relevant document, got none of {len(qrels)}")
    total = sum(one[metric] for one in values.values())
    return Mean(total / len(values), len(values), len(qrels) - len(values), total / len(qrels))


def _evaluate(
    gains: Mapping[str, Mapping[str, int]], orders: Mapping[str, Sequence[str]], measures: set[str]
) -> Mapping[str, Mapping[str, float]]:
    runs = {query: dict(zip(order, strictly_decreasing(len(order)), strict=True)) for query, order in orders.items() if order}
    if not runs:
        return {}
    evaluator: Any = pytrec_eval.RelevanceEvaluator(gains, measures)
    return evaluator.evaluate(runs)
