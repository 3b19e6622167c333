"""Differences between two rates of one method: degradations, and the one contrast that was declared before anything ran."""

from typing import Any

import numpy as np

from assay_pods.common.stats import mcnemar_exact
from assay_pods.common.stats_seeds import joint_sign_flip
from assay_pods.robustness.estimates import Estimate, Level
from assay_pods.robustness.metrics import DEGRADATION_METRICS, Renders, Subject
from assay_pods.robustness.report_inputs import Experiment

UNREADABLE = ("INCOMPLETE", "CORE_NOT_LEARNED", "CONTROL_FAILED")
EQUIVALENCE_CONFIDENCE = 0.90

Verdicts = dict[tuple[str, float], tuple[str, str]]


def contrast_rates(experiment: Experiment) -> tuple[float, float] | None:
    """The two rates that degradation compares: those declared, else the lowest above 0 and the highest below 1 of the grid."""
    declared = experiment.spec.get("contrast")
    if declared is not None:
        return float(declared["from"]), float(declared["to"])
    between = sorted(float(rate) for rate in experiment.spec["grid"]["spuriousness"] if 0.0 < rate < 1.0)
    return (between[0], between[-1]) if len(between) >= 2 else None


def degradations(experiment: Experiment, verdicts: Verdicts, level: Level) -> dict[str, Any]:
    """Degradation of every method between the two rates, and the joint sign-flip test over this family.

    Returns:
        `rows`, one per method in alphabetical order, and `test`, null where there is no pair of rates.
    """
    rates = contrast_rates(experiment)
    if rates is None:
        return {"rows": [], "test": None}
    rows = [_row(experiment, verdicts, method, rates, level) for method in experiment.methods]
    readable = [row["method"] for row in rows if row["conflicting"] is not None]
    if not readable:
        return {"rows": rows, "test": None}
    contrasts = np.array([_seed_contrasts(experiment, method, rates) for method in readable])
    flipped = joint_sign_flip(contrasts)
    adjusted = dict(zip(readable, flipped.adjusted_p or [None] * len(readable), strict=True))
    test = {"name": "joint sign-flip, max statistic", "family": readable, "seeds": flipped.num_seeds}
    test |= {"smallestReachableP": flipped.smallest_p, "note": flipped.note}
    return {"rows": [row | {"adjustedP": adjusted.get(row["method"])} for row in rows], "test": test}


def declared_contrast(experiment: Experiment, rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The contrast that the spec names, with whether its interval excludes 0; None where none was declared."""
    declared = experiment.spec.get("contrast")
    if declared is None:
        return None
    row = next((one for one in rows if one["method"] == declared["method"]), None)
    shown = {"method": declared["method"], "from": float(declared["from"]), "to": float(declared["to"])}
    shown["metric"] = "conflicting accuracy at `from` minus at `to`, test items"
    estimate = None if row is None else row["conflicting"]
    excludes = estimate is not None and estimate["low"] is not None and not estimate["low"] <= 0.0 <= estimate["high"]
    reason = "the method was not planned" if row is None else row["reason"]
    return shown | {"estimate": estimate, "excludesZero": excludes, "reason": reason}


def _row(experiment: Experiment, verdicts: Verdicts, method: str, rates: tuple[float, float], level: Level) -> dict[str, Any]:
    row: dict[str, Any] = {"method": method, "from": rates[0], "to": rates[1], "reason": None, "adjustedP": None}
    unread = [verdicts.get((method, rate), ("INCOMPLETE", f"rho {rate:g} was not planned")) for rate in rates]
    blocked = next(((verdict, reason) for verdict, reason in unread if verdict in UNREADABLE), None)
    if blocked is not None:
        nothing = dict.fromkeys(("conflicting", "balanced", "withinPracticalThreshold", "mcnemar"))
        return row | nothing | {"reason": f"{blocked[0]}: {blocked[1]}"}
    start, end = _renders(experiment, method, rates)
    subject, own = Subject(start, end=end), Level(level.confidence, f"{level.salt}/degradation/{method}")
    found = {metric.name: metric.estimate(subject, own) for metric in DEGRADATION_METRICS}
    row |= {name: None if one is None else one.document() for name, one in found.items()}
    narrow = DEGRADATION_METRICS[0].estimate(subject, Level(EQUIVALENCE_CONFIDENCE, own.salt))
    row["withinPracticalThreshold"] = _within(narrow, float(experiment.spec["practicalThreshold"]))
    row["mcnemar"] = _mcnemar(start, end)
    return row


def _renders(experiment: Experiment, method: str, rates: tuple[float, float]) -> tuple[Renders, Renders]:
    cells = [experiment.find(method, rate) for rate in rates]
    assert cells[0] is not None and cells[1] is not None, "an unplanned cell has no readable verdict"
    return cells[0].renders("test"), cells[1].renders("test")


def _within(narrow: Estimate | None, threshold: float) -> bool:
    if narrow is None or narrow.low is None or narrow.high is None:
        return False
    return -threshold < narrow.low and narrow.high < threshold


def _mcnemar(start: Renders, end: Renders) -> dict[str, Any] | None:
    """The test needs one checkpoint on each side, so it is given for one seed only."""
    if len(start.seeds) != 1:
        return None
    first, second = start.score("conflicting").arrays()[0], end.score("conflicting").arrays()[0]
    test = mcnemar_exact(list(first), list(second))
    return {"p": test.p_value, "onlyFrom": test.only_first, "onlyTo": test.only_second, "ties": test.ties}


def _seed_contrasts(experiment: Experiment, method: str, rates: tuple[float, float]) -> list[float]:
    start, end = _renders(experiment, method, rates)
    means = (start.score("conflicting") - end.score("conflicting")).seed_means()
    return [mean for mean in means.values() if mean is not None]
