"""The cells of the report: figures of one method at one rate, and the verdict that says whether they may be read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay_pods.robustness.composites import cue_to_core, length_check, text_scores, variant_transfer
from assay_pods.robustness.estimates import Estimate, Level
from assay_pods.robustness.generation_counts import generation_estimate
from assay_pods.robustness.metrics import Metric, derived_metrics, group_metrics
from assay_pods.robustness.renders import Subject
from assay_pods.robustness.report_controls import CORE_NOT_LEARNED, INHERITED, Control, Gate, GateKey, prompt_blind
from assay_pods.robustness.report_curve import curves
from assay_pods.robustness.report_families import BASE, MIN_TEXTS, START, Cell, Family
from assay_pods.robustness.worst_group import worst_group

UNREADABLE = ("INCOMPLETE", "CORE_NOT_LEARNED", "CONTROL_FAILED")
NO_CLAIM = (*UNREADABLE, "TEXT_TOO_FEW", "SCORES_DISAGREE")


@dataclass(frozen=True, slots=True)
class Judge:
    """All that a verdict rests on beside the cell itself, for one family."""

    family: Family
    gates: Mapping[GateKey, Gate]
    controls: tuple[Control, ...]
    level: Level
    num_cells: int
    """Of the whole experiment: checks that every cell must pass hold for all of them together."""

    def control(self, kind: str, cell: Cell | None = None) -> list[Control]:
        """The controls of one kind, of one cell's method and learning rate or of all."""
        return [one for one in self.controls if one.kind == kind and (cell is None or (one.method, one.learning_rate) == _gate_key(cell))]


def _gate_key(cell: Cell) -> GateKey:
    return (cell.method, cell.key.learning_rate)


def derived_names(narrow: bool) -> tuple[str, ...]:
    """The fields of a cell that are null where its figures may not be read."""
    composed = () if narrow else ("cueToCore", "variantTransfer")
    return (*(metric.name for metric in derived_metrics(narrow)), *composed, "worstGroup")


def trained_cell(judge: Judge, cell: Cell) -> dict[str, Any]:
    """The block of one trained cell."""
    narrow = judge.family.narrow
    level = Level(judge.level.confidence, f"{judge.level.salt}/{cell.name}")
    subject = _subject(judge.family, cell)
    derived = {metric.name: metric.estimate(subject, level) for metric in derived_metrics(narrow)} if cell.complete else {}
    facts = _facts(judge.family, cell, level)
    verdict, reason = _verdict(judge, cell, (derived, facts["unequalLengths"]))
    shown = cell.identity() | {"verdict": verdict, "reason": reason} | facts
    if verdict in UNREADABLE:
        return shown | dict.fromkeys(derived_names(narrow))
    shown |= {name: None if one is None else one.document() for name, one in derived.items()}
    if not narrow:
        ratios = {"cueToCore": cue_to_core(subject.own, level), "variantTransfer": variant_transfer(subject.own, level)}
        shown |= {name: None if one is None else one.document() for name, one in ratios.items()}
    return shown | {"worstGroup": worst_group(subject.own, level)}


def untrained_cell(judge: Judge, method: str) -> dict[str, Any] | None:
    """The block of the untrained base or of the start model, or None where it was not planned."""
    cell, narrow = judge.family.find(method, None), judge.family.narrow
    if cell is None:
        return None
    level = Level(judge.level.confidence, f"{judge.level.salt}/{method.lower()}")
    shown = cell.identity() | _facts(judge.family, cell, level) | {"coreGate": judge.gates[method, None].document()}
    wanted = ("gap", "coreMargin", "marginGap") if narrow else ("gap", "coreMargin", "cueEffect")
    if not cell.complete:
        return shown | dict.fromkeys((*wanted, "worstGroup"))
    subject = Subject(cell.renders("test"))
    for metric in derived_metrics(narrow):
        if metric.name in wanted:
            found = metric.estimate(subject, level)
            shown[metric.name] = None if found is None else found.document()
    return shown | {"worstGroup": worst_group(subject.own, level)}


def _subject(family: Family, cell: Cell) -> Subject:
    control, base = family.control_of(cell), family.find(BASE, None)
    own_control = cell.rate == 0.0 and cell.key.variant is None
    at_zero = control.renders("test") if control is not None and control.complete and not own_control else None
    return Subject(cell.renders("test"), at_zero, base.renders("test") if base is not None and base.complete else None)


def _facts(family: Family, cell: Cell, level: Level) -> dict[str, Any]:
    renders, narrow = cell.renders("test"), family.narrow
    results = [run.result for run in cell.runs]
    groups = {metric.name: _group(metric, Subject(renders), level) for metric in group_metrics(narrow)} if cell.runs else {}
    counted = (sum(run.table.unequal for run in cell.runs), sum(run.table.tested for run in cell.runs))
    by_seed = ("in_slice", "out_slice", "unseen_slice") if narrow else ("aligned", "conflicting", "neutral")
    return {
        "seeds": [run.seed for run in cell.runs],
        "primaryScore": "generatedText" if cell.by_text else "forcedChoice",
        "groups": groups,
        "generation": generation_estimate([result.get("generation") for result in results], level),
        "generated": text_scores(renders, level),
        "unequalLengths": length_check(renders, *counted) if cell.runs else None,
        "learningRates": [result.get("learningRate") for result in results],
        "curve": [one for one in curves(family, cell) if one],
        "realisedRho": [result.get("realisedRho") for result in results],
        "trainLoss": [result.get("trainLoss") for result in results],
        "tokens": sum(int(result.get("tokens") or 0) for result in results),
        "steps": sum(int(result.get("steps") or 0) for result in results),
        "perSeed": [
            {"seed": seed} | {relation: renders.score(relation).seed_means()[seed] for relation in by_seed} for seed in renders.seeds
        ],
        "warnings": sorted({warning for result in results for warning in result.get("warnings") or []}),
        "seconds": {name: sum(float((result.get("seconds") or {}).get(name, 0.0)) for result in results) for name in ("wall", "cpu")},
    }


def _group(metric: Metric, subject: Subject, level: Level) -> dict[str, Any] | None:
    found = metric.estimate(subject, level)
    return None if found is None or found.value is None else found.document()


Found = tuple[Mapping[str, Estimate | None], Mapping[str, Any] | None]
"""The derived estimates of a cell, and its check of unequal lengths."""


def _verdict(judge: Judge, cell: Cell, found: Found) -> tuple[str, str]:
    gate = judge.gates[_gate_key(cell)] if _gate_key(cell) in judge.gates else Gate(judge.family, *_gate_key(cell), None, None)
    if cell.missing:
        return "INCOMPLETE", "; ".join(f"seed {one.seed}: {one.reason}" for one in cell.missing)
    if gate.learned is None:
        return "INCOMPLETE", f"the control of {gate.name} at rho = 0 has no full result, so whether the core was learned is not known"
    if not gate.learned:
        return "CORE_NOT_LEARNED", CORE_NOT_LEARNED
    return _control_verdict(judge, cell) or _score_verdict(cell, found[1]) or _effect_verdict(judge, cell, found[0])


def _control_verdict(judge: Judge, cell: Cell) -> tuple[str, str] | None:
    # A method without a positive control of its own stands on that of another: its cells are shown to be able to show an effect.
    needed = judge.control("RATE_ZERO", cell) + (judge.control("RATE_ONE", cell) or judge.control("RATE_ONE"))
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
    named = (("the base", judge.family.find(BASE, None)), ("the start model", judge.family.find(START, None)), (cell.method, cell))
    for name, one in named:
        if one is None or not one.runs:
            continue
        blind = prompt_blind(one.renders("test"), judge.level, judge.num_cells)
        if blind.excludes(0.5):
            return "CONTROL_FAILED", f"{name} tells right from wrong answers after another item's prompt: {_said(blind)}, wanted .5 inside"
    return None


def _score_verdict(cell: Cell, lengths: Mapping[str, Any] | None) -> tuple[str, str] | None:
    """Whether the primary score may carry a claim: forced choice between answers of unequal token counts seldom may."""
    if lengths is None or cell.by_text:
        return None
    if cell.too_few_texts is not None:
        size = f"{MIN_TEXTS} texts wanted in every group of test and validation prompts, got {cell.too_few_texts} in one"
        return "TEXT_TOO_FEW", f"generated text not measurable at this size ({size}), and answers differ in token count: no claim is made"
    differing: Sequence[str] = lengths["disagreeing"]
    if not differing:
        return None
    pairs = [f"{name} {lengths['accuracyBySum'][name]:.2f} by sum, {lengths['accuracyByMean'][name]:.2f} by mean" for name in differing]
    return "SCORES_DISAGREE", f"answers differ in token count and forced choice depends on it ({'; '.join(pairs)}): no claim rests on it"


def _effect_verdict(judge: Judge, cell: Cell, derived: Mapping[str, Estimate | None]) -> tuple[str, str]:
    own, adjusted, against_base = derived["gap"], derived["controlAdjustedGap"], derived["baseAdjustedGap"]
    assert own is not None and against_base is not None, "the gap and the base were checked before"
    if adjusted is None:
        assert cell.rate == 0.0, "the control at rho = 0 was checked before"
        if not judge.family.narrow and own.excludes(0.0):
            return "BASE_EXPLAINS_GAP", f"{INHERITED}: {_said(own)}"
        found = (
            "negative control: the gap that others are read against"
            if judge.family.narrow
            else "negative control: no gap shown at this size"
        )
        return "NO_DIFFERENCE_SHOWN", f"{found}, {_said(own)}"
    base_leans = any(control.shown["gap"].excludes(0.0) for control in judge.control("UNTRAINED_BASE") if "gap" in control.shown)
    if base_leans and own.excludes(0.0) and not against_base.excludes(0.0):
        return "BASE_EXPLAINS_GAP", f"the base's own bias explains the gap: G - G_base = {_said(against_base)}"
    if not adjusted.excludes(0.0):
        return "NO_DIFFERENCE_SHOWN", f"no effect of the correlation shown at this size: G(rho) - G(0) = {_said(adjusted)}"
    return "MEASURED", f"the correlation in the training data changed the gap: G(rho) - G(0) = {_said(adjusted)}"


def _said(found: Estimate) -> str:
    if found.value is None or found.low is None or found.high is None:
        return "no interval"
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
