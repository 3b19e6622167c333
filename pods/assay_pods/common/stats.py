"""Intervals and tests for scores of items: the numbers that stand beside every estimate.

Scores lie in {0, 0.5, 1}: a tie counts half. A tie varies less than a whole success or failure, so intervals made for
0 and 1 are somewhat too wide when there are ties, never too narrow.
"""

import hashlib
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

NUM_RESAMPLES = 2000
_MAX_CELLS_PER_BATCH = 4_000_000

Values = NDArray[np.float64]


class Interval(NamedTuple):
    """The two ends of an interval; None where the data cannot bound that quantity."""

    low: float | None
    high: float | None

    def includes(self, value: float) -> bool:
        """Whether the value lies inside; an interval without ends excludes nothing."""
        return (self.low is None or self.low <= value) and (self.high is None or value <= self.high)


class PairedTest(NamedTuple):
    """Exact McNemar test of two classifiers on the same items."""

    p_value: float | None
    only_first: int
    only_second: int
    ties: int


def seed_from(*parts: str) -> int:
    """A seed that depends on the parts alone, so that equal inputs are resampled equally on every machine."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big")


def wilson(successes: float, n: int, confidence: float) -> Interval:
    """Wilson score interval of a proportion; `successes` may be fractional because a tie counts half."""
    if n == 0:
        return Interval(None, None)
    ends: Any = proportion_confint(successes, n, alpha=1 - confidence, method="wilson")
    value = successes / n
    return Interval(min(max(float(ends[0]), 0.0), value), max(min(float(ends[1]), 1.0), value))


def mcnemar_exact(first: Sequence[float], second: Sequence[float]) -> PairedTest:
    """Exact McNemar test; items that either side scored as a tie are left out and counted in `ties`."""
    assert len(first) == len(second), f"scores must be paired, got {len(first)} and {len(second)}"
    decided = [(a, b) for a, b in zip(first, second, strict=True) if a != 0.5 and b != 0.5]
    table = np.zeros((2, 2), dtype=np.int64)
    for a, b in decided:
        table[int(a), int(b)] += 1
    tested: Any = mcnemar(table, exact=True)
    return PairedTest(float(tested.pvalue) if decided else None, int(table[1, 0]), int(table[0, 1]), len(first) - len(decided))


class Bounds(NamedTuple):
    """The range of a per-item value, and the pseudo-items that stand beside the items where all of them may agree."""

    low: float
    high: float
    pseudo: tuple[float, ...]

    def pad(self, values: Values) -> Values:
        """The values and the pseudo-items."""
        return np.concatenate([values, np.array(self.pseudo)])

    def clip(self, centre: float, half: float) -> Interval:
        """The interval centre - half to centre + half, within the range."""
        return Interval(max(self.low, centre - half), min(self.high, centre + half))


def bounded_mean(values: Values, bounds: Bounds, confidence: float) -> Interval:
    """Adjusted Wald interval of the mean of per-item values of a known range: a Wald interval of items and pseudo-items.

    One pseudo-item at -1 and one at 1 give the interval of Bonett and Price (2012, British Journal of Mathematical and
    Statistical Psychology 65:479) for a difference of paired proportions, here also with halves (ties). Two at 0 and two
    at 1 give that of Agresti and Coull (1998, The American Statistician 52:119) for a proportion. A bootstrap gives width
    zero when all items agree; this one does not.
    """
    if len(values) == 0:
        return Interval(None, None)
    padded = bounds.pad(values)
    half = float(stats.norm.ppf((1 + confidence) / 2)) * math.sqrt(float(padded.var()) / len(padded))
    return bounds.clip(float(padded.mean()), half)


class Stratum(NamedTuple):
    """One group of items of a weighted sum of group means, in one seed."""

    weight: float
    values: Values
    bounds: Bounds | None


def stratified_mean(strata: Sequence[Stratum], confidence: float) -> Interval:
    """Adjusted Wald interval of a weighted sum of means of different items: each group brings its own pseudo-items.

    For the difference of two independent proportions, with one failure and one success beside each, this is the interval of
    Agresti and Caffo (2000, The American Statistician 54:280). Without bounds (nats) it is the interval of Welch's z.
    """
    if any(len(stratum.values) < (1 if stratum.bounds else 2) for stratum in strata):
        return Interval(None, None)
    centre, variance = 0.0, 0.0
    for weight, values, bounds in strata:
        padded = values if bounds is None else bounds.pad(values)
        centre += weight * float(padded.mean())
        variance += weight**2 * float(padded.var(ddof=1 if bounds is None else 0)) / len(padded)
    half = float(stats.norm.ppf((1 + confidence) / 2)) * math.sqrt(variance)
    low, high = (sum(end(stratum) for stratum in strata) for end in (_lowest, _highest))
    return Interval(max(low, centre - half), min(high, centre + half))


def _lowest(stratum: Stratum) -> float:
    if stratum.bounds is None:
        return -math.inf
    return min(stratum.weight * stratum.bounds.low, stratum.weight * stratum.bounds.high)


def _highest(stratum: Stratum) -> float:
    return math.inf if stratum.bounds is None else max(stratum.weight * stratum.bounds.low, stratum.weight * stratum.bounds.high)


class BootstrapIntervals(NamedTuple):
    """Both bootstrap intervals of one statistic; BCa is None where it is undefined."""

    percentile: Interval
    bca: Interval | None


def bootstrap(columns: Sequence[Values], statistic: Callable[..., Any], confidence: float, seed: int) -> BootstrapIntervals:
    """Pair bootstrap: items are drawn with replacement, all columns of an item together.

    Args:
        columns: one array per quantity, all over the same items.
        statistic: a function of the columns that takes `axis`.
        confidence: the level of the interval.
        seed: of the resampling; the same seed draws the same items.

    Returns:
        Intervals without ends for fewer than two items, of width zero when all items are equal.
    """
    n = len(columns[0])
    assert all(len(column) == n for column in columns), f"columns must be paired, got lengths {[len(column) for column in columns]}"
    if n < 2:
        return BootstrapIntervals(Interval(None, None), None)
    if all(np.ptp(column) == 0 for column in columns):
        value = float(statistic(*columns, axis=-1))
        return BootstrapIntervals(Interval(value, value), None)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # BCa is undefined when leaving out any one item changes nothing; the ends are then NaN, which is answered below.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        drawn = stats.bootstrap(
            columns,
            statistic,
            paired=True,
            vectorized=True,
            n_resamples=NUM_RESAMPLES,
            batch=max(1, _MAX_CELLS_PER_BATCH // n),
            confidence_level=confidence,
            method="BCa",
            rng=np.random.default_rng(seed),
        )
    tail = (1 - confidence) / 2
    low, high = (float(end) for end in np.quantile(drawn.bootstrap_distribution, [tail, 1 - tail]))
    bca = (float(drawn.confidence_interval.low), float(drawn.confidence_interval.high))
    return BootstrapIntervals(Interval(low, high), Interval(*bca) if all(map(math.isfinite, bca)) else None)
