"""Step `select`: the learning rate of each method, from runs at spuriousness 0 and nothing else."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from assay_pods.common.canonical_json import canonical_json
from assay_pods.common.context import BadInputError, RunContext
from assay_pods.robustness.validation import Balanced, balanced_accuracy

RULE = (
    "best balanced validation accuracy at spuriousness 0; "
    "of the rates whose accuracy lies within one standard error of the best, the smallest"
)


class Candidate(NamedTuple):
    """One rate that was tried; `found` is None where its run gave no whole result."""

    method: str
    learning_rate: float
    found: Balanced | None


def select(context: RunContext) -> dict[str, Any]:
    """Chooses a rate for every method and writes selection.json.

    Raises:
        BadInputError: SELECTION_EMPTY, when no run of a method gave a result.
    """
    context.progress("reporting", 0, 1)
    candidates = [_candidate(context.inputs, listed) for listed in context.spec["candidates"]]
    by_method: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        by_method[candidate.method].append(candidate)
    document = {
        "learningRate": {method: chosen(tried) for method, tried in sorted(by_method.items())},
        "candidates": [_document(candidate) for candidate in candidates],
        "rule": RULE,
    }
    path = context.work_dir / "selection.json"
    path.write_bytes(canonical_json(document))
    context.save("selection.json", "SELECTION", path)
    warnings = [
        f"{lost.method} at {lost.learning_rate:g} gave no whole result and was not considered" for lost in candidates if lost.found is None
    ]
    context.progress("reporting", 1, 1)
    return {"step": "select", "seed": context.spec["seed"]} | document | {"warnings": warnings}


def chosen(tried: Sequence[Candidate]) -> float:
    """Gives the rate of one method's candidates that the rule chooses."""
    found = [(candidate.learning_rate, candidate.found) for candidate in tried if candidate.found is not None]
    if not found:
        raise BadInputError("SELECTION_EMPTY", f"wanted a result at one learning rate of {tried[0].method} at least, got none")
    best = max((accuracy for _, accuracy in found), key=lambda accuracy: accuracy.value)
    return min(rate for rate, accuracy in found if accuracy.value >= best.value - best.standard_error)


def _candidate(inputs: Mapping[str, Path], listed: Mapping[str, Any]) -> Candidate:
    index = listed["input"]
    result, items = inputs.get(f"result:{index}"), inputs.get(f"items:{index}")
    if result is None or items is None or json.loads(result.read_bytes()).get("partial"):
        return Candidate(listed["method"], listed["learningRate"], None)
    rows = [json.loads(line) for line in items.read_bytes().splitlines()]
    return Candidate(listed["method"], listed["learningRate"], balanced_accuracy(rows))


def _document(candidate: Candidate) -> dict[str, Any]:
    found = candidate.found
    return {
        "method": candidate.method,
        "learningRate": candidate.learning_rate,
        "balanced": None if found is None else found.value,
        "standardError": None if found is None else found.standard_error,
        "groups": None if found is None else found.groups,
    }
