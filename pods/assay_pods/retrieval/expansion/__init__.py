"""Where the texts come from that say more fully what a query asks for."""

from collections.abc import Callable
from typing import NamedTuple

from assay_pods.common.context import BadInputError, RunContext
from assay_pods.retrieval import collections, inputs
from assay_pods.retrieval.expansion import prf, relevant_document, teacher
from assay_pods.retrieval.files import Expansion, Qrels, Query

__all__ = ["SOURCES", "Found"]


class Found(NamedTuple):
    """Expansions, and what the result tells of how they were made."""

    expansions: list[Expansion]
    notes: dict[str, object]


def _planted(context: RunContext, queries: list[Query], _qrels: Qrels) -> Found:
    made = collections.make(context.spec["collection"])
    if made is None or not made.expansions:
        kind = context.spec["collection"]["kind"]
        raise BadInputError("EXPANSION_MISSING", f"wanted planted expansions with a planted collection, got the collection {kind}")
    return Found([Expansion(query.id, made.expansions[query.id], "planted", "") for query in queries], {})


def _uploaded(context: RunContext, queries: list[Query], _qrels: Qrels) -> Found:
    """The uploaded rows in the order of the queries; rows of queries that are not used are counted."""
    by_query: dict[str, list[Expansion]] = {query.id: [] for query in queries}
    others = 0
    for expansion in inputs.expansions(context.inputs["expansions"]):
        if expansion.query_id in by_query:
            by_query[expansion.query_id].append(expansion)
        else:
            others += 1
    return Found([expansion for samples in by_query.values() for expansion in samples], {"ofOtherQueries": others})


def _relevant_document(context: RunContext, queries: list[Query], qrels: Qrels) -> Found:
    return Found(relevant_document.expansions(context.inputs["corpus"], queries, qrels), {})


def _prf(context: RunContext, queries: list[Query], _qrels: Qrels) -> Found:
    spec = {**context.spec["expansion"], "dropIdenticalIds": context.spec["dropIdenticalIds"]}
    return Found(prf.expansions(context.inputs["corpus"], queries, spec), {})


def _endpoint(context: RunContext, queries: list[Query], _qrels: Qrels) -> Found:
    from assay_pods.retrieval.expansion.endpoint import Endpoint

    return Found(*teacher.expansions(context, queries, Endpoint(context)))


def _local(context: RunContext, queries: list[Query], _qrels: Qrels) -> Found:
    from assay_pods.retrieval.expansion.local import Local

    return Found(*teacher.expansions(context, queries, Local(context)))


SOURCES: dict[str, Callable[[RunContext, list[Query], Qrels], Found]] = {
    "PLANTED": _planted,
    "UPLOADED": _uploaded,
    "PRF": _prf,
    "RELEVANT_DOCUMENT": _relevant_document,
    "ENDPOINT": _endpoint,
    "LOCAL": _local,
}
"""Kind of the spec's expansion to what makes it."""
