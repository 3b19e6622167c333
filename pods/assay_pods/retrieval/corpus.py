"""Step `corpus`: the documents of a collection in one form, whatever they were uploaded as."""

from collections.abc import Iterable, Iterator
from typing import Any

from assay_pods.common.context import BadInputError, RunContext
from assay_pods.retrieval import collections, files, inputs
from assay_pods.retrieval.files import Document

_TOLD_EACH = 100_000


def make_corpus(context: RunContext) -> dict[str, Any]:
    """Writes `corpus.jsonl` as a stream and counts what it writes.

    Raises:
        BadInputError: COLLECTION_INVALID, when the upload cannot be read or no document has a text.
    """
    made = collections.make(context.spec["collection"])
    found = made.documents if made else inputs.documents(context.inputs["corpus"])
    counts = {"documents": 0, "withoutText": 0, "words": 0}
    path = context.work_dir / "corpus.jsonl"
    files.write_corpus(path, _counted(context, found, counts))
    if counts["documents"] == counts["withoutText"]:
        raise BadInputError("COLLECTION_INVALID", f"wanted documents with text, got none of {counts['documents']}")
    context.save("corpus.jsonl", "DATASET", path)
    warnings = []
    if counts["withoutText"]:
        warnings.append(f"{counts['withoutText']} of {counts['documents']} documents have no text: no query can find them")
    for warning in warnings:
        context.log(warning, "warning")
    return {"step": "corpus", **counts, **(made.notes if made else {}), "warnings": warnings}


def _counted(context: RunContext, found: Iterable[Document], counts: dict[str, int]) -> Iterator[Document]:
    for document in found:
        if counts["documents"] % _TOLD_EACH == 0:
            context.progress("reading", counts["documents"], 0)
        counts["documents"] += 1
        counts["withoutText"] += not document.text
        counts["words"] += len(document.text.split())
        yield document
