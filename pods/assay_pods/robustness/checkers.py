"""Rules that tell a right text from a wrong one, in time bounded by the length of the text and by KEYWORDS_MAX x KEYWORD_LENGTH_MAX."""

import re
from typing import Any

from assay_pods.common.context import BadInputError
from assay_pods.robustness.records import Checker, Record

KEYWORDS_MAX = 32
KEYWORD_LENGTH_MAX = 100


def passes(checker: Checker, text: str) -> bool:
    """Says whether a text obeys the rule.

    `keywords:existence` wants every keyword as a whole word, in any letter case. `exact` wants the answer itself, white space at the
    ends and letter case aside.

    Raises:
        BadInputError: CHECKER_UNKNOWN, for another rule or arguments that do not fit it.
    """
    if checker.rule == "keywords:existence":
        return all(_has_word(text, keyword) for keyword in _keywords(checker))
    if checker.rule == "exact":
        answer = checker.kwargs.get("answer")
        if not isinstance(answer, str):
            raise BadInputError("CHECKER_UNKNOWN", f'exact: wanted {{"answer": text}}, got {dict(checker.kwargs)!r}')
        return text.strip().casefold() == answer.strip().casefold()
    raise BadInputError("CHECKER_UNKNOWN", f"wanted the checker keywords:existence or exact, got {checker.rule!r}")


def verify(record: Record) -> None:
    """Holds a record to its own rule.

    Raises:
        BadInputError: CHECKER_FAILED, when the chosen completion fails or the rejected one passes.
    """
    if not passes(record.checker, record.chosen):
        raise BadInputError("CHECKER_FAILED", f"row {record.id}: wanted chosen to pass {record.checker.rule}, got {record.chosen!r}")
    if passes(record.checker, record.rejected):
        raise BadInputError("CHECKER_FAILED", f"row {record.id}: wanted rejected to fail {record.checker.rule}, got {record.rejected!r}")


def _keywords(checker: Checker) -> list[str]:
    keywords = checker.kwargs.get("keywords")
    if isinstance(keywords, list) and 1 <= len(keywords) <= KEYWORDS_MAX and all(map(_is_keyword, keywords)):
        return keywords
    wanted = f'{{"keywords": [1 to {KEYWORDS_MAX} texts of 1 to {KEYWORD_LENGTH_MAX} characters]}}'
    raise BadInputError("CHECKER_UNKNOWN", f"keywords:existence: wanted {wanted}, got {str(dict(checker.kwargs))[:200]}")


def _is_keyword(word: Any) -> bool:
    return isinstance(word, str) and 1 <= len(word) <= KEYWORD_LENGTH_MAX


def _has_word(text: str, keyword: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(keyword)}(?!\w)", text, re.IGNORECASE) is not None
