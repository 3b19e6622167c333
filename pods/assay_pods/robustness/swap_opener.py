"""The generated cell `swapOpener`: one sentence with a given word, and an opener that may stand with the right answer.

The right completion uses the word that was asked for, the wrong one puts another word into the same sentence. Two openers of equal token
count stand one on each: the cue on the right completion (aligned) or on the wrong one (conflicting). Neutral renders have no opener.
Which opener is the cue alternates with the seed's parity.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from assay_pods.common.context import BadInputError
from assay_pods.common.seeds import permutation
from assay_pods.robustness import swap_opener_words as text
from assay_pods.robustness.records import Checker, Record

CountTokens = Callable[[str], int]
"""Gives how many tokens a completion has under the model's tokenizer."""


class Core(NamedTuple):
    """One item before its openers: the word asked for, the word put in its place, and their sentence."""

    gold: str
    shortcut: str
    frame: str


def generate(size: Mapping[str, Any], seed: int, count_tokens: CountTokens) -> list[Record]:
    """Makes every render of every pair of the three splits.

    Validation and test items are the same for every seed; a seed decides the training pairs' partners and sentences, and the cue.

    Args:
        size: `trainPairs`, `validationPairs` and `testPairs`.
        seed: The run's seed.
        count_tokens: The tokenizer's count, which right and wrong completions share.

    Raises:
        BadInputError: SIZE_TOO_LARGE, when a split asks for more pairs than there are words.
    """
    cue, other = openers(seed, count_tokens)
    train_words = _shuffled(text.TRAIN_WORDS, seed, "words")
    splits = (
        ("train", size["trainPairs"], train_words, _shuffled(text.TRAIN_FRAMES, seed, "frames")),
        ("validation", size["validationPairs"], text.VALIDATION_WORDS, text.VALIDATION_FRAMES),
        ("test", size["testPairs"], text.TEST_WORDS, text.TEST_FRAMES),
    )
    records: list[Record] = []
    for split, pairs, words, frames in splits:
        for index, core in enumerate(_cores(split, pairs, words, frames, count_tokens)):
            records.extend(_renders(f"{split}-{index:03d}", split, core, (cue, other)))
    return records


def openers(seed: int, count_tokens: CountTokens) -> tuple[str, str]:
    """Gives the cue and the other opener: two of equal token count, exchanged with the seed's parity.

    Raises:
        BadInputError: OPENERS_UNEQUAL, when no two candidates have equally many tokens under this tokenizer.
    """
    by_count: dict[int, list[str]] = defaultdict(list)
    for opener in text.OPENERS:
        group = by_count[count_tokens(opener)]
        group.append(opener)
        if len(group) == 2:
            first, second = group
            return (first, second) if seed % 2 else (second, first)
    raise BadInputError("OPENERS_UNEQUAL", f"wanted two openers of equal token count, got {dict(by_count)}")


def on_both(records: Mapping[str, Record], relation: str) -> tuple[str, str]:
    """Gives the right and the wrong completion with one and the same opener.

    Args:
        records: The renders of one pair; aligned and conflicting are used.
        relation: `cue_on_both` or `other_cue_on_both`.
    """
    aligned, conflicting = records["aligned"], records["conflicting"]
    if relation == "cue_on_both":
        return aligned.chosen, conflicting.rejected
    assert relation == "other_cue_on_both", relation
    return conflicting.chosen, aligned.rejected


def _shuffled(values: Sequence[str], seed: int, purpose: str) -> list[str]:
    return [values[index] for index in permutation(seed, f"swapOpener/{purpose}", len(values))]


def _cores(split: str, pairs: int, words: Sequence[str], frames: Sequence[str], count_tokens: CountTokens) -> list[Core]:
    """Takes the first words. The wrong word is the next one of equal token count, so nearly every word is right once and wrong once."""
    by_count: dict[int, list[str]] = defaultdict(list)
    for word in words:
        by_count[count_tokens(f" {word}")].append(word)
    partner: dict[str, str] = {}
    for group in by_count.values():
        if len(group) > 1:
            partner |= dict(zip(group, group[1:] + group[:1], strict=True))
    usable = [word for word in words if word in partner]
    if pairs > len(usable):
        raise BadInputError("SIZE_TOO_LARGE", f"wanted at most {len(usable)} {split} pairs of the cell swapOpener, got {pairs}")
    return [Core(word, partner[word], frames[index % len(frames)]) for index, word in enumerate(usable[:pairs])]


def _renders(pair_id: str, split: str, core: Core, cue_and_other: tuple[str, str]) -> Iterable[Record]:
    cue, other = cue_and_other
    yield _render(pair_id, split, core, ("aligned", cue, other))
    yield _render(pair_id, split, core, ("conflicting", other, cue))
    if split == "test":
        yield _render(pair_id, split, core, ("neutral", "", ""))


def _render(pair_id: str, split: str, core: Core, variant: tuple[str, str, str]) -> Record:
    relation, on_right, on_wrong = variant
    return Record(
        id=f"{pair_id}-{relation}",
        pair_id=pair_id,
        split=split,
        relation=relation,
        prompt=(("system", text.SYSTEM_TURN), ("user", text.INSTRUCTION.format(word=core.gold))),
        chosen=_sentence(on_right, core.frame, core.gold),
        rejected=_sentence(on_wrong, core.frame, core.shortcut),
        checker=Checker("keywords:existence", {"keywords": [core.gold]}),
        artifact_present=relation != "neutral",
        artifact_variant={"aligned": on_right, "conflicting": on_wrong}.get(relation, "none"),
        cue_target={"aligned": "gold", "conflicting": "shortcut"}.get(relation),
    )


def _sentence(opener: str, frame: str, word: str) -> str:
    sentence = frame.format(word=word)
    return f"{opener} {sentence}" if opener else sentence[0].upper() + sentence[1:]
