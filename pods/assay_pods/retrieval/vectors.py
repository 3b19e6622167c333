"""`vectors.safetensors`: what the frozen encoder makes of every query, plain and expanded. No teacher runs while students train."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from assay_pods.common.context import RunContext
from assay_pods.retrieval.files import Expansion, Query
from assay_pods.retrieval.search import Shards

Rows = NDArray[np.float32]


class QueryVectors(NamedTuple):
    """Unit rows by query."""

    ids: list[str]
    base: Rows
    """[Q, d]"""
    teacher: Rows
    """[Q, d]; of a query without an expansion its base."""
    unexpanded: frozenset[str]

    def rows(self, queries: Sequence[Query], of: Rows) -> Rows:
        """The rows of some queries, in their order, out of `base` or `teacher`."""
        place = {one: row for row, one in enumerate(self.ids)}
        return of[[place[query.id] for query in queries]]


def write(path: Path, vectors: QueryVectors) -> None:
    """Writes the file."""
    told = {"assay.ids": json.dumps(vectors.ids), "assay.unexpanded": json.dumps(sorted(vectors.unexpanded))}
    save_file({"base": np.ascontiguousarray(vectors.base), "teacher": np.ascontiguousarray(vectors.teacher)}, path, told)


def read(path: Path) -> QueryVectors:
    """Reads the file."""
    opened: Any = safe_open(str(path), framework="numpy")
    with opened as file:
        told: Mapping[str, str] = file.metadata()
        ids, unexpanded = json.loads(told["assay.ids"]), frozenset(json.loads(told["assay.unexpanded"]))
        return QueryVectors(ids, file.get_tensor("base"), file.get_tensor("teacher"), unexpanded)


def unit(rows: NDArray[Any]) -> Rows:
    """Rows of length 1; a row of zeros stays as it is."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return (rows / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)


def taught(encoder: Any, queries: Sequence[Query], expansions: Mapping[str, Sequence[Expansion]]) -> QueryVectors:
    """Encodes the queries, plain and with what their expansions say: t(q) = unit(mean over samples of f(q [SEP] d'))."""
    base = encoder.queries([query.text for query in queries])
    pairs = [(row, sample.text) for row, query in enumerate(queries) for sample in expansions.get(query.id, ())]
    found = encoder.queries([queries[row].text + encoder.separator + text for row, text in pairs])
    sums = np.zeros_like(base)
    np.add.at(sums, [row for row, _ in pairs], found)
    having = {row for row, _ in pairs}
    teacher = base.copy()
    for row in having:
        teacher[row] = unit(sums[row])
    unexpanded = frozenset(query.id for row, query in enumerate(queries) if row not in having)
    return QueryVectors([query.id for query in queries], base, teacher, unexpanded)


def open_shards(context: RunContext) -> Shards:
    """Opens the run's inputs `ids:<k>` and `embeddings:<k>`, as many as there are."""
    count = sum(name.startswith("ids:") for name in context.inputs)
    return Shards.open([(context.inputs[f"ids:{k}"], context.inputs[f"embeddings:{k}"]) for k in range(count)])
