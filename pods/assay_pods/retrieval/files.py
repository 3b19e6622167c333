"""The files that the steps hand to one another, all JSON lines; docs/contract.md says who writes and who reads each."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

Qrels = dict[str, dict[str, int]]
"""Query to document to relevance; what is not judged is not there."""


class Document(NamedTuple):
    """A document of a collection; a title stands before the text, with one space between."""

    id: str
    text: str
    """Empty where the upload's was: such a document is kept, so that rankings over it count."""


class Query(NamedTuple):
    """A query and the part that it plays; `splits.parts` says which queries train, select and test."""

    id: str
    text: str
    split: str | None = None
    """`train`, `dev` or `test`; None under cross-fitting."""
    fold: int = 0
    """Under cross-fitting, the fold that tests it."""
    group: str | None = None
    """A group that the report tells apart, for instance `seen` and `unseen`."""
    dev_folds: tuple[int, ...] = ()
    """Under cross-fitting, the folds whose student is selected on it."""


class Expansion(NamedTuple):
    """A text that stands for what a query asks for; a query has several where several were sampled."""

    query_id: str
    text: str
    provider: str
    """Who wrote it: `planted`, `prf`, `relevant-document`, or the model's name."""
    prompt_hash: str
    """SHA-256 of the prompt's bytes in hex, `{query}` not yet filled in; empty where nobody was prompted."""
    prompt_tokens: int = 0
    """What a language model read for it; 0 where none was asked or nothing is known."""
    completion_tokens: int = 0
    """What the model wrote."""


class Ranking(NamedTuple):
    """What one system found for one query, best first."""

    system: str
    query: str
    documents: Sequence[str]
    scores: Sequence[float]
    alpha: float | None = None
    seed: int | None = None
    fold: int = 0
    split: str = "test"

    @property
    def pairs(self) -> list[tuple[str, float]]:
        """Documents with their scores, best first."""
        return list(zip(self.documents, self.scores, strict=True))


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Gives the objects of a JSON-lines file one by one; only a line feed ends a line, whatever else a text holds."""
    with path.open("rb") as lines:
        for line in lines:
            yield json.loads(line)


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes objects as JSON lines, in UTF-8."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def stream_corpus(path: Path) -> Iterator[Document]:
    """Gives the documents of `corpus.jsonl` one by one, for collections larger than memory."""
    return (Document(row["id"], row["text"]) for row in read_lines(path))


def read_corpus(path: Path) -> list[Document]:
    """Reads `corpus.jsonl` in its order."""
    return list(stream_corpus(path))


def write_corpus(path: Path, documents: Iterable[Document]) -> None:
    """Writes `corpus.jsonl`."""
    write_lines(path, (document._asdict() for document in documents))


def read_queries(path: Path) -> list[Query]:
    """Reads `queries.jsonl` in its order, which is also the order of the rows of `vectors.safetensors`."""
    queries = [Query(**row) for row in read_lines(path)]
    return [query._replace(dev_folds=tuple(query.dev_folds)) for query in queries]


def write_queries(path: Path, queries: Iterable[Query]) -> None:
    """Writes `queries.jsonl`."""
    write_lines(path, (query._asdict() for query in queries))


def read_qrels(path: Path) -> Qrels:
    """Reads `qrels.jsonl`; queries stand in the order of their first judgement."""
    qrels: Qrels = {}
    for row in read_lines(path):
        qrels.setdefault(row["query"], {})[row["document"]] = row["relevance"]
    return qrels


def write_qrels(path: Path, qrels: Mapping[str, Mapping[str, int]]) -> None:
    """Writes `qrels.jsonl`."""
    judgements = ((query, *judged) for query, documents in qrels.items() for judged in documents.items())
    write_lines(path, ({"query": query, "document": document, "relevance": code} for query, document, code in judgements))


def read_expansions(path: Path) -> dict[str, list[Expansion]]:
    """Reads `expansions.jsonl`: the samples of each query that has any, in their order."""
    expansions: dict[str, list[Expansion]] = {}
    for row in read_lines(path):
        expansions.setdefault(row["query_id"], []).append(Expansion(**row))
    return expansions


def write_expansions(path: Path, expansions: Iterable[Expansion]) -> None:
    """Writes `expansions.jsonl`."""
    write_lines(path, (expansion._asdict() for expansion in expansions))


def read_rankings(path: Path) -> list[Ranking]:
    """Reads `rankings.jsonl`."""
    return [Ranking(**row) for row in read_lines(path)]


def write_rankings(path: Path, rankings: Iterable[Ranking]) -> None:
    """Writes `rankings.jsonl`; scores are written with all their digits.

    Raises:
        ValueError: a score is NaN or infinite.
    """
    write_lines(path, (_ranking_row(ranking) for ranking in rankings))


def read_negatives(path: Path) -> dict[str, list[str]]:
    """Reads `negatives.jsonl`: for each training query, documents that BM25 ranks high and nobody judged relevant."""
    return {row["query"]: row["documents"] for row in read_lines(path)}


def write_negatives(path: Path, negatives: Mapping[str, Sequence[str]]) -> None:
    """Writes `negatives.jsonl`."""
    write_lines(path, ({"query": query, "documents": list(documents)} for query, documents in negatives.items()))


def _ranking_row(ranking: Ranking) -> dict[str, Any]:
    return {**ranking._asdict(), "documents": list(ranking.documents), "scores": [float(score) for score in ranking.scores]}
