"""Differences between cells of one method: degradations between two rates, mitigations, narrowness, and the declared contrast."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from assay_pods.common.stats import mcnemar_exact
from assay_pods.common.stats_power import Design, smallest_effect
from assay_pods.common.stats_seeds import components, joint_sign_flip
from assay_pods.robustness.estimates import DIFFERENCE, Estimate, Level, estimate
from assay_pods.robustness.item_values import ItemValues
from assay_pods.robustness.metrics import degradation_metrics
from assay_pods.robustness.renders import Renders, Subject, suffering
from assay_pods.robustness.report_cells import NO_CLAIM
from assay_pods.robustness.report_families import SIZE_CONTROL, Cell, CellKey, Experiment, Family, FamilyKey
from assay_pods.robustness.worst_group import worst_group_change

EQUIVALENCE_CONFIDENCE = 0.90
TEST = "joint sign-flip, max statistic"

Verdicts = Mapping[tuple[FamilyKey, CellKey], tuple[str, str]]


class Contrast(NamedTuple):
    """One row of the report with what the joint test needs: its per-item values, None where it may not be read."""

    row: dict[str, Any]
    values: ItemValues | None


def contrast_rates(experiment: Experiment, family: Family) -> tuple[float, float] | None:
    """The two rates that degradation compares: those declared, else the lowest above 0 and the highest below 1 of the grid."""
    declared = experiment.spec.get("contrast")
    planned = {key.rate for key in family.cells}
    if declared is not None and {float(declared["from"]), float(declared["to"])} <= planned:
        return float(declared["from"]), float(declared["to"])
    between = sorted(float(rate) for rate in experiment.spec["grid"]["spuriousness"] if 0.0 < rate < 1.0)
    return (between[0], between[-1]) if len(between) >= 2 else None


def degradations(experiment: Experiment, verdicts: Verdicts, level: Level) -> list[Contrast]:
    """Accuracy at the lower rate minus at the higher, for every method of every family at every learning rate."""
    found: list[Contrast] = []
    for family in experiment.families:
        rates = contrast_rates(experiment, family)
        if rates is None:
            continue
        for method in family.methods:
            for learning_rate in family.learning_rates(method):
                pair = (CellKey(method, rates[0], None, learning_rate), CellKey(method, rates[1], None, learning_rate))
                row = _named(family, pair[0]) | {"from": rates[0], "to": rates[1]}
                found.append(_contrast(family, (row, pair), verdicts, level))
    return found


def mitigations(experiment: Experiment, verdicts: Verdicts, level: Level) -> list[Contrast]:
    """Accuracy with a mitigation minus without it, at the same rate and learning rate."""
    found: list[Contrast] = []
    for family in experiment.families:
        for key, cell in family.cells.items():
            if key.variant is None or key.variant == SIZE_CONTROL:
                continue
            plain = CellKey(key.method, key.rate, None, key.learning_rate)
            row = _named(family, key) | {"variant": dict(cell.variant or {}), "spuriousness": key.rate}
            found.append(_contrast(family, (row, (key, plain)), verdicts, level))
    return found


def narrowness(experiment: Experiment, verdicts: Verdicts, level: Level) -> list[dict[str, Any]]:
    """A_out at a rate minus A_out of the size control: what narrowness does beyond the rows that are missing."""
    found: list[dict[str, Any]] = []
    for family in experiment.families:
        for key in family.cells:
            if key.variant == SIZE_CONTROL:
                plain = CellKey(key.method, key.rate, None, key.learning_rate)
                row = _named(family, plain) | {"spuriousness": key.rate}
                one = _contrast(family, (row, (plain, key)), verdicts, level).row
                lost = one.get("estimate")
                found.append(one | {"reason": one["reason"] or _narrowness_said(lost)})
    return found


def _narrowness_said(lost: Mapping[str, Any] | None) -> str:
    if lost is None or lost["low"] is None:
        return "not measured"
    if lost["high"] < 0.0:
        return "narrowness itself costs accuracy outside the slice"
    return "the extra rows of one slice help the others" if lost["low"] > 0.0 else "no cost beyond the missing rows shown at this size"


def _named(family: Family, key: CellKey) -> dict[str, Any]:
    return {"task": family.task, "artifact": family.artifact, "method": key.method, "variant": None, "learningRate": key.learning_rate}


def _contrast(family: Family, planned: tuple[dict[str, Any], tuple[CellKey, CellKey]], verdicts: Verdicts, level: Level) -> Contrast:
    row, pair = planned
    relation = suffering(family.narrow)
    row = row | {"metric": relation, "verdict": "NOT_MEASURABLE", "reason": None, "adjustedP": None}
    unread = [verdicts.get((family.key, key), ("INCOMPLETE", f"{key.method} at rho {key.rate or 0:g} was not planned")) for key in pair]
    blocked = next(((verdict, reason) for verdict, reason in unread if verdict in NO_CLAIM), None)
    if blocked is not None:
        nothing = dict.fromkeys(
            ("estimate", "overall", "worstGroup", "narrow", "withinPracticalThreshold", "mcnemar", "minimumDetectableEffect")
        )
        return Contrast(row | nothing | {"reason": f"{blocked[0]}: {blocked[1]}"}, None)
    start, end = (_complete(family.cells[key]) for key in pair)
    own = Level(level.confidence, f"{level.salt}/contrast/{_salt(family, pair)}")
    values = start.score(relation) - end.score(relation)
    figures, practical = _figures(family, (start, end), own), _practical(family, values, own)
    row |= figures | practical
    row["mcnemar"] = _mcnemar((start, end), relation)
    row["minimumDetectableEffect"] = _smallest(values, level)
    row["verdict"] = verdict_of(figures["estimate"], practical["withinPracticalThreshold"] is True)
    return Contrast(row, values)


def _salt(family: Family, pair: tuple[CellKey, CellKey]) -> str:
    return "/".join([family.name, *(f"{key.method} {key.rate} {key.variant} {key.learning_rate}" for key in pair)])


def _figures(family: Family, sides: tuple[Renders, Renders], level: Level) -> dict[str, Any]:
    found = {one.name: one.estimate(Subject(sides[0], end=sides[1]), level) for one in degradation_metrics(family.narrow)}
    worst = worst_group_change(*sides, level)
    shown = {"estimate": found["degradation"], "overall": found["overall"], "worstGroup": worst}
    return {name: None if one is None else one.document() for name, one in shown.items()}


def _practical(family: Family, values: ItemValues, level: Level) -> dict[str, Any]:
    narrow = estimate(values, DIFFERENCE, Level(EQUIVALENCE_CONFIDENCE, level.salt))
    return {"narrow": narrow.document(), "withinPracticalThreshold": _within(narrow, float(family.spec["practicalThreshold"]))}


def _within(narrow: Estimate, threshold: float) -> bool:
    return narrow.low is not None and narrow.high is not None and -threshold < narrow.low and narrow.high < threshold


def verdict_of(found: Mapping[str, Any] | None, within: bool) -> str:
    """What a difference with its interval says: LOWER or HIGHER at the second of the two, EQUIVALENT, or nothing shown."""
    if found is None or found["low"] is None:
        return "NOT_MEASURABLE"
    if within:
        return "EQUIVALENT"
    if found["low"] > 0.0:
        return "LOWER"
    return "HIGHER" if found["high"] < 0.0 else "NO_DIFFERENCE_SHOWN"


def _complete(cell: Cell) -> Renders:
    return cell.renders("test")


def _mcnemar(sides: tuple[Renders, Renders], relation: str) -> dict[str, Any] | None:
    """The test needs one checkpoint on each side and scores of pass or fail, so it is given for one seed only."""
    start, end = sides
    if len(start.seeds) != 1 or start.score(relation).empty:
        return None
    first, second = start.score(relation).arrays()[0], end.score(relation).arrays()[0]
    test = mcnemar_exact(first.tolist(), second.tolist())
    return {"p": test.p_value, "onlyFrom": test.only_first, "onlyTo": test.only_second, "ties": test.ties}


def _smallest(values: ItemValues, level: Level) -> dict[str, Any] | None:
    """What this size could have found with 80 % power, from the spread that was found."""
    if values.empty:
        return None
    arrays, n = values.arrays(), values.num_items
    alpha = 1 - level.confidence
    if len(arrays) == 1:
        item_sd = float(arrays[0].std(ddof=1)) if n > 1 else 0.0
        return {"value": smallest_effect(Design(1, n, 0.0, item_sd), alpha=alpha), "scope": "CHECKPOINT", "seedSd": None, "itemSd": item_sd}
    if values.crossed and n > 1:
        spread = components(np.stack(arrays))
        found = Design(len(arrays), n, spread.seed_sd, spread.item_sd)
    else:
        means = np.array([array.mean() for array in arrays])
        found = Design(len(arrays), n, float(means.std(ddof=1)), 0.0)
    return {"value": smallest_effect(found, alpha=alpha), "scope": "METHOD", "seedSd": found.seed_sd, "itemSd": found.item_sd}


def tested(contrasts: Sequence[Contrast]) -> tuple[list[Contrast], dict[str, Any] | None]:
    """The contrasts with their adjusted p-values, and the joint test of this declared family; null where none may be read."""
    readable = [place for place, one in enumerate(contrasts) if one.values is not None and not one.values.empty]
    if not readable:
        return list(contrasts), None
    table = np.array([[mean or 0.0 for mean in _means(contrasts[place])] for place in readable])
    flipped = joint_sign_flip(table)
    adjusted = dict(zip(readable, flipped.adjusted_p or [None] * len(readable), strict=True))
    named = [{name: contrasts[place].row.get(name) for name in _NAMES} for place in readable]
    test = {"name": TEST, "family": named, "familySize": len(readable), "declared": len(contrasts), "seeds": flipped.num_seeds}
    test |= {"smallestReachableP": flipped.smallest_p, "note": flipped.note}
    return [Contrast(one.row | {"adjustedP": adjusted.get(place)}, one.values) for place, one in enumerate(contrasts)], test


_NAMES = ("task", "artifact", "method", "against", "variant", "learningRate")


def _means(contrast: Contrast) -> list[float | None]:
    assert contrast.values is not None, "only contrasts with values are tested"
    return list(contrast.values.seed_means().values())


def declared_contrast(experiment: Experiment, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The contrast that the spec names, with whether its interval excludes 0; None where none was declared."""
    declared = experiment.spec.get("contrast")
    if declared is None:
        return None
    task, artifact = _declared_family(experiment, declared)
    own = [one for one in rows if (one["task"], one["artifact"], one["method"]) == (task, artifact, declared["method"])]
    row, rule = _at_learning_rate(own, declared.get("learningRate"))
    named = declared.get("learningRate") if row is None else row["learningRate"]
    shown: dict[str, Any] = {
        "task": task,
        "artifact": artifact,
        "method": declared["method"],
        "learningRate": named,
        "learningRateRule": rule,
    }
    shown |= {"from": float(declared["from"]), "to": float(declared["to"]), "scope": declared.get("scope", "CHECKPOINT")}
    relation = "out-of-slice" if row is not None and row["metric"] == "out_slice" else "conflicting"
    shown["metric"] = f"{relation} accuracy at `from` minus at `to`, test items"
    found = None if row is None else row["estimate"]
    excludes = found is not None and found["low"] is not None and not found["low"] <= 0.0 <= found["high"]
    if row is not None and shown["scope"] == "METHOD" and len(experiment.seeds) < 2:
        return shown | {"estimate": found, "excludesZero": False, "reason": "one seed says nothing about a method"}
    reason = f"the method was not planned{'' if named is None else ' at this learning rate'}" if row is None else row["reason"]
    return shown | {"estimate": found, "excludesZero": excludes, "reason": reason}


def _at_learning_rate(rows: Sequence[Mapping[str, Any]], named: float | None) -> tuple[Mapping[str, Any] | None, str | None]:
    """The row at the named learning rate, else at the smallest, which no result can move; and the rule if there was a choice."""
    if named is not None:
        return next((one for one in rows if one["learningRate"] == float(named)), None), "NAMED"
    return min(rows, key=lambda one: one["learningRate"] or 0.0, default=None), "SMALLEST" if len(rows) > 1 else None


def _declared_family(experiment: Experiment, declared: Mapping[str, Any]) -> FamilyKey:
    if "task" in declared:
        return declared["task"], declared.get("artifact")
    return experiment.families[0].key if experiment.families else (None, None)
