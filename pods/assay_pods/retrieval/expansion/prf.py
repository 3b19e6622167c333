"""Pseudo-relevance feedback: what BM25 finds first stands for what a query asks for; equal inputs, equal texts."""

from pathlib import Path
from typing import Any

from assay_pods.retrieval import files
from assay_pods.retrieval.bm25 import Bm25
from assay_pods.retrieval.files import Expansion, Query

PROVIDER = "prf"


def expansions(corpus: Path, queries: list[Query], spec: dict[str, Any]) -> list[Expansion]:
    """Gives each query the beginnings of its best documents; a query that shares no word with any gets nothing.

    Args:
        corpus: corpus.jsonl.
        queries: The queries.
        spec: `documents`, how many; `words`, how many of each; `dropIdenticalIds`, whether a query's own document is passed over.
    """
    documents = files.read_corpus(corpus)
    texts = {document.id: document.text for document in documents}
    index = Bm25([document.id for document in documents], [document.text for document in documents])
    own = [query.id for query in queries] if spec["dropIdenticalIds"] else None
    found = index.search([query.text for query in queries], spec["documents"], own)
    made: list[Expansion] = []
    for query, best in zip(queries, found, strict=True):
        text = " ".join(" ".join(texts[document].split()[: spec["words"]]) for document, _ in best)
        if text:
            made.append(Expansion(query.id, text, PROVIDER, ""))
    return made
