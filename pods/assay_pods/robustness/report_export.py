"""The report in forms that other programs read: lm-evaluation-harness results, and all items of all cells in one file."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scipy import stats

from assay_pods.common.canonical_json import canonical_json
from assay_pods.robustness.report_families import Cell, Experiment
from assay_pods.robustness.report_items import read_lines

TASK_VERSION = 2

Document = Mapping[str, Any]


def task_name(entry: Document) -> str:
    """A cell as the name of an lm-eval task: letters, digits, `_`, `.`, `/` and `-` only."""
    parts = ["assay", entry["task"] or "uploaded", entry["artifact"] or "rows", entry["method"]]
    parts += [] if entry.get("spuriousness") is None else [f"rho{entry['spuriousness']:g}"]
    variant = entry.get("variant")
    parts += [] if variant is None else ["-".join(f"{value:g}" if isinstance(value, float) else str(value) for value in variant.values())]
    parts += [] if entry.get("learningRate") is None else [f"lr{entry['learningRate']:g}"]
    return "/".join("".join(c if c.isalnum() or c in "_.-" else "_" for c in str(part).lower()) for part in parts)


def lm_eval_results(document: Document) -> dict[str, Any]:
    """What lm-evaluation-harness writes as `results.json`: `metric,filter` keys, each with its `_stderr`.

    The group of items stands where the harness names a filter. A standard error is half the interval's width over the quantile of
    its confidence, "N/A" where there is no interval.
    """
    entries = [*document["base"], *document["start"], *document["cells"]]
    confidence = float(document["statistics"]["confidence"])
    names = {task_name(entry): entry for entry in entries}
    results = {name: {"alias": name} | _figures(entry, confidence) for name, entry in names.items()}
    better = {name: _directions(values) for name, values in results.items()}
    counts = {name: max((one["n"] for one in entry["groups"].values() if one is not None), default=0) for name, entry in names.items()}
    return {
        "results": results,
        "group_subtasks": {name: [] for name in names},
        "configs": {name: _config(document, name, entry) for name, entry in names.items()},
        "versions": dict.fromkeys(names, TASK_VERSION),
        "n-shot": dict.fromkeys(names, 0),
        "higher_is_better": better,
        "n-samples": {name: {"original": count, "effective": count} for name, count in counts.items()},
        "config": {"model": "hf", "model_args": canonical_json(document["model"]["source"]).decode(), "model_num_parameters": None}
        | {"batch_size": None, "device": None, "limit": None, "bootstrap_iters": document["statistics"]["resamples"], "random_seed": None},
        "versions_of_packages": dict(document["provenance"]["versions"]),
        "model_source": "hf",
        "model_name": _model_name(document),
    }


def _model_name(document: Document) -> str:
    source = document["model"]["source"]
    return str(source.get("id") or source.get("name") or source.get("path") or "")


def _figures(entry: Document, confidence: float) -> dict[str, Any]:
    found: dict[str, Any] = {}
    metrics = [(f"acc,{name}", one) for name, one in entry["groups"].items()]
    metrics += [(f"{name},none", entry.get(name)) for name in ("gap", "controlAdjustedGap", "worstGroup", "reliance")]
    metrics += [(f"{score},{relation}", one) for relation, scores in entry["generated"].items() for score, one in scores.items()]
    for key, one in metrics:
        if one is not None and one["value"] is not None:
            metric, _, group = key.partition(",")
            found[key] = one["value"]
            found[f"{metric}_stderr,{group}"] = _standard_error(one, confidence)
    return found


def _standard_error(one: Document, confidence: float) -> float | str:
    if one["low"] is None or one["high"] is None:
        return "N/A"
    return (one["high"] - one["low"]) / (2 * float(stats.norm.ppf((1 + confidence) / 2)))


def _directions(values: Document) -> dict[str, bool]:
    metrics = {key.partition(",")[0] for key in values if key != "alias"}
    lower = {"gap", "controlAdjustedGap", "reliance"}
    return {metric: metric not in lower for metric in sorted(metrics) if not metric.endswith("_stderr")}


def _config(document: Document, name: str, entry: Document) -> dict[str, Any]:
    kept = ("task", "artifact", "method", "spuriousness", "variant", "learningRate", "seeds", "verdict", "reason")
    return {"task": name, "output_type": "multiple_choice", "num_fewshot": 0, "repeats": 1} | {
        "metadata": {key: entry[key] for key in kept if key in entry} | {"version": TASK_VERSION, "rate_mode": document["data"]["rateMode"]}
    }


def write_items(experiment: Experiment, path: Path) -> None:
    """One line an item: the cell and seed that it belongs to, and the row as scoring wrote it."""
    with path.open("wb") as out:
        for line in _item_lines(experiment.cells):
            out.write(line)


def _item_lines(cells: list[Cell]) -> Iterator[bytes]:
    for cell in cells:
        for run in cell.runs:
            head = canonical_json(cell.identity() | {"seed": run.seed})
            for line in read_lines(run.path):
                # Every line was read as JSON before, so it may stand in the new object as it is.
                yield b'{"cell":' + head + b',"item":' + line.strip() + b"}\n"


def to_json(document: Mapping[str, Any]) -> str:
    """The document as it is stored: keys sorted, two spaces of indent, no NaN."""
    return json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
