"""Core gates and controls: what must hold before a figure of a method means anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assay_pods.robustness.estimates import DIFFERENCE, MEAN_OF_TWO, PROPORTION, Estimate, Level, estimate
from assay_pods.robustness.item_values import Measured, difference
from assay_pods.robustness.renders import Renders, balanced_of, cue_effect, gap_of, slice_margin_gap
from assay_pods.robustness.report_families import BASE, START, Cell, Family

CORE_CHANCE = 0.5
CORE_COMPARABLE = 0.75
CORE_NOT_LEARNED = "core not learned: robustness undefined"
INHERITED = "the gap is one that the model had before training, and training at rho = 0 is not shown to have widened it"

GateKey = tuple[str, float | None]
"""Method and learning rate."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether a method's rho = 0 control can do the task at all, on validation items."""

    family: Family
    method: str
    learning_rate: float | None
    estimate: Estimate | None
    beside: Estimate | None

    @property
    def learned(self) -> bool | None:
        """Whether the interval lies above what a pure shortcut scores; None when it was not measured."""
        if self.estimate is None or self.estimate.value is None:
            return None
        return self.estimate.low is not None and self.estimate.low > CORE_CHANCE

    @property
    def comparable(self) -> bool:
        """Whether the core is firm enough for a comparison of methods to be thinkable."""
        return self.learned is True and self.estimate is not None and self.estimate.low is not None and self.estimate.low > CORE_COMPARABLE

    @property
    def name(self) -> str:
        """The method, with its learning rate where several were trained."""
        return self.method if self.learning_rate is None else f"{self.method} (learning rate {self.learning_rate:g})"

    def document(self) -> dict[str, Any]:
        """As the report writes it."""
        shown: dict[str, Any] = {"task": self.family.task, "artifact": self.family.artifact, "method": self.method}
        shown |= {"variant": None, "learningRate": self.learning_rate}
        shown["estimate"] = None if self.estimate is None else self.estimate.document()
        beside = None if self.beside is None or self.beside.value is None else self.beside.document()
        shown["unseenSlice" if self.family.narrow else "neutral"] = beside
        return shown | {"passed": self.learned is True, "comparable": self.comparable, "reason": self._reason()}

    def _reason(self) -> str:
        if self.learned is None:
            what = {BASE: "the base", START: "the start model"}.get(self.method, "the control at rho = 0")
            return f"not measured: {what} has no full result"
        if not self.learned:
            return CORE_NOT_LEARNED
        weak = f"core learned, but not firmly (lower bound at most {CORE_COMPARABLE}): no comparison of methods"
        return "core learned" if self.comparable else weak


@dataclass(frozen=True, slots=True)
class Control:
    """One control; `passed` is None when it has no full result."""

    kind: str
    family: Family
    method: str
    learning_rate: float | None
    passed: bool | None
    reason: str
    shown: Mapping[str, Estimate]

    def document(self) -> dict[str, Any]:
        """As the report writes it."""
        named: dict[str, Any] = {"kind": self.kind, "task": self.family.task, "artifact": self.family.artifact, "method": self.method}
        named |= {"variant": None, "learningRate": self.learning_rate}
        figures = {name: one.document() for name, one in self.shown.items()}
        return named | {"passed": self.passed is True, "reason": self.reason} | figures


def core_gates(family: Family, level: Level) -> dict[GateKey, Gate]:
    """The gates of a family: of the base, of the start model if there is one, and of every method at every learning rate."""
    found: dict[GateKey, Gate] = {(BASE, None): _gate(family, (BASE, None), family.find(BASE, None), level)}
    start = family.find(START, None)
    if start is not None:
        found[START, None] = _gate(family, (START, None), start, level)
    for method in family.methods:
        for rate in family.learning_rates(method):
            found[method, rate] = _gate(family, (method, rate), family.find(method, 0.0, rate), level)
    return found


def _gate(family: Family, key: GateKey, cell: Cell | None, level: Level) -> Gate:
    if cell is None or not cell.complete:
        return Gate(family, *key, None, None)
    renders, own = cell.renders("validation"), Level(level.confidence, f"{level.salt}/gate/{cell.name}")
    beside = renders.choice("unseen_slice" if family.narrow else "neutral")
    return Gate(family, *key, estimate(balanced_of(renders, family.narrow), MEAN_OF_TWO, own), estimate(beside, PROPORTION, own))


def controls(family: Family, level: Level) -> list[Control]:
    """Every control that was planned: the untrained base, rho = 0 for each method and learning rate, and rho = 1."""
    found = [_no_gap("UNTRAINED_BASE", family, (BASE, None), family.find(BASE, None), level)]
    keys = [(method, rate) for method in family.methods for rate in family.learning_rates(method)]
    found += [_no_gap("RATE_ZERO", family, key, family.find(key[0], 0.0, key[1]), level) for key in keys]
    planned_at_one = [key for key in keys if family.find(key[0], 1.0, key[1]) is not None]
    return found + [_effect(family, key, level) for key in planned_at_one]


def _no_gap(kind: str, family: Family, key: GateKey, cell: Cell | None, level: Level) -> Control:
    if cell is None or not cell.complete:
        return Control(kind, family, *key, None, "not planned" if cell is None else "no full result", {})
    own = Level(level.confidence, f"{level.salt}/{kind}/{cell.name}")
    measured = estimate(gap_of(cell.renders("test"), family.narrow), DIFFERENCE, own)
    if family.narrow:
        reason = "slices differ in difficulty: this gap is what others are read against"
        return Control(kind, family, *key, measured.value is not None, reason, {"gap": measured})
    if measured.value is not None and not measured.excludes(0.0):
        return Control(kind, family, *key, True, "the gap's interval includes 0", {"gap": measured})
    before = family.find(START, None) or family.find(BASE, None)
    gaps = [gap_of(one.renders("test"), family.narrow) for one in (cell, before) if one is not None and one.complete]
    if kind == "RATE_ZERO" and len(gaps) == 2 and _inherited(measured, gaps[0], gaps[1], own):
        return Control(kind, family, *key, True, INHERITED, {"gap": measured})
    wrong = "the gap's interval excludes 0 although nothing tied the cue to the right answer"
    return Control(kind, family, *key, False, wrong, {"gap": measured})


def _inherited(gap: Estimate, now: Measured, before: Measured, level: Level) -> bool:
    """Whether the model that training began with leans the same way, and training is not shown to have widened the gap."""
    had, change = estimate(before, DIFFERENCE, level), estimate(difference(now, before), None, level)
    if gap.value is None or had.value is None or not had.excludes(0.0) or had.value * gap.value <= 0.0:
        return False
    if change.low is None or change.high is None:
        return False
    return change.low <= 0.0 if had.value > 0.0 else change.high >= 0.0


def _effect(family: Family, key: GateKey, level: Level) -> Control:
    """Where the artifact was total, the margins must show it: against the base, or for slices against rho = 0."""
    cell = family.find(key[0], 1.0, key[1])
    against = family.find(key[0], 0.0, key[1]) if family.narrow else family.find(BASE, None)
    if cell is None or against is None or not cell.complete or not against.complete:
        return Control("RATE_ONE", family, *key, None, "no full result", {})
    own = Level(level.confidence, f"{level.salt}/RATE_ONE/{cell.name}")
    renders, reference = cell.renders("test"), against.renders("test")
    if family.narrow:
        change = estimate(slice_margin_gap(renders) - slice_margin_gap(reference), None, own)
        passed = _above_zero(change)
        reason = "in-slice margins rose against those of other slices" if passed else "no effect where all rows were of one slice"
        return Control("RATE_ONE", family, *key, passed, reason, {"marginGapChange": change})
    effects: Measured = cue_effect(renders)
    absolute, change = estimate(effects, None, own), estimate(effects - cue_effect(reference), None, own)
    passed = _above_zero(absolute) and _above_zero(change)
    reason = "the cue effect is above 0, and above the base's" if passed else "no cue effect was found where the cue was always right"
    return Control("RATE_ONE", family, *key, passed, reason, {"cueEffect": absolute, "cueEffectChange": change})


def _above_zero(found: Estimate) -> bool:
    return found.low is not None and found.low > 0.0


def prompt_blind(renders: Renders, level: Level, family_size: int) -> Estimate:
    """Accuracy after another item's prompt, with an interval that holds for all cells together (Bonferroni)."""
    confidence = 1 - (1 - level.confidence) / max(1, family_size)
    return estimate(renders.choice("prompt_blind"), PROPORTION, Level(confidence, level.salt))
