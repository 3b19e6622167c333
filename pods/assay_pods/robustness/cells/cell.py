"""What every generated cell is made from, and the helpers that all of them share."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from assay_pods.common.canonical_json import canonical_json
from assay_pods.common.context import BadInputError
from assay_pods.common.seeds import permutation
from assay_pods.robustness.records import Record

_Item = TypeVar("_Item")

CountTokens = Callable[[str], int]
"""Gives how many tokens a completion has under the model's tokenizer."""

BUCKETS: Mapping[str, range] = {"train": range(0, 9), "validation": range(9, 12), "test": range(12, 20)}
"""Twentieths of all core items, by their digest: an item's split depends on nothing but its content."""


@dataclass(frozen=True)
class CellRequest:
    """What a generator is told; it knows neither method nor rate."""

    size: Mapping[str, Any]
    """`trainPairs`, `validationPairs`, `testPairs`; the latter two a slice under distributional narrowness."""
    seed: int
    count_tokens: CountTokens
    warmup_pairs: int = 0
    """Pairs of the split `warmup`; 0 without a warm-up."""
    options: Mapping[str, Any] | None = None
    """What the spec's `data` says beside task, artifact and core."""


Generator = Callable[[CellRequest], list[Record]]
"""Gives all rows of a seed, in an order that depends on the request alone. Pure."""


@dataclass(frozen=True)
class Cell:
    """One generated cell family at one size of core."""

    task: str
    artifact: str
    core: str
    version: str
    """Name and number of the generator; raised whenever equal requests would give other rows."""
    generate: Generator


def core_digest(*content: Any) -> str:
    """Gives the digest of an item's content: what is asked and what is right, without wording, cue or wrong answer."""
    return hashlib.sha256(canonical_json(list(content))).hexdigest()


def split_of(core: str) -> str:
    """Gives the split of a core item, from its digest alone."""
    bucket = int(core[:8], 16) % 20
    return next(split for split, buckets in BUCKETS.items() if bucket in buckets)


def shuffled(items: Sequence[_Item], seed: int, purpose: str) -> list[_Item]:
    """Gives the items in a seeded order."""
    return [items[place] for place in permutation(seed, purpose, len(items))]


def first_of(items: Sequence[_Item], wanted: int, what: str) -> list[_Item]:
    """Gives the first items.

    Raises:
        BadInputError: SIZE_TOO_LARGE, when there are fewer.
    """
    if wanted > len(items):
        raise BadInputError("SIZE_TOO_LARGE", f"wanted at most {len(items)} {what}, got {wanted}")
    return list(items[:wanted])


def train_and_warmup(items: Sequence[_Item], request: CellRequest, what: str) -> tuple[list[_Item], list[_Item]]:
    """Divides the shuffled training items into those of the runs and those of the warm-up.

    The two share no item as long as there are enough; where there are not, the warm-up repeats training items from the first on, and
    `prepare` says so.
    """
    train = first_of(items, request.size["trainPairs"], f"train pairs of {what}")
    rest = items[len(train) :]
    if request.warmup_pairs <= len(rest):
        return train, list(rest[: request.warmup_pairs])
    again = [*rest, *train]
    return train, [again[place % len(again)] for place in range(request.warmup_pairs)]
