"""BM25 over a collection in memory, by bm25s: Lucene's formula, words in lower case without English stop words, no stemmer."""

from collections.abc import Sequence
from typing import Any

import bm25s

from assay_pods.retrieval.ordering import Pair, ranked, room_for, without_own

ANSERINI = (0.9, 0.4)
"""k1 and b of Anserini's reference runs."""
RANK_BM25 = (1.5, 0.75)
"""k1 and b that many libraries have as their defaults."""
QUERY_REPEATS = 5
"""How often a query stands before its expansion, so that its own words keep their weight (query2doc)."""


class Bm25:
    """An index of documents."""

    def __init__(self, ids: Sequence[str], texts: Sequence[str], k1: float = ANSERINI[0], b: float = ANSERINI[1]) -> None:
        """Indexes the texts.

        Args:
            ids: Document ids, each once.
            texts: Their texts, in the same order; empty ones are never found.
            k1: How soon repeated words stop to count.
            b: How much long texts are held back, 0 to 1.
        """
        self._ids = ids
        words = _words(texts)
        # An index without any word is not one that the library makes.
        self._index = bm25s.BM25(k1=k1, b=b, method="lucene") if any(words) else None
        if self._index is not None:
            self._index.index(words, show_progress=False)
            self._known = self._index.vocab_dict

    def search(self, queries: Sequence[str], k: int, own_ids: Sequence[str] | None = None) -> list[list[Pair]]:
        """Finds the best documents of each query; those that share no word with it are not found.

        Args:
            queries: Texts; a word that stands twice counts twice.
            k: How many documents a query gets at most.
            own_ids: The queries' ids where a document of the same id is to be left out.
        """
        found = [self._best(words, room_for(k, own_ids)) for words in _words(queries)]
        return without_own(found, k, own_ids)

    def _best(self, words: Sequence[str], k: int) -> list[Pair]:
        known = [] if self._index is None else [word for word in words if word in self._known]
        if self._index is None or not known:
            return []
        return [pair for pair in ranked(self._ids, self._index.get_scores(known), k) if pair[1] > 0]


def expanded(query: str, expansions: Sequence[str]) -> str:
    """The query for BM25 with what an expansion says: the query five times, then each text."""
    return " ".join([*[query] * QUERY_REPEATS, *expansions])


def _words(texts: Sequence[str]) -> list[list[str]]:
    if not texts:
        return []
    found: Any = bm25s.tokenize(list(texts), stopwords="en", return_ids=False, show_progress=False)
    return found
