"""What scoring found in one split of one cell, seed by seed, and the per-item measures made from it.

A_g is the accuracy in group g, d_i(r) the margin log p(chosen) - log p(rejected) of item i in render r, in nats.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from assay_pods.common.stats import Bounds
from assay_pods.robustness.estimates import PROPORTION
from assay_pods.robustness.item_values import ItemValues, Measured, Strata, Term

ByRelation = Mapping[str, ItemValues]


@dataclass(frozen=True, slots=True)
class Renders:
    """Scores and margins per relation, and the class of each item's right answer.

    `scores` is what verdicts rest on: forced choice, or the checker on generated text where the task says so. `chosen` is always
    forced choice, `by_token` its twin by the mean over tokens (empty where all token counts are equal), and `generated` holds
    what checkers and references made of generated text, by the score's name.
    """

    seeds: tuple[int, ...]
    scores: ByRelation
    margins: ByRelation
    classes: Mapping[str, str] = field(default_factory=dict)
    slices: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    chosen: ByRelation = field(default_factory=dict)
    by_token: ByRelation = field(default_factory=dict)
    generated: Mapping[str, ByRelation] = field(default_factory=dict)

    def score(self, relation: str) -> ItemValues:
        """Scores of one relation; a relation that was not scored is an empty group."""
        return self.scores.get(relation) or self._nothing()

    def margin(self, relation: str) -> ItemValues:
        """Margins of one relation, in nats."""
        return self.margins.get(relation) or self._nothing()

    def choice(self, relation: str) -> ItemValues:
        """Forced choice of one relation, whatever the primary score is."""
        return self.chosen.get(relation) or self.score(relation)

    def _nothing(self) -> ItemValues:
        return ItemValues.of({seed: {} for seed in self.seeds})


@dataclass(frozen=True, slots=True)
class Subject:
    """The renders that a metric may look at; `end` is the same method and seeds at the higher of two rates."""

    own: Renders
    control: Renders | None = None
    base: Renders | None = None
    end: Renders | None = None


def gap(renders: Renders) -> ItemValues:
    """Aligned score minus conflicting score of each pair."""
    return renders.score("aligned") - renders.score("conflicting")


def balanced(renders: Renders) -> ItemValues:
    """Mean of the aligned and the conflicting score of each pair: .5 for a model that only follows the cue."""
    return (renders.score("aligned") + renders.score("conflicting")).scaled(0.5)


def reliance(renders: Renders) -> ItemValues:
    """Right when aligned and wrong when conflicting, pair by pair; a tie counts half on its side."""
    return renders.score("aligned").combine(renders.score("conflicting"), lambda aligned, conflicting: aligned * (1 - conflicting))


def reverse_reliance(renders: Renders) -> ItemValues:
    """Wrong when aligned and right when conflicting, pair by pair."""
    return renders.score("aligned").combine(renders.score("conflicting"), lambda aligned, conflicting: (1 - aligned) * conflicting)


def core_margin(renders: Renders) -> ItemValues:
    """C: half the sum of the aligned and the conflicting margin."""
    return (renders.margin("aligned") + renders.margin("conflicting")).scaled(0.5)


def cue_effect(renders: Renders) -> ItemValues:
    """E: half the difference of the aligned and the conflicting margin."""
    return (renders.margin("aligned") - renders.margin("conflicting")).scaled(0.5)


def heldout_cue_effect(renders: Renders) -> ItemValues:
    """E over the wording of the cue that was never trained."""
    return (renders.margin("heldout_aligned") - renders.margin("heldout_conflicting")).scaled(0.5)


def _over_slices(renders: Renders, weights: Mapping[str, float], nats: bool) -> Strata:
    bounds: Bounds | None = None if nats else PROPORTION
    values = renders.margin if nats else renders.score
    return Strata(tuple(Term(weight, values(relation), bounds) for relation, weight in weights.items()))


def slice_gap(renders: Renders) -> Strata:
    """In-slice accuracy minus the mean accuracy of the other trained slices; every slice has equally many items."""
    return _over_slices(renders, {"in_slice": 1.0, "out_slice": -1.0}, nats=False)


def unseen_gap(renders: Renders) -> Strata:
    """In-slice accuracy minus the accuracy of the slice that was never trained."""
    return _over_slices(renders, {"in_slice": 1.0, "unseen_slice": -1.0}, nats=False)


def slice_balanced(renders: Renders) -> Strata:
    """Mean of the in-slice and the out-of-slice accuracy."""
    return _over_slices(renders, {"in_slice": 0.5, "out_slice": 0.5}, nats=False)


def slice_core_margin(renders: Renders) -> Strata:
    """Mean of the in-slice and the out-of-slice margin."""
    return _over_slices(renders, {"in_slice": 0.5, "out_slice": 0.5}, nats=True)


def slice_margin_gap(renders: Renders) -> Strata:
    """In-slice margin minus out-of-slice margin."""
    return _over_slices(renders, {"in_slice": 1.0, "out_slice": -1.0}, nats=True)


def gap_of(renders: Renders, narrow: bool) -> Measured:
    """G of either artifact."""
    return slice_gap(renders) if narrow else gap(renders)


def balanced_of(renders: Renders, narrow: bool) -> Measured:
    """Balanced accuracy of either artifact."""
    return slice_balanced(renders) if narrow else balanced(renders)


def suffering(narrow: bool) -> str:
    """The relation whose accuracy the artifact can cost: conflicting items, or those outside the narrow slice."""
    return "out_slice" if narrow else "conflicting"
