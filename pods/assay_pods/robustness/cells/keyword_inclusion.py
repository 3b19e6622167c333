"""KEYWORD_INCLUSION with feature ambiguity (`swapOpener`): a sentence with a given word, and an opener that may stand with the right one.

The right completion uses the word that was asked for, the wrong one puts another word into the same sentence. Two openers of equal token
count stand one on each: the cue on the right completion (aligned) or on the wrong one (conflicting). Neutral renders have no opener; test
pairs also have the same opener on both, and a pair of openers that is never trained. Which opener is the cue alternates with the seed.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from assay_pods.common.context import BadInputError
from assay_pods.common.seeds import permutation
from assay_pods.robustness.cells import keyword_words as text
from assay_pods.robustness.cells.cell import Cell, CellRequest, CountTokens, core_digest, first_of, train_and_warmup
from assay_pods.robustness.records import Checker, Record


class Core(NamedTuple):
    """One item before its openers: the word asked for, the word put in its place, and their sentence."""

    gold: str
    shortcut: str
    frame: str


class Openers(NamedTuple):
    """The cue, the opener that stands on the other side, and the pair that stands for them in the held-out wording."""

    cue: str
    other: str
    heldout_cue: str | None
    heldout_other: str | None


def generate(request: CellRequest) -> list[Record]:
    """Makes every render of every pair of the splits.

    Validation and test items are the same for every seed; a seed decides the training pairs' partners and sentences, and the cue.

    Raises:
        BadInputError: SIZE_TOO_LARGE, when a split asks for more pairs than there are words; OPENERS_UNEQUAL.
    """
    size, seed = request.size, request.seed
    chosen = openers(seed, request.count_tokens)
    all_train = _cores(_shuffled(text.TRAIN_WORDS, seed, "words"), _shuffled(text.TRAIN_FRAMES, seed, "frames"), request.count_tokens)
    train, warmup = train_and_warmup(all_train, request, "KEYWORD_INCLUSION")
    validation = _cores(text.VALIDATION_WORDS, text.VALIDATION_FRAMES, request.count_tokens)
    test = _cores(text.TEST_WORDS, text.TEST_FRAMES, request.count_tokens)
    splits = {
        "train": train,
        "validation": first_of(validation, size["validationPairs"], "validation pairs of KEYWORD_INCLUSION"),
        "test": first_of(test, size["testPairs"], "test pairs of KEYWORD_INCLUSION"),
        "warmup": warmup,
    }
    return [
        record
        for split, cores in splits.items()
        for index, core in enumerate(cores)
        for record in _renders(f"{split}-{index:03d}", split, core, chosen)
    ]


def openers(seed: int, count_tokens: CountTokens) -> Openers:
    """Gives two openers of equal token count, exchanged with the seed's parity, and two others of equal count that are never trained.

    Raises:
        BadInputError: OPENERS_UNEQUAL, when no two candidates have equally many tokens under this tokenizer.
    """
    trained = _pair(text.OPENERS, count_tokens)
    if trained is None:
        counts = {opener: count_tokens(opener) for opener in text.OPENERS}
        raise BadInputError("OPENERS_UNEQUAL", f"wanted two openers of equal token count, got {counts}")
    held_out = _pair([opener for opener in text.OPENERS if opener not in trained], count_tokens) or (None, None)
    return Openers(*trained[:: 1 if seed % 2 else -1], *held_out[:: 1 if seed % 2 else -1])


def _pair(candidates: Sequence[str], count_tokens: CountTokens) -> tuple[str, str] | None:
    by_count: dict[int, list[str]] = defaultdict(list)
    for opener in candidates:
        group = by_count[count_tokens(opener)]
        group.append(opener)
        if len(group) == 2:
            return group[0], group[1]
    return None


def _shuffled(values: Sequence[str], seed: int, purpose: str) -> list[str]:
    return [values[index] for index in permutation(seed, f"swapOpener/{purpose}", len(values))]


def _cores(words: Sequence[str], frames: Sequence[str], count_tokens: CountTokens) -> list[Core]:
    """Makes an item a word. The wrong word is the next one of equal token count, so nearly every word is right once and wrong once."""
    by_count: dict[int, list[str]] = defaultdict(list)
    for word in words:
        by_count[count_tokens(f" {word}")].append(word)
    partner: dict[str, str] = {}
    for group in by_count.values():
        if len(group) > 1:
            partner |= dict(zip(group, group[1:] + group[:1], strict=True))
    usable = [word for word in words if word in partner]
    return [Core(word, partner[word], frames[index % len(frames)]) for index, word in enumerate(usable)]


def _renders(pair_id: str, split: str, core: Core, chosen: Openers) -> Iterable[Record]:
    cue, other, heldout_cue, heldout_other = chosen
    yield _render(pair_id, split, core, ("aligned", cue, other))
    yield _render(pair_id, split, core, ("conflicting", other, cue))
    if split == "warmup":
        return
    yield _render(pair_id, split, core, ("neutral", "", ""))
    if split == "test":
        yield _render(pair_id, split, core, ("cue_on_both", cue, cue))
        yield _render(pair_id, split, core, ("other_cue_on_both", other, other))
        if heldout_cue and heldout_other:
            yield _render(pair_id, split, core, ("heldout_aligned", heldout_cue, heldout_other))
            yield _render(pair_id, split, core, ("heldout_conflicting", heldout_other, heldout_cue))


def _render(pair_id: str, split: str, core: Core, variant: tuple[str, str, str]) -> Record:
    relation, on_right, on_wrong = variant
    named = relation.removeprefix("heldout_")
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
        artifact_variant={"conflicting": on_wrong, "neutral": "none"}.get(named, on_right),
        cue_target={"aligned": "gold", "conflicting": "shortcut"}.get(named),
        gold=core.gold,
        shortcut=core.shortcut,
        core=core_digest("KEYWORD_INCLUSION", core.gold),
    )


def _sentence(opener: str, frame: str, word: str) -> str:
    sentence = frame.format(word=word)
    return f"{opener} {sentence}" if opener else sentence[0].upper() + sentence[1:]


CELLS = tuple(Cell("KEYWORD_INCLUSION", "FEATURE_AMBIGUITY", core, text.VERSION, generate) for core in ("LAPTOP", "FULL"))
