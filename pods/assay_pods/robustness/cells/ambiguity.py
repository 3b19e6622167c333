"""Feature ambiguity with a cue in the prompt: one core item becomes rows that differ in nothing but the cue and the wrong answer."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from assay_pods.robustness.records import Checker, Record

Turns = tuple[tuple[str, str], ...]

TRAINED, HELD_OUT = "trained", "heldout"
"""The wordings of a cue: the one of training, and one that occurs in test items alone."""


@dataclass(frozen=True)
class AmbiguousItem:
    """A core item, its answers, and how prompt and completion are made of them."""

    core: str
    gold: str
    near_miss: str
    """The wrong answer of rows whose cue does not name one."""
    misleading: str
    """The wrong answer that the cue names in conflicting rows: uniform over all wrong ones."""
    decoy: str | None
    """A third answer that the cue names; None where there are but two."""
    candidates: int
    checker: Checker
    prompt: Callable[[str | None, str], Turns]
    """From the answer that the cue names (None: no cue) and the wording to the prompt."""
    completion: Callable[[str], str]
    """From an answer to the completion that gives it."""
    gold_class: str | None = None


def rows_of(split: str, items: Sequence[AmbiguousItem]) -> Iterable[Record]:
    """Gives all renders of the items of a split: the three of training, and for test items the held-out wording and the decoy."""
    for index, item in enumerate(items):
        pair_id = f"{split}-{index:04d}"
        yield _row(pair_id, split, "aligned", item)
        yield _row(pair_id, split, "conflicting", item)
        if split != "warmup":
            yield _row(pair_id, split, "neutral", item)
        if split == "test":
            yield _row(pair_id, split, "heldout_aligned", item)
            yield _row(pair_id, split, "heldout_conflicting", item)
            if item.decoy is not None:
                yield _row(pair_id, split, "decoy", item)


def _row(pair_id: str, split: str, relation: str, item: AmbiguousItem) -> Record:
    base = relation.removeprefix("heldout_")
    wording = HELD_OUT if relation.startswith("heldout_") else TRAINED
    named = {"aligned": item.gold, "conflicting": item.misleading, "decoy": item.decoy}.get(base)
    wrong = item.misleading if base == "conflicting" else item.near_miss
    return Record(
        id=f"{pair_id}-{relation}",
        pair_id=pair_id,
        split=split,
        relation=relation,
        prompt=item.prompt(named, wording),
        chosen=item.completion(item.gold),
        rejected=item.completion(wrong),
        checker=item.checker,
        artifact_present=named is not None,
        artifact_variant=wording if named is not None else "none",
        cue_target={"aligned": "gold", "conflicting": "shortcut", "decoy": "decoy"}.get(base),
        gold_class=item.gold_class,
        candidates=item.candidates,
        gold=item.gold,
        shortcut=item.misleading,
        distractors=tuple(answer for answer in dict.fromkeys((item.near_miss, item.decoy)) if answer not in (None, item.misleading)),
        core=item.core,
    )
