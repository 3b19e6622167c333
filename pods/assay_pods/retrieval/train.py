"""Step `train`: one student of one fold with one seed, selected on dev queries with the base as a candidate, and what it finds."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from assay_pods.common.context import RunContext
from assay_pods.retrieval import files, search, splits, vectors
from assay_pods.retrieval.encoder import Encoder
from assay_pods.retrieval.files import Qrels, Query, Ranking
from assay_pods.retrieval.metrics import per_query
from assay_pods.retrieval.search import Shards
from assay_pods.retrieval.splits import Parts
from assay_pods.retrieval.students import ridge
from assay_pods.retrieval.students.fine_tune import Log, fine_tune, trained_weights
from assay_pods.retrieval.students.folder import write_student
from assay_pods.retrieval.students.lessons import Lessons, lessons_of
from assay_pods.retrieval.teach import depth_for
from assay_pods.retrieval.vectors import QueryVectors, Rows

RIDGES = ("RIDGE", "RIDGE_SHUFFLED")
_CUT = 10


@dataclass(frozen=True)
class _Case:
    context: RunContext
    parts: Parts
    queries: int
    qrels: Qrels
    made: QueryVectors
    shards: Shards

    def find(self, queries: Sequence[Query], rows: Rows, k: int) -> list[list[tuple[str, float]]]:
        """What a student with these rows finds."""
        own = [query.id for query in queries] if self.context.spec["dropIdenticalIds"] else None
        return search.exact(self.shards, rows, k, device=self.context.device, own_ids=own)

    def dev(self, rows: Rows) -> float:
        """The mean nDCG@10 of the queries that select; 0 where none of them can be answered."""
        found = {query.id: ranking for query, ranking in zip(self.parts.dev, self.find(self.parts.dev, rows, _CUT), strict=True)}
        values = per_query({one: self.qrels[one] for one in found if one in self.qrels}, found)
        return float(np.mean([one["ndcg@10"] for one in values.values()])) if values else 0.0


def train(context: RunContext) -> dict[str, Any]:
    """Trains the spec's student and ranks the test queries with it; behind a closed gate it only says so.

    Raises:
        BadInputError: SPLIT_EMPTY, TRAINING_DIVERGED, ENCODER_UNSUPPORTED.
        CancelledError: when the user asked to stop.
        ReleasedError: when the run is to go on later or elsewhere.
    """
    started = (time.perf_counter(), time.process_time())
    spec, student = context.spec, context.spec["student"]
    told = {"step": "train", "kind": student["kind"], "alpha": student.get("alpha"), "fold": student["fold"], "seed": spec["seed"]}
    if spec.get("gate") == "ENFORCE" and not _gate_is_open(context):
        return told | {"trained": False, "reason": "GATE", "warnings": ["the gate is closed: nothing was trained"]}
    context.progress("reading", 0, 1)
    queries = files.read_queries(context.inputs["queries"])
    parts = splits.require(splits.parts(queries, student["fold"]))
    qrels, shards = files.read_qrels(context.inputs["qrels"]), vectors.open_shards(context)
    case = _Case(context, parts, len(queries), qrels, vectors.read(context.inputs["vectors"]), shards)
    material = (qrels, files.read_negatives(context.inputs["negatives"]), shards)
    lessons = lessons_of(student, parts.train, case.made, material, spec["seed"])
    encoder = Encoder(spec["encoder"], context.device, context.cache_dir)
    work = _fit_ridge if student["kind"] in RIDGES else _fine_tune
    rows, found = work(case, encoder, lessons)
    _rank(case, rows)
    seconds = {"wall": time.perf_counter() - started[0], "cpu": time.process_time() - started[1]}
    counts = {"train": len(lessons.queries), "dev": len(parts.dev), "test": len(parts.test)}
    latency = _latency(encoder, parts.test)
    return told | {"trained": True, "reason": None, "queries": counts, **found, "seconds": seconds | {"encoderMs": latency}}


def _gate_is_open(context: RunContext) -> bool:
    gates: Sequence[Mapping[str, Any]] = json.loads(context.inputs["teach"].read_bytes())["gate"]
    return any(gate["open"] for gate in gates if gate["fold"] == context.spec["student"]["fold"])


def _fit_ridge(case: _Case, encoder: Encoder, lessons: Lessons) -> tuple[Rows, dict[str, Any]]:
    """Fits a map for each penalty; the base comes first among the candidates, then the strongest penalty."""
    dev, test = (case.made.rows(queries, case.made.base) for queries in (case.parts.dev, case.parts.test))
    base = case.dev(dev)
    chosen: ridge.Ridge | None = None
    best, curve = base, []
    for penalty in ridge.PENALTIES:
        fitted = ridge.fit(lessons.base, lessons.target, penalty)
        score = case.dev(fitted.rows(dev))
        curve.append({"penalty": penalty, "dev": score})
        if score > best:
            chosen, best = fitted, score
    width = test.shape[1]
    weights = np.zeros((width, width)) if chosen is None else chosen.weights
    _save_weights(case.context, {"ridge": weights.astype(np.float32)})
    case.context.save("student.zip", "ENCODER", write_student(encoder, case.context.work_dir, chosen))
    selected = {"step": 0 if chosen is None else 1, "penalty": None if chosen is None else chosen.penalty, "dev": best}
    return (test if chosen is None else chosen.rows(test)), _about(selected, base, curve)


def _fine_tune(case: _Case, encoder: Encoder, lessons: Lessons) -> tuple[Rows, dict[str, Any]]:
    """Trains a copy of the encoder. Where the base is selected its own rows are taken, which are the same to the last bit."""
    context, parts = case.context, case.parts
    base = case.dev(case.made.rows(parts.dev, case.made.base))
    log = fine_tune(context, encoder, lessons, (lambda: case.dev(encoder.queries([query.text for query in parts.dev])), base))
    layers = context.spec["student"]["layers"]
    _save_weights(context, {name: value.cpu().numpy() for name, value in trained_weights(encoder, layers).items()})
    context.save("student.zip", "ENCODER", write_student(encoder, context.work_dir))
    if log.best["step"] == 0:
        return case.made.rows(parts.test, case.made.base), _about_training(log, base)
    return encoder.queries([query.text for query in parts.test]), _about_training(log, base)


def _about_training(log: Log, base: float) -> dict[str, Any]:
    losses = {"first": log.losses[0], "last": log.losses[-1]} if log.losses else None
    said = [f"training was ended after {len(log.losses)} of {log.steps_planned} steps, as asked"] if log.partial else []
    about = _about(log.best, base, log.curve, said)
    return about | {"steps": len(log.losses), "trainLoss": losses, "partial": log.partial}


def _about(selected: Mapping[str, Any], base: float, curve: Sequence[Mapping[str, Any]], said: Sequence[str] = ()) -> dict[str, Any]:
    kept = ["nothing was better than the base on dev queries: the student is the base"] if selected["step"] == 0 else []
    return {"selected": dict(selected), "baseDev": base, "curve": list(curve), "warnings": [*kept, *said]}


def _rank(case: _Case, rows: Rows) -> None:
    student, context = case.context.spec["student"], case.context
    found = case.find(case.parts.test, rows, depth_for(case.queries))
    about = {"alpha": student.get("alpha"), "seed": context.spec["seed"], "fold": student["fold"]}
    rankings = (
        Ranking(student["kind"], query.id, [one for one, _ in ranking], [score for _, score in ranking], **about)
        for query, ranking in zip(case.parts.test, found, strict=True)
    )
    path = context.work_dir / "rankings.jsonl"
    files.write_rankings(path, rankings)
    context.save("rankings.jsonl", "ITEMS", path)


def _save_weights(context: RunContext, tensors: Mapping[str, Any]) -> None:
    path = context.work_dir / "weights.safetensors"
    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, path)
    context.save("weights.safetensors", "WEIGHTS", path)


def _latency(encoder: Encoder, queries: Sequence[Query]) -> dict[str, float]:
    taken: list[float] = []
    for query in queries[:33]:
        begun = time.perf_counter()
        encoder.queries([query.text])
        taken.append(1_000 * (time.perf_counter() - begun))
    counted = taken[min(3, len(taken) - 1) :]
    return {"p50": float(np.quantile(counted, 0.5)), "p95": float(np.quantile(counted, 0.95))}
