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

    Seeds and items are crossed, so v = s2(seed means)/S + s2(item means)/n - s2(residual)/(S n), and at least the larger
    of its first two terms, since the residual is only estimated. Degrees of freedom by Satterthwaite:
    v^2 / (v_seed^2/(S-1) + v_item^2/(n-1)).

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
    variance = max(v_seed + v_item - v_residual, v_seed, v_item)
    return _t_interval(centre, variance, _satterthwaite(variance, [(v_seed, num_seeds - 1), (v_item, n - 1)]), confidence, bounds)


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
    return _t_interval(centre, v_seed, df, confidence, bounds)


def _satterthwaite(variance: float, terms: Sequence[tuple[float, int]]) -> float:
    denominator = sum(term**2 / df for term, df in terms)
    return variance**2 / denominator if denominator > 0 else math.inf


def _t_interval(centre: float, variance: float, df: float, confidence: float, bounds: Bounds | None) -> Interval:
    half = float(stats.t.ppf((1 + confidence) / 2, df)) * math.sqrt(variance) if variance > 0 else 0.0
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
