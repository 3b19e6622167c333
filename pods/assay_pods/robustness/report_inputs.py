"""What the report reads: the planned cells of the spec, and the items and results of those that were run."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay_pods.common.context import BadInputError
from assay_pods.robustness.report_families import (
    BASE,
    CHECKED_BY_TEXT,
    MIN_TEXTS,
    START,
    Cell,
    CellKey,
    Experiment,
    Family,
    FamilyKey,
    Missing,
    Run,
    Variant,
    texts_scored,
)
from assay_pods.robustness.report_items import read_table


@dataclass(slots=True)
class _Gathered:
    variant: Variant | None
    seeds: list[int] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)


def read_experiment(spec: Mapping[str, Any], inputs: Mapping[str, Path]) -> Experiment:
    """Reads everything that the report's spec names.

    Raises:
        BadInputError: a file is not what docs/contract.md says.
    """
    gathered: dict[FamilyKey, dict[CellKey, _Gathered]] = {}
    for planned in spec["cells"]:
        family, key = _family_of(planned), _key_of(planned)
        one = gathered.setdefault(family, {}).setdefault(key, _Gathered(planned.get("variant")))
        seed = int(planned["seed"])
        one.seeds.append(seed)
        run, reason = _read_run(planned, inputs)
        if run is not None:
            one.runs.append(run)
        if reason is not None:
            one.missing.append(Missing(family, key, planned.get("variant"), seed, reason))
    prepared, selections = _prepared(spec, inputs), _selections(spec, inputs)
    families = [
        Family(spec, family[0], family[1], _cells(family, cells), prepared.get(family, {}), selections.get(family))
        for family, cells in sorted(gathered.items(), key=lambda entry: (entry[0][0] or "", entry[0][1] or ""))
    ]
    return Experiment(spec, tuple(families))


def _family_of(planned: Mapping[str, Any]) -> FamilyKey:
    return planned.get("task"), planned.get("artifact")


def variant_name(variant: Variant | None) -> str | None:
    """The kind of a variant with its figure, such as `TIES 0.25`."""
    if variant is None:
        return None
    figures = [f"{value:g}" if isinstance(value, int | float) else str(value) for name, value in sorted(variant.items()) if name != "kind"]
    return " ".join([str(variant["kind"]), *figures])


def _key_of(planned: Mapping[str, Any]) -> CellKey:
    untrained = planned["method"] in (BASE, START)
    rate, learning = (planned.get(name) for name in ("spuriousness", "learningRate"))
    return CellKey(
        planned["method"],
        None if untrained else float(planned["spuriousness"] if rate is None else rate),
        variant_name(planned.get("variant")),
        None if untrained or learning is None else float(learning),
    )


def _cells(family: FamilyKey, gathered: Mapping[CellKey, _Gathered]) -> dict[CellKey, Cell]:
    found: dict[CellKey, Cell] = {}
    texts = _fewest_texts(gathered) if family == CHECKED_BY_TEXT else None
    by_text = texts is not None and texts >= MIN_TEXTS
    for key, one in sorted(gathered.items(), key=lambda entry: entry[0].order):
        runs = tuple(sorted(one.runs, key=lambda run: run.seed))
        missing = tuple(sorted(one.missing, key=lambda missed: missed.seed))
        found[key] = Cell(family, key, one.variant, tuple(sorted(one.seeds)), runs, missing, by_text, None if by_text else texts)
    return found


def _fewest_texts(gathered: Mapping[CellKey, _Gathered]) -> int:
    """The smallest number of judged texts, over all planned seeds, of a cell's test items and of the validation items of its core gate."""
    found: list[int] = []
    for key, one in gathered.items():
        gated = key.variant is None and key.rate in (None, 0.0)
        for split in ("test", "validation") if gated else ("test",):
            found += [texts_scored(run, split) * len(one.seeds) for run in one.runs]
    return min(found, default=0)


def _prepared(spec: Mapping[str, Any], inputs: Mapping[str, Path]) -> dict[FamilyKey, dict[int, Mapping[str, Any]]]:
    found: dict[FamilyKey, dict[int, Mapping[str, Any]]] = {}
    listed = spec.get("prepared")
    if listed is None:
        seeds = [int(name.partition(":")[2]) for name in inputs if name.startswith("prepared:")]
        listed = [{"input": seed, "seed": seed} for seed in seeds]
    for one in listed:
        name = f"prepared:{one['input']}"
        if name in inputs:
            found.setdefault(_family_of(one), {})[int(one["seed"])] = read_json(name, inputs[name])
    return {family: dict(sorted(seeds.items())) for family, seeds in found.items()}


def _selections(spec: Mapping[str, Any], inputs: Mapping[str, Path]) -> dict[FamilyKey, Mapping[str, Any]]:
    names = {_family_of(one): f"selection:{one['input']}" for one in spec.get("selections") or []}
    return {family: read_json(name, inputs[name]) for family, name in names.items() if name in inputs}


def _read_run(planned: Mapping[str, Any], inputs: Mapping[str, Path]) -> tuple[Run | None, str | None]:
    items_name, result_name = f"items:{planned['input']}", f"result:{planned['input']}"
    if items_name not in inputs or result_name not in inputs:
        return None, "the run gave no result"
    result, path = read_json(result_name, inputs[result_name]), inputs[items_name]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    run = Run(int(planned["seed"]), path, read_table(items_name, path), digest, result)
    wanted, came = _names_of(planned, result)
    if wanted != came:
        raise BadInputError("ITEMS_MISMATCH", f"{result_name}: wanted the result of {wanted}, got {came}")
    expected, scored = int(result["itemsExpected"]), int(result["itemsScored"])
    if run.table.rows != scored:
        raise BadInputError("ITEMS_MISMATCH", f"{items_name}: wanted {scored} items as its result says, got {run.table.rows}")
    if scored != expected:
        return run, f"partial: {scored} of {expected} items were scored"
    return run, "partial: training was ended before its last step" if result.get("partial") is True else None


def _names_of(planned: Mapping[str, Any], result: Mapping[str, Any]) -> tuple[str, str]:
    """A planned cell and a result in words, by what both of them tell."""
    told = [name for name in ("task", "artifact", "learningRate") if planned.get(name) is not None and result.get(name) is not None]
    told += ["variant"] if "variant" in result else []
    told = [name for name in told if planned.get(name) != result.get(name)]
    return _name_of(planned, told), _name_of(result, told)


def _name_of(cell: Mapping[str, Any], told: list[str]) -> str:
    rate = cell.get("spuriousness")
    at = "" if rate is None else f" at rho {float(rate):g}"
    more = "".join(f", {name} {variant_name(cell.get(name)) if name == 'variant' else cell[name]}" for name in told)
    return f"{cell.get('method')}{at} with seed {cell.get('seed')}{more}"


def read_json(name: str, path: Path) -> Mapping[str, Any]:
    """A JSON object.

    Raises:
        BadInputError: ITEMS_INVALID, when it is none.
    """
    try:
        document = json.loads(path.read_bytes())
    except ValueError as error:
        raise BadInputError("ITEMS_INVALID", f"{name}: wanted JSON, got {error}") from error
    if not isinstance(document, dict):
        raise BadInputError("ITEMS_INVALID", f"{name}: wanted a JSON object, got {type(document).__name__}")
    return document
