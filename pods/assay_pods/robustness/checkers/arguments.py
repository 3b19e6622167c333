"""Arguments of checkers, read with a typed error for each that does not fit."""

from collections.abc import Mapping
from typing import Any, NoReturn

from assay_pods.common.context import BadInputError

TEXTS_MAX = 32
"""How many texts a list of words, phrases or answers may have."""
SHORT_TEXT_LENGTH_MAX = 100
"""The longest word or phrase that is searched for, in characters: it bounds the time of a search."""
LONG_TEXT_LENGTH_MAX = 100_000
COUNT_MAX = 1_000_000
RELATIONS = ("less than", "at least")


def refuse(rule: str, wanted: str, kwargs: Mapping[str, Any]) -> NoReturn:
    """Raises CHECKER_UNKNOWN with what was wanted and what came."""
    raise BadInputError("CHECKER_UNKNOWN", f"{rule}: wanted {wanted}, got {str(dict(kwargs))[:200]}")


def text_argument(kwargs: Mapping[str, Any], name: str, rule: str, longest: int = LONG_TEXT_LENGTH_MAX) -> str:
    """Gives a text of 1 to `longest` characters. Raises BadInputError CHECKER_UNKNOWN otherwise."""
    value = kwargs.get(name)
    if isinstance(value, str) and 1 <= len(value) <= longest:
        return value
    return refuse(rule, f'{{"{name}": text of 1 to {longest} characters}}', kwargs)


def short_texts(kwargs: Mapping[str, Any], name: str, rule: str) -> list[str]:
    """Gives a list of 1 to TEXTS_MAX words or phrases. Raises BadInputError CHECKER_UNKNOWN otherwise."""
    value = kwargs.get(name)
    if isinstance(value, list) and 1 <= len(value) <= TEXTS_MAX and all(map(_is_short, value)):
        return value
    return refuse(rule, f'{{"{name}": [1 to {TEXTS_MAX} texts of 1 to {SHORT_TEXT_LENGTH_MAX} characters]}}', kwargs)


def count_argument(kwargs: Mapping[str, Any], name: str, rule: str, least: int = 0) -> int:
    """Gives an integer from `least` to COUNT_MAX. Raises BadInputError CHECKER_UNKNOWN otherwise."""
    value = kwargs.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= COUNT_MAX:
        return value
    return refuse(rule, f'{{"{name}": an integer from {least} to {COUNT_MAX}}}', kwargs)


def compared(found: int, kwargs: Mapping[str, Any], names: tuple[str, str], rule: str) -> bool:
    """Holds a count against the threshold and the relation of the arguments.

    Args:
        found: The count.
        kwargs: The arguments.
        names: The names of the threshold and of the relation, which is `less than` or `at least`.
        rule: The checker's id, for messages.

    Raises:
        BadInputError: CHECKER_UNKNOWN, when an argument does not fit.
    """
    threshold = count_argument(kwargs, names[0], rule)
    relation = kwargs.get(names[1])
    if relation not in RELATIONS:
        refuse(rule, f'{{"{names[1]}": one of {", ".join(RELATIONS)}}}', kwargs)
    return found < threshold if relation == "less than" else found >= threshold


def _is_short(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= SHORT_TEXT_LENGTH_MAX
