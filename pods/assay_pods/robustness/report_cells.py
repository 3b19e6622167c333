"""The cells of the report: figures of one method at one rate, and the verdict that says whether they may be read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assay_pods.robustness.composites import cue_to_core, generation_estimate, length_check, worst_group
from assay_pods.robustness.estimates import Estimate, Level
from assay_pods.robustness.metrics import DERIVED_METRICS, GROUP_METRICS, Metric, Subject
from assay_pods.robustness.report_controls import CORE_NOT_LEARNED, Control, Gate, prompt_blind
from assay_pods.robustness.report_inputs import BASE, Cell, Experiment

DERIVED_NAMES = (*(metric.name for metric in DERIVED_METRICS), "cueToCore", "worstGroup")


@dataclass(frozen=True, slots=True)
class Judge:
    """All that a verdict rests on beside the cell itself."""

    experiment: Experiment
    gates: Mapping[str, Gate]
    controls: tuple[Control, ...]
    level: Level

    def control(self, kind: str, method: str | None = None) -> list[Control]:
        """The controls of one kind, of one method or of all."""
        return [one for one in self.controls if one.kind == kind and method in (None, one.method)]


def trained_cell(judge: Judge, cell: Cell) -> dict[str, Any]:
    """The block of one trained cell."""
    level = Level(judge.level.confidence, f"{judge.level.salt}/{cell.method}/{cell.rate}")
    subject = _subject(judge.experiment, cell)
    derived = {metric.name: metric.estimate(subject, level) for metric in DERIVED_METRICS} if cell.complete else {}
    verdict, reason = _verdict(judge, cell, derived)
    shown: dict[str, Any] = {"method": cell.method, "spuriousness": cell.rate, "verdict": verdict, "reason": reason}
    shown |= _facts(cell, level)
    if verdict in ("INCOMPLETE", "CORE_NOT_LEARNED", "CONTROL_FAILED"):
        return shown | dict.fromkeys(DERIVED_NAMES)
    ratio = cue_to_core(subject.own, level)
    shown |= {name: None if one is None else one.document() for name, one in derived.items()}
    return shown | {"cueToCore": None if ratio is None else ratio.document(), "worstGroup": worst_group(subject.own, level)}


def base_block(judge: Judge) -> dict[str, Any] | None:
    """The block of the untrained base, or None where it was not planned."""
    cell = judge.experiment.find(BASE, None)
    if cell is None:
        return None
    level = Level(judge.level.confidence, f"{judge.level.salt}/base")
    shown = _facts(cell, level) | {"coreGate": judge.gates[BASE].document()}
    if not cell.complete:
        return shown | dict.fromkeys(("gap", "coreMargin", "cueEffect", "worstGroup"))
    subject = Subject(cell.renders("test"))
    for metric in DERIVED_METRICS:
        if metric.name in ("gap", "coreMargin", "cueEffect"):
            found = metric.estimate(subject, level)
            shown[metric.name] = None if found is None else found.document()
    return shown | {"worstGroup": worst_group(subject.own, level)}


def _subject(experiment: Experiment, cell: Cell) -> Subject:
    control, base = experiment.find(cell.method, 0.0), experiment.find(BASE, None)
    at_zero = control.renders("test") if control is not None and control.complete and cell.rate != 0.0 else None
    return Subject(cell.renders("test"), at_zero, base.renders("test") if base is not None and base.complete else None)


def _facts(cell: Cell, level: Level) -> dict[str, Any]:
    renders = cell.renders("test")
    results = [run.result for run in cell.runs]
    groups = {metric.name: _group(metric, Subject(renders), level) for metric in GROUP_METRICS} if cell.runs else {}
    return {
        "seeds": [run.seed for run in cell.runs],
        "groups": groups,
        "generation": generation_estimate([result.get("generation") for result in results], level),
        "unequalLengths": length_check([item for run in cell.runs for item in run.items]),
        "realisedRho": [result.get("realisedRho") for result in results],
        "trainLoss": [result.get("trainLoss") for result in results],
        "tokens": sum(int(result.get("tokens") or 0) for result in results),
        "steps": sum(int(result.get("steps") or 0) for result in results),
        "perSeed": [
            {"seed": seed} | {relation: renders.score(relation).seed_means()[seed] for relation in ("aligned", "conflicting", "neutral")}
            for seed in renders.seeds
        ],
        "warnings": sorted({warning for result in results for warning in result.get("warnings") or []}),
        "seconds": {name: sum(float((result.get("seconds") or {}).get(name, 0.0)) for result in results) for name in ("wall", "cpu")},
    }


def _group(metric: Metric, subject: Subject, level: Level) -> dict[str, Any] | None:
    found = metric.estimate(subject, level)
    return None if found is None or found.value is None else found.document()


def _verdict(judge: Judge, cell: Cell, derived: Mapping[str, Estimate | None]) -> tuple[str, str]:
    gate = judge.gates[cell.method]
    if cell.missing:
        return "INCOMPLETE", "; ".join(f"seed {one.seed}: {one.reason}" for one in cell.missing)
    if gate.learned is None:
        return "INCOMPLETE", f"the control of {cell.method} at rho = 0 has no full result, so whether the core was learned is not known"
    if not gate.learned:
        return "CORE_NOT_LEARNED", CORE_NOT_LEARNED
    return _control_verdict(judge, cell) or _effect_verdict(judge, cell, derived)


def _control_verdict(judge: Judge, cell: Cell) -> tuple[str, str] | None:
    # A method without a positive control of its own stands on that of another: its cells are shown to be able to show an effect.
    needed = judge.control("RATE_ZERO", cell.method) + (judge.control("RATE_ONE", cell.method) or judge.control("RATE_ONE"))
    if judge.control("UNTRAINED_BASE")[0].passed is None:
        return "INCOMPLETE", "the untrained base has no full result"
    for control in needed:
        if control.passed is None:
            return "INCOMPLETE", f"the control {control.kind} of {control.method} has no full result"
    for control in needed:
        if not control.passed:
            return "CONTROL_FAILED", f"{control.kind} of {control.method}: {control.reason}"
    return _blind_verdict(judge, cell)


def _blind_verdict(judge: Judge, cell: Cell) -> tuple[str, str] | None:
    family = len(judge.experiment.cells)
    base = judge.experiment.find(BASE, None)
    for name, one in (("the base", base), (cell.method, cell)):
        if one is None:
            continue
        blind = prompt_blind(one.renders("test"), judge.level, family)
        if blind.excludes(0.5):
            return "CONTROL_FAILED", f"{name} tells right from wrong answers after another item's prompt: {_said(blind)}, wanted .5 inside"
    return None


def _effect_verdict(judge: Judge, cell: Cell, derived: Mapping[str, Estimate | None]) -> tuple[str, str]:
    own, adjusted, against_base = derived["gap"], derived["controlAdjustedGap"], derived["baseAdjustedGap"]
    assert own is not None and against_base is not None, "the gap and the base were checked before"
    if cell.rate == 0.0:
        return "NO_DIFFERENCE_SHOWN", f"negative control: no gap shown at this size, {_said(own)}"
    assert adjusted is not None, "the control at rho = 0 was checked before"
    if judge.control("UNTRAINED_BASE")[0].passed is False and own.excludes(0.0) and not against_base.excludes(0.0):
        return "BASE_EXPLAINS_GAP", f"the base's own bias explains the gap: G - G_base = {_said(against_base)}"
    if not adjusted.excludes(0.0):
        return "NO_DIFFERENCE_SHOWN", f"no effect of the correlation shown at this size: G(rho) - G(0) = {_said(adjusted)}"
    return "MEASURED", f"the correlation in the training data changed the gap: G(rho) - G(0) = {_said(adjusted)}"


def _said(found: Estimate) -> str:
    if found.value is None or found.low is None or found.high is None:
        return "no interval"
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
