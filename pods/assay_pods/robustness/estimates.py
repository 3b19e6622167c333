"""From scored items to estimates with intervals."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from assay_pods.common.context import BadInputError
from assay_pods.common.stats import Bounds, Interval, Values, bootstrap, bounded_mean, seed_from, wilson
from assay_pods.common.stats_seeds import nested, two_way
from assay_pods.robustness.records import RELATIONS as RENDERS

CONFIDENCE = 0.95
RELATIONS = (*RENDERS, "prompt_blind")

# Pseudo-items of each kind of per-item value (see `stats.bounded_mean`): four in all beside two proportions or one, and one
# pair for each paired difference that enters.
PROPORTION = Bounds(0.0, 1.0, (0.0, 0.0, 1.0, 1.0))
MEAN_OF_TWO = Bounds(0.0, 1.0, (0.0, 1.0))
DIFFERENCE = Bounds(-1.0, 1.0, (-1.0, 1.0))
DOUBLE_DIFFERENCE = Bounds(-2.0, 2.0, (-1.0, -1.0, 1.0, 1.0))


class Level(NamedTuple):
    """The confidence of the intervals and the salt of their resampling."""

    confidence: float
    salt: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval and what the interval covers."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    seeds: int
    method: str
    bootstrap: Mapping[str, list[float] | None] | None = None

    @property
    def interval(self) -> Interval:
        """The two ends."""
        return Interval(self.low, self.high)

    def excludes(self, value: float) -> bool:
        """Whether there is an interval and the value lies outside it."""
        return self.value is not None and not self.interval.includes(value)

    def document(self) -> dict[str, Any]:
        """The estimate as the report writes it."""
        fields: dict[str, Any] = {"value": self.value, "low": self.low, "high": self.high}
        fields |= {"n": self.n, "seeds": self.seeds, "interval": self.method}
        return fields if self.bootstrap is None else fields | {"bootstrap": dict(self.bootstrap)}


@dataclass(frozen=True, slots=True)
class ItemValues:
    """One number per seed and item. Sums and differences pair by seed and item, and refuse items that do not match."""

    by_seed: Mapping[int, Mapping[str, float]]

    def combine(self, other: "ItemValues", function: Callable[[float, float], float]) -> "ItemValues":
        """Applies a function to the two numbers of each seed and item."""
        if self.by_seed.keys() != other.by_seed.keys():
            seeds = f"{sorted(self.by_seed)} and {sorted(other.by_seed)}"
            raise BadInputError("ITEMS_MISMATCH", f"wanted the same seeds on both sides, got {seeds}")
        combined: dict[int, dict[str, float]] = {}
        for seed, mine in self.by_seed.items():
            theirs = other.by_seed[seed]
            if mine.keys() != theirs.keys():
                example = sorted(mine.keys() ^ theirs.keys())[0]
                raise BadInputError("ITEMS_MISMATCH", f"wanted each item on both sides, got {example!r} on one side only (seed {seed})")
            combined[seed] = {key: function(value, theirs[key]) for key, value in mine.items()}
        return ItemValues(combined)

    def __add__(self, other: "ItemValues") -> "ItemValues":
        """Sum per seed and item."""
        return self.combine(other, lambda a, b: a + b)

    def __sub__(self, other: "ItemValues") -> "ItemValues":
        """Difference per seed and item."""
        return self.combine(other, lambda a, b: a - b)

    def scaled(self, factor: float) -> "ItemValues":
        """Every number times the factor."""
        return ItemValues({seed: {key: factor * value for key, value in items.items()} for seed, items in self.by_seed.items()})

    @property
    def num_items(self) -> int:
        """How many different items there are over all seeds."""
        return len({key for items in self.by_seed.values() for key in items})

    @property
    def crossed(self) -> bool:
        """Whether every seed has the same items."""
        return len({frozenset(items) for items in self.by_seed.values()}) <= 1

    def arrays(self) -> list[Values]:
        """The numbers of each seed, in the order of seeds and of item keys."""
        return [np.array([items[key] for key in sorted(items)], dtype=np.float64) for _, items in sorted(self.by_seed.items())]

    def seed_means(self) -> dict[int, float | None]:
        """The mean of each seed; None for a seed without items."""
        return {seed: float(np.mean(list(items.values()))) if items else None for seed, items in sorted(self.by_seed.items())}


def estimate(values: ItemValues, bounds: Bounds | None, level: Level) -> Estimate:
    """The mean over seeds and items with its interval.

    One seed: over items, for this checkpoint: Wilson for a proportion, adjusted Wald (Bonett and Price) for a paired
    difference, BCa bootstrap for nats. Two seeds or more: the two-way interval over seeds and items.

    Args:
        values: one number per seed and item.
        bounds: the range of the numbers; None for nats.
        level: confidence and salt.
    """
    arrays = values.arrays()
    n, num_seeds = values.num_items, len(arrays)
    if n == 0 or any(len(array) == 0 for array in arrays):
        return Estimate(None, None, None, n, num_seeds, "none")
    value = float(np.mean([float(array.mean()) for array in arrays]))
    if num_seeds == 1:
        found, method, shown = _over_items(arrays[0], bounds, level)
    elif values.crossed:
        found, method, shown = two_way(np.stack(arrays), level.confidence, bounds), "two-way-t", None
    else:
        found, method, shown = nested(arrays, level.confidence, bounds), "seed-t", None
    if found.low is None or found.high is None:
        return Estimate(value, None, None, n, num_seeds, method, shown)
    # Rounding may put the mean of equal numbers a hair outside an interval of width zero.
    return Estimate(value, min(found.low, value), max(found.high, value), n, num_seeds, method, shown)


def _over_items(array: Values, bounds: Bounds | None, level: Level) -> tuple[Interval, str, dict[str, list[float] | None] | None]:
    if bounds == PROPORTION:
        return wilson(float(array.sum()), len(array), level.confidence), "wilson", None
    drawn = bootstrap([array], np.mean, level.confidence, seed_from(level.salt))
    shown = {"percentile": _ends(drawn.percentile), "bca": _ends(drawn.bca)}
    if bounds is not None:
        return bounded_mean(array, bounds, level.confidence), "adjusted-wald", shown
    interval, method = (drawn.percentile, "percentile") if drawn.bca is None else (drawn.bca, "bca")
    return interval, method, shown


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None or interval.low is None or interval.high is None else [interval.low, interval.high]


def group_estimates(items: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Accuracy per relation with Wilson intervals, for the result of one train run.

    Args:
        items: rows of `items.jsonl`, in any order.

    Returns:
        Relation to `{"value","low","high","n"}` over the test items; the same over the validation items under `validation`.
        A relation without items is absent.
    """
    scores: dict[tuple[str, str], list[float]] = {}
    for item in items:
        scores.setdefault((item["split"], item["relation"]), []).append(float(item["score"]))
    documents = {"test": {}, "validation": {}}
    for (split, relation), values in sorted(scores.items()):
        interval = wilson(sum(values), len(values), CONFIDENCE)
        documents[split][relation] = {"value": sum(values) / len(values), "low": interval.low, "high": interval.high, "n": len(values)}
    return documents["test"] | {"validation": documents["validation"]}
