"""The metrics of a robustness report, each as data: what it is, its range, and how it is made from scored items.

rho is the spuriousness rate. Where a metric says "control" it means the same method, seed and learning rate trained at
rho = 0, and "base" the untrained model.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from assay_pods.common.stats import Bounds
from assay_pods.robustness import renders as made
from assay_pods.robustness.estimates import DIFFERENCE, DOUBLE_DIFFERENCE, MEAN_OF_TWO, PROPORTION, Estimate, Level, estimate
from assay_pods.robustness.item_values import Measured, difference
from assay_pods.robustness.renders import Renders, Subject

__all__ = ["Metric", "Renders", "Subject", "degradation_metrics", "derived_metrics", "group_metrics"]

FORCED_CHOICE = "Sum of log-probabilities over the answer's tokens, chosen against rejected; a tie counts half."
MILLER = "Miller 2024, arXiv 2411.00640 (paired differences)"
AGRESTI = "Agresti and Caffo 2000, TAS 54:280 (interval)"
OURS = "own definition"
HIGHER, ROBUST = "higher is better", "0 is robust"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric: `compute` gives its per-item values, or None where a model that it needs is missing."""

    name: str
    definition: str
    bounds: Bounds | None
    direction: str
    citation: str
    compute: Callable[[Subject], Measured | None]

    def document(self) -> dict[str, Any]:
        """The metric as the report describes it; `nothing` is what stands for no items or a missing model."""
        ends = None if self.bounds is None else [self.bounds.low, self.bounds.high]
        described: dict[str, Any] = {
            "name": self.name,
            "definition": self.definition,
            "range": ends,
            "unit": "nats" if ends is None else "share",
        }
        return described | {"direction": self.direction, "citation": self.citation, "nothing": None}

    def estimate(self, subject: Subject, level: Level) -> Estimate | None:
        """The metric's mean with its interval; None where a model that it needs is missing."""
        values = self.compute(subject)
        return None if values is None else estimate(values, self.bounds, Level(level.confidence, f"{level.salt}/{self.name}"))


def _metric(name: str, bounds: Bounds | None, words: tuple[str, str, str], compute: Callable[[Subject], Measured | None]) -> Metric:
    definition, direction, citation = words
    return Metric(name=name, definition=definition, bounds=bounds, direction=direction, citation=citation, compute=compute)


def _accuracy(name: str, relation: str, definition: str, direction: str = HIGHER) -> Metric:
    # After another item's prompt nothing is generated: that check is always forced choice.
    pick = Renders.choice if relation == "prompt_blind" else Renders.score
    words = (f"{definition} {FORCED_CHOICE}", direction, "Wilson 1927, JASA 22:209 (interval)")
    return _metric(name, PROPORTION, words, lambda subject: pick(subject.own, relation))


def _against(other: str, measure: Callable[[Renders], Measured]) -> Callable[[Subject], Measured | None]:
    def compute(subject: Subject) -> Measured | None:
        reference: Renders | None = getattr(subject, other)
        return None if reference is None else difference(measure(subject.own), measure(reference))

    return compute


def _own(measure: Callable[[Renders], Measured]) -> Callable[[Subject], Measured]:
    return lambda subject: measure(subject.own)


_BLIND = _accuracy(
    "promptBlind", "prompt_blind", "Accuracy after another item's prompt; .5 unless the answers give themselves away.", "should be .5"
)
_CHANGE = "G(rho) - G(0): the effect of the correlation in the training data."
_FROM_BASE = "G - G_base: the effect of training, the core task included."

GROUP_METRICS = (
    _accuracy("aligned", "aligned", "Accuracy on test items whose cue stands with the right answer."),
    _accuracy("conflicting", "conflicting", "Accuracy on test items whose cue stands with the wrong answer."),
    _accuracy("neutral", "neutral", "Accuracy on test items without the cue."),
    _accuracy("heldoutAligned", "heldout_aligned", "Aligned accuracy with a wording of the cue that was never trained."),
    _accuracy("heldoutConflicting", "heldout_conflicting", "Conflicting accuracy with a wording of the cue that was never trained."),
    _accuracy("decoy", "decoy", "Accuracy with a cue that names a third answer: the neutral in the format of the training rows."),
    _accuracy("cueOnBoth", "cue_on_both", "Accuracy with the cue on both sentences, where it tells nothing."),
    _accuracy("otherCueOnBoth", "other_cue_on_both", "Accuracy with the other opener on both sentences."),
    _BLIND,
    _metric(
        "balanced",
        MEAN_OF_TWO,
        ("Mean of the aligned and the conflicting accuracy; .5 for a model that only follows the cue.", HIGHER, OURS),
        _own(made.balanced),
    ),
)

SLICE_GROUP_METRICS = (
    _accuracy("inSlice", "in_slice", "Accuracy on test items of the slice that training was narrowed to."),
    _accuracy("outSlice", "out_slice", "Accuracy on test items of the other trained slices, equally many of each."),
    _accuracy("unseenSlice", "unseen_slice", "Accuracy on test items of the slice that is never trained."),
    _BLIND,
    _metric("balanced", PROPORTION, ("Mean of the in-slice and the out-of-slice accuracy.", HIGHER, OURS), _own(made.slice_balanced)),
)

DERIVED_METRICS = (
    _metric(
        "gap",
        DIFFERENCE,
        ("G = A_aligned - A_conflicting over pairs.", ROBUST, "Bonett and Price 2012, BJMSP 65:479 (interval)"),
        _own(made.gap),
    ),
    _metric("controlAdjustedGap", DOUBLE_DIFFERENCE, (_CHANGE, ROBUST, MILLER), _against("control", made.gap)),
    _metric("baseAdjustedGap", DOUBLE_DIFFERENCE, (_FROM_BASE, ROBUST, MILLER), _against("base", made.gap)),
    _metric(
        "reliance",
        PROPORTION,
        ("R: share of pairs answered right when aligned and wrong when conflicting.", "lower is better", OURS),
        _own(made.reliance),
    ),
    _metric(
        "netReliance",
        DIFFERENCE,
        ("R minus the share of pairs answered wrong when aligned and right when conflicting; equals G in forced choice.", ROBUST, OURS),
        lambda subject: made.reliance(subject.own) - made.reverse_reliance(subject.own),
    ),
    _metric(
        "coreMargin",
        None,
        ("C = mean of (d(aligned) + d(conflicting)) / 2. Compares within a method only.", HIGHER, OURS),
        _own(made.core_margin),
    ),
    _metric(
        "coreMarginChange",
        None,
        ("C minus the base's C, item by item: below 0 the core was lost.", HIGHER, OURS),
        _against("base", made.core_margin),
    ),
    _metric(
        "cueEffect",
        None,
        ("E = mean of (d(aligned) - d(conflicting)) / 2. A conflicting item is right when its C exceeds its E.", ROBUST, OURS),
        _own(made.cue_effect),
    ),
    _metric(
        "cueEffectChange",
        None,
        ("E minus the base's E, item by item: above 0 the cue was learned.", ROBUST, OURS),
        _against("base", made.cue_effect),
    ),
)

SLICE_DERIVED_METRICS = (
    _metric("gap", DIFFERENCE, ("G = A_in - mean A_out, over the trained slices.", ROBUST, AGRESTI), _own(made.slice_gap)),
    _metric("unseenGap", DIFFERENCE, ("A_in - A_unseen.", ROBUST, AGRESTI), _own(made.unseen_gap)),
    _metric("controlAdjustedGap", DOUBLE_DIFFERENCE, (_CHANGE, ROBUST, MILLER), _against("control", made.slice_gap)),
    _metric("baseAdjustedGap", DOUBLE_DIFFERENCE, (_FROM_BASE, ROBUST, MILLER), _against("base", made.slice_gap)),
    _metric("coreMargin", None, ("Mean of the in-slice and the out-of-slice margin.", HIGHER, OURS), _own(made.slice_core_margin)),
    _metric(
        "coreMarginChange",
        None,
        ("The mean margin minus the base's, item by item.", HIGHER, OURS),
        _against("base", made.slice_core_margin),
    ),
    _metric("marginGap", None, ("In-slice margin minus out-of-slice margin.", ROBUST, OURS), _own(made.slice_margin_gap)),
    _metric(
        "marginGapChange",
        None,
        ("The margin gap minus that at rho = 0, item by item.", ROBUST, OURS),
        _against("control", made.slice_margin_gap),
    ),
)


def _between_rates(measure: Callable[[Renders], Measured]) -> Callable[[Subject], Measured | None]:
    return lambda subject: None if subject.end is None else difference(measure(subject.own), measure(subject.end))


def _lost(relation: str, said: str) -> Metric:
    words = (f"D = {said} at the lower rate minus at the higher rate, item by item.", ROBUST, MILLER)
    return _metric("degradation", DIFFERENCE, words, _between_rates(lambda renders: renders.score(relation)))


_OVERALL = ("Balanced accuracy at the lower rate minus at the higher rate, item by item.", ROBUST, MILLER)

DEGRADATION_METRICS = (
    _lost("conflicting", "A_conflicting"),
    _metric("overall", DIFFERENCE, _OVERALL, _between_rates(made.balanced)),
)

SLICE_DEGRADATION_METRICS = (
    _lost("out_slice", "A_out"),
    _metric("overall", DIFFERENCE, _OVERALL, _between_rates(made.slice_balanced)),
)


def group_metrics(narrow: bool) -> tuple[Metric, ...]:
    """Accuracies by group: of feature ambiguity, or (narrow) of distributional narrowness."""
    return SLICE_GROUP_METRICS if narrow else GROUP_METRICS


def derived_metrics(narrow: bool) -> tuple[Metric, ...]:
    """Gaps, reliance and margins."""
    return SLICE_DERIVED_METRICS if narrow else DERIVED_METRICS


def degradation_metrics(narrow: bool) -> tuple[Metric, ...]:
    """What is lost between two rates; the first is D itself."""
    return SLICE_DEGRADATION_METRICS if narrow else DEGRADATION_METRICS
