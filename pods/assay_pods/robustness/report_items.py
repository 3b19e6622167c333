"""The scored items of one run, read from `items.jsonl` into columns."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from assay_pods.common.context import BadInputError
from assay_pods.robustness.estimates import RELATIONS
from assay_pods.robustness.item_values import Column

SPLITS = ("test", "validation")
SCORES_OF_TEXT = ("exact", "strict", "loose", "f1")

Place = tuple[str, str]
"""Split and relation."""


@dataclass(slots=True)
class _Rows:
    keys: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    margins: list[float] = field(default_factory=list)
    by_token: list[float] = field(default_factory=list)
    generated: dict[str, dict[str, float]] = field(default_factory=dict)
    unequal: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of one split and relation; all columns have the same items, `generated` those for which text was generated."""

    score: Column
    margin: Column
    by_token: Column
    generated: Mapping[str, Column]
    unequal: int


@dataclass(frozen=True, slots=True)
class Table:
    """All rows of a run."""

    groups: Mapping[Place, Group]
    classes: Mapping[str, str]
    slices: Mapping[str, str]
    rows: int

    @property
    def unequal(self) -> int:
        """How many test rows have answers of unequal token counts."""
        return sum(group.unequal for (split, _), group in self.groups.items() if split == "test")

    @property
    def tested(self) -> int:
        """How many test rows there are."""
        return sum(len(group.score.keys) for (split, _), group in self.groups.items() if split == "test")


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, one at a time."""
    with path.open("rb") as file:
        yield from file


def read_table(name: str, path: Path) -> Table:
    """Reads and checks the items of a run.

    Raises:
        BadInputError: ITEMS_INVALID, with the line.
    """
    places: dict[Place, _Rows] = {}
    seen: set[tuple[str, str, str]] = set()
    classes: dict[str, str] = {}
    slices: dict[str, str] = {}
    count = 0
    for number, line in enumerate(read_lines(path), start=1):
        item = _item(f"{name} line {number}", line)
        key = (item["split"], item["itemKey"], item["relation"])
        if key in seen:
            raise BadInputError("ITEMS_INVALID", f"{name} line {number}: wanted every split, item and relation once, got {key} twice")
        seen.add(key)
        _add(places.setdefault((item["split"], item["relation"]), _Rows()), item)
        if item.get("goldClass") is not None:
            classes[item["itemKey"]] = str(item["goldClass"])
        if item.get("slice") is not None:
            slices[item["itemKey"]] = str(item["slice"])
        count += 1
    return Table({place: _group(rows) for place, rows in places.items()}, classes, slices, count)


def _item(where: str, line: bytes) -> Mapping[str, Any]:
    try:
        item = json.loads(line)
        key = (item["split"], item["itemKey"], item["relation"])
        if not math.isfinite(item["margin"]):
            raise ValueError(f"margin {item['margin']}")
    except (ValueError, KeyError, TypeError) as error:
        raise BadInputError("ITEMS_INVALID", f"{where}: wanted a scored item, got {type(error).__name__}: {error}") from error
    if item["split"] not in SPLITS or item["relation"] not in RELATIONS or item.get("score") not in (0, 0.5, 1):
        wanted = f"a split of {SPLITS}, a relation of {RELATIONS} and a score of 0, 0.5 or 1"
        raise BadInputError("ITEMS_INVALID", f"{where}: wanted {wanted}, got {(*key, item.get('score'))}")
    for score, value in _text_scores(item).items():
        if score not in SCORES_OF_TEXT or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise BadInputError("ITEMS_INVALID", f"{where}: wanted scores of generated text from 0 to 1, got {score!r}: {value!r}")
    return item


def _text_scores(item: Mapping[str, Any]) -> Mapping[str, Any]:
    generation = item.get("generation")
    scores = generation.get("scores") if isinstance(generation, dict) else None
    return scores if isinstance(scores, dict) else {}


def _add(rows: _Rows, item: Mapping[str, Any]) -> None:
    rows.keys.append(str(item["itemKey"]))
    rows.scores.append(float(item["score"]))
    rows.margins.append(float(item["margin"]))
    chosen, rejected = int(item.get("tokensChosen") or 0), int(item.get("tokensRejected") or 0)
    rows.unequal += chosen != rejected
    rows.by_token.append(float(item["tokenMeanScore"]) if item.get("tokenMeanScore") is not None else _by_token(item, chosen, rejected))
    for score, value in _text_scores(item).items():
        rows.generated.setdefault(score, {})[str(item["itemKey"])] = float(value)


def _by_token(item: Mapping[str, Any], chosen: int, rejected: int) -> float:
    """The score by the mean over tokens; equal to that by the sum where counts are equal."""
    if chosen == rejected:
        return float(item["score"])
    margin = item["logprobChosen"] / max(1, chosen) - item["logprobRejected"] / max(1, rejected)
    return 1.0 if margin > 0 else 0.5 if margin == 0 else 0.0


def _group(rows: _Rows) -> Group:
    order = sorted(range(len(rows.keys)), key=rows.keys.__getitem__)
    keys = tuple(rows.keys[place] for place in order)

    def column(values: list[float]) -> Column:
        return Column(keys, np.array([values[place] for place in order], dtype=np.float64))

    generated = {score: _column(values) for score, values in sorted(rows.generated.items())}
    return Group(column(rows.scores), column(rows.margins), column(rows.by_token), generated, rows.unequal)


def _column(values: Mapping[str, float]) -> Column:
    keys = tuple(sorted(values))
    return Column(keys, np.array([values[key] for key in keys], dtype=np.float64))
