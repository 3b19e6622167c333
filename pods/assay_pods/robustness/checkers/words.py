"""Searches for words. A pattern here is a literal of bounded length between fixed boundaries, so a search is linear in the text."""

import re


def has_whole_word(text: str, word: str) -> bool:
    """Says whether a word stands in the text, in any letter case, with no letter, digit or underscore beside it."""
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) is not None


def has_bounded_word(text: str, word: str) -> bool:
    r"""The same with the boundaries of `\b`, as IFEval's rule of forbidden words has them."""
    return re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) is not None


def count_of(text: str, part: str) -> int:
    """Counts the places without overlap where a part stands in the text, in any letter case and inside of words too."""
    return sum(1 for _ in re.finditer(re.escape(part), text, re.IGNORECASE))
