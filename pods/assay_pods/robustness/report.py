"""The report of a robustness experiment: one JSON document and a table to read.

The document is the same, byte for byte, for the same items and results, apart from what stands under `seconds` and `hardware`.
Its floats are not rounded; the table rounds.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Mapping
from typing import Any

from assay_pods.common.context import RunContext
from assay_pods.common.stats import NUM_RESAMPLES
from assay_pods.robustness.composites import DESCRIPTIONS
from assay_pods.robustness.estimates import Level
from assay_pods.robustness.metrics import DEGRADATION_METRICS, DERIVED_METRICS, GROUP_METRICS
from assay_pods.robustness.report_cells import Judge, base_block, trained_cell
from assay_pods.robustness.report_contrasts import declared_contrast, degradations
from assay_pods.robustness.report_controls import controls, core_gate
from assay_pods.robustness.report_inputs import BASE, Experiment, read_experiment
from assay_pods.robustness.report_table import render
from assay_pods.robustness.report_words import caveats, not_shown

SCHEMA = "assay.robustness.report/1"
VERSIONED = ("numpy", "scipy", "statsmodels", "torch", "transformers", "trl")


def write_report(context: RunContext) -> dict[str, Any]:
    """Reads all items and results, writes `report.json` and `report.txt`, and returns the document.

    Raises:
        BadInputError: an input is not what docs/contract.md says, or items that should pair do not.
        CancelledError: the user asked to stop.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    context.progress("reporting", 0, 3)
    experiment = read_experiment(context.spec, context.inputs)
    context.progress("reporting", 1, 3)
    document = build(experiment)
    document["hardware"] = _hardware(context)
    document["seconds"] |= {"report": {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}}
    context.progress("reporting", 2, 3)
    for name, kind, text in (("report.json", "REPORT_JSON", to_json(document)), ("report.txt", "REPORT_TEXT", render(document))):
        path = context.work_dir / name
        path.write_text(text, encoding="utf-8")
        context.save(name, kind, path)
    context.progress("reporting", 3, 3)
    return document


def to_json(document: Mapping[str, Any]) -> str:
    """The document as it is stored: keys sorted, two spaces of indent, no NaN."""
    return json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def build(experiment: Experiment) -> dict[str, Any]:
    """The document of an experiment, without what only the run process knows (`hardware`, the report's own seconds)."""
    spec = experiment.spec
    level = Level(float(spec.get("confidence", 0.95)), _salt(spec))
    gates = {method: core_gate(experiment, method, level) for method in (BASE, *experiment.methods)}
    judge = Judge(experiment, gates, tuple(controls(experiment, level)), level)
    cells = [trained_cell(judge, cell) for (method, _), cell in experiment.cells.items() if method != BASE]
    verdicts = {(cell["method"], cell["spuriousness"]): (cell["verdict"], cell["reason"]) for cell in cells}
    degradation = degradations(experiment, verdicts, level)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "name": spec["name"],
        "complete": not experiment.missing,
        "missingCells": [one.document() for one in experiment.missing],
        "grid": dict(spec["grid"]),
        "model": dict(spec["model"]),
        "trainer": dict(spec["trainer"]) | {"precision": spec.get("precision"), "threads": spec.get("threads")},
        "data": _data(experiment),
        "metrics": _metrics(),
        "coreGate": [gates[method].document() for method in experiment.methods],
        "cells": cells,
        "base": base_block(judge),
        "degradation": degradation["rows"],
        "degradationTest": degradation["test"],
        "controls": [one.document() for one in judge.controls],
        "declaredContrast": declared_contrast(experiment, degradation["rows"]),
        "seeds": sorted({seed for cell in experiment.cells.values() for seed in cell.seeds}),
        "statistics": _statistics(experiment, level),
        "provenance": _provenance(experiment),
        "seconds": _seconds(experiment),
    }
    return document | {"notShown": not_shown(judge, document), "caveats": caveats(judge, document)}


def _salt(spec: Mapping[str, Any]) -> str:
    """What the resampling depends on: the data, the model and the sizes, but not the order of cells or the name."""
    parts = {key: spec.get(key) for key in ("data", "model", "size", "trainer")}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _data(experiment: Experiment) -> dict[str, Any]:
    """The data's source, sizes and what preparing found out about it, seed by seed."""
    kept = ("records", "diagnostics", "sequences", "tokens", "warnings")
    prepared = [{"seed": seed} | {name: one[name] for name in kept if name in one} for seed, one in experiment.prepared.items()]
    return dict(experiment.spec["data"]) | {"size": dict(experiment.spec["size"]), "rateMode": "correlation", "prepared": prepared}


def _metrics() -> dict[str, Any]:
    return {
        "groups": [metric.document() for metric in GROUP_METRICS],
        "derived": [*(metric.document() for metric in DERIVED_METRICS), *(dict(one) for one in DESCRIPTIONS)],
        "degradation": [metric.document() for metric in DEGRADATION_METRICS],
    }


def _statistics(experiment: Experiment, level: Level) -> dict[str, Any]:
    one_seed = len({seed for cell in experiment.cells.values() for seed in cell.seeds}) == 1
    shown = {"confidence": level.confidence, "practicalThreshold": experiment.spec["practicalThreshold"], "resamples": NUM_RESAMPLES}
    if one_seed:
        return shown | {
            "intervalsOver": "these checkpoints, items only",
            "proportions": "Wilson; a tie counts half",
            "pairedDifferences": "adjusted Wald (Bonett and Price 2012); percentile and BCa bootstrap over pairs beside it",
            "nats": "BCa bootstrap over pairs; the percentile interval beside it",
        }
    two_way = "two-way t-interval over seeds and items, with pseudo-items for scores"
    return shown | {"intervalsOver": "seeds and items", "proportions": two_way, "pairedDifferences": two_way, "nats": two_way}


def _provenance(experiment: Experiment) -> dict[str, Any]:
    items = [
        {"method": cell.method, "spuriousness": cell.rate, "seed": run.seed, "itemsSha256": run.items_sha256}
        for cell in experiment.cells.values()
        for run in cell.runs
    ]
    spec = experiment.spec
    digests = {"code": spec.get("codeDigest"), "model": spec["model"]["digest"], "data": spec["data"].get("digest")}
    return {"digests": digests, "items": items, "versions": {name: importlib.metadata.version(name) for name in VERSIONED}}


def _seconds(experiment: Experiment) -> dict[str, Any]:
    """What the runs say that they took, summed; null for a step of which no run says it."""
    trained = [run.result for cell in experiment.cells.values() for run in cell.runs]
    found: dict[str, Any] = {}
    for name, results in (("train", trained), ("prepare", list(experiment.prepared.values()))):
        said = [one["seconds"] for one in results if one.get("seconds")]
        found[name] = {unit: sum(float(one[unit]) for one in said) for unit in ("wall", "cpu")} if said else None
    return found


def _hardware(context: RunContext) -> dict[str, Any]:
    return {"device": context.device, "machine": platform.machine(), "system": platform.system(), "cpus": os.cpu_count()}
