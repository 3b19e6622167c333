"""What the report reads: the planned cells of the spec, and the items and results of those that were run."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay_pods.common.context import BadInputError
from assay_pods.robustness.estimates import RELATIONS, ItemValues
from assay_pods.robustness.metrics import Renders

BASE = "BASE"
SPLITS = ("test", "validation")

Key = tuple[str, float | None]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the plan that gave a result."""

    seed: int
    items: Sequence[Mapping[str, Any]]
    items_sha256: str
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Missing:
    """One run of the plan without a full result, and why."""

    method: str
    spuriousness: float | None
    seed: int
    reason: str

    def document(self) -> dict[str, Any]:
        """As the report lists it."""
        return {"method": self.method, "spuriousness": self.spuriousness, "seed": self.seed, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Cell:
    """All seeds of one method at one rate; `rate` is None for the untrained base."""

    method: str
    rate: float | None
    seeds: tuple[int, ...]
    runs: tuple[Run, ...]
    missing: tuple[Missing, ...]

    @property
    def complete(self) -> bool:
        """Whether every planned seed has a full result."""
        return not self.missing

    def renders(self, split: str) -> Renders:
        """The scored items of one split over the seeds that gave a result."""
        scores = {relation: self._values(split, relation, "score") for relation in RELATIONS}
        margins = {relation: self._values(split, relation, "margin") for relation in RELATIONS}
        classes = {item["itemKey"]: item["goldClass"] for run in self.runs for item in run.items if item.get("goldClass") is not None}
        return Renders(tuple(run.seed for run in self.runs), scores, margins, classes)

    def _values(self, split: str, relation: str, column: str) -> ItemValues:
        return ItemValues(
            {
                run.seed: {
                    item["itemKey"]: float(item[column]) for item in run.items if item["split"] == split and item["relation"] == relation
                }
                for run in self.runs
            }
        )


@dataclass(frozen=True, slots=True)
class Experiment:
    """The whole plan with what came of it."""

    spec: Mapping[str, Any]
    cells: Mapping[Key, Cell]
    prepared: Mapping[int, Mapping[str, Any]]

    @property
    def missing(self) -> list[Missing]:
        """Every run without a full result, in the order of the plan."""
        return [one for cell in self.cells.values() for one in cell.missing]

    @property
    def methods(self) -> list[str]:
        """The trained methods, in alphabetical order: the order says nothing about them."""
        return sorted({method for method, _ in self.cells if method != BASE})

    def rates(self, method: str) -> list[float]:
        """The rates that were planned for a method, rising."""
        return sorted(rate for name, rate in self.cells if name == method and rate is not None)

    def find(self, method: str, rate: float | None) -> Cell | None:
        """The cell of a method at a rate, if it was planned."""
        return self.cells.get((method, rate))


def read_experiment(spec: Mapping[str, Any], inputs: Mapping[str, Path]) -> Experiment:
    """Reads everything that the report's spec names.

    Raises:
        BadInputError: a file is not what docs/contract.md says.
    """
    runs: dict[Key, list[Run]] = {}
    missing: dict[Key, list[Missing]] = {}
    seeds: dict[Key, list[int]] = {}
    for planned in spec["cells"]:
        key: Key = (planned["method"], None if planned["method"] == BASE else float(planned["spuriousness"]))
        seeds.setdefault(key, []).append(int(planned["seed"]))
        run, reason = _read_run(planned, inputs)
        if run is not None:
            runs.setdefault(key, []).append(run)
        if reason is not None:
            missing.setdefault(key, []).append(Missing(key[0], key[1], int(planned["seed"]), reason))
    cells = {
        key: _cell(key, seeds[key], runs.get(key, []), missing.get(key, [])) for key in sorted(seeds, key=lambda k: (k[0], k[1] or 0.0))
    }
    prepared = {int(name.partition(":")[2]): _read_json(name, path) for name, path in inputs.items() if name.startswith("prepared:")}
    return Experiment(spec, cells, dict(sorted(prepared.items())))


def _cell(key: Key, seeds: list[int], runs: list[Run], missing: list[Missing]) -> Cell:
    in_order = tuple(sorted(runs, key=lambda run: run.seed))
    return Cell(key[0], key[1], tuple(sorted(seeds)), in_order, tuple(sorted(missing, key=lambda one: one.seed)))


def _read_run(planned: Mapping[str, Any], inputs: Mapping[str, Path]) -> tuple[Run | None, str | None]:
    items_name, result_name = f"items:{planned['input']}", f"result:{planned['input']}"
    if items_name not in inputs or result_name not in inputs:
        return None, "the run gave no result"
    result = _read_json(result_name, inputs[result_name])
    content = inputs[items_name].read_bytes()
    run = Run(int(planned["seed"]), _read_items(items_name, content), hashlib.sha256(content).hexdigest(), result)
    wanted, came = (_name_of(one) for one in (planned, result))
    if wanted != came:
        raise BadInputError("ITEMS_MISMATCH", f"{result_name}: wanted the result of {wanted}, got {came}")
    expected, scored = int(result["itemsExpected"]), int(result["itemsScored"])
    if len(run.items) != scored:
        raise BadInputError("ITEMS_MISMATCH", f"{items_name}: wanted {scored} items as its result says, got {len(run.items)}")
    return run, None if scored == expected else f"partial: {scored} of {expected} items were scored"


def _name_of(cell: Mapping[str, Any]) -> str:
    """A planned cell or a result in words, by which the two are held against each other."""
    rate = cell.get("spuriousness")
    at = "" if rate is None else f" at rho {float(rate):g}"
    return f"{cell.get('method')}{at} with seed {cell.get('seed')}"


def _read_json(name: str, path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except ValueError as error:
        raise BadInputError("ITEMS_INVALID", f"{name}: wanted JSON, got {error}") from error
    if not isinstance(document, dict):
        raise BadInputError("ITEMS_INVALID", f"{name}: wanted a JSON object, got {type(document).__name__}")
    return document


def _read_items(name: str, content: bytes) -> list[Mapping[str, Any]]:
    items: list[Mapping[str, Any]] = []
    seen: set[tuple[str, str, str]] = set()
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            item = json.loads(line)
            key = (item["split"], item["itemKey"], item["relation"])
            if not math.isfinite(item["margin"]):
                raise ValueError(f"margin {item['margin']}")
        except (ValueError, KeyError, TypeError) as error:
            raise BadInputError(
                "ITEMS_INVALID", f"{name} line {number}: wanted a scored item, got {type(error).__name__}: {error}"
            ) from error
        if key in seen:
            raise BadInputError("ITEMS_INVALID", f"{name} line {number}: wanted every split, item and relation once, got {key} twice")
        if item["split"] not in SPLITS or item["relation"] not in RELATIONS or item.get("score") not in (0, 0.5, 1):
            wanted = f"a split of {SPLITS}, a relation of {RELATIONS} and a score of 0, 0.5 or 1"
            raise BadInputError("ITEMS_INVALID", f"{name} line {number}: wanted {wanted}, got {(*key, item.get('score'))}")
        seen.add(key)
        items.append(item)
    return items
