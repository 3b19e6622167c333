"""The lowest accuracy over groups of items, and how it differs between two cells."""

from typing import Any

import numpy as np

from assay_pods.common.stats import NUM_RESAMPLES, Interval, Values, seed_from
from assay_pods.common.stats_seeds import nested
from assay_pods.robustness.estimates import DIFFERENCE, DN_RELATIONS, PROPORTION, Estimate, Level, estimate
from assay_pods.robustness.item_values import ItemValues
from assay_pods.robustness.renders import Renders

MIN_GROUP_SIZE = 30
GROUP_RELATIONS = ("aligned", "conflicting", "neutral", *DN_RELATIONS)


def worst_group(renders: Renders, level: Level) -> dict[str, Any] | None:
    """The lowest accuracy over groups that are large enough, with the name of the group; None without such a group."""
    groups = large_groups(renders)
    if not groups:
        return None
    simultaneous = 1 - (1 - level.confidence) / len(groups)
    found = {name: estimate(values, PROPORTION, Level(simultaneous, f"{level.salt}/{name}")) for name, values in groups.items()}
    name = min(sorted(found), key=lambda group: found[group].value or 0.0)
    low = min(one.low for one in found.values() if one.low is not None)
    high = min(one.high for one in found.values() if one.high is not None)
    worst = found[name]
    whole = Estimate(worst.value, low, high, worst.n, worst.seeds, "simultaneous-" + worst.method, _beside(groups, level))
    return {"group": name, "groups": len(groups)} | whole.document()


def large_groups(renders: Renders) -> dict[str, ItemValues]:
    """Scores by relation and class of the right answer; groups with fewer than 30 items in some seed are left out."""
    groups: dict[str, ItemValues] = {}
    for relation in GROUP_RELATIONS:
        values = renders.score(relation)
        members: dict[str, set[str]] = {}
        for key in {key for column in values.by_seed.values() for key in column.keys}:
            members.setdefault(renders.classes.get(key, ""), set()).add(key)
        for name, keys in sorted(members.items()):
            part = ItemValues({seed: column.at(frozenset(keys)) for seed, column in values.by_seed.items()})
            if min(len(column.keys) for column in part.by_seed.values()) >= MIN_GROUP_SIZE:
                groups[f"{relation}/{name}" if name else relation] = part
    return groups


def _beside(groups: dict[str, ItemValues], level: Level) -> dict[str, list[float] | None] | None:
    """Percentiles of the minimum over resampled items; for one seed, whose items are what varies."""
    if any(len(values.by_seed) != 1 for values in groups.values()):
        return None
    drawn = _resampled_minimum([values.arrays()[0] for values in groups.values()], level)
    low, high = (float(end) for end in np.quantile(drawn, [(1 - level.confidence) / 2, (1 + level.confidence) / 2]))
    return {"percentile": [low, high], "bca": None}


def _resampled_minimum(arrays: list[Values], level: Level) -> Values:
    rng = np.random.default_rng(seed_from(level.salt, "worstGroup"))
    means = [array[rng.integers(0, len(array), (NUM_RESAMPLES, len(array)))].mean(axis=1) for array in arrays]
    return np.min(means, axis=0)


def worst_group_change(start: Renders, end: Renders, level: Level) -> Estimate | None:
    """Worst-group accuracy of the first minus that of the second, over the groups that both have.

    One seed: a bootstrap over items that draws both sides alike. More seeds: a t-interval over the seeds' differences of minima,
    no narrower than the items allow.
    """
    before, after = large_groups(start), large_groups(end)
    names = sorted(before.keys() & after.keys())
    if not names:
        return None
    seeds = list(start.seeds)
    pairs = {name: (before[name] - after[name], before[name], after[name]) for name in names}
    per_seed = np.array([_minimum(before, names, seed) - _minimum(after, names, seed) for seed in seeds])
    value, n = float(per_seed.mean()), sum(pairs[name][0].num_items for name in names)
    drawn = [
        _resampled_change([(before[name].by_seed[seed].values, after[name].by_seed[seed].values) for name in names], level)
        for seed in seeds
    ]
    tail = (1 - level.confidence) / 2
    if len(seeds) == 1:
        low, high = (float(end) for end in np.quantile(drawn[0], [tail, 1 - tail]))
        return Estimate(value, min(low, value), max(high, value), n, 1, "percentile")
    over_seeds = nested([np.array([one]) for one in per_seed], level.confidence, None)
    over_items = _wald(np.mean(drawn, axis=0), value, level)
    ends = [
        min(one.low for one in (over_seeds, over_items) if one.low is not None),
        max(one.high for one in (over_seeds, over_items) if one.high is not None),
    ]
    return Estimate(value, max(DIFFERENCE.low, ends[0]), min(DIFFERENCE.high, ends[1]), n, len(seeds), "seed-t")


def _minimum(groups: dict[str, ItemValues], names: list[str], seed: int) -> float:
    return min(float(groups[name].by_seed[seed].values.mean()) for name in names)


def _resampled_change(pairs: list[tuple[Values, Values]], level: Level) -> Values:
    """Changes of the minimum; every seed draws the same items, which seeds may share."""
    rng = np.random.default_rng(seed_from(level.salt, "worstGroupChange"))
    drawn = [rng.integers(0, len(before), (NUM_RESAMPLES, len(before))) for before, _ in pairs]
    first = np.min([before[places].mean(axis=1) for (before, _), places in zip(pairs, drawn, strict=True)], axis=0)
    second = np.min([after[places].mean(axis=1) for (_, after), places in zip(pairs, drawn, strict=True)], axis=0)
    return first - second


def _wald(drawn: Values, value: float, level: Level) -> Interval:
    tail = (1 - level.confidence) / 2
    low, high = (float(end) for end in np.quantile(drawn, [tail, 1 - tail]))
    return Interval(min(low, value), max(high, value))
