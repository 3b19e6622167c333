"""The one order of a ranking: score descending, then document id descending by its UTF-8 bytes, as trec_eval breaks ties."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from assay_pods.common.context import BadInputError

Pair = tuple[str, float]
"""A document's id and its score."""


def ranked(ids: Sequence[str], scores: ArrayLike, k: int) -> list[Pair]:
    """Gives the first k documents in the one order.

    Args:
        ids: Document ids, each once.
        scores: Their scores, [n], higher is better.
        k: How many are wanted; fewer come where there are fewer.

    Raises:
        BadInputError: SCORES_NOT_FINITE, when a score is NaN or infinite.
    """
    values: np.ndarray = np.asarray(scores)
    check_finite(values, ids)
    if k <= 0:
        return []
    places = np.arange(len(values))
    if k < len(values):
        # Whoever ties with the last one that fits is looked at too: which of them fits, the ids say.
        last = np.partition(values, len(values) - k)[len(values) - k]
        places = np.flatnonzero(values >= last)
    return ordered((ids[place], float(values[place])) for place in places.tolist())[:k]


def ordered(pairs: Iterable[Pair]) -> list[Pair]:
    """Gives the pairs in the one order; scores must be finite."""
    return sorted(pairs, key=lambda pair: (pair[1], pair[0].encode()), reverse=True)


def strictly_decreasing(count: int) -> list[float]:
    """Scores for `count` documents in an order that is settled: whole numbers down to 1, which nobody's rounding makes equal."""
    return [float(count - place) for place in range(count)]


def check_finite(scores: np.ndarray, ids: Sequence[str]) -> None:
    """Refuses scores that have no order.

    Raises:
        BadInputError: SCORES_NOT_FINITE.
    """
    wrong = np.flatnonzero(~np.isfinite(scores))
    if len(wrong) > 0:
        first, others = int(wrong[0]), len(wrong) - 1
        raise BadInputError("SCORES_NOT_FINITE", f"wanted finite scores, got {scores[first]} for {ids[first]!r} and {others} others")


def room_for(k: int, own_ids: Sequence[str] | None) -> int:
    """How many documents to look for when k are wanted and each query's own one may have to go."""
    return k if own_ids is None else k + 1


def without_own(rankings: Sequence[list[Pair]], k: int, own_ids: Sequence[str] | None) -> list[list[Pair]]:
    """Leaves out of each ranking the document that has the query's own id, and cuts it to k; every search ends here.

    Args:
        rankings: One a query, in the one order.
        k: How many are kept.
        own_ids: The queries' ids, or None where a document with a query's id is a document like any other.
    """
    if own_ids is None:
        return [ranking[:k] for ranking in rankings]
    return [[pair for pair in ranking if pair[0] != own][:k] for ranking, own in zip(rankings, own_ids, strict=True)]
