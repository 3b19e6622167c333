"""The report of a robustness experiment: one JSON document, and the same in forms to read and to export.

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
from assay_pods.robustness.metrics import degradation_metrics, derived_metrics, group_metrics
from assay_pods.robustness.report_cells import Judge, trained_cell, untrained_cell
from assay_pods.robustness.report_claims import claims
from assay_pods.robustness.report_contrasts import declared_contrast, degradations, mitigations, narrowness, tested
from assay_pods.robustness.report_controls import controls, core_gates
from assay_pods.robustness.report_export import lm_eval_results, to_json, write_items
from assay_pods.robustness.report_families import BASE, NARROW, START, Experiment, Family
from assay_pods.robustness.report_html import render_html
from assay_pods.robustness.report_inputs import read_experiment
from assay_pods.robustness.report_markdown import render_markdown
from assay_pods.robustness.report_methods import method_by_rate
from assay_pods.robustness.report_table import render
from assay_pods.robustness.report_words import caveats, not_shown, summary

LARGEST_ANSWER_BYTES = 2 * 1024 * 1024
"""A result travels in one message; the report's files are not bound by that."""
HEAD = (
    "schema",
    "name",
    "complete",
    "summary",
    "missingCells",
    "grid",
    "preset",
    "families",
    "declaredContrast",
    "degradationTest",
    "seeds",
)

SCHEMA = "assay.robustness.report/2"
VERSIONED = ("numpy", "scipy", "statsmodels", "torch", "transformers", "trl")


def write_report(context: RunContext) -> dict[str, Any]:
    """Reads all items and results, writes the report in all its forms, and returns the document.

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
    for name, kind, text in _texts(document):
        _save(context, name, kind, text)
    items = context.work_dir / "items-export.jsonl"
    write_items(experiment, items)
    context.save(items.name, "ITEMS_EXPORT", items)
    context.progress("reporting", 3, 3)
    return answer(document)


def _texts(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        ("report.json", "REPORT_JSON", to_json(document)),
        ("report.txt", "REPORT_TEXT", render(document)),
        ("report.md", "REPORT_MARKDOWN", render_markdown(document)),
        ("report.html", "REPORT_HTML", render_html(document)),
        ("lm-eval.json", "LM_EVAL_JSON", to_json(lm_eval_results(document))),
    ]


def _save(context: RunContext, name: str, kind: str, text: str) -> None:
    path = context.work_dir / name
    path.write_text(text, encoding="utf-8")
    context.save(name, kind, path)


def answer(document: dict[str, Any]) -> dict[str, Any]:
    """The result of the run: the document, or where it is too long for an event its head, with the files as the whole."""
    if len(to_json(document).encode()) <= LARGEST_ANSWER_BYTES:
        return document
    return {name: document[name] for name in HEAD} | {"shortened": True}


def build(experiment: Experiment) -> dict[str, Any]:
    """The document of an experiment, without what only the run process knows (`hardware`, the report's own seconds)."""
    spec = experiment.spec
    level = Level(float(spec.get("confidence", 0.95)), _salt(spec))
    judges = [_judge(experiment, family, level) for family in experiment.families]
    cells = [(cell.family, cell.key, trained_cell(judge, cell)) for judge in judges for cell in judge.family.trained]
    verdicts = {(family, key): (shown["verdict"], shown["reason"]) for family, key, shown in cells}
    lost, mitigated = degradations(experiment, verdicts, level), mitigations(experiment, verdicts, level)
    family_wise, test = tested([*lost, *mitigated])
    degradation = [one.row for one in family_wise[: len(lost)]]
    gates = {judge.family.key: judge.gates for judge in judges}
    by_rate, by_rate_test = method_by_rate(experiment, lost, gates, level)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "name": spec["name"],
        "complete": not experiment.missing,
        "missingCells": [one.document() for one in experiment.missing],
        "grid": dict(spec["grid"]),
        "preset": spec.get("preset"),
        "model": dict(spec["model"]),
        "trainer": dict(spec["trainer"]) | {"precision": spec.get("precision"), "threads": spec.get("threads")},
        "data": _data(experiment),
        "families": [_family(judge) for judge in judges],
        "selections": [_selection(family) for family in experiment.families if family.selection is not None],
        "metrics": _metrics(),
        "coreGate": [gate.document() for judge in judges for gate in judge.gates.values() if gate.method not in (BASE, START)],
        "cells": [shown for _, _, shown in cells],
        "base": [one for judge in judges if (one := untrained_cell(judge, BASE)) is not None],
        "start": [one for judge in judges if (one := untrained_cell(judge, START)) is not None],
        "degradation": degradation,
        "degradationTest": test,
        "mitigation": [one.row for one in family_wise[len(lost) :]],
        "narrowness": narrowness(experiment, verdicts, level),
        "methodByRate": by_rate,
        "methodByRateTest": by_rate_test,
        "claims": claims(experiment, family_wise[: len(lost)], by_rate, gates, level),
        "controls": [one.document() for judge in judges for one in judge.controls],
        "declaredContrast": declared_contrast(experiment, degradation),
        "seeds": experiment.seeds,
        "statistics": _statistics(experiment, level),
        "provenance": _provenance(experiment),
        "seconds": _seconds(experiment),
    }
    document["summary"] = summary(judges, document)
    return document | {"notShown": not_shown(judges, document), "caveats": caveats(judges, document)}


def _judge(experiment: Experiment, family: Family, level: Level) -> Judge:
    own = Level(level.confidence, f"{level.salt}/{family.name}")
    return Judge(family, core_gates(family, own), tuple(controls(family, own)), own, len(experiment.cells))


def _family(judge: Judge) -> dict[str, Any]:
    """What became of a family, in one entry."""
    family = judge.family
    gates = [gate for gate in judge.gates.values() if gate.method not in (BASE, START)]
    shown: dict[str, Any] = {"task": family.task, "artifact": family.artifact, "name": family.name, "wholeGrid": family.whole_grid}
    shown["learned"] = [gate.name for gate in gates if gate.learned]
    shown["notLearned"] = [gate.name for gate in gates if gate.learned is False]
    shown["notMeasured"] = [gate.name for gate in gates if gate.learned is None]
    return shown | {"corePassed": bool(gates) and all(gate.learned for gate in gates)}


def _selection(family: Family) -> dict[str, Any]:
    return {"task": family.task, "artifact": family.artifact} | dict(family.selection or {})


def _salt(spec: Mapping[str, Any]) -> str:
    """What the resampling depends on: the data, the model and the sizes, but not the order of cells or the name."""
    parts = {key: spec.get(key) for key in ("data", "model", "size", "trainer", "rateMode")}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _data(experiment: Experiment) -> dict[str, Any]:
    """The data's source, sizes and what preparing found out about it, family by family and seed by seed."""
    kept = ("records", "diagnostics", "sequences", "tokens", "warnings")
    prepared = [
        {"task": family.task, "artifact": family.artifact, "seed": seed} | {name: one[name] for name in kept if name in one}
        for family in experiment.families
        for seed, one in family.prepared.items()
    ]
    spec = experiment.spec
    found = dict(spec.get("data") or {}) | {"size": dict(spec["size"]), "rateMode": spec["rateMode"]}
    return found | {"warmup": spec.get("warmup"), "prepared": prepared}


def _metrics() -> dict[str, Any]:
    """The catalogue of metrics of both artifacts."""
    found: dict[str, Any] = {}
    for artifact, narrow in (("FEATURE_AMBIGUITY", False), (NARROW, True)):
        found[artifact] = {
            "groups": [metric.document() for metric in group_metrics(narrow)],
            "derived": [*(metric.document() for metric in derived_metrics(narrow)), *(dict(one) for one in DESCRIPTIONS)],
            "degradation": [metric.document() for metric in degradation_metrics(narrow)],
        }
    return found


def _statistics(experiment: Experiment, level: Level) -> dict[str, Any]:
    one_seed = len(experiment.seeds) == 1
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
    items = [cell.identity() | {"seed": run.seed, "itemsSha256": run.items_sha256} for cell in experiment.cells for run in cell.runs]
    spec = experiment.spec
    digests = {"code": spec.get("codeDigest"), "model": spec["model"]["digest"], "data": (spec.get("data") or {}).get("digest")}
    return {"digests": digests, "items": items, "versions": {name: importlib.metadata.version(name) for name in VERSIONED}}


def _seconds(experiment: Experiment) -> dict[str, Any]:
    """What the runs say that they took, summed; null for a step of which no run says it."""
    trained = [run.result for cell in experiment.cells for run in cell.runs]
    prepared = [one for family in experiment.families for one in family.prepared.values()]
    found: dict[str, Any] = {}
    for name, results in (("train", trained), ("prepare", prepared)):
        said = [one["seconds"] for one in results if one.get("seconds")]
        found[name] = {unit: sum(float(one[unit]) for one in said) for unit in ("wall", "cpu")} if said else None
    return found


def _hardware(context: RunContext) -> dict[str, Any]:
    return {"device": context.device, "machine": platform.machine(), "system": platform.system(), "cpus": os.cpu_count()}
