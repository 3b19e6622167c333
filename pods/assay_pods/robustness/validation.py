"""Accuracy on validation items, every group weighing the same: what learning rates are chosen by and what curves show."""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, variance
from typing import Any, NamedTuple

from assay_pods.common.context import BadInputError

CUED = ("aligned", "conflicting")
SLICED = ("in_slice", "out_slice")


class Balanced(NamedTuple):
    """The mean over groups, its standard error over items, and the groups."""

    value: float
    standard_error: float
    groups: dict[str, float]


def balanced_accuracy(items: Iterable[Mapping[str, Any]]) -> Balanced:
    """Gives the balanced accuracy over the validation rows of items.jsonl.

    Where rows differ in their cue, the groups are `aligned` and `conflicting` and the item is the pair of both. Where they differ in
    their slice, the groups are the trained slices.

    Raises:
        BadInputError: ITEMS_MISMATCH, when there are neither pairs nor slices among the rows.
    """
    rows = [item for item in items if item["split"] == "validation"]
    pairs = _pairs(rows)
    if pairs:
        means = [fmean(pair.values()) for pair in pairs]
        return Balanced(fmean(means), _error(means), {group: fmean(pair[group] for pair in pairs) for group in CUED})
    slices: dict[str, list[float]] = {}
    for row in rows:
        if row["relation"] in SLICED:
            slices.setdefault(row.get("slice", row["relation"]), []).append(float(row["score"]))
    if not slices:
        raise BadInputError("ITEMS_MISMATCH", f"wanted validation rows with a cue or a slice, got {len(rows)} rows without")
    error = math.sqrt(sum(_error(scores) ** 2 for scores in slices.values())) / len(slices)
    groups = {name: fmean(scores) for name, scores in sorted(slices.items())}
    return Balanced(fmean(groups.values()), error, groups)


def _pairs(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    by_item: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["relation"] in CUED:
            by_item.setdefault(row["itemKey"], {})[row["relation"]] = float(row["score"])
    return [pair for pair in by_item.values() if len(pair) == len(CUED)]


def _error(values: Sequence[float]) -> float:
    """The standard error of a mean; 0 where one value alone shows no spread."""
    return math.sqrt(variance(values) / len(values)) if len(values) > 1 else 0.0
