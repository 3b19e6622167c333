r"""IFEval's rules of layout: lists, sections, titles, placeholders, JSON.

Several official patterns are quadratic in the worst case (`^\s*\*` over many newlines, `\[.*?\]` over many brackets), so here they are
walks over the text that find the same places.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from assay_pods.robustness.checkers.arguments import count_argument, text_argument

Rule = Callable[[str, Mapping[str, Any], str], bool]

SHORT = 100
_STAR_LINE = re.compile(r"^[^\S\n]*\*", re.MULTILINE)
_DASH_LINE = re.compile(r"^[^\S\n]*-", re.MULTILINE)
_POSTSCRIPTS = {"P.P.S": re.compile(r"p\.\s?p\.\s?s"), "P.S.": re.compile(r"p\.\s?s\.")}


def bullets(text: str) -> int:
    """Counts bullet points: lines that begin with a dash, or with one asterisk and anything but another.

    The official pattern takes the character after the asterisk even where it is the line's end, and then swallows the next line.
    """
    stars, taken = 0, 0
    for found in _STAR_LINE.finditer(text):
        after = found.end()
        if found.start() >= taken and after < len(text) and text[after] != "*":
            stars += 1
            end = text.find("\n", after + 1)
            taken = end if end >= 0 else len(text) + 1
    return stars + sum(1 for _ in _DASH_LINE.finditer(text))


def placeholders(text: str) -> int:
    """Counts texts in square brackets, each on one line, from an opening bracket to the next closing one."""
    count = 0
    for line in text.split("\n"):
        opened = line.find("[")
        while opened >= 0 and (closed := line.find("]", opened)) >= 0:
            count += 1
            opened = line.find("[", closed)
    return count


def _bullets(text: str, kwargs: Mapping[str, Any], rule: str) -> bool:
    return bullets(text) == count_argument(kwargs, "num_bullets", rule)


def _placeholders(text: str, kwargs: Mapping[str, Any], rule: str) -> bool:
    return placeholders(text) >= count_argument(kwargs, "num_placeholders", rule)


def _highlights(text: str, kwargs: Mapping[str, Any], rule: str) -> bool:
    single = sum(1 for found in re.finditer(r"\*[^\n*]*\*", text) if found[0].strip("*").strip())
    double = sum(1 for found in re.finditer(r"\*\*[^\n*]*\*\*", text) if found[0].removeprefix("**").removesuffix("**").strip())
    return single + double >= count_argument(kwargs, "num_highlights", rule)


def _sections(text: str, kwargs: Mapping[str, Any], rule: str) -> bool:
    splitter = re.escape(text_argument(kwargs, "section_spliter", rule, SHORT).strip())
    return sum(1 for _ in re.finditer(rf"\s?{splitter}\s?\d+\s?", text)) >= count_argument(kwargs, "num_sections", rule)


def _paragraphs(text: str, kwargs: Mapping[str, Any], rule: str) -> bool:
    return _parts(re.split(r"\s?\*\*\*\s?", text)) == count_argument(kwargs, "num_paragraphs", rule)


def _two_responses(text: str, _kwargs: Mapping[str, Any], _rule: str) -> bool:
    parts = text.split("******")
    written = [part.strip() for part in parts if part.strip()]
    return _parts(parts) == 2 and written[0] != written[1]


def _parts(parts: list[str]) -> int | None:
    """How many parts are not blank; None where one in the middle is, which no rule takes."""
    if any(not part.strip() for part in parts[1:-1]):
        return None
    return sum(1 for part in parts if part.strip())


def _postscript(text: str, kwargs: Mapping[str, Any], rule: str) -> bool:
    marker = text_argument(kwargs, "postscript_marker", rule, SHORT).strip()
    pattern = _POSTSCRIPTS.get(marker)
    return marker.lower() in text.lower() if pattern is None else pattern.search(text.lower()) is not None


def _title(text: str, _kwargs: Mapping[str, Any], _rule: str) -> bool:
    """A line has a title from its first `<<` to its last `>>`, with something between that is neither a bracket nor white space."""
    for line in text.split("\n"):
        opened, closed = line.find("<<"), line.rfind(">>")
        if opened >= 0 and closed >= opened + 3 and line[opened : closed + 2].lstrip("<").rstrip(">").strip():
            return True
    return False


def _json(text: str, _kwargs: Mapping[str, Any], _rule: str) -> bool:
    inner = text.strip()
    for prefix in ("```json", "```Json", "```JSON", "```"):
        inner = inner.removeprefix(prefix)
    try:
        json.loads(inner.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


RULES: dict[str, Rule] = {
    "detectable_format:number_bullet_lists": _bullets,
    "detectable_format:number_highlighted_sections": _highlights,
    "detectable_format:multiple_sections": _sections,
    "detectable_format:json_format": _json,
    "detectable_format:title": _title,
    "detectable_content:number_placeholders": _placeholders,
    "detectable_content:postscript": _postscript,
    "length_constraints:number_paragraphs": _paragraphs,
    "combination:two_responses": _two_responses,
}
