"""A planted retrieval experiment up to its report: rankings whose first relevant document stands where the test wants it."""

import json

from assay_pods.retrieval import files
from assay_pods.retrieval.files import Query, Ranking
from assay_pods.retrieval.report import write_report
from tests.local_context import LocalContext

FAMILY = [["SOFTQE", "BASE"], ["SOFTQE", "CONTRASTIVE"], ["SOFTQE", "SHUFFLED"]]
SEEDS = (101, 102)
UNTRAINED = ("BM25", "BM25_EXPANDED", "BASE", "BASE_EXPANDED", "VECTOR_PRF")
TRAINED = (("SOFTQE", 1.0), ("SOFTQE_MIXED", 0.5), ("CONTRASTIVE", 0.0), ("SHUFFLED", 1.0), ("RIDGE", None))
QUERIES = 40


def helped(system, query, seed):
    """A rank, from 1, of the one relevant document: SoftQE learns what seen topics mean and no others."""
    if system in ("BASE_EXPANDED", "BM25_EXPANDED"):
        return 1
    if system in ("SOFTQE", "SOFTQE_MIXED") and query.group == "seen":
        return 1 if (int(query.id[1:]) + (seed or 0)) % 4 else 2
    return 8 + (int(query.id[1:]) + (seed or 0)) % 3 if system in ("CONTRASTIVE", "SHUFFLED", "RIDGE") else 9


def spec(**changes):
    """What the planner says of the report."""
    cells = [
        {"input": place, "system": system, "alpha": alpha, "fold": 0, "seed": seed}
        for place, (system, alpha, seed) in enumerate((*row, seed) for row in TRAINED for seed in SEEDS)
    ]
    return {
        "capability": "retrieval",
        "version": 1,
        "step": "report",
        "name": "planted",
        "collection": {"kind": "PLANTED", "seed": 7},
        "encoder": {"digest": "e"},
        "expansion": {"kind": "PLANTED"},
        "student": {"epochs": 1},
        "split": {"kind": "HASH", "dev": 0.15, "test": 0.5},
        "relevance": {"gains": None},
        "seeds": list(SEEDS),
        "cells": cells,
        "family": FAMILY,
        "gate": "ENFORCE",
        "practicalThreshold": 0.028,
        "confidence": 0.95,
        "dropIdenticalIds": False,
        "threads": 1,
    } | changes


def queries():
    """Tested queries in two groups, one that nothing answers, and a few that train."""
    groups = ["seen" if place % 2 else "unseen" for place in range(QUERIES)]
    tested = [Query(f"q{place}", f"what is {place}", "test", 0, group) for place, group in enumerate(groups)]
    return [*tested, Query("q900", "nothing answers", "test"), *(Query(f"t{place}", f"learn {place}", "train") for place in range(10))]


def report(folder, rank=helped, gate=None, result=None, told=None, taught=None, without=(), **changes):
    """Writes the inputs of a report, makes it, and gives its context and document.

    Args:
        folder: Where the run works.
        rank: The place of the relevant document by system, query and seed.
        gate: What teach says of the gate; open where left out.
        result: What each train run answers, beside what it is.
        told: What the step expand answers.
        taught: What teach says beside its gate and its latencies.
        without: Places of trainings that gave no ranking.
        changes: Fields of the spec that differ.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made, asked = spec(**changes), queries()
    tested = [query for query in asked if query.split == "test"]
    paths = {name: folder / name for name in ("queries", "qrels", "expansions", "rankings", "teach", "expand", "asked")}
    files.write_queries(paths["queries"], asked)
    files.write_qrels(paths["qrels"], {query.id: {f"d{query.id}": 0 if query.id == "q900" else 1} for query in asked})
    files.write_expansions(paths["expansions"], [files.Expansion(query.id, f"about {query.id}", "planted", "") for query in asked])
    plain = [_ranking(system, query, rank(system, query, None)) for system in UNTRAINED for query in tested]
    files.write_rankings(paths["rankings"], plain)
    times = {"encoder": 4.0, "encoderExpanded": 9.0, "search": 1.0, "bm25": 0.5}
    open_gate = [{"fold": 0, "open": True, "delta": 0.5, "low": 0.4, "high": 0.6, "queries": 9}]
    latency = {name: {"p50": value, "p95": 2 * value} for name, value in times.items()}
    paths["teach"].write_text(json.dumps({"gate": gate or open_gate, "seconds": {"latencyMs": latency}} | (taught or {})))
    missing = {"count": 2, "some": ["d1", "d2"]}
    about = {
        "judgedDocumentsMissing": missing,
        "judgedQueriesMissing": {"count": 0, "some": []},
        "warnings": ["2 judged documents are not there"],
    }
    paths["asked"].write_text(json.dumps(about))
    paths["expand"].write_text(json.dumps(told or {"queries": {}}))
    for cell in made["cells"]:
        answer = {
            "kind": cell["system"],
            "alpha": cell["alpha"],
            "selected": {"step": 1},
            "seconds": {"wall": 2.0, "cpu": 3.0, "encoderMs": {"p50": 4.0, "p95": 8.0}},
        } | (result or {})
        paths[f"result:{cell['input']}"] = folder / f"result-{cell['input']}"
        paths[f"result:{cell['input']}"].write_text(json.dumps(answer))
        if cell["input"] not in without:
            about = {"alpha": cell["alpha"], "seed": cell["seed"], "fold": cell["fold"]}
            found = [_ranking(cell["system"], query, rank(cell["system"], query, cell["seed"]), **about) for query in tested]
            paths[f"rankings:{cell['input']}"] = folder / f"rankings-{cell['input']}"
            files.write_rankings(paths[f"rankings:{cell['input']}"], found)
    context = LocalContext(folder / "run", made, paths)
    return context, write_report(context)


def _ranking(system, query, place, **about):
    documents = [f"x{number}" for number in range(1, 12)]
    documents.insert(place - 1, f"d{query.id}")
    return Ranking(system, query.id, documents, [1.0 - number / 100 for number in range(len(documents))], **about)
