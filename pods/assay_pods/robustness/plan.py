"""What a seed's runs need: training pairs, questions and the tree of all their texts. The same in `prepare` and in `train`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay_pods.common.context import BadInputError
from assay_pods.common.seeds import permutation
from assay_pods.robustness import order, swap_opener
from assay_pods.robustness.encoding import Encoder, Text
from assay_pods.robustness.records import RELATIONS, Record, pairs_of
from assay_pods.robustness.tree import PrefixTree

PROMPT_BLIND_ITEMS = 16
"""Test pairs that are also scored after another pair's prompt."""


@dataclass(frozen=True)
class Question:
    """A forced choice between two completions of one prompt."""

    item_key: str
    split: str
    relation: str
    gold_class: str | None
    right: Text
    wrong: Text


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
    generated = spec["data"]["kind"] == "GENERATED"
    questions = sorted(_questions(records, generated, spec["seed"], encoder), key=lambda q: (q.split, q.item_key, q.relation))
    plan = Plan(pairs, questions, [], PrefixTree(), encoder)
    cached = spec["trainer"]["kind"] == "TOP_BLOCKS"
    plan.trained_texts.extend(_trained_texts(plan, order.kto_steps(len(pairs), step_size, spec["seed"])) if cached else ())
    for text in (*plan.trained_texts, *(side for question in questions for side in (question.right, question.wrong))):
        if text not in plan.tree.paths:
            plan.tree.add(text, encoder.encode(text))
    return plan


def _trained_texts(plan: Plan, kto_epoch: Iterable[Iterable[order.KtoRow]]) -> Iterable[Text]:
    """Both completions of both renders of each pair, and the completions that KTO sets after another row's prompt."""
    texts: dict[Text, None] = {}
    for renders in plan.pairs:
        for relation in ("aligned", "conflicting"):
            texts |= {plan.text(renders[relation], desirable): None for desirable in (True, False)}
    for row in (row for block in kto_epoch for row in block):
        texts |= {text: None for text in _mismatched_texts(plan, row)}
    return texts


def _mismatched_texts(plan: Plan, row: order.KtoRow) -> Iterable[Text]:
    for own in ("aligned", "conflicting"):
        for other in ("aligned", "conflicting"):
            yield mismatched_text(plan, plan.pairs[row.pair][own], plan.pairs[row.mismatched_pair][other], row.mismatched_desirable)


def mismatched_text(plan: Plan, record: Record, other: Record, desirable: bool) -> Text:
    """Gives a record's prompt with a completion of another record."""
    return Text(plan.text(record, True).prompt, other.chosen if desirable else other.rejected)


def _questions(records: Sequence[Record], generated: bool, seed: int, encoder: Encoder) -> Iterable[Question]:
    for split in ("validation", "test"):
        pairs = pairs_of(records, split)
        if len(pairs) < 2:
            raise BadInputError(f"{split.upper()}_TOO_SMALL", f"wanted at least 2 {split} pairs, got {len(pairs)}")
        for item_key, renders in pairs.items():
            yield from _of_renders(item_key, renders, encoder)
            if generated and split == "test":
                yield from _of_openers(item_key, renders, encoder)
    yield from _prompt_blind(pairs_of(records, "test"), seed, encoder)


def _of_renders(item_key: str, renders: Mapping[str, Record], encoder: Encoder) -> Iterable[Question]:
    for relation in RELATIONS:
        if relation in renders:
            record = renders[relation]
            yield _question(record, (item_key, relation), (record.chosen, record.rejected), encoder.render(record.messages))


def _of_openers(item_key: str, renders: Mapping[str, Record], encoder: Encoder) -> Iterable[Question]:
    for relation in ("cue_on_both", "other_cue_on_both"):
        record = renders["aligned"]
        yield _question(record, (item_key, relation), swap_opener.on_both(renders, relation), encoder.render(record.messages))


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
            yield _question(record, (item_key, "prompt_blind"), (record.chosen, record.rejected), encoder.render(other.messages))


def _unbiased_render(renders: Mapping[str, Record], place: int) -> Record:
    """The render without a cue; where there is none, aligned and conflicting in turn."""
    return renders.get("neutral") or renders["conflicting" if place % 2 else "aligned"]


def _question(record: Record, key: tuple[str, str], completions: tuple[str, str], prompt: str) -> Question:
    item_key, relation = key
    right, wrong = completions
    return Question(item_key, record.split, relation, record.gold_class, Text(prompt, right), Text(prompt, wrong))
