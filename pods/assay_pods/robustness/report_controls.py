"""Core gates and controls: what must hold before a figure of a method means anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assay_pods.robustness.estimates import DIFFERENCE, MEAN_OF_TWO, PROPORTION, Estimate, Level, estimate
from assay_pods.robustness.metrics import Renders, balanced, cue_effect, gap
from assay_pods.robustness.report_inputs import BASE, Cell, Experiment

CORE_CHANCE = 0.5
CORE_COMPARABLE = 0.75
CORE_NOT_LEARNED = "core not learned: robustness undefined"


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether a method's rho = 0 control can do the task at all, on validation items."""

    method: str
    estimate: Estimate | None
    neutral: Estimate | None

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

    def document(self) -> dict[str, Any]:
        """As the report writes it."""
        shown = {"method": self.method, "estimate": None if self.estimate is None else self.estimate.document()}
        neutral = None if self.neutral is None or self.neutral.value is None else self.neutral.document()
        return shown | {"neutral": neutral, "passed": self.learned is True, "comparable": self.comparable, "reason": self._reason()}

    def _reason(self) -> str:
        if self.learned is None:
            return (
                "not measured: the control at rho = 0 has no full result"
                if self.method != BASE
                else "not measured: the base has no full result"
            )
        if not self.learned:
            return CORE_NOT_LEARNED
        return (
            "core learned"
            if self.comparable
            else f"core learned, but not firmly (lower bound at most {CORE_COMPARABLE}): no comparison of methods"
        )


@dataclass(frozen=True, slots=True)
class Control:
    """One control; `passed` is None when it has no full result."""

    kind: str
    method: str
    passed: bool | None
    reason: str
    shown: Mapping[str, Estimate]

    def document(self) -> dict[str, Any]:
        """As the report writes it."""
        figures = {name: one.document() for name, one in self.shown.items()}
        return {"kind": self.kind, "method": self.method, "passed": self.passed is True, "reason": self.reason} | figures


def core_gate(experiment: Experiment, method: str, level: Level) -> Gate:
    """The gate of one method: balanced accuracy of its rho = 0 control (or of the base itself) on validation items."""
    cell = experiment.find(method, None if method == BASE else 0.0)
    if cell is None or not cell.complete:
        return Gate(method, None, None)
    renders, own = cell.renders("validation"), Level(level.confidence, f"{level.salt}/gate/{method}")
    return Gate(method, estimate(balanced(renders), MEAN_OF_TWO, own), estimate(renders.score("neutral"), PROPORTION, own))


def controls(experiment: Experiment, level: Level) -> list[Control]:
    """Every control that was planned: the untrained base, rho = 0 for each method, and rho = 1."""
    found = [_no_gap("UNTRAINED_BASE", experiment.find(BASE, None), BASE, level)]
    found += [_no_gap("RATE_ZERO", experiment.find(method, 0.0), method, level) for method in experiment.methods]
    planned_at_one = [method for method in experiment.methods if experiment.find(method, 1.0) is not None]
    return found + [_cue_effect(experiment, method, level) for method in planned_at_one]


def _no_gap(kind: str, cell: Cell | None, method: str, level: Level) -> Control:
    if cell is None:
        return Control(kind, method, None, "not planned", {})
    if not cell.complete:
        return Control(kind, method, None, "no full result", {})
    measured = estimate(gap(cell.renders("test")), DIFFERENCE, Level(level.confidence, f"{level.salt}/{kind}/{method}"))
    passed = measured.value is not None and not measured.excludes(0.0)
    reason = (
        "the gap's interval includes 0" if passed else "the gap's interval excludes 0 although nothing tied the cue to the right answer"
    )
    return Control(kind, method, passed, reason, {"gap": measured})


def _cue_effect(experiment: Experiment, method: str, level: Level) -> Control:
    cell, base = experiment.find(method, 1.0), experiment.find(BASE, None)
    if cell is None or base is None or not cell.complete or not base.complete:
        return Control("RATE_ONE", method, None, "no full result", {})
    own = Level(level.confidence, f"{level.salt}/RATE_ONE/{method}")
    effect = cue_effect(cell.renders("test"))
    absolute = estimate(effect, None, own)
    change = estimate(effect - cue_effect(base.renders("test")), None, own)
    passed = _above_zero(absolute) and _above_zero(change)
    reason = "the cue effect is above 0, and above the base's" if passed else "no cue effect was found where the cue was always right"
    return Control("RATE_ONE", method, passed, reason, {"cueEffect": absolute, "cueEffectChange": change})


def _above_zero(found: Estimate) -> bool:
    return found.low is not None and found.low > 0.0


def prompt_blind(renders: Renders, level: Level, family_size: int) -> Estimate:
    """Accuracy after another item's prompt, with an interval that holds for all cells together (Bonferroni)."""
    confidence = 1 - (1 - level.confidence) / max(1, family_size)
    return estimate(renders.score("prompt_blind"), PROPORTION, Level(confidence, level.salt))
