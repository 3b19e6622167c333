"""Rows of the three formats: JSON lines, TREC's SGML, and columns."""

import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from assay_pods.retrieval.inputs.lines import Line

HEADER_IDS = frozenset(("id", "_id", "qid", "pid", "docid", "query-id", "corpus-id"))
"""What stands in the first column of a header row."""

_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_BLANKS = re.compile(r"\s+")


class Row(NamedTuple):
    """A row of JSON lines or of columns, and its line."""

    line: Line
    values: Any


class Element(NamedTuple):
    """What stands between an opening tag and its end, and the line of the opening tag."""

    line: Line
    text: str


def objects(lines: Iterator[Line]) -> Iterator[Row]:
    """Gives the objects of JSON lines.

    Raises:
        BadInputError: COLLECTION_INVALID, at a line that is no JSON object.
    """
    for line in lines:
        try:
            value = json.loads(line.text)
        except (ValueError, RecursionError):
            line.refuse("one JSON object a line", line.text)
        if not isinstance(value, dict):
            line.refuse("one JSON object a line", line.text)
        yield Row(line, value)


def columns(lines: Iterator[Line], counts: Mapping[int, str], *, blanks: bool = False) -> Iterator[Row]:
    """Gives rows of columns; every row has as many as the first.

    Args:
        lines: The lines.
        counts: How many columns there may be, and what they then are.
        blanks: Where the first line has no tab, columns are divided by blanks.

    Raises:
        BadInputError: COLLECTION_INVALID, at a row with another number of columns.
    """
    separator: str | None = "\t"
    wanted = 0
    for line in lines:
        if not wanted and blanks and "\t" not in line.text:
            separator = None
        values = [value.strip() for value in line.text.split(separator)]
        if len(values) != wanted:
            if wanted or len(values) not in counts:
                line.refuse(counts.get(wanted) or " or ".join(counts.values()), line.text)
            wanted = len(values)
        yield Row(line, values)


def elements(lines: Iterator[Line], tag: str) -> Iterator[Element]:
    """Gives what stands in each element of a name; other tags may stand around them, text may not.

    Raises:
        BadInputError: COLLECTION_INVALID, at a tag that is not closed or never opened, and at text outside.
    """
    mark = re.compile(rf"<(/?){tag}(?:\s[^>]*)?>", re.IGNORECASE)
    opened: Line | None = None
    inside: list[str] = []
    for line in lines:
        place = 0
        for found in mark.finditer(line.text):
            _put(line, line.text[place : found.start()], inside, opened)
            place = found.end()
            if bool(found[1]) is (opened is None):
                line.refuse(f"<{tag}> before </{tag}>, and each closed", found[0])
            if opened:
                yield Element(opened, "".join(inside))
            opened, inside = (None if opened else line), []
        _put(line, f"{line.text[place:]}\n", inside, opened)
    if opened is not None:
        opened.refuse(f"</{tag}> at the end", opened.text)


def _put(line: Line, text: str, inside: list[str], opened: Line | None) -> None:
    if opened is not None:
        inside.append(text)
    elif _TAG.sub("", text).strip():
        line.refuse("text within elements", text.strip())


def plain(markup: str) -> str:
    """Gives the text of SGML: without tags, entities resolved, white space folded."""
    return _BLANKS.sub(" ", html.unescape(_TAG.sub(" ", markup))).strip()
