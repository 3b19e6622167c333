"""Exact and near duplicates between the parts of a user's data; the twin of src/domain/leakage.ts (docs/decisions/0016)."""

import hashlib
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence

NEAR = 0.8
"""Texts whose word triples have at least this Jaccard similarity count as nearly the same."""
WORDS_MAX = 256


def normal_text(text: str) -> str:
    """Gives the text as duplicates are found by: one form for compatible characters, lower case, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())


def split_of_text(text: str) -> str:
    """Gives the part of a text whose row names none: 60 % train, 15 % validation, 25 % test, by its digest alone."""
    bucket = int.from_bytes(hashlib.sha256(normal_text(text).encode()).digest()[:4], "big") % 100
    return "train" if bucket < 60 else "validation" if bucket < 75 else "test"


def near_others(texts: Sequence[str], others: Sequence[str]) -> set[int]:
    """Gives the places of the texts that are exactly or nearly one of the others.

    Two texts of similarity t share one of their rarest (1 - t) n + 1 word triples, so only texts that do are compared.
    """
    ours, theirs = [_triples(text) for text in texts], [_triples(text) for text in others]
    counts = Counter(triple for triples in (*ours, *theirs) for triple in triples)

    def rarest(triples: frozenset[str]) -> list[str]:
        kept = len(triples) - math.ceil(NEAR * len(triples)) + 1
        return sorted(triples, key=lambda triple: (counts[triple], triple))[:kept]

    index: dict[str, list[int]] = defaultdict(list)
    for place, triples in enumerate(theirs):
        for triple in rarest(triples):
            index[triple].append(place)
    near: set[int] = set()
    for place, triples in enumerate(ours):
        candidates = dict.fromkeys(other for triple in rarest(triples) for other in index[triple])
        if any(len(triples & theirs[other]) >= NEAR * len(triples | theirs[other]) for other in candidates):
            near.add(place)
    return near


def _triples(text: str) -> frozenset[str]:
    words = re.findall(r"\w+", normal_text(text))[:WORDS_MAX]
    if len(words) < 3:
        return frozenset([" ".join(words)])
    return frozenset(" ".join(words[place : place + 3]) for place in range(len(words) - 2))
