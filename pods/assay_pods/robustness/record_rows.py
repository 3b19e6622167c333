"""The lines of records.jsonl, read and written; the fields are those of docs/contract.md."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from assay_pods.common.canonical_json import canonical_json
from assay_pods.common.context import BadInputError
from assay_pods.robustness.records import CUE_TARGETS, RELATIONS, SPLITS, Checker, Record

_Value = TypeVar("_Value")

ROLES = ("system", "user", "assistant")
TEXT_LENGTH_MAX = 100_000
"""The longest text of a row, in characters."""


def to_json(record: Record) -> dict[str, Any]:
    """Gives a record as the JSON object of its row."""
    row: dict[str, Any] = {
        "id": record.id,
        "pairId": record.pair_id,
        "split": record.split,
        "relation": record.relation,
        "prompt": record.messages,
        "chosen": record.chosen,
        "rejected": record.rejected,
        "checker": {"id": record.checker.rule, "kwargs": dict(record.checker.kwargs)},
        "artifactPresent": record.artifact_present,
        "artifactVariant": record.artifact_variant,
        "cueTarget": record.cue_target,
    }
    optional = {
        "goldClass": record.gold_class,
        "slice": record.slice,
        "gold": record.gold,
        "shortcut": record.shortcut,
        "core": record.core,
    }
    row |= {name: value for name, value in optional.items() if value is not None}
    row |= {"distractors": list(record.distractors)} if record.distractors else {}
    return row | ({"candidates": record.candidates} if record.candidates != 2 else {})


def from_json(row: Mapping[str, Any], line: int) -> Record:
    """Reads a record from its row.

    Args:
        row: The parsed JSON object.
        line: Its line in the file, from 1, for messages.

    Raises:
        BadInputError: DATASET_INVALID, when a field is missing or has another type or value than the contract says.
    """
    try:
        _check_texts(row)
        checker = row["checker"]
        record = Record(
            id=_text(row, "id"),
            pair_id=_text(row, "pairId"),
            split=_one_of(row, "split", SPLITS),
            relation=_one_of(row, "relation", RELATIONS),
            prompt=tuple((_text(turn, "role"), _text(turn, "content")) for turn in row["prompt"]),
            chosen=_text(row, "chosen"),
            rejected=_text(row, "rejected"),
            checker=Checker(_text(checker, "id"), dict(checker["kwargs"])),
            artifact_present=_of_type(row, "artifactPresent", bool),
            artifact_variant=_of_type(row, "artifactVariant", str),
            cue_target=_cue_target(row),
            gold_class=_optional_text(row, "goldClass"),
            candidates=_candidates(row),
            slice=_optional_text(row, "slice"),
            gold=_optional_text(row, "gold"),
            shortcut=_optional_text(row, "shortcut"),
            distractors=tuple(_of_type({"distractors": text}, "distractors", str) for text in row.get("distractors") or ()),
            core=_optional_text(row, "core"),
        )
    except KeyError as missing:
        raise BadInputError("DATASET_INVALID", f"line {line}: wanted the field {missing}, which is missing") from missing
    except (TypeError, ValueError) as wrong:
        raise BadInputError("DATASET_INVALID", f"line {line}: {wrong}") from wrong
    if any(role not in ROLES for role, _ in record.prompt):
        raise BadInputError("DATASET_INVALID", f"line {line}: wanted turns of {', '.join(ROLES)}, got {record.messages}")
    if not record.prompt or record.prompt[0][0] != "system":
        raise BadInputError("DATASET_INVALID", f"line {line}: wanted a prompt that begins with a system turn, got {record.messages}")
    return record


def read_records(path: Path) -> list[Record]:
    """Reads a JSONL file of preference rows.

    Raises:
        BadInputError: DATASET_INVALID, naming the line.
    """
    records: list[Record] = []
    lines_of: dict[str, int] = {}
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            record = from_json(_parse(line, number), number)
            if record.id in lines_of:
                where = f"lines {lines_of[record.id]} and {number}"
                raise BadInputError("DATASET_INVALID", f"{where}: wanted each id once, got {record.id!r} twice")
            lines_of[record.id] = number
            records.append(record)
    return records


def _parse(line: bytes, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
    except json.JSONDecodeError as wrong:
        raise BadInputError("DATASET_INVALID", f"line {number}, column {wrong.colno}: {wrong.msg}") from wrong
    except (ValueError, RecursionError) as wrong:
        raise BadInputError("DATASET_INVALID", f"line {number}: wanted JSON in UTF-8, got: {wrong}") from wrong
    if not isinstance(row, dict):
        raise BadInputError("DATASET_INVALID", f"line {number}: wanted a JSON object, got {type(row).__name__}")
    return row


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word}, which is no JSON")


def write_records(path: Path, records: Iterable[Record], generator_version: str) -> None:
    """Writes records with their index, the generator's version and a digest of their content (all of it but `id`)."""
    with path.open("wb") as out:
        for index, record in enumerate(records):
            row = to_json(record) | {"index": index, "generatorVersion": generator_version}
            row["sha256"] = hashlib.sha256(canonical_json({k: v for k, v in row.items() if k != "id"})).hexdigest()
            out.write(canonical_json(row) + b"\n")


def _check_texts(value: Any) -> None:
    """Refuses texts that no database or tokenizer takes: too long, with NUL, or with half of a surrogate pair."""
    if isinstance(value, str):
        if len(value) > TEXT_LENGTH_MAX:
            raise ValueError(f"wanted texts of at most {TEXT_LENGTH_MAX} characters, got one of {len(value)}")
        if "\0" in value:
            raise ValueError("wanted texts without NUL characters, got one with")
        value.encode("utf-8")
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            _check_texts(key)
            _check_texts(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_texts(inner)


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row[key]
    if not isinstance(value, str) or not value:
        raise ValueError(f"wanted a text in {key}, got {value!r}")
    return value


def _of_type(row: Mapping[str, Any], key: str, wanted: type[_Value]) -> _Value:
    value = row[key]
    if not isinstance(value, wanted):
        raise ValueError(f"wanted {wanted.__name__} in {key}, got {value!r}")
    return value


def _optional_text(row: Mapping[str, Any], key: str) -> str | None:
    return None if row.get(key) is None else _of_type(row, key, str)


def _candidates(row: Mapping[str, Any]) -> int:
    value = row.get("candidates", 2)
    if not isinstance(value, int) or isinstance(value, bool) or value < 2:
        raise ValueError(f"wanted a whole number of at least 2 in candidates, got {value!r}")
    return value


def _cue_target(row: Mapping[str, Any]) -> str | None:
    value = row["cueTarget"]
    if value not in CUE_TARGETS:
        raise ValueError(f"wanted gold, shortcut or null in cueTarget, got {value!r}")
    return value


def _one_of(row: Mapping[str, Any], key: str, allowed: Sequence[str]) -> str:
    value = _text(row, key)
    if value not in allowed:
        raise ValueError(f"wanted one of {', '.join(allowed)} in {key}, got {value!r}")
    return value
