"""Figures that are not the mean of one number per item: worst group, cue effect over core margin, generated text."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from assay_pods.common.stats import Values, bootstrap, seed_from, wilson
from assay_pods.robustness.estimates import PROPORTION, Estimate, ItemValues, Level, estimate
from assay_pods.robustness.metrics import Renders, core_margin, cue_effect

MIN_GROUP_SIZE = 30
_GROUP_RELATIONS = ("aligned", "conflicting", "neutral")

DESCRIPTIONS = (
    {
        "name": "worstGroup",
        "definition": f"Lowest accuracy over relation x class of the right answer, only groups of {MIN_GROUP_SIZE} items or more."
        " The least of several noisy accuracies lies below the least true one; the interval is simultaneous over the groups (Bonferroni).",
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
        "name": "generation",
        "definition": "Share of greedily generated answers that pass the item's checker.",
        "range": [0.0, 1.0],
        "unit": "share",
        "direction": "higher is better",
        "citation": "Wilson 1927, JASA 22:209 (interval)",
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


def worst_group(renders: Renders, level: Level) -> dict[str, Any] | None:
    """The lowest accuracy over groups that are large enough, with the name of the group; None without such a group."""
    groups = {name: values for name, values in _groups(renders).items() if min(map(len, values.by_seed.values())) >= MIN_GROUP_SIZE}
    if not groups:
        return None
    simultaneous = 1 - (1 - level.confidence) / len(groups)
    found = {name: estimate(values, PROPORTION, Level(simultaneous, f"{level.salt}/{name}")) for name, values in groups.items()}
    name = min(sorted(found), key=lambda group: found[group].value or 0.0)
    low = min(one.low for one in found.values() if one.low is not None)
    high = min(one.high for one in found.values() if one.high is not None)
    worst = found[name]
    return {"group": name, "groups": len(groups)} | Estimate(
        worst.value, low, high, worst.n, worst.seeds, "simultaneous-" + worst.method
    ).document()


def _groups(renders: Renders) -> dict[str, ItemValues]:
    groups: dict[str, ItemValues] = {}
    for relation in _GROUP_RELATIONS:
        values = renders.score(relation)
        keys = {key for items in values.by_seed.values() for key in items}
        for name in sorted({renders.classes.get(key, "") for key in keys}):
            members = {
                seed: {key: value for key, value in items.items() if renders.classes.get(key, "") == name}
                for seed, items in values.by_seed.items()
            }
            groups[f"{relation}/{name}" if name else relation] = ItemValues(members)
    return groups


def cue_to_core(renders: Renders, level: Level) -> Estimate | None:
    """E / C, or None where C's interval is not above 0.

    One seed: BCa bootstrap of the ratio of paired sums. More seeds: the two-way interval of the linearised ratio.
    """
    core, cue = core_margin(renders), cue_effect(renders)
    bounded_below = estimate(core, None, level)
    if bounded_below.value is None or bounded_below.low is None or bounded_below.low <= 0:
        return None
    cues, cores = cue.arrays(), core.arrays()
    ratio = float(np.mean([array.mean() for array in cues]) / np.mean([array.mean() for array in cores]))
    if len(cores) == 1:
        drawn = bootstrap([cues[0], cores[0]], _ratio, level.confidence, seed_from(level.salt, "cueToCore"))
        interval, method = (drawn.percentile, "percentile") if drawn.bca is None else (drawn.bca, "bca")
        return Estimate(ratio, interval.low, interval.high, core.num_items, 1, method)
    mean_core = bounded_below.value
    linear = cue.combine(core, lambda effect, margin: ratio + (effect - ratio * margin) / mean_core)
    whole = estimate(linear, None, level)
    return Estimate(ratio, whole.low, whole.high, whole.n, whole.seeds, f"linearised-{whole.method}")


def _ratio(effect: Values, margin: Values, axis: int = -1) -> Any:
    return effect.mean(axis=axis) / margin.mean(axis=axis)


def length_check(items: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Where the two answers of test items differ in token count: how often, and the accuracy by mean instead of sum.

    Returns:
        None where all counts are equal; sums and means then agree on every item.
    """
    rows = [item for item in items if item["split"] == "test" and item["relation"] in _GROUP_RELATIONS]
    unequal = sum(item["tokensChosen"] != item["tokensRejected"] for item in rows)
    if unequal == 0:
        return None
    by_mean: dict[str, list[float]] = {}
    for item in rows:
        margin = item["logprobChosen"] / max(1, item["tokensChosen"]) - item["logprobRejected"] / max(1, item["tokensRejected"])
        by_mean.setdefault(item["relation"], []).append(1.0 if margin > 0 else 0.5 if margin == 0 else 0.0)
    means = {relation: sum(scores) / len(scores) for relation, scores in sorted(by_mean.items())}
    return {"unequalItems": unequal, "items": len(rows), "accuracyByMean": means}


def generation_estimate(documents: Sequence[Mapping[str, Any] | None], level: Level) -> dict[str, Any] | None:
    """Share of generated answers that pass their checker, from the counts of each seed; None where nothing was generated.

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
