"""From scored items to estimates with intervals."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from assay_pods.common.stats import Bounds, Interval, Stratum, Values, bootstrap, bounded_mean, seed_from, stratified_mean, wilson
from assay_pods.common.stats_seeds import SeedStratum, clustered, two_way
from assay_pods.robustness.item_values import Measured, Strata, Term
from assay_pods.robustness.records import RELATIONS as RENDERS

CONFIDENCE = 0.95
DN_RELATIONS = ("in_slice", "out_slice", "unseen_slice")
FA_RELATIONS = tuple(relation for relation in RENDERS if relation not in DN_RELATIONS)
RELATIONS = (*RENDERS, "prompt_blind")

Shown = Mapping[str, list[float] | None] | None

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


def estimate(values: Measured, bounds: Bounds | None, level: Level) -> Estimate:
    """The mean over seeds and items with its interval.

    One seed: over items, for this checkpoint: Wilson for a proportion, adjusted Wald for a paired difference (Bonett and
    Price) and for groups of different items (Agresti and Caffo), BCa bootstrap for nats. Two seeds or more: over seeds and
    items, which are crossed where all seeds have the same items.

    Args:
        values: one number per seed and item, or groups of such with weights.
        bounds: the range of the numbers; None for nats. Groups bring their own.
        level: confidence and salt.
    """
    if isinstance(values, Strata):
        return _of_strata(values, level)
    arrays = values.arrays()
    n, num_seeds = values.num_items, len(arrays)
    if values.empty:
        return Estimate(None, None, None, n, num_seeds, "none")
    value = float(np.mean([float(array.mean()) for array in arrays]))
    if num_seeds == 1:
        found, method, shown = _over_items(arrays[0], bounds, level)
    elif values.crossed:
        found, method, shown = two_way(np.stack(arrays), level.confidence, bounds), "two-way-t", None
    else:
        found, method, shown = clustered([_over_seeds(Term(1.0, values, bounds))], level.confidence), "clustered-t", None
    return _around(value, found, (n, num_seeds, method, shown))


def _of_strata(values: Strata, level: Level) -> Estimate:
    n = sum(term.values.num_items for term in values.terms)
    num_seeds = len(values.terms[0].values.by_seed) if values.terms else 0
    if values.empty:
        return Estimate(None, None, None, n, num_seeds, "none")
    value = float(np.mean([mean for mean in values.seed_means().values() if mean is not None]))
    if num_seeds == 1:
        found = stratified_mean([Stratum(term.weight, term.values.arrays()[0], term.bounds) for term in values.terms], level.confidence)
        return _around(value, found, (n, 1, "stratified-wald", None))
    return _around(value, clustered([_over_seeds(term) for term in values.terms], level.confidence), (n, num_seeds, "clustered-t", None))


def _over_seeds(term: Term) -> SeedStratum:
    columns = [(column.keys, column.values) for _, column in sorted(term.values.by_seed.items())]
    return SeedStratum(term.weight, columns, term.bounds)


def _around(value: float, found: Interval, about: tuple[int, int, str, Shown]) -> Estimate:
    """The estimate; rounding may put the mean of equal numbers a hair outside an interval of width zero."""
    n, seeds, method, shown = about
    if found.low is None or found.high is None:
        return Estimate(value, None, None, n, seeds, method, shown)
    return Estimate(value, min(found.low, value), max(found.high, value), n, seeds, method, shown)


def _over_items(array: Values, bounds: Bounds | None, level: Level) -> tuple[Interval, str, Shown]:
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
