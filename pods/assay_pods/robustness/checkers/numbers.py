r"""The number that a text answers with, taken out exactly: no tolerance, no partial credit.

After the first `####` that a number follows stands the answer (GSM8K's convention); without one, the last number of the text counts.
A number has an optional minus (ASCII or U+2212, not after a digit, letter, `)` or `]`, where it means subtraction), an optional `$`,
digits with or without thousands separators in groups of three, and an optional fraction. Fractions such as `1/2`, exponents and digits
of other scripts are no numbers of this rule.
"""

import re

from assay_pods.common.context import BadInputError

_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|(?<![\w.])\.[0-9]+"
_NUMBER = re.compile(rf"(?P<minus>(?<![\w)\]])[-\u2212]\$?|\$[-\u2212])?(?P<digits>{_DIGITS})")
_MARKER = "####"
_SKIPPED = " \t#$"


def extract(text: str) -> str | None:
    """Gives the number that a text answers with, in its plain form, or None where there is none.

    Returns:
        An optional minus, digits without leading zeros, and a fraction without trailing zeros: `1,050.50` is `1050.5`, `-0` is `0`.
    """
    at = text.find(_MARKER)
    while at >= 0:
        at += len(_MARKER)
        while at < len(text) and text[at] in _SKIPPED:
            at += 1
        if found := _NUMBER.match(text, at):
            return _plain(found)
        at = text.find(_MARKER, at)
    last = None
    for last in _NUMBER.finditer(text):  # noqa: B007 (the last one is wanted)
        pass
    return None if last is None else _plain(last)


def matches(text: str, answer: str) -> bool:
    """Says whether a text answers with the same number as the answer.

    Raises:
        BadInputError: CHECKER_UNKNOWN, when the answer has no number.
    """
    wanted = extract(answer)
    if wanted is None:
        raise BadInputError("CHECKER_UNKNOWN", f'number: wanted {{"answer": text with a number}}, got {answer[:80]!r}')
    return extract(text) == wanted


def _plain(found: re.Match[str]) -> str:
    whole, _, fraction = found["digits"].replace(",", "").partition(".")
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    digits = f"{whole}.{fraction}" if fraction else whole
    return f"-{digits}" if found["minus"] and digits != "0" else digits
