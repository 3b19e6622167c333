"""Step `expand`: for each query the texts that say more fully what it asks for."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from assay_pods.common.context import BadInputError, RunContext
from assay_pods.retrieval import files
from assay_pods.retrieval.expansion import SOURCES
from assay_pods.retrieval.expansion.relevant_document import PROVIDER, refuse_leaks
from assay_pods.retrieval.files import Expansion, Query

_GUARDED = frozenset(("UPLOADED", "ENDPOINT", "LOCAL"))
"""Sources that could hold a relevant document without having found it by searching."""


def expand(context: RunContext) -> dict[str, Any]:
    """Writes `expansions.jsonl` and says how many queries have one.

    Raises:
        BadInputError: EXPANSION_MISSING, when no training query has one; EXPANSION_LEAKS; or what the source refuses.
        TransientError: TEACHER_UNREACHABLE.
    """
    started = (time.perf_counter(), time.process_time())
    kind = context.spec["expansion"]["kind"]
    queries = files.read_queries(context.inputs["queries"])
    qrels = files.read_qrels(context.inputs["qrels"])
    context.progress("expanding", 0, len(queries))
    found = SOURCES[kind](context, queries, qrels)
    if kind in _GUARDED:
        refuse_leaks(found.expansions, queries, qrels, context.inputs["corpus"])
    covered = _covered(queries, found.expansions)
    warnings = _warnings(kind, covered)
    path = context.work_dir / "expansions.jsonl"
    files.write_expansions(path, found.expansions)
    context.save("expansions.jsonl", "DATASET", path)
    for warning in warnings:
        context.log(warning, "warning")
    context.progress("expanding", len(queries), len(queries))
    return {
        "step": "expand",
        "kind": kind,
        "expansions": len(found.expansions),
        "queries": covered,
        "providers": sorted({expansion.provider for expansion in found.expansions}),
        "promptHashes": sorted({expansion.prompt_hash for expansion in found.expansions if expansion.prompt_hash}),
        **found.notes,
        "seconds": {"wall": time.perf_counter() - started[0], "cpu": time.process_time() - started[1]},
        "warnings": warnings,
    }


def _covered(queries: Sequence[Query], expansions: Sequence[Expansion]) -> dict[str, dict[str, int]]:
    """Of each part, how many queries there are and how many have an expansion; a cross-fitted query is in the part `all`."""
    having = {expansion.query_id for expansion in expansions}
    counts: dict[str, dict[str, int]] = {}
    for query in queries:
        part = counts.setdefault(query.split or "all", {"asked": 0, "expanded": 0})
        part["asked"] += 1
        part["expanded"] += query.id in having
    if not any(counts.get(part, {}).get("expanded") for part in ("train", "all")) and ("train" in counts or not having):
        raise BadInputError(
            "EXPANSION_MISSING", f"wanted expansions of the queries, got none for any training query of {len(queries)} queries"
        )
    return counts


def _warnings(kind: str, covered: Mapping[str, Mapping[str, int]]) -> list[str]:
    if kind == "RELEVANT_DOCUMENT":
        return [f"only training queries have an expansion ({PROVIDER}): the expanded rows equal the plain ones, and the gate finds no gain"]
    return [
        f"{part['asked'] - part['expanded']} of {part['asked']} queries ({name}) have no expansion and are treated as they are"
        for name, part in covered.items()
        if part["expanded"] < part["asked"]
    ]
