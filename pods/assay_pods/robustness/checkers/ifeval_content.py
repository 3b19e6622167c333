"""IFEval's rules of words, letter case, language, beginnings and ends."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import langdetect

from assay_pods.robustness.checkers.arguments import compared, count_argument, refuse, short_texts, text_argument
from assay_pods.robustness.checkers.words import count_of, has_bounded_word

Rule = Callable[[str, Mapping[str, Any], str], bool]

langdetect.DetectorFactory.seed = 0  # the detector samples; a fixed seed gives one text one verdict

SHORT = 100
_OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")


def _lowercase(text: str, _kwargs: Mapping[str, Any], _rule: str) -> bool:
    return _in_case(text, text.islower())


def _capital(text: str, _kwargs: Mapping[str, Any], _rule: str) -> bool:
    return _in_case(text, text.isupper())


def _in_case(text: str, case_holds: bool) -> bool:
    return case_holds and _language(text) in ("en", None)


@lru_cache(maxsize=8192)
def _language(text: str) -> str | None:
    """The language's code, or None where the detector finds nothing to go by (officially, that follows the instruction)."""
    try:
        return langdetect.detect(text)
    except langdetect.LangDetectException:
        return None


def _response_language(text: str, kwargs: Mapping[str, Any], rule: str) -> bool:
    return _language(text) in (text_argument(kwargs, "language", rule, SHORT), None)


def _no_comma(text: str, _kwargs: Mapping[str, Any], _rule: str) -> bool:
    return "," not in text


def _existence(text: str, kwargs: Mapping[str, Any], rule: str) -> bool:
    return all(count_of(text, word) > 0 for word in short_texts(kwargs, "keywords", rule))


def _frequency(text: str, kwargs: Mapping[str, Any], rule: str) -> bool:
    keyword = text_argument(kwargs, "keyword", rule, SHORT).strip()
    if not keyword:
        refuse(rule, '{"keyword": a word}', kwargs)
    return compared(count_of(text, keyword), kwargs, ("frequency", "relation"), rule)


def _forbidden(text: str, kwargs: Mapping[str, Any], rule: str) -> bool:
    return not any(has_bounded_word(text, word) for word in short_texts(kwargs, "forbidden_words", rule))


def _letter_frequency(text: str, kwargs: Mapping[str, Any], rule: str) -> bool:
    letter = text_argument(kwargs, "letter", rule, 1).lower()
    if not "a" <= letter <= "z":
        refuse(rule, '{"letter": one of a to z} (the official rule draws another letter at random)', kwargs)
    return compared(Counter(text.lower())[letter], kwargs, ("let_frequency", "let_relation"), rule)


def _number_words(text: str, kwargs: Mapping[str, Any], rule: str) -> bool:
    return compared(sum(1 for _ in re.finditer(r"\w+", text)), kwargs, ("num_words", "relation"), rule)


def _end(text: str, kwargs: Mapping[str, Any], rule: str) -> bool:
    return text.strip().strip('"').lower().endswith(text_argument(kwargs, "end_phrase", rule).strip().lower())


def _quotation(text: str, _kwargs: Mapping[str, Any], _rule: str) -> bool:
    stripped = text.strip()
    return len(stripped) > 1 and stripped[0] == stripped[-1] == '"'


def _repeat(text: str, kwargs: Mapping[str, Any], rule: str) -> bool:
    return text.strip().lower().startswith(text_argument(kwargs, "prompt_to_repeat", rule).strip().lower())


def _constrained(text: str, _kwargs: Mapping[str, Any], _rule: str) -> bool:
    return any(option in text for option in _OPTIONS)


def _first_word(text: str, kwargs: Mapping[str, Any], rule: str) -> bool:
    """Paragraphs are parted by two newlines; blank ones do not count, but keep their place in the numbering."""
    wanted = text_argument(kwargs, "first_word", rule, SHORT).lower()
    total = count_argument(kwargs, "num_paragraphs", rule, 1)
    nth = count_argument(kwargs, "nth_paragraph", rule, 1)
    if nth > total:
        refuse(rule, '{"nth_paragraph": at most num_paragraphs} (the official rule draws another at random)', kwargs)
    paragraphs = text.split("\n\n")
    written = sum(1 for paragraph in paragraphs if paragraph.strip())
    if nth > written or not paragraphs[nth - 1].strip():
        return False
    word = paragraphs[nth - 1].split()[0].lstrip("'").lstrip('"')
    return written == total and re.split(r"[.,?!'\"]", word, maxsplit=1)[0].lower() == wanted


RULES: dict[str, Rule] = {
    "change_case:english_lowercase": _lowercase,
    "change_case:english_capital": _capital,
    "language:response_language": _response_language,
    "punctuation:no_comma": _no_comma,
    "keywords:existence": _existence,
    "keywords:frequency": _frequency,
    "keywords:forbidden_words": _forbidden,
    "keywords:letter_frequency": _letter_frequency,
    "length_constraints:number_words": _number_words,
    "length_constraints:nth_paragraph_first_word": _first_word,
    "startend:end_checker": _end,
    "startend:quotation": _quotation,
    "combination:repeat_prompt": _repeat,
    "detectable_format:constrained_response": _constrained,
}
