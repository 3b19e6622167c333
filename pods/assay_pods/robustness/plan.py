"""What a seed's runs need: training pairs, questions and the tree of all their texts. The same in `prepare` and in `train`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from assay_pods.common.context import BadInputError
from assay_pods.common.seeds import permutation
from assay_pods.robustness import order
from assay_pods.robustness.encoding import Encoder, Text
from assay_pods.robustness.records import SLICE_RELATIONS, Record, pairs_of, trainable_renders
from assay_pods.robustness.tree import PrefixTree

PROMPT_BLIND_ITEMS = 64
"""Test pairs that are also scored after another pair's prompt."""


@dataclass(frozen=True)
class Question:
    """A forced choice between two completions of one prompt."""

    item_key: str
    relation: str
    record: Record
    """The row that it is made of; of a prompt-blind question, the row of the completions."""
    right: Text
    wrong: Text

    @property
    def split(self) -> str:
        """The split of the item."""
        return self.record.split

    @property
    def gold_class(self) -> str | None:
        """The class of the item's right answer."""
        return self.record.gold_class


@dataclass(frozen=True)
class Plan:
    """The work of one seed before any method or rate is chosen."""

    pairs: list[dict[str, Record]]
    """Training pairs by relation, whole steps only."""
    questions: list[Question]
    """Every forced choice, in the order of items.jsonl."""
    trained_texts: list[Text]
    """Every text whose completion, with its end token, any method at any rate may train on or compare with."""
    tree: PrefixTree
    """All texts of the two lists above."""
    encoder: Encoder
    seed: int
    rate_mode: str

    def text(self, record: Record, desirable: bool) -> Text:
        """Gives a record's prompt with its right or its wrong completion."""
        return Text(self.encoder.render(record.messages), record.chosen if desirable else record.rejected)


def make_plan(records: Sequence[Record], spec: Mapping[str, Any], encoder: Encoder) -> Plan:
    """Lays out the work of a seed.

    Args:
        records: The rows of records.jsonl.
        spec: The spec of a `prepare` or `train` step.
        encoder: The model's encoder.

    Raises:
        BadInputError: when there are too few pairs, or a text is too long for a run.
    """
    train = list(pairs_of(records, "train").values())
    step_size = spec["trainer"]["promptsPerStep"]
    pairs = train[: order.usable_pairs(len(train), step_size)]
    questions = sorted(_questions(records, spec["seed"], encoder), key=lambda q: (q.split, q.item_key, q.relation))
    plan = Plan(pairs, questions, [], PrefixTree(), encoder, spec["seed"], spec["rateMode"])
    plan.trained_texts.extend(_trained_texts(plan, spec))
    for text in (*plan.trained_texts, *(side for question in questions for side in (question.right, question.wrong))):
        if text not in plan.tree.paths:
            plan.tree.add(text, encoder.encode(text))
    return plan


def _trained_texts(plan: Plan, spec: Mapping[str, Any]) -> Iterable[Text]:
    """Both completions of every render that some rate may choose, and the completions that KTO sets after another row's prompt."""
    trained = trainable_renders(plan.pairs, plan.rate_mode, plan.seed)
    texts: dict[Text, None] = {}
    for renders in trained:
        texts |= {plan.text(record, desirable): None for record in renders for desirable in (True, False)}
    for block in order.kto_steps(len(plan.pairs), spec["trainer"]["promptsPerStep"], spec["seed"]):
        for row in block:
            for own, other in product(trained[row.pair], trained[row.mismatched_pair]):
                texts[mismatched_text(plan, own, other, row.mismatched_desirable)] = None
    return texts


def mismatched_text(plan: Plan, record: Record, other: Record, desirable: bool) -> Text:
    """Gives a record's prompt with a completion of another record."""
    return Text(plan.text(record, True).prompt, other.chosen if desirable else other.rejected)


def _questions(records: Sequence[Record], seed: int, encoder: Encoder) -> Iterable[Question]:
    for split in ("validation", "test"):
        pairs = pairs_of(records, split)
        if len(pairs) < 2:
            raise BadInputError(f"{split.upper()}_TOO_SMALL", f"wanted at least 2 {split} pairs, got {len(pairs)}")
        for item_key, renders in pairs.items():
            for relation, record in renders.items():
                yield _question(record, (item_key, relation), encoder.render(record.messages))
    yield from _prompt_blind(pairs_of(records, "test"), seed, encoder)


def _prompt_blind(pairs: Mapping[str, Mapping[str, Record]], seed: int, encoder: Encoder) -> Iterable[Question]:
    """Each of a few pairs after the prompt of another one: nothing but the completions is left to choose by.

    Where both have the same prompt there is nothing to ask.
    """
    keys = list(pairs)
    some = [keys[place] for place in permutation(seed, "prompt-blind", len(keys))[:PROMPT_BLIND_ITEMS]]
    for place, item_key in enumerate(some):
        record = _unbiased_render(pairs[item_key], place)
        other = _unbiased_render(pairs[some[place - 1]], place)
        if other.prompt != record.prompt:
            yield _question(record, (item_key, "prompt_blind"), encoder.render(other.messages))


def _unbiased_render(renders: Mapping[str, Record], place: int) -> Record:
    """The render without a cue, or the only one; where all have a cue, aligned and conflicting in turn."""
    without = [record for record in renders.values() if not record.artifact_present or record.relation in SLICE_RELATIONS]
    return without[0] if without else renders["conflicting" if place % 2 else "aligned"]


def _question(record: Record, key: tuple[str, str], prompt: str) -> Question:
    return Question(*key, record, Text(prompt, record.chosen), Text(prompt, record.rejected))
