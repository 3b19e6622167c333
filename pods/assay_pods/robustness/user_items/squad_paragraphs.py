"""`tagSentence` over SQuAD: a note stands on the sentence of the answer, or on that of another answer of the same type."""

import random
import re
from collections.abc import Sequence
from functools import partial

from assay_pods.common.seeds import stream
from assay_pods.robustness.cells.ambiguity import AmbiguousItem, Turns
from assay_pods.robustness.cells.cell import core_digest
from assay_pods.robustness.checkers.squad import normalise
from assay_pods.robustness.records import Checker
from assay_pods.robustness.user_items.read import Question

NOTES = {"trained": "Note: ", "heldout": "Remember: "}
SYSTEM_TURN = "You are a helpful assistant."
_SENTENCE_START = re.compile(r"(?:^|(?<=[.!?])\s+)(?=\S)")


def inject(questions: Sequence[Question], seed: int, split: str, core: str) -> list[AmbiguousItem]:
    """Makes ambiguous items; a question with no rival answer of its type in another sentence gives none.

    Both cores have the same items.
    The candidates are the right answer and the answers to other questions on the paragraph that have its type and another sentence.
    """
    rng = stream(seed, f"userItems/squad/{split}")
    made = (_item(question, rng) for question in questions)
    return [item for item in made if item is not None]


def answer_type(text: str) -> str:
    """Gives the kind of an answer: with a digit, all words but small ones capitalised, or other."""
    if any(character.isdigit() for character in text):
        return "NUMBER"
    words = [word for word in text.split() if len(word) > 3]
    return "NAME" if words and all(word[0].isupper() for word in words) else "OTHER"


def _item(question: Question, rng: random.Random) -> AmbiguousItem | None:
    gold, start = question.answers[0]
    starts = _starts(question.text)
    rights = {normalise(text) for text, _ in question.answers}
    rivals: dict[str, int] = {}
    for text, place in question.rivals:
        apart = _sentence(starts, place) not in {_sentence(starts, at) for _, at in question.answers}
        if apart and answer_type(text) == answer_type(gold) and normalise(text) not in rights and normalise(text):
            rivals.setdefault(text, place)
    if not rivals or not normalise(gold):
        return None
    names = sorted(rivals)
    misleading = rng.choice(names)
    near_miss = rng.choice(names)
    third = [name for name in names if name not in (misleading, near_miss)]
    return AmbiguousItem(
        core=core_digest("squad", question.text, question.question),
        gold=gold,
        near_miss=near_miss,
        misleading=misleading,
        decoy=rng.choice(third) if third else None,
        candidates=len(names) + 1,
        checker=Checker("squad", {"answers": [text for text, _ in question.answers][:32]}),
        prompt=partial(_prompt, question, {**rivals, gold: start}),
        completion=str,
        gold_class=answer_type(gold),
    )


def _prompt(question: Question, places: dict[str, int], named: str | None, wording: str) -> Turns:
    text = question.text
    if named is not None:
        at = _sentence(_starts(text), places[named])
        text = text[:at] + NOTES[wording] + text[at:]
    return (("system", SYSTEM_TURN), ("user", f"{text}\n{question.question}\nReply with the answer alone."))


def _starts(text: str) -> list[int]:
    """Offsets where sentences begin: the text's own, and after white space behind a full stop, question or exclamation mark."""
    return [found.end() for found in _SENTENCE_START.finditer(text)] or [0]


def _sentence(starts: Sequence[int], place: int) -> int:
    return max((start for start in starts if start <= place), default=0)
