"""What an experiment of a given size can show: power and the smallest detectable effect of a mean difference.

One checkpoint (scope CHECKPOINT) varies over items only: a z-test with variance s_item^2/n. A method (scope METHOD) varies over
training seeds and items, which are crossed: with a = s_seed^2/S and b = s_item^2/n the edge of rejection is
sqrt((t^2 a + u^2 b)/(a + b)), t and u the quantiles of S-1 and n-1 degrees of freedom, and the mean over its standard error follows
a noncentral t distribution of Satterthwaite's degrees of freedom, (a + b)^2 / (a^2/(S-1) + b^2/(n-1)). Both are the tests that
an interval of the report makes when it excludes 0.
Without item noise a method's smallest effect is 3.26 / 1.44 / 1.00 seed SDs at 3 / 6 / 10 seeds.
"""

import math
from typing import Any, NamedTuple

from scipy import optimize, stats

ASSUMED_SEED_SD = 0.10


class Design(NamedTuple):
    """Sizes and standard deviations of a contrast; `seed_sd` is that of the contrast's true value between seeds."""

    seeds: int
    items: int
    seed_sd: float
    item_sd: float


def assumed_item_sd(accuracy: float = 0.8, correlation: float = 0.5) -> float:
    """SD over items of a difference of two scores of one item: sqrt(2 p (1 - p) (1 - r))."""
    return math.sqrt(2 * accuracy * (1 - accuracy) * (1 - correlation))


def power(effect: float, design: Design, alpha: float = 0.05) -> float:
    """Chance that the two-sided test at level alpha rejects when the true mean difference is `effect`.

    With one seed the claim is about the checkpoint, and `seed_sd` does not enter.
    """
    of_items = design.item_sd**2 / design.items
    if design.seeds == 1:
        shift = abs(effect) / math.sqrt(of_items) if of_items > 0 else math.inf
        edge = float(stats.norm.ppf(1 - alpha / 2))
        return float(stats.norm.sf(edge - shift) + stats.norm.cdf(-edge - shift))
    of_seeds = design.seed_sd**2 / design.seeds
    variance = of_seeds + of_items
    if variance == 0.0:
        return 1.0 if effect != 0.0 else alpha
    parts = ((of_seeds, design.seeds - 1), (of_items, max(1, design.items - 1)))
    edge = math.sqrt(sum(part * float(stats.t.ppf(1 - alpha / 2, df)) ** 2 for part, df in parts) / variance)
    df = variance**2 / sum(part**2 / df for part, df in parts)
    shift = abs(effect) / math.sqrt(variance)
    above, below = float(stats.nct.sf(edge, df, shift)), float(stats.nct.cdf(-edge, df, shift))
    # SciPy's series gives up far in the tails, where the upper chance is 1 and the lower 0 to all digits that matter.
    return (1.0 if math.isnan(above) else above) + (0.0 if math.isnan(below) else below)


def smallest_effect(design: Design, wanted: float = 0.8, alpha: float = 0.05) -> float:
    """The mean difference that the test finds with the wanted power; 0 where nothing varies."""
    unit = math.sqrt(design.item_sd**2 / design.items + (design.seed_sd**2 / design.seeds if design.seeds > 1 else 0.0))
    if unit == 0.0:
        return 0.0
    high = unit
    while power(high, design, alpha) < wanted:
        high *= 2.0
    found: Any = optimize.brentq(lambda effect: power(effect, design, alpha) - wanted, 0.0, high, xtol=1e-12)
    return float(found)
