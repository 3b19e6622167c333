"""What a relevance code is worth. Codes of a collection are never guessed: a negative one needs a gain that somebody declared."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from assay_pods.common.context import BadInputError
from assay_pods.retrieval.files import Qrels


def code_counts(qrels: Mapping[str, Mapping[str, int]]) -> dict[int, int]:
    """Gives how often each code occurs, by code."""
    return dict(sorted(Counter(code for judged in qrels.values() for code in judged.values()).items()))


def apply_gains(qrels: Mapping[str, Mapping[str, int]], gains: Sequence[Mapping[str, Any]] | None) -> Qrels:
    """Gives the relevance of every judgement: the declared gain of its code, or the code itself where none is declared.

    Args:
        qrels: Codes.
        gains: The spec's rows of `code` and `gain`; None for none.

    Raises:
        BadInputError: QRELS_NEGATIVE, when a code below 0 has no gain, or a gain is below 0.
    """
    declared = {row["code"]: row["gain"] for row in gains or ()}
    counts = code_counts(qrels)
    wrong = [code for code in counts if declared.get(code, code) < 0]
    if wrong:
        found = ", ".join(f"{code} ({counts[code]} times)" for code in wrong)
        raise BadInputError("QRELS_NEGATIVE", f"wanted relevance from 0 up, got {found}: say what these codes mean with relevance.gains")
    return {query: {document: declared.get(code, code) for document, code in judged.items()} for query, judged in qrels.items()}


def gain_warnings(counts: Mapping[int, int], gains: Sequence[Mapping[str, Any]] | None) -> list[str]:
    """Says what is unusual about declared gains: a higher code that is worth less, and a code that never occurs."""
    declared = {row["code"]: row["gain"] for row in gains or ()}
    worth = [(code, declared.get(code, code)) for code in sorted(counts)]
    falls = [(low, high) for low, high in pairwise(worth) if high[1] < low[1]]
    said = [f"code {high[0]} is worth {high[1]}, less than code {low[0]} with {low[1]}" for low, high in falls]
    unused = [code for code in declared if code not in counts]
    if unused:
        said.append(f"no judgement has the code {', '.join(map(str, unused))}, for which a gain is declared")
    return said
