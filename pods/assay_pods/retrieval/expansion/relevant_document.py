"""A relevant document in place of a written text: only for queries that train, because it holds the answer; and the guard of the rest."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from assay_pods.common.context import BadInputError
from assay_pods.retrieval import files
from assay_pods.retrieval.files import Expansion, Qrels, Query
from assay_pods.retrieval.overlap import normalised

PROVIDER = "relevant-document"

_FEWEST_WORDS = 5
"""A text of fewer words may be right by chance."""
_SHOWN = 3


def expansions(corpus: Path, queries: Iterable[Query], qrels: Qrels) -> list[Expansion]:
    """Gives each training query the text of its most relevant document, of equals the first by id; no other query gets one.

    Raises:
        BadInputError: EXPANSION_LEAKS under cross-fitting, where every query is tested.
    """
    chosen: dict[str, str] = {}
    for query in queries:
        if query.split is None:
            message = "wanted training queries that are never tested, got cross-fitting, which tests every query: split by hash instead"
            raise BadInputError("EXPANSION_LEAKS", message)
        relevant = [(-relevance, document) for document, relevance in qrels[query.id].items() if relevance > 0]
        if query.split == "train" and relevant:
            chosen[query.id] = min(relevant)[1]
    wanted = set(chosen.values())
    texts = {document.id: document.text for document in files.stream_corpus(corpus) if document.id in wanted}
    return [Expansion(query, texts[document], PROVIDER, "") for query, document in chosen.items() if texts.get(document)]


def refuse_leaks(found: Iterable[Expansion], queries: Iterable[Query], qrels: Qrels, corpus: Path) -> None:
    """Refuses expansions of selecting or tested queries that hold a relevant document of theirs, word for word.

    Raises:
        BadInputError: EXPANSION_LEAKS, with how many queries.
    """
    guarded = {query.id for query in queries if query.split != "train"}
    texts = _relevant_texts(corpus, {query: qrels[query] for query in guarded if query in qrels})
    leaks = dict.fromkeys(
        expansion.query_id
        for expansion in found
        if expansion.query_id in guarded
        and (expansion.provider == PROVIDER or any(text in _spaced(expansion.text) for text in texts.get(expansion.query_id, ())))
    )
    if leaks:
        some = ", ".join(map(repr, list(leaks)[:_SHOWN]))
        message = (
            f"wanted expansions that do not hold what is searched for, got a relevant document in those of {len(leaks)} queries: {some}"
        )
        raise BadInputError("EXPANSION_LEAKS", message)


def _relevant_texts(corpus: Path, qrels: Mapping[str, Mapping[str, int]]) -> dict[str, list[str]]:
    queries_of: dict[str, list[str]] = {}
    for query, judged in qrels.items():
        for document, relevance in judged.items():
            if relevance > 0:
                queries_of.setdefault(document, []).append(query)
    texts: dict[str, list[str]] = {}
    for document in files.stream_corpus(corpus):
        for query in queries_of.get(document.id, ()):
            text = _spaced(document.text)
            if len(text.split()) >= _FEWEST_WORDS:
                texts.setdefault(query, []).append(text)
    return texts


def _spaced(text: str) -> str:
    """Normalised, with a blank at both ends, so that one text is looked for in another word by word."""
    return f" {normalised(text)} "
