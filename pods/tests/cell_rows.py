"""Rows of every generated cell, made once a test process."""

import re
from functools import cache

from assay_pods.robustness.cells import CELLS
from assay_pods.robustness.cells.cell import Cell, CellRequest
from assay_pods.robustness.records import Record

SIZES = {
    "FEATURE_AMBIGUITY": {"trainPairs": 96, "validationPairs": 36, "testPairs": 60},
    "DISTRIBUTIONAL_NARROWNESS": {"trainPairs": 96, "validationPairs": 8, "testPairs": 12},
}


def names(cell: Cell) -> str:
    return f"{cell.task}-{cell.artifact}-{cell.core}"


def cells(artifact: str | None = None, task: str | None = None) -> list[Cell]:
    """The cells of an artifact or a task."""
    return [cell for cell in CELLS if artifact in (None, cell.artifact) and task in (None, cell.task)]


def count_pieces(text: str) -> int:
    """A tokenizer of words, digits and marks."""
    return len(re.findall(r"\d|[^\W\d]+|[^\w\s]", text))


@cache
def rows(cell: Cell, seed: int = 101, warmup: int = 0) -> list[Record]:
    return cell.generate(CellRequest(SIZES[cell.artifact], seed, count_pieces, warmup_pairs=warmup))


def by_split(records, split):
    return [record for record in records if record.split == split]
