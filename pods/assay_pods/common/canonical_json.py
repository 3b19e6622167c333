"""JSON whose bytes depend on the value alone, equal to what the planner writes in TypeScript."""

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

_MAX_SAFE_INTEGER = 2**53 - 1


def canonical_json(value: Any) -> bytes:
    """Write a value as canonical JSON: sorted keys, no white space, numbers as JavaScript prints them, UTF-8.

    Keys are sorted by UTF-16 code units, as JavaScript sorts strings.

    Raises:
        ValueError: The value holds something that JSON cannot say: NaN, an infinity, an integer that a double cannot hold,
            a key that is no string, half of a surrogate pair, or another type. The message names the place.
    """
    return _write(value, "$").encode("utf-8")


def _write(value: Any, place: str) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value, place)
    if isinstance(value, int):
        return _integer(value, place)
    if isinstance(value, float):
        return _number(value, place)
    if isinstance(value, Mapping):
        return _object(value, place)
    if isinstance(value, list | tuple):
        return f"[{','.join(_write(item, f'{place}[{index}]') for index, item in enumerate(value))}]"
    raise ValueError(f"wanted a JSON value at {place}, but got {type(value).__name__}")


def _object(value: Mapping[Any, Any], place: str) -> str:
    for key in value:
        if not isinstance(key, str):
            raise ValueError(f"wanted string keys at {place}, but got {key!r}")
    keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
    fields = [f"{_string(key, place)}:{_write(value[key], f'{place}.{key}')}" for key in keys]
    return f"{{{','.join(fields)}}}"


def _string(value: str, place: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"wanted well-formed Unicode at {place}, but got half of a surrogate pair") from None
    return json.dumps(value, ensure_ascii=False)


def _integer(value: int, place: str) -> str:
    if abs(value) > _MAX_SAFE_INTEGER:
        raise ValueError(f"wanted an integer of at most 2^53 - 1 in size at {place}, but got {value}")
    return str(int(value))


def _number(value: float, place: str) -> str:
    """ECMAScript's Number::toString: plain digits from 1e-6 up to below 1e21, an exponent outside."""
    if not math.isfinite(value):
        raise ValueError(f"wanted a finite number at {place}, but got {float(value)}")
    if value == 0:
        return "0"
    sign, raw, exponent = Decimal(repr(float(value))).as_tuple()
    assert isinstance(exponent, int), "a finite float has a finite exponent"
    point = len(raw) + exponent
    digits = "".join(map(str, raw)).rstrip("0")
    minus = "-" if sign else ""
    if len(digits) <= point <= 21:
        return minus + digits.ljust(point, "0")
    if 0 < point <= 21:
        return f"{minus}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{minus}0.{'0' * -point}{digits}"
    mantissa = digits if len(digits) == 1 else f"{digits[0]}.{digits[1:]}"
    return f"{minus}{mantissa}e{'+' if point > 0 else '-'}{abs(point - 1)}"
