"""Whether one system finds more than another: sign flips over queries, the paired t-test beside, Holm over what was declared."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

from assay_pods.common.stats import Interval, bootstrap, seed_from

EXACT_MAX = 2**16
"""Up to so many sign patterns are gone through one by one."""
DRAWS = 100_000
_DRAWS_AT_ONCE = 4_096
ROUNDING = 1e-12
"""Metrics that differ by less are equal; the smallest true difference of one query is many times as large."""
POWER_FACTOR = 2.8
"""z(.975) + z(.8): a true difference of so many standard errors is found with power .8 at the 5 % level."""

Floats = NDArray[np.float64]


class SignFlip(NamedTuple):
    """A randomisation test of a mean difference; two-sided."""

    p: float
    exact: bool
    flips: int
    """Sign patterns that were gone through or drawn."""


class Paired(NamedTuple):
    """Candidate minus baseline over queries."""

    delta: float
    interval: Interval
    """Of the mean difference, by bootstrap over queries (BCa, or percentile where that is undefined)."""
    p: float
    """By sign flips: the primary test."""
    exact: bool
    t: float | None
    """Student's paired t; None where all differences are equal."""
    t_p: float | None
    effect: float | None
    """Mean difference over its standard deviation (Cohen's d of the differences)."""
    wins: int
    ties: int
    losses: int
    queries: int
    detectable: float
    """The smallest true mean difference that so many queries of this spread find with power .8: 2.8 sd / sqrt(n)."""


class Ratio(NamedTuple):
    """A ratio of two mean differences; it may lie outside 0 to 1."""

    value: float
    interval: Interval


def sign_flip(differences: ArrayLike, seed: int) -> SignFlip:
    """Tests whether the differences lie around 0: under that, each might as well have the other sign.

    Args:
        differences: One a query, [n].
        seed: Of the random signs, where there are more than 2^16 patterns. Then p is (k + 1)/(B + 1) over B draws.
    """
    values = np.asarray(differences, dtype=np.float64)
    n = len(values)
    reached = abs(values.sum()) - 1e-12 * max(1.0, np.abs(values).sum())
    if n <= math.log2(EXACT_MAX):
        signs = np.array(list(itertools.product([1.0, -1.0], repeat=n)))
        return SignFlip(float((np.abs(signs @ values) >= reached).mean()), True, 2**n)
    chance, beyond = np.random.default_rng(seed), 0
    for start in range(0, DRAWS, _DRAWS_AT_ONCE):
        signs = chance.integers(0, 2, size=(min(_DRAWS_AT_ONCE, DRAWS - start), n), dtype=np.int8) * 2.0 - 1.0
        beyond += int((np.abs(signs @ values) >= reached).sum())
    return SignFlip((beyond + 1) / (DRAWS + 1), False, DRAWS)


def paired(candidate: ArrayLike, baseline: ArrayLike, name: str, confidence: float = 0.95) -> Paired:
    """Compares two systems over the same queries.

    Args:
        candidate: A metric's values, one a query; of several seeds their mean, so that a test is conditional on these students.
        baseline: The other system's, of the same queries in the same order.
        name: What the random draws of this comparison are named after; the same name draws the same.
        confidence: Level of the interval.

    Raises:
        ValueError: fewer than two queries, or different numbers of them.
    """
    first, second = np.asarray(candidate, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    if first.shape != second.shape or len(first) < 2:
        raise ValueError(f"wanted the values of the same two or more queries, got {len(first)} and {len(second)}")
    # A mean over seeds of equal values may differ from them in its last bit: that is no win.
    first = np.where(np.abs(first - second) < ROUNDING, second, first)
    differences = first - second
    flipped = sign_flip(differences, seed_from("sign-flip", name))
    spread = float(differences.std(ddof=1))
    tested: Any = stats.ttest_rel(first, second) if spread > 0 else None
    return Paired(
        delta=float(differences.mean()),
        interval=_interval([differences], np.mean, name, confidence),
        p=flipped.p,
        exact=flipped.exact,
        t=None if tested is None else float(tested.statistic),
        t_p=None if tested is None else float(tested.pvalue),
        effect=None if tested is None else float(differences.mean()) / spread,
        wins=int((differences > 0).sum()),
        ties=int((differences == 0).sum()),
        losses=int((differences < 0).sum()),
        queries=len(differences),
        detectable=detectable(spread, len(differences)),
    )


def mean_interval(values: ArrayLike, name: str, confidence: float = 0.95) -> Interval:
    """The interval of a metric's mean, by bootstrap over queries."""
    return _interval([np.asarray(values, dtype=np.float64)], np.mean, name, confidence)


def recovered(student: ArrayLike, base: ArrayLike, expanded: ArrayLike, name: str) -> Ratio | None:
    """The share of the expansion's gain that a student has: (student - base) / (expanded - base), queries drawn together.

    None where the gain is not shown to be above 0: a ratio to something that may be nothing says nothing.
    """
    one, two, three = (np.asarray(values, dtype=np.float64) for values in (student, base, expanded))
    gain = paired(three, two, f"{name}/gain")
    if gain.interval.low is None or gain.interval.low <= 0:
        return None

    def ratio(first: Floats, second: Floats, axis: int) -> Any:
        return first.mean(axis=axis) / second.mean(axis=axis)

    found = bootstrap([one - two, three - two], ratio, 0.95, seed_from("recovered", name))
    return Ratio(float((one - two).mean() / (three - two).mean()), found.percentile)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given."""
    if not p_values:
        return []
    adjusted: Any = multipletests(list(p_values), method="holm")[1]
    return [float(p) for p in adjusted]


def detectable(spread: float, queries: int) -> float:
    """The smallest true mean difference that is found with power .8, for a standard deviation of differences."""
    return POWER_FACTOR * spread / math.sqrt(queries)


def _interval(columns: Sequence[Floats], statistic: Any, name: str, confidence: float) -> Interval:
    found = bootstrap(columns, statistic, confidence, seed_from("bootstrap", name))
    return found.percentile if found.bca is None else found.bca
