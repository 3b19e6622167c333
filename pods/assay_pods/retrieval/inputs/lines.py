"""Lines of an uploaded file, whatever wrote it: byte order mark, CRLF, blank lines and a missing last line feed are read past."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from assay_pods.common.context import BadInputError

_LONGEST_ID = 512
_LARGEST_CODE = 1000
_INTEGER = re.compile(r"[+-]?[0-9]{1,9}")
_NOT_IN_ID = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")


class Line(NamedTuple):
    """A line that is not blank, and where it stands."""

    file: str
    number: int
    """From 1, blank lines counted."""
    text: str

    def refuse(self, wanted: str, came: Any) -> NoReturn:
        """Raises COLLECTION_INVALID with the place."""
        raise BadInputError("COLLECTION_INVALID", f"{self.file}, line {self.number}: wanted {wanted}, got {str(came)[:80]!r}")

    def id_of(self, value: Any, what: str) -> str:
        """Gives an id: 1 to 512 characters, none of them blank or a control character."""
        if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_ID or _NOT_IN_ID.search(value):
            self.refuse(f"{what} of 1 to {_LONGEST_ID} characters without blanks", value)
        return value

    def code_of(self, value: Any) -> int:
        """Gives a relevance code, an integer from -1000 to 1000."""
        number = int(value) if isinstance(value, str) and _INTEGER.fullmatch(value.strip()) else value
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if not isinstance(number, int) or isinstance(number, bool) or abs(number) > _LARGEST_CODE:
            self.refuse(f"a relevance code, an integer from -{_LARGEST_CODE} to {_LARGEST_CODE}", value)
        return number


def lines(path: Path, file: str) -> Iterator[Line]:
    """Gives the lines of a file one by one, without their ends; `file` is what people call it.

    Raises:
        BadInputError: COLLECTION_INVALID, at a line that is not UTF-8.
    """
    with path.open("rb") as raw:
        for number, line in enumerate(raw, start=1):
            try:
                text = line.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError:
                Line(file, number, "").refuse("UTF-8", line[:40])
            text = text.removeprefix("\ufeff") if number == 1 else text
            if text.strip():
                yield Line(file, number, text)


def peek(found: Iterator[Line], file: str) -> tuple[str, Iterator[Line]]:
    """Gives the first character that is no white space, by which a format is told, and all lines.

    Raises:
        BadInputError: COLLECTION_INVALID, when there is nothing.
    """
    first = next(found, None)
    if first is None:
        Line(file, 1, "").refuse("rows", "")
    return first.text.lstrip()[0], itertools.chain([first], found)
