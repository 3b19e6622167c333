"""What an experiment of a given size can show: power and the smallest detectable effect of a mean difference.

One checkpoint (scope CHECKPOINT) varies over items only: a z-test with variance s_item^2/n. A method (scope METHOD) varies over
training seeds and items, which are crossed: variance v = s_seed^2/S + s_item^2/n, degrees of freedom by Satterthwaite,
v^2 / ((s_seed^2/S)^2/(S-1) + (s_item^2/n)^2/(n-1)), and the noncentral t distribution. Both are the tests that an interval of the
report makes when it excludes 0. Without item noise a method's smallest effect is 3.26 / 1.44 / 1.00 seed SDs at 3 / 6 / 10 seeds.
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
        return _power(effect, (of_items, math.inf), alpha)
    of_seeds = design.seed_sd**2 / design.seeds
    variance = of_seeds + of_items
    below = of_seeds**2 / (design.seeds - 1) + (of_items**2 / (design.items - 1) if design.items > 1 else 0.0)
    return _power(effect, (variance, variance**2 / below if below > 0 else math.inf), alpha)


def _power(effect: float, spread: tuple[float, float], alpha: float) -> float:
    variance, df = spread
    if variance == 0.0:
        return 1.0 if effect != 0.0 else alpha
    shift = abs(effect) / math.sqrt(variance)
    if math.isinf(df) or df > 1e6:
        edge = float(stats.norm.ppf(1 - alpha / 2))
        return float(stats.norm.sf(edge - shift) + stats.norm.cdf(-edge - shift))
    edge = float(stats.t.ppf(1 - alpha / 2, df))
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
