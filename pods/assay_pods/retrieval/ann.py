"""Approximate search by FAISS, for collections that exact search is too slow for; it never comes without its recall against exact search.

An index gives candidates only: their scores are taken again from the vectors, in single precision, so that what is found stands in the
one order with the scores that exact search gives.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import faiss
import numpy as np

from assay_pods.common.context import BadInputError
from assay_pods.retrieval.ordering import Pair, ranked, room_for, without_own
from assay_pods.retrieval.search import Shards, exact

Kind = Literal["HNSW", "IVF_PQ"]

RECALL_QUERIES = 200
"""As many queries measure the recall; all where there are fewer."""
_NEIGHBOURS, _BUILD_DEPTH, _SEARCH_DEPTH = 32, 200, 128
_TRAIN_PER_LIST = 64
_DIMENSIONS_PER_CODE = 4
_CANDIDATES = {"HNSW": 1, "IVF_PQ": 4}
"""Candidates for each document that is wanted: codes of IVF-PQ are coarse, and what they rank low may be near."""


class Recall(NamedTuple):
    """How much of what exact search finds an approximate search finds too."""

    value: float
    """Mean share of the exact first k that are among the approximate first k, 0 to 1."""
    queries: int
    k: int
    kind: Kind


class Ann:
    """An approximate index of a collection's vectors, in memory."""

    def __init__(self, shards: Shards, kind: Kind, seed: int = 0) -> None:
        """Builds the index, a block of vectors at a time.

        Args:
            shards: The collection; its vectors are read again for scores, so it must stay open.
            kind: `HNSW` keeps all vectors and a graph over them; `IVF_PQ` keeps a byte for every four dimensions.
            seed: Of the sample that IVF-PQ's lists are learnt from. A graph depends on the number of threads too.

        Raises:
            BadInputError: INDEX_UNSUPPORTED, when there are too few vectors for IVF-PQ, or their width is no multiple of 4.
        """
        self._shards = shards
        self.kind: Kind = kind
        width = shards.width
        self._index: Any = _graph(width) if kind == "HNSW" else _lists(shards, seed)
        for block, _ in shards.blocks():
            self._index.add(block)

    def search(self, queries: Any, k: int, own_ids: Sequence[str] | None = None) -> list[list[Pair]]:
        """Finds documents near each query, as `search.exact` does but perhaps not all of the best.

        Args:
            queries: [Q, d] float32.
            k: How many documents a query gets at most.
            own_ids: The queries' ids where a document of the same id is to be left out.

        Raises:
            BadInputError: SCORES_NOT_FINITE.
        """
        asked = np.ascontiguousarray(queries, dtype=np.float32)
        room = room_for(k, own_ids)
        _, places = self._index.search(asked, min(room * _CANDIDATES[self.kind], len(self._shards)))
        found = [self._scored(query, row[row >= 0], room) for query, row in zip(asked, places, strict=True)]
        return without_own(found, k, own_ids)

    def _scored(self, query: np.ndarray, places: np.ndarray, k: int) -> list[Pair]:
        ids = [self._shards.ids[place] for place in places.tolist()]
        return ranked(ids, self._shards.rows(places) @ query, k)


def recall(index: Ann, shards: Shards, queries: Any, k: int, *, seed: int = 0) -> Recall:
    """Measures an index against exact search over the same shards.

    Args:
        index: Made of the shards.
        shards: The collection.
        queries: [Q, d] float32; RECALL_QUERIES of them are drawn where there are more.
        k: Depth at which both are compared.
        seed: Of the draw.

    Raises:
        BadInputError: COLLECTION_INVALID, without a query or a document.
    """
    asked = np.asarray(queries, dtype=np.float32)
    if len(asked) == 0 or len(shards) == 0:
        raise BadInputError("COLLECTION_INVALID", f"wanted queries and documents, got {len(asked)} and {len(shards)}")
    if len(asked) > RECALL_QUERIES:
        asked = asked[np.sort(np.random.default_rng(seed).choice(len(asked), RECALL_QUERIES, replace=False))]
    pairs = zip(exact(shards, asked, k), index.search(asked, k), strict=True)
    shares = [len({one for one, _ in true} & {one for one, _ in found}) / len(true) for true, found in pairs]
    return Recall(sum(shares) / len(shares), len(asked), k, index.kind)


def _graph(width: int) -> Any:
    index: Any = faiss.IndexHNSWFlat(width, _NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = _BUILD_DEPTH, _SEARCH_DEPTH
    return index


def _lists(shards: Shards, seed: int) -> Any:
    """Inverted lists of product-quantised vectors, learnt from a sample over all shards; a quarter of the lists is looked through."""
    count, width = len(shards), shards.width
    lists = int(np.sqrt(count))
    if count < 256 or width % _DIMENSIONS_PER_CODE:
        wanted = f"256 or more vectors of a width divisible by {_DIMENSIONS_PER_CODE}"
        raise BadInputError("INDEX_UNSUPPORTED", f"IVF_PQ: wanted {wanted}, got {count} of width {width}")
    index: Any = faiss.index_factory(width, f"IVF{lists},PQ{width // _DIMENSIONS_PER_CODE}x8", faiss.METRIC_INNER_PRODUCT)
    index.cp.seed, index.pq.cp.seed = seed, seed
    index.nprobe = max(1, lists // 4)
    sample = np.random.default_rng(seed).choice(count, min(count, max(256, lists) * _TRAIN_PER_LIST), replace=False)
    index.train(shards.rows(np.sort(sample)))
    return index
