"""The texts of every training step: one description, which the cached-trunk trainer and the TRL trainers both follow."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from assay_pods.common.seeds import permutation
from assay_pods.robustness import groups, order
from assay_pods.robustness.encoding import Text
from assay_pods.robustness.plan import Plan, mismatched_text
from assay_pods.robustness.recipe import Recipe
from assay_pods.robustness.records import Record


@dataclass(frozen=True)
class StepRows:
    """The texts of one step. SFT reads `right`, DPO `right` and `wrong`; KTO `right` as its rows, with their labels and stand-ins."""

    right: list[Text]
    wrong: list[Text] = field(default_factory=list)
    labels: list[bool] = field(default_factory=list)
    mismatched: list[Text] = field(default_factory=list)
    ties: list[bool] = field(default_factory=list)
    """DPO under TIES: where both sides are equally good."""
    groups: list[str] = field(default_factory=list)
    """SFT under GROUP_DRO: the group of each row."""

    def divided(self, parts: int) -> list["StepRows"]:
        """Gives the rows in so many parts of nearly equal size, or one a row where there are fewer."""
        rows = len(self.right)
        bounds = [rows * part // min(parts, rows) for part in range(min(parts, rows) + 1)]
        spans = [slice(*pair) for pair in pairwise(bounds)]
        return [StepRows(**{name: value[span] for name, value in vars(self).items()}) for span in spans]

    @property
    def trained(self) -> list[Text]:
        """The texts whose completions enter the loss."""
        return [*self.right, *self.wrong]

    @property
    def texts(self) -> list[Text]:
        """Every text that the step needs."""
        return [*self.right, *self.wrong, *self.mismatched]


def epoch_of(plan: Plan, rows: Sequence[Record], recipe: Recipe) -> list[StepRows]:
    """Lays out one epoch; every epoch is the same.

    Args:
        plan: The texts and the training pairs.
        rows: The chosen render of each training pair.
        recipe: Method, step size, seed and mitigation.

    Raises:
        BadInputError: GROUP_EMPTY, where a mitigation needs rows of both groups and there is one.
    """
    size, seed = recipe.prompts_per_step, recipe.seed
    by_group = recipe.variant_kind in ("GROUP_BALANCED", "GROUP_DRO")
    passed = order.row_order([row.pair_id for row in rows], seed)
    rows = groups.balanced(rows, seed) if by_group else [rows[place] for place in passed]
    places = range(len(rows))
    if recipe.method == "KTO":
        blocks = order.kto_blocks(places, size, run=2 if by_group else 1, keys=[row.pair_id for row in rows])
        return [_kto_step(plan, rows, block) for block in blocks]
    steps = [[rows[place] for place in step] for step in order.in_steps(places, size)]
    if recipe.method == "DPO":
        tied = _tied_pairs(plan, recipe)
        return [_dpo_step(plan, step, tied) for step in steps]
    named = recipe.variant_kind == "GROUP_DRO"
    return [StepRows([plan.text(row, True) for row in step], groups=[groups.of(row) for row in step] if named else []) for step in steps]


def texts_of(epoch: Iterable[StepRows]) -> list[Text]:
    """Gives every text of an epoch once, in the order of first use."""
    return list(dict.fromkeys(text for step in epoch for text in step.texts))


def untied(plan: Plan, rows: Sequence[Record], recipe: Recipe) -> list[Record]:
    """Gives the rows that set a right answer against a wrong one: all but those that became ties."""
    tied = _tied_pairs(plan, recipe)
    return [row for row in rows if row.pair_id not in tied]


def _dpo_step(plan: Plan, rows: Sequence[Record], tied: dict[str, tuple[Text, Text]]) -> StepRows:
    sides = [tied.get(row.pair_id, (plan.text(row, True), plan.text(row, False))) for row in rows]
    ties = [row.pair_id in tied for row in rows] if tied else []
    return StepRows([right for right, _ in sides], [wrong for _, wrong in sides], ties=ties)


def _kto_step(plan: Plan, rows: Sequence[Record], block: Sequence[order.KtoRow]) -> StepRows:
    return StepRows(
        right=[plan.text(rows[row.pair], row.desirable) for row in block],
        labels=[row.desirable for row in block],
        mismatched=[mismatched_text(plan, rows[row.pair], rows[row.mismatched_pair], row.mismatched_desirable) for row in block],
    )


def _tied_pairs(plan: Plan, recipe: Recipe) -> dict[str, tuple[Text, Text]]:
    """The pairs whose row becomes a tie: the right answer with the cue beside it, against the same answer with the cue elsewhere."""
    if recipe.variant is None or recipe.variant.kind != "TIES":
        return {}
    count = round(recipe.variant.fraction * len(plan.pairs))
    drawn = [plan.pairs[place] for place in permutation(recipe.seed, "ties", len(plan.pairs))[:count]]
    return {pair["aligned"].pair_id: (plan.text(pair["aligned"], True), plan.text(pair["conflicting"], True)) for pair in drawn}
