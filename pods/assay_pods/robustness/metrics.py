"""The metrics of a robustness report, each as data: what it is, its range, and one number per item.

A_g is the accuracy in group g, d_i(r) the margin log p(chosen) - log p(rejected) of item i in render r, in nats. rho is the
spuriousness rate. Where a metric says "control" it means the same method and seed trained at rho = 0, and "base" the
untrained model.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from assay_pods.common.stats import Bounds
from assay_pods.robustness.estimates import DIFFERENCE, DOUBLE_DIFFERENCE, MEAN_OF_TWO, PROPORTION, Estimate, ItemValues, Level, estimate

FORCED_CHOICE = "Sum of log-probabilities over the answer's tokens, chosen against rejected; a tie counts half."
MILLER = "Miller 2024, arXiv 2411.00640 (paired differences)"
SAGAWA = "Sagawa et al. 2020, arXiv 1911.08731"
OURS = "own definition"


@dataclass(frozen=True, slots=True)
class Renders:
    """What scoring found in one split: scores and margins per relation, and the class of each item's right answer."""

    seeds: tuple[int, ...]
    scores: Mapping[str, ItemValues]
    margins: Mapping[str, ItemValues]
    classes: Mapping[str, str] = field(default_factory=dict)

    def score(self, relation: str) -> ItemValues:
        """Scores of one relation; a relation that was not scored is an empty group."""
        return self.scores.get(relation) or ItemValues({seed: {} for seed in self.seeds})

    def margin(self, relation: str) -> ItemValues:
        """Margins of one relation, in nats."""
        return self.margins.get(relation) or ItemValues({seed: {} for seed in self.seeds})


@dataclass(frozen=True, slots=True)
class Subject:
    """The renders that a metric may look at; `end` is the same method and seeds at the higher of two rates."""

    own: Renders
    control: Renders | None = None
    base: Renders | None = None
    end: Renders | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric: `compute` gives one number per seed and item, or None where a model that it needs is missing."""

    name: str
    definition: str
    bounds: Bounds | None
    direction: str
    citation: str
    compute: Callable[[Subject], ItemValues | None]

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


def gap(renders: Renders) -> ItemValues:
    """Aligned score minus conflicting score of each pair."""
    return renders.score("aligned") - renders.score("conflicting")


def balanced(renders: Renders) -> ItemValues:
    """Mean of the aligned and the conflicting score of each pair: .5 for a model that only follows the cue."""
    return (renders.score("aligned") + renders.score("conflicting")).scaled(0.5)


def reliance(renders: Renders) -> ItemValues:
    """Right when aligned and wrong when conflicting, pair by pair; a tie counts half on its side."""
    return renders.score("aligned").combine(renders.score("conflicting"), lambda aligned, conflicting: aligned * (1 - conflicting))


def core_margin(renders: Renders) -> ItemValues:
    """C: half the sum of the aligned and the conflicting margin."""
    return (renders.margin("aligned") + renders.margin("conflicting")).scaled(0.5)


def cue_effect(renders: Renders) -> ItemValues:
    """E: half the difference of the aligned and the conflicting margin."""
    return (renders.margin("aligned") - renders.margin("conflicting")).scaled(0.5)


def _accuracy(name: str, relation: str, definition: str, direction: str = "higher is better") -> Metric:
    return Metric(
        name=name,
        definition=f"{definition} {FORCED_CHOICE}",
        bounds=PROPORTION,
        direction=direction,
        citation="Wilson 1927, JASA 22:209 (interval)",
        compute=lambda subject: subject.own.score(relation),
    )


def _against(other: str, measure: Callable[[Renders], ItemValues]) -> Callable[[Subject], ItemValues | None]:
    def compute(subject: Subject) -> ItemValues | None:
        reference: Renders | None = getattr(subject, other)
        return None if reference is None else measure(subject.own) - measure(reference)

    return compute


GROUP_METRICS = (
    _accuracy("aligned", "aligned", "Accuracy on test items whose cue stands with the right answer."),
    _accuracy("conflicting", "conflicting", "Accuracy on test items whose cue stands with the wrong answer."),
    _accuracy("neutral", "neutral", "Accuracy on test items without the cue."),
    _accuracy("cueOnBoth", "cue_on_both", "Accuracy with the cue on both sentences, where it tells nothing."),
    _accuracy("otherCueOnBoth", "other_cue_on_both", "Accuracy with the other opener on both sentences."),
    _accuracy(
        "promptBlind", "prompt_blind", "Accuracy after another item's prompt; .5 unless the answers give themselves away.", "should be .5"
    ),
    Metric(
        name="balanced",
        definition="Mean of the aligned and the conflicting accuracy; .5 for a model that only follows the cue.",
        bounds=MEAN_OF_TWO,
        direction="higher is better",
        citation=OURS,
        compute=lambda subject: balanced(subject.own),
    ),
)

DERIVED_METRICS = (
    Metric(
        name="gap",
        definition="G = A_aligned - A_conflicting over pairs.",
        bounds=DIFFERENCE,
        direction="0 is robust",
        citation="Bonett and Price 2012, BJMSP 65:479 (interval)",
        compute=lambda subject: gap(subject.own),
    ),
    Metric(
        name="controlAdjustedGap",
        definition="G(rho) - G(0): the effect of the correlation in the training data.",
        bounds=DOUBLE_DIFFERENCE,
        direction="0 is robust",
        citation=MILLER,
        compute=_against("control", gap),
    ),
    Metric(
        name="baseAdjustedGap",
        definition="G - G_base: the effect of training, the core task included.",
        bounds=DOUBLE_DIFFERENCE,
        direction="0 is robust",
        citation=MILLER,
        compute=_against("base", gap),
    ),
    Metric(
        name="reliance",
        definition="R: share of pairs answered right when aligned and wrong when conflicting.",
        bounds=PROPORTION,
        direction="lower is better",
        citation=OURS,
        compute=lambda subject: reliance(subject.own),
    ),
    Metric(
        name="netReliance",
        definition="R minus the share of pairs answered wrong when aligned and right when conflicting; equals G in forced choice.",
        bounds=DIFFERENCE,
        direction="0 is robust",
        citation=OURS,
        compute=lambda subject: reliance(subject.own) - _reverse_reliance(subject.own),
    ),
    Metric(
        name="coreMargin",
        definition="C = mean of (d(aligned) + d(conflicting)) / 2. Compares within a method only.",
        bounds=None,
        direction="higher is better",
        citation=OURS,
        compute=lambda subject: core_margin(subject.own),
    ),
    Metric(
        name="coreMarginChange",
        definition="C minus the base's C, item by item: below 0 the core was lost.",
        bounds=None,
        direction="higher is better",
        citation=OURS,
        compute=_against("base", core_margin),
    ),
    Metric(
        name="cueEffect",
        definition="E = mean of (d(aligned) - d(conflicting)) / 2. A conflicting item is right when its C exceeds its E.",
        bounds=None,
        direction="0 is robust",
        citation=OURS,
        compute=lambda subject: cue_effect(subject.own),
    ),
    Metric(
        name="cueEffectChange",
        definition="E minus the base's E, item by item: above 0 the cue was learned.",
        bounds=None,
        direction="0 is robust",
        citation=OURS,
        compute=_against("base", cue_effect),
    ),
)


def _reverse_reliance(renders: Renders) -> ItemValues:
    return renders.score("aligned").combine(renders.score("conflicting"), lambda aligned, conflicting: (1 - aligned) * conflicting)


def _between_rates(measure: Callable[[Renders], ItemValues]) -> Callable[[Subject], ItemValues | None]:
    return lambda subject: None if subject.end is None else measure(subject.own) - measure(subject.end)


DEGRADATION_METRICS = (
    Metric(
        name="conflicting",
        definition="D = A_conflicting at the lower rate minus A_conflicting at the higher rate, item by item.",
        bounds=DIFFERENCE,
        direction="0 is robust",
        citation=MILLER,
        compute=_between_rates(lambda renders: renders.score("conflicting")),
    ),
    Metric(
        name="balanced",
        definition="Balanced accuracy at the lower rate minus at the higher rate, item by item.",
        bounds=DIFFERENCE,
        direction="0 is robust",
        citation=MILLER,
        compute=_between_rates(balanced),
    ),
)
