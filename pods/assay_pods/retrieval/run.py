"""The steps of a retrieval experiment: read the collection, encode it, expand the queries, teach, train the students, report."""

from typing import Any

from assay_pods.common.context import BadInputError, RunContext
from assay_pods.common.seeds import seed_everything

__all__ = ["run"]

STEPS = {
    "corpus": ("assay_pods.retrieval.corpus", "make_corpus"),
    "encode": ("assay_pods.retrieval.encode", "encode_shard"),
    "queries": ("assay_pods.retrieval.queries", "make_queries"),
    "expand": ("assay_pods.retrieval.expand", "expand"),
    "teach": ("assay_pods.retrieval.teach", "teach"),
    "train": ("assay_pods.retrieval.train", "train"),
    "report": ("assay_pods.retrieval.report", "write_report"),
}
"""Where each step lies. A step loads what it needs: reading a corpus needs no encoder."""


def run(context: RunContext) -> dict[str, Any]:
    """Does the step that the spec names and gives its result document; see docs/contract.md.

    Raises:
        BadInputError: when the request cannot succeed as it is.
        CancelledError: when the user asked to stop.
    """
    from importlib import import_module

    spec = context.spec
    if spec["step"] not in STEPS:
        raise BadInputError("STEP_UNKNOWN", f"wanted the step {', '.join(STEPS)}, got {spec['step']!r}")
    if spec["precision"] != "fp32":
        raise BadInputError("PRECISION_UNSUPPORTED", f"wanted fp32, got {spec['precision']!r}")
    seed_everything(spec.get("seed", 0), spec["threads"])
    module, function = STEPS[spec["step"]]
    return getattr(import_module(module), function)(context)
