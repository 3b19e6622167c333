"""Which queries train, select and test. Whoever needs one of the three lists asks `parts`."""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from assay_pods.common.context import BadInputError
from assay_pods.retrieval.files import Query
from assay_pods.retrieval.overlap import normalised

DEV_SHARE = 0.15
"""How much of the training queries selects where a collection gives training queries and none for selection."""


class Parts(NamedTuple):
    """The queries of one fold, each list in the order of queries.jsonl."""

    train: list[Query]
    dev: list[Query]
    test: list[Query]


def parts(queries: Iterable[Query], fold: int = 0) -> Parts:
    """Gives the three lists of a fold; without cross-fitting there is the fold 0 alone."""
    lists = Parts([], [], [])
    for query in queries:
        getattr(lists, _part(query, fold)).append(query)
    return lists


def folds(queries: Iterable[Query]) -> list[int]:
    """Gives the folds that there are, from 0."""
    return sorted({query.fold for query in queries})


def require(lists: Parts) -> Parts:
    """Gives the lists back when a student can be trained, selected and tested with them.

    Raises:
        BadInputError: SPLIT_EMPTY, when one of them is empty.
    """
    for name, found in lists._asdict().items():
        if not found:
            sizes = ", ".join(f"{other} {len(items)}" for other, items in lists._asdict().items())
            raise BadInputError("SPLIT_EMPTY", f"wanted queries to train, to select and to test with, got no query for {name} ({sizes})")
    return lists


def split(queries: Sequence[Query], how: Mapping[str, Any], together: Callable[[Query], str] | None = None) -> list[Query]:
    """Gives every query its part, by a hash of its id; queries of one text share a part, so that no text is both trained and tested.

    Args:
        queries: The judged queries. Under GIVEN those with `split` set.
        how: The spec's split: HASH with the shares `dev` and `test`, GIVEN, or CROSS_FIT with `folds` and the share `dev` of what is
            not tested.
        together: What must not be divided, for instance the topic of a query; None for its text alone.

    Raises:
        BadInputError: SPLIT_EMPTY, when a part that was asked for has no query.
    """
    keys = _keys(queries, together)
    if how["kind"] == "CROSS_FIT":
        return _cross_fit(queries, keys, how)
    if how["kind"] == "GIVEN":
        return _required(_given(queries, keys), {query.split or "" for query in queries} | {"test"})
    assigned = [query._replace(split=query.split or _by_share(keys[query.id], how["dev"], how["test"])) for query in queries]
    wanted = {"train": how["dev"] + how["test"] < 1, "dev": how["dev"] > 0, "test": True}
    return _required(assigned, {name for name, asked in wanted.items() if asked})


def _part(query: Query, fold: int) -> str:
    if query.split is not None:
        return query.split
    if query.fold == fold:
        return "test"
    return "dev" if fold in query.dev_folds else "train"


def _keys(queries: Sequence[Query], together: Callable[[Query], str] | None) -> dict[str, str]:
    """What is hashed for each query: the smallest id among those that stay together."""
    smallest: dict[str, str] = {}
    names = {query.id: together(query) if together else normalised(query.text) for query in queries}
    for query_id, name in names.items():
        smallest[name] = min(query_id, smallest.get(name, query_id))
    return {query_id: smallest[name] for query_id, name in names.items()}


def _given(queries: Sequence[Query], keys: Mapping[str, str]) -> list[Query]:
    """The parts as they came; where there are training queries and none for selection, some of them select."""
    if any(query.split == "dev" for query in queries) or not any(query.split == "train" for query in queries):
        return list(queries)
    cut = _cut("dev", (keys[query.id] for query in queries if query.split == "train"), DEV_SHARE)
    return [query._replace(split="dev") if query.split == "train" and keys[query.id] in cut else query for query in queries]


def _cross_fit(queries: Sequence[Query], keys: Mapping[str, str], how: Mapping[str, Any]) -> list[Query]:
    """Folds of nearly equal size: what stays together is dealt in the order of its hash."""
    count = how["folds"]
    dealt = sorted(set(keys.values()), key=lambda key: (_unit("fold", key), key))
    fold_of = {key: place % count for place, key in enumerate(dealt)}
    selecting = [_cut(f"dev/{fold}", (key for key in dealt if fold_of[key] != fold), how["dev"]) for fold in range(count)]
    assigned: list[Query] = []
    for query in queries:
        key = keys[query.id]
        dev_folds = tuple(fold for fold, cut in enumerate(selecting) if key in cut)
        assigned.append(query._replace(split=None, fold=fold_of[key], dev_folds=dev_folds))
    for fold in range(count):
        require(parts(assigned, fold))
    return assigned


def _cut(purpose: str, keys: Iterable[str], share: float) -> set[str]:
    """A share of the keys, the first ones by hash: never none of some, however few there are."""
    ordered = sorted(set(keys), key=lambda key: (_unit(purpose, key), key))
    return set(ordered[: math.ceil(share * len(ordered))])


def _required(queries: list[Query], wanted: set[str]) -> list[Query]:
    there = {query.split for query in queries}
    for name in ("train", "dev", "test"):
        if name in wanted and name not in there:
            raise BadInputError("SPLIT_EMPTY", f"wanted queries for {name}, got none of {len(queries)} queries")
    return queries


def _by_share(key: str, dev: float, test: float) -> str:
    place = _unit("split", key)
    return "test" if place < test else "dev" if place < test + dev else "train"


def _unit(purpose: str, key: str) -> float:
    """A number in [0, 1) that depends on nothing but the purpose and the key."""
    return int.from_bytes(hashlib.sha256(f"{purpose}/{key}".encode()).digest()[:6], "big") / 2**48
