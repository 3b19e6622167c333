"""Methods against each other: method x rate, and what a reader may conclude from it."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from assay_pods.robustness.estimates import DOUBLE_DIFFERENCE, Level, estimate
from assay_pods.robustness.item_values import ItemValues
from assay_pods.robustness.report_contrasts import Contrast, tested
from assay_pods.robustness.report_controls import Gate, GateKey
from assay_pods.robustness.report_families import Experiment, Family, FamilyKey

ONE_RATE = "no comparison: one learning rate"
DEPENDS = "depends on the learning rate"
TOO_WEAK = "no comparison: the core was not learned firmly enough by both"

Gates = Mapping[FamilyKey, Mapping[GateKey, Gate]]


class Point(NamedTuple):
    """One learning rate of each of two methods: what the first loses minus what the second loses, item by item."""

    rates: tuple[float | None, float | None]
    values: ItemValues


class Grid(NamedTuple):
    """The points of two methods that may be compared, whether each method has several learning rates, and what stands in the way."""

    points: tuple[Point, ...]
    whole: bool
    blocked: str | None


def method_by_rate(experiment: Experiment, lost: Sequence[Contrast], gates: Gates, level: Level) -> tuple[list[dict[str, Any]], Any]:
    """D of one method minus D of another for every pair in every family, and the joint test of this family of contrasts.

    D is what a method loses from the lower rate to the higher. Learning rates of different methods have no common scale, so every
    learning rate of one is held against every one of the other; a conclusion needs the same sign at all those whose core gates pass.
    """
    found: list[tuple[Contrast, Grid]] = []
    for family in experiment.families:
        for first, second in itertools.combinations(family.methods, 2):
            grid = _grid(family, (first, second), lost, gates[family.key])
            row = {"task": family.task, "artifact": family.artifact, "method": first, "against": second}
            row |= {"variant": None, "learningRate": None, "adjustedP": None, "points": [_shown(point, level) for point in grid.points]}
            values = _mean([point.values for point in grid.points])
            whole = None if values is None else estimate(values, DOUBLE_DIFFERENCE, level).document()
            found.append((Contrast(row | {"estimate": whole}, values), grid))
    judged, test = tested([contrast for contrast, _ in found])
    rows = [_verdict(contrast.row, grid, level) for contrast, (_, grid) in zip(judged, found, strict=True)]
    return rows, test


def _grid(family: Family, methods: tuple[str, str], lost: Sequence[Contrast], gates: Mapping[GateKey, Gate]) -> Grid:
    sides = [
        [one for one in lost if (one.row["task"], one.row["artifact"], one.row["method"]) == (*family.key, method)] for method in methods
    ]
    whole = all(len(side) > 1 for side in sides)
    read = [[one for one in side if one.values is not None] for side in sides]
    firm = [[one for one in side if gates[one.row["method"], one.row["learningRate"]].comparable] for side in read]
    if not all(read):
        reason = next(one.row["reason"] for one in itertools.chain(*sides) if one.values is None) if any(sides) else "no two rates"
        return Grid((), whole, f"not measurable: {reason}")
    used = firm if all(firm) else read
    points = tuple(_point(*pair) for pair in itertools.product(*used))
    return Grid(points, whole, None if all(firm) else TOO_WEAK)


def _point(first: Contrast, second: Contrast) -> Point:
    assert first.values is not None, "only readable contrasts are compared"
    assert second.values is not None, "only readable contrasts are compared"
    return Point((first.row["learningRate"], second.row["learningRate"]), first.values - second.values)


def _mean(values: Sequence[ItemValues]) -> ItemValues | None:
    if not values:
        return None
    total = values[0]
    for one in values[1:]:
        total = total + one
    return total.scaled(1 / len(values))


def _shown(point: Point, level: Level) -> dict[str, Any]:
    return {"learningRates": list(point.rates), "estimate": estimate(point.values, DOUBLE_DIFFERENCE, level).document()}


def _verdict(row: dict[str, Any], grid: Grid, level: Level) -> dict[str, Any]:
    """BETTER and WORSE speak of the first method: it loses less, or more, than the second."""
    if not grid.points:
        return row | {"verdict": "NOT_MEASURABLE", "reason": grid.blocked}
    if grid.blocked is not None:
        return row | {"verdict": "NO_COMPARISON", "reason": grid.blocked}
    if not grid.whole:
        return row | {"verdict": "NO_COMPARISON", "reason": ONE_RATE}
    means = [point["estimate"]["value"] for point in row["points"]]
    if not (all(mean > 0 for mean in means) or all(mean < 0 for mean in means)):
        return row | {"verdict": "INCONCLUSIVE", "reason": DEPENDS}
    if row["adjustedP"] is None or row["adjustedP"] > 1 - level.confidence:
        return row | {"verdict": "INCONCLUSIVE", "reason": "a tie: no difference shown at this size, over seeds and the whole family"}
    loses_less = means[0] < 0
    better = row["method"] if loses_less else row["against"]
    reason = f"{better} loses less at every one of {len(means)} pairs of learning rates whose core gates pass"
    return row | {"verdict": "BETTER" if loses_less else "WORSE", "reason": reason}
