"""Rankings and judgements as trec_eval, MS MARCO's scripts and BEIR's loaders read them.

A run's scores are the true ones in single precision, each lowered by as little as makes it smaller than the one before: whoever sorts the
file again, in whatever precision and by whatever rule for ties, gets the order that was measured.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from assay_pods.common.context import BadInputError
from assay_pods.retrieval.files import Document, Query, write_lines
from assay_pods.retrieval.ordering import Pair, check_finite

_BLANK = re.compile(r"\s")


def write_run(path: Path, rankings: Mapping[str, Sequence[Pair]], tag: str) -> None:
    """Writes a TREC run, `query Q0 document rank score tag`, ranks from 1.

    Args:
        path: The file.
        rankings: (document, score) by query, in the one order.
        tag: The system's name.

    Raises:
        BadInputError: COLLECTION_INVALID, an id or the tag has a blank in it or nothing; SCORES_NOT_FINITE.
    """
    _check(path, 0, tag)

    def lines() -> Iterable[tuple[str, ...]]:
        for query, pairs in rankings.items():
            for rank, ((document, _), score) in enumerate(zip(pairs, _decreasing(pairs), strict=True), start=1):
                yield query, "Q0", document, str(rank), f"{score:#.9g}", tag

    _write(path, " ", lines(), columns=(0, 2))


def write_msmarco_run(path: Path, rankings: Mapping[str, Sequence[Pair]]) -> None:
    """Writes a run for MS MARCO's scripts, `query document rank` with tabs between, ranks from 1.

    Raises:
        BadInputError: COLLECTION_INVALID, an id has a blank in it or nothing.
    """
    rows = ((query, pair[0], str(rank)) for query, pairs in rankings.items() for rank, pair in enumerate(pairs, start=1))
    _write(path, "\t", rows, columns=(0, 1))


def write_qrels(path: Path, qrels: Mapping[str, Mapping[str, int]]) -> None:
    """Writes TREC judgements, `query 0 document relevance`.

    Raises:
        BadInputError: COLLECTION_INVALID, an id has a blank in it or nothing.
    """
    rows = ((query, "0", document, str(code)) for query, judged in qrels.items() for document, code in judged.items())
    _write(path, " ", rows, columns=(0, 2))


def write_beir(folder: Path, corpus: Iterable[Document], queries: Iterable[Query], qrels: Mapping[str, Mapping[str, int]]) -> None:
    """Writes a BEIR folder: `corpus.jsonl`, `queries.jsonl` and `qrels/test.tsv`; a title stays a part of its text.

    Raises:
        BadInputError: COLLECTION_INVALID, an id of the judgements has a blank in it or nothing.
    """
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    write_lines(folder / "corpus.jsonl", ({"_id": document.id, "title": "", "text": document.text} for document in corpus))
    write_lines(folder / "queries.jsonl", ({"_id": query.id, "text": query.text} for query in queries))
    head = ("query-id", "corpus-id", "score")
    rows = ((query, document, str(code)) for query, judged in qrels.items() for document, code in judged.items())
    _write(folder / "qrels" / "test.tsv", "\t", (row for part in ([head], rows) for row in part), columns=(0, 1))


def _decreasing(pairs: Sequence[Pair]) -> list[np.float32]:
    """The scores in single precision, each below the one before."""
    scores = np.array([score for _, score in pairs], dtype=np.float32)
    check_finite(scores, [document for document, _ in pairs])
    for place in range(1, len(scores)):
        below = np.nextafter(scores[place - 1], np.float32(-np.inf))
        scores[place] = min(scores[place], below)
    return list(scores)


def _write(path: Path, between: str, rows: Iterable[tuple[str, ...]], columns: tuple[int, int]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=between, quoting=csv.QUOTE_NONE, quotechar=None, lineterminator="\n")
        for number, row in enumerate(rows, start=1):
            for column in columns:
                _check(path, number, row[column])
            writer.writerow(row)


def _check(path: Path, line: int, name: str) -> None:
    if name == "" or _BLANK.search(name):
        raise BadInputError("COLLECTION_INVALID", f"{path.name} line {line}: wanted a name without blanks, got {name!r}")
