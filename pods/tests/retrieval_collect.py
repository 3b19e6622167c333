"""Runs the first steps of a retrieval experiment in a folder: what tests of later steps begin with."""

from assay_pods.retrieval.corpus import make_corpus
from assay_pods.retrieval.expand import expand
from assay_pods.retrieval.queries import make_queries
from tests.local_context import LocalContext

PLANTED = {"kind": "PLANTED", "topics": 12, "unseenTopics": 4, "phrasings": 6, "documentsPerTopic": 5, "seed": 7}
HASH = {"kind": "HASH", "dev": 0.15, "test": 0.5}
CROSS_FIT = {"kind": "CROSS_FIT", "folds": 5, "dev": 0.15}


def spec(step, **changes):
    return {
        "capability": "retrieval",
        "version": 1,
        "step": step,
        "collection": PLANTED,
        "split": HASH,
        "relevance": {"gains": None},
        "expansion": {"kind": "PLANTED"},
        "dropIdenticalIds": False,
        "threads": 1,
        "seed": 1,
    } | changes


def step(folder, function, made, inputs=None):
    """Runs one step and gives its context and its result."""
    context = LocalContext(folder / made["step"], made, inputs)
    return context, function(context)


def collect(folder, uploads=None, **changes):
    """Makes corpus, queries and expansions; gives the path of each file and the result of each step.

    Args:
        folder: Where the runs work.
        uploads: Input name to file, for an uploaded collection.
        changes: Fields of the spec that differ; `expansion=None` leaves the expansions out.
    """
    uploads = uploads or {}
    paths, results = {}, {}
    steps = {"corpus": make_corpus, "queries": make_queries} | ({} if changes.get("expansion", "") is None else {"expand": expand})
    for name, function in steps.items():
        context, results[name] = step(folder, function, spec(name, **changes), uploads | paths)
        paths |= {made.removesuffix(".jsonl"): path for made, (_, path) in context.saved.items()}
    return paths, results
