"""Collections that need no upload: one with a planted effect, and one of real text that every installation has."""

from collections.abc import Callable, Mapping
from typing import Any

from assay_pods.retrieval.collections import planted, stdlib
from assay_pods.retrieval.collections.collection import Collection

__all__ = ["Collection", "make"]

MADE: dict[str, Callable[[Mapping[str, Any]], Collection]] = {"PLANTED": planted.generate, "STDLIB": stdlib.generate}


def make(collection: Mapping[str, Any]) -> Collection | None:
    """Gives the collection that a spec names; None for an uploaded one.

    Raises:
        BadInputError: COLLECTION_INVALID, when the spec asks for what cannot be made.
    """
    return MADE[collection["kind"]](collection) if collection["kind"] in MADE else None
