"""What a student learns from: its training queries, what they are to come near, and documents to tell apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from assay_pods.common.context import BadInputError
from assay_pods.retrieval.files import Qrels, Query
from assay_pods.retrieval.metrics import RELEVANT
from assay_pods.retrieval.search import Shards
from assay_pods.retrieval.students.targets import shuffled
from assay_pods.retrieval.vectors import QueryVectors, Rows

SHUFFLED = ("SHUFFLED", "RIDGE_SHUFFLED")


class Batch(NamedTuple):
    """A step's queries with all that their loss needs."""

    texts: list[str]
    target: Rows
    """[n, d]"""
    documents: Rows
    """[m, d]; empty where documents play no part."""
    relevant: NDArray[np.bool_]
    """[n, m]"""
    own: NDArray[np.intp]
    """[n]"""


@dataclass(frozen=True)
class Lessons:
    """Training queries in their order."""

    queries: list[Query]
    base: Rows
    target: Rows
    qrels: Qrels
    negatives: Mapping[str, Sequence[str]]
    shards: Shards
    hard: int
    """Hard negatives of a query; with `by_documents` False they are not used."""
    by_documents: bool

    def batch(self, places: Sequence[int], turn: int) -> Batch:
        """The queries at some places; `turn`, the epoch, takes relevant documents and negatives in rotation."""
        queries = [self.queries[place] for place in places]
        target = self.target[list(places)]
        texts = [query.text for query in queries]
        if not self.by_documents:
            nothing = np.zeros((0, target.shape[1]), dtype=np.float32)
            return Batch(texts, target, nothing, np.zeros((len(texts), 0), dtype=bool), np.zeros(0, dtype=np.intp))
        own = [_turned(self._relevant(query), turn) for query in queries]
        hard = [one for query in queries for one in _some(self._known(self.negatives.get(query.id, ())), turn * self.hard, self.hard)]
        ids = list(dict.fromkeys([*own, *hard]))
        at = {one: column for column, one in enumerate(ids)}
        relevant = np.array([[self.qrels[query.id].get(one, 0) >= RELEVANT for one in ids] for query in queries])
        return Batch(texts, target, self.shards.vectors(ids), relevant, np.array([at[one] for one in own], dtype=np.intp))

    def _relevant(self, query: Query) -> list[str]:
        return self._known(one for one, code in self.qrels.get(query.id, {}).items() if code >= RELEVANT)

    def _known(self, ids: Any) -> list[str]:
        return [one for one in ids if one in self.shards]


Material = tuple[Qrels, Mapping[str, Sequence[str]], Shards]
"""Judgements, hard negatives by query, and the corpus."""


def lessons_of(student: Mapping[str, Any], train: Sequence[Query], made: QueryVectors, material: Material, seed: int) -> Lessons:
    """Chooses the training queries that a kind of student can learn from.

    Who distils needs expansions, who contrasts needs relevant documents that are in the corpus.

    Args:
        student: The spec's `student`.
        train: The training queries of the fold.
        made: The vectors of all queries.
        material: Judgements, hard negatives and the corpus.
        seed: Of the exchange between topics.

    Raises:
        BadInputError: SPLIT_EMPTY, when no query is left.
    """
    qrels, negatives, shards = material
    alpha = student.get("alpha", 1.0)
    chosen = [query for query in train if alpha == 0 or query.id not in made.unexpanded]
    if alpha < 1:
        chosen = [query for query in chosen if any(code >= RELEVANT and one in shards for one, code in qrels.get(query.id, {}).items())]
    if not chosen:
        raise BadInputError("SPLIT_EMPTY", f"wanted training queries that {student['kind']} can learn from, got none of {len(train)}")
    target = made.rows(chosen, made.teacher)
    if student["kind"] in SHUFFLED:
        target = target[shuffled(chosen, qrels, seed)]
    return Lessons(chosen, made.rows(chosen, made.base), target, qrels, negatives, shards, student.get("hardNegatives", 0), alpha < 1)


def _turned(items: Sequence[str], turn: int) -> str:
    return items[turn % len(items)]


def _some(items: Sequence[str], start: int, count: int) -> list[str]:
    return [items[(start + place) % len(items)] for place in range(min(count, len(items)))]
