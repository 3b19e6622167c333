"""Step `report`: one JSON document, the same to read, every query's receipt, and the rankings as trec_eval reads them.

The document is the same, byte for byte, for the same rankings and judgements, apart from what stands under `seconds` and `hardware`.
"""

import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assay_pods.common.context import RunContext
from assay_pods.common.stats import NUM_RESAMPLES
from assay_pods.retrieval import files
from assay_pods.retrieval.metrics import mean
from assay_pods.retrieval.report_cost import break_even, latencies, latency_saved_ms, one_off_seconds, query_costs
from assay_pods.retrieval.report_inputs import Experiment, read_experiment
from assay_pods.retrieval.report_pages import render_html, render_markdown, render_text
from assay_pods.retrieval.report_rows import leaderboard, missing_rows, receipts, recovered_gain, selection, tests
from assay_pods.retrieval.report_words import caveats, not_shown, summary, verdict
from assay_pods.retrieval.trec_files import write_qrels, write_run

SCHEMA = "assay.retrieval.report/1"
LARGEST_ANSWER_BYTES = 2 * 1024 * 1024
"""A result travels in one message; the report's files are not bound by that."""
_HEAD = ("schema", "name", "summary", "verdict", "reason", "queries", "tests", "missing")
_VERSIONED = ("numpy", "scipy", "statsmodels", "torch", "transformers", "sentence-transformers", "bm25s", "pytrec-eval-terrier")


def write_report(context: RunContext) -> dict[str, Any]:
    """Reads all rankings and results, writes the report in all its forms, and returns the document.

    Raises:
        BadInputError: ITEMS_INVALID or ITEMS_MISMATCH, when the rankings are not of this experiment's queries.
        CancelledError: the user asked to stop.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    context.progress("reporting", 0, 3)
    experiment = read_experiment(context.spec, context.inputs)
    context.progress("reporting", 1, 3)
    document = build(experiment)
    document["hardware"] = {"device": context.device, "machine": platform.machine(), "system": platform.system(), "cpus": os.cpu_count()}
    document["seconds"]["report"] = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    context.progress("reporting", 2, 3)
    saved = latency_saved_ms(document["seconds"]["latencyMs"])
    _write(context, document)
    files.write_lines(context.work_dir / "queries.jsonl", receipts(experiment, saved))
    context.save("queries.jsonl", "ITEMS_EXPORT", context.work_dir / "queries.jsonl")
    _write_trec(context, experiment)
    context.progress("reporting", 3, 3)
    whole = len(json.dumps(document).encode()) <= LARGEST_ANSWER_BYTES
    return document if whole else {name: document[name] for name in _HEAD} | {"shortened": True}


def build(experiment: Experiment) -> dict[str, Any]:
    """The document of an experiment, without what only the run process knows (`hardware`, the report's own seconds)."""
    spec = experiment.spec
    family = tests(experiment)
    found, reason = verdict(experiment, family)
    base = experiment.systems["BASE"]
    counted = mean(experiment.qrels, base.values, "ndcg@10")
    rows = leaderboard(experiment, query_costs(experiment))
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "step": "report",
        "name": spec["name"],
        "verdict": found,
        "reason": reason,
        "collection": dict(spec["collection"]),
        "encoder": dict(spec["encoder"]),
        "expansion": dict(spec["expansion"]),
        "student": dict(spec["student"]),
        "split": dict(spec["split"]),
        "seeds": list(spec["seeds"]),
        "statistics": {
            "confidence": float(spec["confidence"]),
            "practicalThreshold": float(spec["practicalThreshold"]),
            "family": [list(pair) for pair in spec["family"]],
            "test": "sign flips over queries, two-sided; Holm over the family",
            "resamples": NUM_RESAMPLES,
            "versions": _versions(),
        },
        "queries": {
            "tested": len(experiment.queries),
            "withoutRelevant": counted.excluded,
            "unjudged": len(experiment.tested) - len(experiment.qrels),
            "training": experiment.training,
            "judgedDocumentsMissing": experiment.asked["judgedDocumentsMissing"]["count"],
            "judgedQueriesMissing": experiment.asked["judgedQueriesMissing"]["count"],
        },
        "baseByTrecEval": counted.trec_eval,
        "gate": [dict(gate) for gate in experiment.teach["gate"]],
        "approximate": experiment.teach.get("approximate"),
        "selection": selection(experiment),
        "leaderboard": [row | {"key": _key(experiment, row)} for row in rows],
        "tests": family,
        "recoveredGain": recovered_gain(experiment),
        "breakEven": break_even(experiment),
        "missing": missing_rows(experiment),
        "seconds": {"latencyMs": latencies(experiment), "distillation": one_off_seconds(experiment)},
    }
    document["summary"] = summary(document)
    document["notShown"] = not_shown(document)
    document["caveats"] = caveats(experiment, document)
    return document


def _key(experiment: Experiment, row: Mapping[str, Any]) -> str:
    return next(key for key, system in experiment.systems.items() if (system.name, system.alpha) == (row["system"], row["alpha"]))


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in _VERSIONED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def _write(context: RunContext, document: Mapping[str, Any]) -> None:
    as_json = json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    texts = {
        "report.json": ("REPORT_JSON", as_json),
        "report.txt": ("REPORT_TEXT", render_text(document)),
        "report.md": ("REPORT_MARKDOWN", render_markdown(document)),
        "report.html": ("REPORT_HTML", render_html(document)),
    }
    for name, (kind, text) in texts.items():
        path = context.work_dir / name
        path.write_text(text, encoding="utf-8")
        context.save(name, kind, path)


def _write_trec(context: RunContext, experiment: Experiment) -> None:
    """The rankings of every system one behind the other, of a trained one those of its first seed, each under its key as the tag."""
    whole, part = context.work_dir / "run.trec", context.work_dir / "part.trec"
    with whole.open("wb") as run:
        for key, system in experiment.systems.items():
            write_run(part, next(iter(system.rankings.values())), key)
            run.write(part.read_bytes())
    _remove(part)
    context.save("run.trec", "TREC_RUN", whole)
    write_qrels(context.work_dir / "qrels.trec", experiment.qrels)
    context.save("qrels.trec", "TREC_QRELS", context.work_dir / "qrels.trec")


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
