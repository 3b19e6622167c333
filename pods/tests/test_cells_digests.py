"""The same request gives the same bytes on every platform, and other bytes only under another version of its generator."""

import hashlib

import pytest
from cell_rows import cells, names, rows

from assay_pods.robustness.cells import CELLS
from assay_pods.robustness.record_rows import read_records, write_records

PINNED = {
    ("KEYWORD_INCLUSION", "FEATURE_AMBIGUITY", "LAPTOP"): ("swapOpener/2", "b531d8a9dbfa0b28"),
    ("KEYWORD_INCLUSION", "FEATURE_AMBIGUITY", "FULL"): ("swapOpener/2", "b531d8a9dbfa0b28"),
    ("MATH_REASONING", "FEATURE_AMBIGUITY", "LAPTOP"): ("mathReasoning/1", "5fabdeb11e924564"),
    ("MATH_REASONING", "FEATURE_AMBIGUITY", "FULL"): ("mathReasoning/1", "ed3d593f6694d3bb"),
    ("MATH_REASONING", "DISTRIBUTIONAL_NARROWNESS", "LAPTOP"): ("mathReasoning/1", "9dbbd220ac6f2897"),
    ("MATH_REASONING", "DISTRIBUTIONAL_NARROWNESS", "FULL"): ("mathReasoning/1", "d04e692f06e70723"),
    ("DOCUMENT_GROUNDED_QA", "FEATURE_AMBIGUITY", "LAPTOP"): ("documentQa/1", "ec58552802bd4a27"),
    ("DOCUMENT_GROUNDED_QA", "FEATURE_AMBIGUITY", "FULL"): ("documentQa/1", "4d9d50d782968d72"),
    ("DOCUMENT_GROUNDED_QA", "DISTRIBUTIONAL_NARROWNESS", "LAPTOP"): ("documentQa/1", "56fafbf50a28a3c0"),
    ("DOCUMENT_GROUNDED_QA", "DISTRIBUTIONAL_NARROWNESS", "FULL"): ("documentQa/1", "e4e642bb9a6bc008"),
    ("CONSTRAINED_INSTRUCTION_FOLLOWING", "FEATURE_AMBIGUITY", "LAPTOP"): ("instructionFollowing/1", "9a2da409525e058e"),
    ("CONSTRAINED_INSTRUCTION_FOLLOWING", "FEATURE_AMBIGUITY", "FULL"): ("instructionFollowing/1", "1cb4c84022e64d6e"),
    ("CONSTRAINED_INSTRUCTION_FOLLOWING", "DISTRIBUTIONAL_NARROWNESS", "LAPTOP"): ("instructionFollowing/1", "c723e44a51aa5b3b"),
    ("CONSTRAINED_INSTRUCTION_FOLLOWING", "DISTRIBUTIONAL_NARROWNESS", "FULL"): ("instructionFollowing/1", "42c409fc5c67ff0d"),
}


@pytest.mark.parametrize("cell", cells(), ids=names)
def test_a_seed_gives_the_pinned_bytes(cell, tmp_path):
    path = tmp_path / "records.jsonl"
    write_records(path, rows(cell, 101, 16), cell.version)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    assert (cell.version, digest) == PINNED[cell.task, cell.artifact, cell.core], "other rows need another version"


def test_every_cell_is_pinned():
    assert {(cell.task, cell.artifact, cell.core) for cell in CELLS} == set(PINNED)


@pytest.mark.parametrize("cell", cells(), ids=names)
def test_rows_read_back_equal(cell, tmp_path):
    path = tmp_path / "records.jsonl"
    write_records(path, rows(cell, 101, 16), cell.version)
    assert read_records(path) == rows(cell, 101, 16)
