"""Intervals and tests over training seeds: what is said about a method rather than about one checkpoint."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from assay_pods.common.stats import Bounds, Interval, Values

MIN_SEEDS_FOR_TEST = 6
_MAX_EXACT_SEEDS = 16
_NUM_RANDOM_FLIPS = 20_000


def two_way(values: NDArray[np.float64], confidence: float, bounds: Bounds | None = None) -> Interval:
    """The t-interval of a mean over seeds (rows) that all share the same items (columns).

    Seeds and items are crossed: a = s2(seed means)/S - s2(residual)/(S n), at least 0, is the seeds' own variance, and
    b = s2(item means)/n the items' (with the residual's share; at least s2(seed means)/S where a is 0). Half the width is
    sqrt(t^2 a + u^2 b) with the t quantiles of S-1 and n-1 degrees of freedom, the rule of Cochran (1964, Biometrics 20:191) taken
    part by part. One quantile at Satterthwaite's degrees of freedom covers .90 with three seeds: they are estimated from the
    same two or three means, and too many where those happen to lie close (decision 19).

    With bounds, the item term is that of the items and the pseudo-items: scores that all agree keep an honest width.
    """
    num_seeds, n = values.shape
    assert num_seeds >= 2, f"two_way needs at least two seeds, got {num_seeds}"
    if n < 2:
        return Interval(None, None)
    seed_means, item_means, mean = values.mean(axis=1), values.mean(axis=0), float(values.mean())
    residual = values - seed_means[:, None] - item_means[None, :] + mean
    v_seed = float(seed_means.var(ddof=1)) / num_seeds
    v_item = float(item_means.var(ddof=1)) / n
    v_residual = float((residual**2).sum()) / ((num_seeds - 1) * (n - 1)) / (num_seeds * n)
    centre = mean
    if bounds is not None:
        padded = bounds.pad(item_means)
        centre, v_item = float(padded.mean()), float(padded.var()) / len(padded)
    return _t_interval(centre, _parts(v_seed - v_residual, (v_seed, v_item), (num_seeds, n)), confidence, bounds)


def nested(per_seed: Sequence[Values], confidence: float, bounds: Bounds | None = None) -> Interval:
    """The t-interval over seed means, for seeds whose items differ: the items' share is then part of the seeds' spread."""
    assert len(per_seed) >= 2, f"nested needs at least two seeds, got {len(per_seed)}"
    if any(len(values) == 0 for values in per_seed):
        return Interval(None, None)
    means = np.array([values.mean() for values in per_seed])
    v_seed, centre, df = float(means.var(ddof=1)) / len(means), float(means.mean()), float(len(means) - 1)
    if bounds is not None:
        padded = bounds.pad(np.concatenate(per_seed))
        floor = float(padded.var()) / len(padded)
        if floor > v_seed:
            v_seed, centre, df = floor, float(padded.mean()), float(len(padded) - 1)
    return _t_interval(centre, [(v_seed, df)], confidence, bounds)


class SeedStratum(NamedTuple):
    """One group of items of a weighted sum of group means; each seed names the items that it had."""

    weight: float
    by_seed: Sequence[tuple[Sequence[str], Values]]
    bounds: Bounds | None


def clustered(strata: Sequence[SeedStratum], confidence: float) -> Interval:
    """The t-interval over seeds of a weighted sum of group means, whatever items the seeds share.

    Seed means that share items vary less than independent ones, by just their covariance, so that is added:
    v = s2(seed values)/S + mean covariance of two seeds' values, the latter from the items that occur in both. Seeds with the
    same items give the variance of `two_way`, seeds without common items that of `nested`. At least the larger of the seeds'
    and the items' terms. The quantile is that of S-1 degrees of freedom, because items of one slice are no independent draws.
    """
    num_seeds = len(strata[0].by_seed)
    assert num_seeds >= 2, f"clustered needs at least two seeds, got {num_seeds}"
    if any(len(values) == 0 for stratum in strata for _, values in stratum.by_seed):
        return Interval(None, None)
    per_seed = np.array([sum(stratum.weight * float(stratum.by_seed[place][1].mean()) for stratum in strata) for place in range(num_seeds)])
    centre, v_seed = float(per_seed.mean()), float(per_seed.var(ddof=1)) / num_seeds
    shared, v_item = 0.0, 0.0
    for stratum in strata:
        found = _items_of(stratum, num_seeds)
        shared, v_item = shared + found.shared, v_item + found.variance
        centre += found.shift
    variance = max(v_seed + shared, v_seed, v_item)
    if variance == 0.0:
        return Interval(centre, centre)
    ends = [(stratum.weight * stratum.bounds.low, stratum.weight * stratum.bounds.high) for stratum in strata if stratum.bounds is not None]
    range_of = Bounds(sum(map(min, ends)), sum(map(max, ends)), ()) if len(ends) == len(strata) else None
    return _t_interval(centre, [(variance, num_seeds - 1)], confidence, range_of)


class _Items(NamedTuple):
    shared: float
    variance: float
    shift: float


def _items_of(stratum: SeedStratum, num_seeds: int) -> _Items:
    """What the items of one group add: the mean covariance of two seeds, the items' own variance, and the pull of pseudo-items."""
    sums: dict[str, float] = {}
    totals: dict[str, tuple[float, int]] = {}
    squares = 0.0
    for keys, values in stratum.by_seed:
        influence = stratum.weight * (values - values.mean()) / (num_seeds * len(values))
        squares += float((influence**2).sum())
        for key, part, value in zip(keys, influence.tolist(), values.tolist(), strict=True):
            sums[key] = sums.get(key, 0.0) + part
            total, count = totals.get(key, (0.0, 0))
            totals[key] = (total + value, count + 1)
    n = len(sums)
    v_item = math.fsum(one**2 for one in sums.values()) * (n / (n - 1) if n > 1 else 1.0)
    shared = (math.fsum(one**2 for one in sums.values()) - squares) * num_seeds / (num_seeds - 1)
    if stratum.bounds is None:
        return _Items(shared, v_item, 0.0)
    means = np.array([total / count for total, count in totals.values()])
    padded = stratum.bounds.pad(means)
    floor = stratum.weight**2 * float(padded.var()) / len(padded)
    return _Items(shared, max(v_item, floor), stratum.weight * float(padded.mean() - means.mean()))


Part = tuple[float, float]
"""A variance and its degrees of freedom."""


def _parts(of_seeds: float, found: tuple[float, float], counts: tuple[int, int]) -> list[Part]:
    """The seeds' own variance and the items'; where nothing is left to the seeds, the larger of both terms stands."""
    v_seed, v_item = found
    num_seeds, n = counts
    return [(max(of_seeds, 0.0), num_seeds - 1), (v_item if of_seeds > 0.0 else max(v_item, v_seed), max(1, n - 1))]


def _t_interval(centre: float, parts: Sequence[Part], confidence: float, bounds: Bounds | None) -> Interval:
    half = math.sqrt(sum(variance * float(stats.t.ppf((1 + confidence) / 2, df)) ** 2 for variance, df in parts if variance > 0))
    return Interval(centre - half, centre + half) if bounds is None else bounds.clip(centre, half)


class SignFlip(NamedTuple):
    """Joint sign-flip test of a family of contrasts over seeds."""

    adjusted_p: list[float] | None
    smallest_p: float
    num_seeds: int
    family_size: int
    note: str | None


def joint_sign_flip(contrasts: NDArray[np.float64]) -> SignFlip:
    """Tests every contrast of a family (rows) over the seeds (columns) that they share.

    The sign of a seed is flipped in all contrasts at once, which keeps their dependence. Each |mean| is divided by
    sqrt(q/2 + q_bar/2) (q its mean square over seeds, q_bar the mean of q over the family; neither changes under flips)
    and compared with the largest in the family (Westfall and Young 1993). Exact up to 16 seeds, over 20,000 random flips
    beyond. The smallest adjusted p-value is 2/2^S whatever the family's size (or the share of one random flip), so that
    fewer than six seeds cannot reach .05 and no p-value is given.
    """
    family_size, num_seeds = contrasts.shape
    smallest = 2.0 / 2.0**num_seeds
    if num_seeds < MIN_SEEDS_FOR_TEST:
        plural = "" if num_seeds == 1 else "s"
        smallest_said = min(smallest, 1.0)
        note = f"cannot reach significance with {num_seeds} seed{plural}: smallest p = 2/2^{num_seeds} = {smallest_said:.4g}"
        return SignFlip(None, smallest_said, num_seeds, family_size, note)
    squares = (contrasts**2).mean(axis=1)
    scale = np.sqrt(0.5 * squares + 0.5 * squares.mean())
    if not np.any(scale > 0):
        return SignFlip([1.0] * family_size, smallest, num_seeds, family_size, None)
    scaled = contrasts / np.where(scale > 0, scale, 1.0)[:, None]
    observed = np.abs(scaled.mean(axis=1))
    largest = np.abs(_signs(num_seeds) @ scaled.T / num_seeds).max(axis=1)
    # Flips that equal the observed signs give the same sum up to rounding and must count.
    reached = largest[None, :] >= observed[:, None] - 1e-12
    return SignFlip([float(row.mean()) for row in reached], max(smallest, 1.0 / reached.shape[1]), num_seeds, family_size, None)


def _signs(num_seeds: int) -> NDArray[np.float64]:
    if num_seeds <= _MAX_EXACT_SEEDS:
        return np.array(list(itertools.product([1.0, -1.0], repeat=num_seeds)))
    drawn = np.random.default_rng(num_seeds).choice([1.0, -1.0], size=(_NUM_RANDOM_FLIPS, num_seeds))
    return np.concatenate([np.ones((1, num_seeds)), drawn])


class Components(NamedTuple):
    """Standard deviations of a contrast: between seeds (its true value), and between items."""

    seed_sd: float
    item_sd: float


def components(values: NDArray[np.float64]) -> Components:
    """Method-of-moments estimates from seeds (rows) that share their items (columns), neither below 0.

    The seeds' part is what is left of the spread of seed means after that of the residual.
    """
    num_seeds, n = values.shape
    assert num_seeds >= 2, f"components needs at least two seeds, got {num_seeds}"
    assert n >= 2, f"components needs at least two items, got {n}"
    seed_means, item_means = values.mean(axis=1), values.mean(axis=0)
    residual = values - seed_means[:, None] - item_means[None, :] + values.mean()
    of_residual = float((residual**2).sum()) / ((num_seeds - 1) * (n - 1))
    of_seeds = max(0.0, float(seed_means.var(ddof=1)) - of_residual / n)
    # Items keep their share of the residual: it shrinks with n like theirs.
    return Components(math.sqrt(of_seeds), math.sqrt(float(item_means.var(ddof=1))))
