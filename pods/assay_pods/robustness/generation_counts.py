"""The share of generated answers that pass their checker, from the counts that each run gives."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from assay_pods.common.stats import wilson
from assay_pods.robustness.estimates import Estimate, Level


def generation_estimate(documents: Sequence[Mapping[str, Any] | None], level: Level) -> dict[str, Any] | None:
    """The share with its interval; None where nothing was generated.

    One seed: Wilson. More: a t-interval over seed shares whose variance is at least that of the items of one seed,
    because seeds may share their items.
    """
    counts = [(int(one["passed"]), int(one["items"])) for one in documents if one is not None and int(one["items"]) > 0]
    if not counts:
        return None
    relation = next(one["relation"] for one in documents if one is not None)
    shares, n = np.array([passed / items for passed, items in counts]), min(items for _, items in counts)
    value = float(shares.mean())
    if len(counts) == 1:
        interval, method = wilson(counts[0][0], n, level.confidence), "wilson"
        return {"relation": relation} | Estimate(value, interval.low, interval.high, n, 1, method).document()
    centre = (value * n + 2) / (n + 4)
    items_variance, seeds_variance = centre * (1 - centre) / (n + 4), float(shares.var(ddof=1)) / len(counts)
    half = float(stats.t.ppf((1 + level.confidence) / 2, len(counts) - 1)) * math.sqrt(max(items_variance, seeds_variance))
    return {"relation": relation} | Estimate(value, max(0.0, value - half), min(1.0, value + half), n, len(counts), "seed-t").document()
