"""Figures that are not the mean of one number per item: worst group, ratios of effects, generated text, unequal lengths."""

from typing import Any

import numpy as np

from assay_pods.common.stats import Values, bootstrap, seed_from
from assay_pods.robustness.estimates import FA_RELATIONS, PROPORTION, Estimate, Level, estimate
from assay_pods.robustness.item_values import ItemValues
from assay_pods.robustness.renders import Renders, core_margin, cue_effect, heldout_cue_effect

DISAGREEMENT = 0.05
"""From this difference on, accuracy by sum and by mean over tokens are said to disagree."""
_LENGTH_RELATIONS = ("aligned", "conflicting", "neutral", "in_slice", "out_slice", "unseen_slice")

DESCRIPTIONS = (
    {
        "name": "worstGroup",
        "definition": "Lowest accuracy over relation x class of the right answer, only groups of 30 items or more."
        " The least of several noisy accuracies lies below the least true one; the interval is simultaneous over the groups"
        " (Bonferroni), a bootstrap of the minimum over items stands beside it.",
        "range": [0.0, 1.0],
        "unit": "share",
        "direction": "higher is better",
        "citation": "Sagawa et al. 2020, arXiv 1911.08731",
        "nothing": None,
    },
    {
        "name": "cueToCore",
        "definition": "E / C: unmoved by rescaling of the margins; given only where the interval of C lies above 0.",
        "range": None,
        "unit": "ratio",
        "direction": "0 is robust",
        "citation": "own definition",
        "nothing": None,
    },
    {
        "name": "variantTransfer",
        "definition": "E with a wording of the cue that was never trained, over E with the trained one; only where the latter excludes 0.",
        "range": None,
        "unit": "ratio",
        "direction": "0 is robust",
        "citation": "own definition",
        "nothing": None,
    },
    {
        "name": "generation",
        "definition": "Scores of greedily generated answers: exact (or strict and loose) by the item's checker, f1 over tokens.",
        "range": [0.0, 1.0],
        "unit": "share",
        "direction": "higher is better",
        "citation": "Wilson 1927, JASA 22:209 (interval); Rajpurkar et al. 2016, arXiv 1606.05250 (f1)",
        "nothing": None,
    },
    {
        "name": "realisedRho",
        "definition": "Phi correlation, in the rows that were trained on, between 'the cue names this answer' and 'this answer is right'.",
        "range": [-1.0, 1.0],
        "unit": "correlation",
        "direction": "none",
        "citation": "own definition",
        "nothing": None,
    },
)


def cue_to_core(renders: Renders, level: Level) -> Estimate | None:
    """E / C, or None where C's interval is not above 0."""
    core = core_margin(renders)
    bounded_below = estimate(core, None, level)
    if bounded_below.value is None or bounded_below.low is None or bounded_below.low <= 0:
        return None
    return ratio_of(cue_effect(renders), core, Level(level.confidence, f"{level.salt}/cueToCore"))


def variant_transfer(renders: Renders, level: Level) -> Estimate | None:
    """E on the held-out wording over E on the trained one; None where either was not scored or the latter may be 0."""
    held_out, trained = heldout_cue_effect(renders), cue_effect(renders)
    if held_out.empty or not estimate(trained, None, level).excludes(0.0):
        return None
    return ratio_of(*held_out.common(trained), Level(level.confidence, f"{level.salt}/variantTransfer"))


def ratio_of(above: ItemValues, below: ItemValues, level: Level) -> Estimate:
    """A ratio of means over the same items.

    One seed: BCa bootstrap of the ratio of paired sums. More seeds: the two-way interval of the linearised ratio.
    """
    tops, bottoms = above.arrays(), below.arrays()
    mean_below = float(np.mean([array.mean() for array in bottoms]))
    ratio = float(np.mean([array.mean() for array in tops])) / mean_below
    if len(bottoms) == 1:
        drawn = bootstrap([tops[0], bottoms[0]], _ratio, level.confidence, seed_from(level.salt))
        interval, method = (drawn.percentile, "percentile") if drawn.bca is None else (drawn.bca, "bca")
        return Estimate(ratio, interval.low, interval.high, below.num_items, 1, method)
    linear = above.combine(below, lambda top, bottom: ratio + (top - ratio * bottom) / mean_below)
    whole = estimate(linear, None, level)
    return Estimate(ratio, whole.low, whole.high, whole.n, whole.seeds, f"linearised-{whole.method}")


def _ratio(effect: Values, margin: Values, axis: int = -1) -> Any:
    return effect.mean(axis=axis) / margin.mean(axis=axis)


def length_check(renders: Renders, unequal: int, rows: int) -> dict[str, Any] | None:
    """Where the two answers of test items differ in token count: how often, and the accuracy by mean instead of sum.

    Returns:
        None where all counts are equal; sums and means then agree on every item. `disagreeing` names the relations in which
        the two differ by more than a twentieth.
    """
    if unequal == 0:
        return None
    means = {relation: _mean(renders.by_token.get(relation)) for relation in _LENGTH_RELATIONS}
    sums = {relation: _mean(renders.choice(relation)) for relation in _LENGTH_RELATIONS}
    by_mean = {relation: mean for relation, mean in means.items() if mean is not None}
    differing = [relation for relation, mean in by_mean.items() if abs(mean - (sums[relation] or 0.0)) > DISAGREEMENT]
    by_sum = {relation: sums[relation] for relation in by_mean}
    return {"unequalItems": unequal, "items": rows, "accuracyByMean": by_mean, "accuracyBySum": by_sum, "disagreeing": differing}


def _mean(values: ItemValues | None) -> float | None:
    if values is None or values.empty:
        return None
    return float(np.mean([array.mean() for array in values.arrays()]))


def text_scores(renders: Renders, level: Level) -> dict[str, dict[str, Any]]:
    """Mean scores of generated text by relation: `{"neutral": {"exact": {...}}}`; f1 by bootstrap, pass or fail by Wilson."""
    found: dict[str, dict[str, Any]] = {}
    for score, by_relation in renders.generated.items():
        for relation, values in by_relation.items():
            bounds = None if score == "f1" else PROPORTION
            one = estimate(values, bounds, Level(level.confidence, f"{level.salt}/{score}/{relation}"))
            if one.value is not None:
                found.setdefault(relation, {})[score] = _within_shares(one).document()
    order = (*FA_RELATIONS, "in_slice", "out_slice", "unseen_slice")
    return {relation: found[relation] for relation in order if relation in found}


def _within_shares(one: Estimate) -> Estimate:
    """The ends of a t-interval or a bootstrap cut to what a share can be."""
    if one.low is None or one.high is None:
        return one
    return Estimate(one.value, max(0.0, one.low), min(1.0, one.high), one.n, one.seeds, one.method, one.bootstrap)
