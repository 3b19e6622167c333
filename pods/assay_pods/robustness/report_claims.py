"""Three claims of a paper (arXiv 2505.05704) as answers that are computed by rules laid down before any run."""

from collections.abc import Mapping, Sequence
from typing import Any

from assay_pods.common.stats_seeds import MIN_SEEDS_FOR_TEST
from assay_pods.robustness.estimates import DIFFERENCE, Level, estimate
from assay_pods.robustness.item_values import ItemValues
from assay_pods.robustness.renders import suffering
from assay_pods.robustness.report_contrasts import Contrast, contrast_rates, tested
from assay_pods.robustness.report_families import CellKey, Experiment, Family
from assay_pods.robustness.report_methods import Gates

SUPPORTED, NOT_SUPPORTED, NOT_MEASURABLE = "SUPPORTED", "NOT_SUPPORTED", "NOT_MEASURABLE"
TASKS = ("MATH_REASONING", "CONSTRAINED_INSTRUCTION_FOLLOWING", "DOCUMENT_GROUNDED_QA")
MIN_CELLS = 9

Row = Mapping[str, Any]


def claims(experiment: Experiment, lost: Sequence[Contrast], by_rate: Sequence[Row], gates: Gates, level: Level) -> list[dict[str, Any]]:
    """The three answers, each with its reason; all hold for this model, size and trainer only."""
    return [
        _degrade(experiment, lost, level),
        _maths(experiment, by_rate, gates, level),
        _documents(experiment, gates, level),
    ]


def _answer(claim: str, estimand: str, found: tuple[str, str], scale: str) -> dict[str, Any]:
    return {"claim": claim, "estimand": estimand, "answer": found[0], "reason": found[1], "atThisScale": scale}


def _scale(experiment: Experiment) -> str:
    spec = experiment.spec
    source = spec["model"]["source"]
    model = " ".join(str(value) for key, value in sorted(source.items()) if key != "kind")
    core = (spec.get("data") or {}).get("core")
    return f"{model}, {spec['trainer']['kind']}, {'' if core is None else f'{core} core, '}{len(experiment.seeds)} seeds"


def _degrade(experiment: Experiment, lost: Sequence[Contrast], level: Level) -> dict[str, Any]:
    claim = "Performance often but not always degrades at a higher spuriousness."
    estimand = (
        "D of every method, task and artifact, lower rate minus higher rate; at least one above 0 and one within the threshold, family-wise"
    )
    rows = [one for one in lost if one.row["task"] in TASKS]
    read = [one for one in rows if one.values is not None]
    if len(read) < MIN_CELLS:
        found = (NOT_MEASURABLE, f"{len(read)} cells passed core gate and controls, and {MIN_CELLS} are needed")
    elif len(experiment.seeds) < MIN_SEEDS_FOR_TEST:
        found = (NOT_MEASURABLE, f"{len(experiment.seeds)} seeds cannot reach significance, {MIN_SEEDS_FOR_TEST} can")
    else:
        alpha = 1 - level.confidence
        below = [_name(one.row) for one in read if (one.row["adjustedP"] or 1.0) <= alpha and one.row["estimate"]["value"] > 0]
        threshold = float(experiment.spec["practicalThreshold"])
        kept = [_name(one.row) for one in read if one.values is not None and _equivalent(one.values, threshold, len(read))]
        reason = f"degraded: {', '.join(below) or 'none shown'}; within {threshold:g}: {', '.join(kept) or 'none shown'}"
        found = (SUPPORTED if below and kept else NOT_SUPPORTED, reason)
    return _answer(claim, estimand, found, _scale(experiment))


def _equivalent(values: ItemValues, threshold: float, family: int) -> bool:
    """The 90 % interval inside the threshold, for all members of the family together (Bonferroni)."""
    one = estimate(values, DIFFERENCE, Level(1 - 0.10 / family, "claims"))
    return one.low is not None and one.high is not None and -threshold < one.low and one.high < threshold


def _name(row: Row) -> str:
    rate = "" if row["learningRate"] is None else f" lr {row['learningRate']:g}"
    return f"{row['method']}{rate} on {row['task']} x {row['artifact']}"


def _maths(experiment: Experiment, by_rate: Sequence[Row], gates: Gates, level: Level) -> dict[str, Any]:
    claim = "DPO and KTO can be relatively robust in mathematical reasoning."
    estimand = "D of SFT minus D of DPO, and minus D of KTO, MATH_REASONING; above 0 family-wise, same sign over the learning rates"
    rows = [one for one in by_rate if one["task"] == "MATH_REASONING" and "SFT" in (one["method"], one["against"])]
    if not rows:
        return _answer(claim, estimand, (NOT_MEASURABLE, "no maths with SFT and a preference method was planned"), _scale(experiment))
    # The first method of a pair is the first by name, so SFT always comes second: BETTER means that it loses more.
    better = [f"{one['method']} x {one['artifact']}" for one in rows if one["verdict"] == "BETTER"]
    blocked = [
        f"{one['method']} x {one['artifact']}: {one['reason']}" for one in rows if one["verdict"] in ("NOT_MEASURABLE", "NO_COMPARISON")
    ]
    if better:
        found = (SUPPORTED, f"SFT loses more than {', '.join(better)}")
    elif len(blocked) == len(rows):
        found = (NOT_MEASURABLE, "; ".join(blocked))
    else:
        found = (NOT_SUPPORTED, "; ".join(f"{one['method']} x {one['artifact']}: {one['reason']}" for one in rows))
    return _answer(claim, estimand, found, _scale(experiment))


def _documents(experiment: Experiment, gates: Gates, level: Level) -> dict[str, Any]:
    claim = "SFT keeps more in complex, context-intensive tasks."
    estimand = "conflicting (out-of-slice) accuracy of SFT minus that of DPO and KTO at the higher rate, documents of 4 sentences or more"
    families = [family for family in experiment.families if family.task == "DOCUMENT_GROUNDED_QA"]
    data = experiment.spec.get("data") or {}
    if not families:
        found = (NOT_MEASURABLE, "no DOCUMENT_GROUNDED_QA was planned")
    elif data.get("kind") == "GENERATED" and data.get("core") != "FULL":
        found = (NOT_MEASURABLE, "documents of the laptop core have two sentences")
    else:
        found = _documents_found(experiment, families, gates, level)
    return _answer(claim, estimand, found, _scale(experiment))


def _documents_found(experiment: Experiment, families: Sequence[Family], gates: Gates, level: Level) -> tuple[str, str]:
    contrasts: list[Contrast] = []
    blocked: list[str] = []
    for family in families:
        rates = contrast_rates(experiment, family)
        for other in (method for method in family.methods if method in ("DPO", "KTO")):
            name = f"{other} x {family.artifact}"
            pairs = [] if rates is None else _pairs(family, other, rates[1], gates)
            if not pairs:
                blocked.append(f"{name}: the core gate fails or a cell is missing")
            elif min(len(family.learning_rates(method)) for method in ("SFT", other)) < 2:
                blocked.append(f"{name}: one learning rate")
            else:
                total = pairs[0]
                for one in pairs[1:]:
                    total = total + one
                signs = {_sign(one) for one in pairs}
                contrasts.append(Contrast({"name": name, "sameSign": signs == {1}}, total.scaled(1 / len(pairs))))
    if not contrasts:
        return NOT_MEASURABLE, "; ".join(blocked)
    judged, _ = tested(contrasts)
    alpha = 1 - level.confidence
    shown = [one.row["name"] for one in judged if one.row["sameSign"] and (one.row["adjustedP"] or 1.0) <= alpha]
    if len(experiment.seeds) < MIN_SEEDS_FOR_TEST:
        return NOT_MEASURABLE, f"{len(experiment.seeds)} seeds cannot reach significance, {MIN_SEEDS_FOR_TEST} can"
    return (SUPPORTED, f"SFT keeps more than {', '.join(shown)}") if shown else (NOT_SUPPORTED, "no such difference shown at this size")


def _pairs(family: Family, other: str, rate: float, gates: Gates) -> list[ItemValues]:
    """SFT minus the other method at every pair of learning rates whose core gates pass."""
    found: list[ItemValues] = []
    if "SFT" not in family.methods:
        return found
    for mine in family.learning_rates("SFT"):
        for theirs in family.learning_rates(other):
            keys = (("SFT", mine), (other, theirs))
            cells = [family.cells.get(CellKey(method, rate, None, learning)) for method, learning in keys]
            if any(cell is None or not cell.complete for cell in cells) or not all(gates[family.key][key].comparable for key in keys):
                continue
            scores = [cell.renders("test").score(suffering(family.narrow)) for cell in cells if cell is not None]
            found.append(scores[0] - scores[1])
    return found


def _sign(values: ItemValues) -> int:
    means = [mean for mean in values.seed_means().values() if mean is not None]
    total = sum(means)
    return (total > 0) - (total < 0)
