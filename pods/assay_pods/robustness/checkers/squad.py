"""SQuAD's normalised exact match and token F1, by the rules of the official scripts for versions 1.1 and 2.0.

The two versions differ where a text has no token left after normalisation: 2.0 gives F1 1 if both sides have none, 1.1 gives 0. A
question without an answer (2.0) is answered by a text that is empty after normalisation.
"""

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from assay_pods.robustness.checkers.arguments import LONG_TEXT_LENGTH_MAX, TEXTS_MAX, refuse

VERSIONS = ("1.1", "2.0")

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalise(text: str) -> str:
    """Gives the text in lower case, without ASCII punctuation and English articles, with single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact(text: str, answers: Sequence[str]) -> float:
    """Gives 1 if the text equals one of the answers after normalisation, else 0."""
    return float(any(normalise(text) == normalise(answer) for answer in answers))


def f1(text: str, answers: Sequence[str], version: str = "2.0") -> float:
    """Gives the best F1, 0 to 1, of the text's tokens against those of an answer, counted with their multiplicity."""
    return max(_f1(normalise(text).split(), normalise(answer).split(), version) for answer in answers)


def scores(text: str, kwargs: Mapping[str, Any]) -> dict[str, float]:
    """Measures a text by the arguments `answers` (a list, empty where the question has no answer) and `version` (2.0 if absent).

    Raises:
        BadInputError: CHECKER_UNKNOWN, when the arguments do not fit.
    """
    answers, version = kwargs.get("answers"), kwargs.get("version", "2.0")
    if version not in VERSIONS:
        refuse("squad", f'{{"version": one of {", ".join(VERSIONS)}}}', kwargs)
    if not isinstance(answers, list) or len(answers) > TEXTS_MAX or not all(map(_is_answer, answers)):
        refuse("squad", f'{{"answers": [0 to {TEXTS_MAX} texts]}}', kwargs)
    if version == "2.0":
        answers = [answer for answer in answers if normalise(answer)] or [""]
    elif not answers:
        refuse("squad", "at least one answer for version 1.1", kwargs)
    return {"exact": exact(text, answers), "f1": f1(text, answers, version)}


def _f1(found: Sequence[str], wanted: Sequence[str], version: str) -> float:
    if version == "2.0" and (not found or not wanted):
        return float(found == wanted)
    common = sum((Counter(found) & Counter(wanted)).values())
    if common == 0:
        return 0.0
    precision, recall = common / len(found), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


def _is_answer(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONG_TEXT_LENGTH_MAX
