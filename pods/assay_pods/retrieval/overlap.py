"""Whether what is tested was seen in training."""

import re
import unicodedata
from collections.abc import Iterable

from assay_pods.common.context import BadInputError
from assay_pods.retrieval.files import Query

_NOT_WORD = re.compile(r"\W+")
_SHOWN = 3


def normalised(text: str) -> str:
    """Gives a text without what a reader would not call a difference: case, width, punctuation and the amount of white space."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _NOT_WORD.sub(" ", folded).strip() or folded


def refuse_overlap(trained: Iterable[Query], tested: Iterable[Query]) -> None:
    """Refuses test queries that training or selection also sees.

    Raises:
        BadInputError: QUERIES_OVERLAP, with how many test queries share an id or a normalised text.
    """
    seen = list(trained)
    ids, texts = {query.id for query in seen}, {normalised(query.text) for query in seen}
    shared = [query for query in tested if query.id in ids or normalised(query.text) in texts]
    if shared:
        some = ", ".join(repr(query.id) for query in shared[:_SHOWN])
        message = f"wanted test queries that training never sees, got {len(shared)} with the id or the text of a training query: {some}"
        raise BadInputError("QUERIES_OVERLAP", message)
