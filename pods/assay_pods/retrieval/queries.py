"""Step `queries`: the judged queries with their parts, and the judgements, checked against the corpus and against one another."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay_pods.common.context import BadInputError, RunContext
from assay_pods.retrieval import collections, files, inputs, splits
from assay_pods.retrieval.collections import Collection
from assay_pods.retrieval.files import Qrels, Query
from assay_pods.retrieval.overlap import refuse_overlap
from assay_pods.retrieval.relevance import apply_gains, code_counts, gain_warnings

_SHOWN = 10
_QRELS_INPUTS = {"qrels-train": "train", "qrels-dev": "dev", "qrels": "test"}


@dataclass(frozen=True)
class _Asked:
    """Queries that are judged, with what is left out and why."""

    queries: list[Query]
    qrels: Qrels
    unjudged: int
    """Queries that nobody judged; they are not used."""
    without_text: list[str]
    """Judged queries that the queries lack; they are not used."""


def make_queries(context: RunContext) -> dict[str, Any]:
    """Writes `queries.jsonl` and `qrels.jsonl`, and says what was found.

    Raises:
        BadInputError: COLLECTION_INVALID, QRELS_NEGATIVE, SPLIT_EMPTY or QUERIES_OVERLAP.
    """
    spec = context.spec
    context.progress("reading", 0, 1)
    made = collections.make(spec["collection"])
    asked = _made(made, spec["split"]) if made else _uploaded(context)
    gains = spec["relevance"]["gains"]
    qrels = apply_gains(asked.qrels, gains)
    queries = splits.split(asked.queries, spec["split"], _together(made))
    lists = [splits.parts(queries, fold) for fold in splits.folds(queries)]
    for parts in lists:
        refuse_overlap([*parts.train, *parts.dev], parts.test)
    missing = _missing_documents(context, qrels)
    _save(context, queries, qrels)
    counts = code_counts(asked.qrels)
    found = {
        "queries": len(queries),
        "parts": [{"fold": fold, **{name: len(part) for name, part in parts._asdict().items()}} for fold, parts in enumerate(lists)],
        "groups": dict(sorted(Counter(query.group for query in queries if query.group).items())),
        "codes": [{"code": code, "judgements": count} for code, count in counts.items()],
        "withoutRelevant": sum(not any(relevance > 0 for relevance in judged.values()) for judged in qrels.values()),
        "unjudged": asked.unjudged,
        "judgedQueriesMissing": {"count": len(asked.without_text), "some": asked.without_text[:_SHOWN]},
        "judgedDocumentsMissing": {"count": len(missing), "some": missing[:_SHOWN]},
    }
    warnings = [*gain_warnings(counts, gains), *_warnings(found)]
    for warning in warnings:
        context.log(warning, "warning")
    context.progress("reading", 1, 1)
    return {"step": "queries", **found, **(made.notes if made else {}), "warnings": warnings}


def _made(made: Collection, how: Mapping[str, Any]) -> _Asked:
    if how["kind"] == "GIVEN":
        raise BadInputError("COLLECTION_INVALID", "wanted the split HASH or CROSS_FIT, got GIVEN: a made collection gives no parts")
    return _Asked(made.queries, made.qrels, 0, [])


def _together(made: Collection | None) -> Callable[[Query], str] | None:
    return (lambda query: made.together[query.id]) if made and made.together else None


def _uploaded(context: RunContext) -> _Asked:
    """The uploads; where they give the parts, each file of judgements is one, and a query judged in two is refused."""
    judged = {name: inputs.judgements(context.inputs[name], name) for name in _QRELS_INPUTS if name in context.inputs}
    given = context.spec["split"]["kind"] == "GIVEN"
    part_of: dict[str, str] = {}
    qrels: Qrels = {}
    for name, codes in judged.items():
        _refuse_twice(codes, part_of, given, name)
        part_of |= dict.fromkeys(codes, _QRELS_INPUTS[name])
        for query, documents in codes.items():
            qrels.setdefault(query, {}).update(documents)
    queries: list[Query] = []
    unjudged = 0
    for query in inputs.queries(context.inputs["queries"]):
        if query.id in qrels:
            queries.append(query._replace(split=part_of[query.id] if given else None))
        else:
            unjudged += 1
    there = {query.id for query in queries}
    if not there:
        raise BadInputError("COLLECTION_INVALID", f"wanted queries with judgements, got none of {unjudged} queries")
    without_text = [query for query in qrels if query not in there]
    return _Asked(queries, {query.id: qrels[query.id] for query in queries}, unjudged, without_text)


def _refuse_twice(codes: Qrels, part_of: Mapping[str, str], given: bool, name: str) -> None:
    twice = [query for query in codes if query in part_of]
    if twice and given:
        some = f"{len(twice)} that {name} shares with {part_of[twice[0]]}, for instance {twice[0]!r}"
        raise BadInputError("QUERIES_OVERLAP", f"wanted each query judged in one part, got {some}")
    if twice:
        raise BadInputError("COLLECTION_INVALID", f"{name}: wanted each query judged in one file, got {twice[0]!r} in two")


def _missing_documents(context: RunContext, qrels: Qrels) -> list[str]:
    """The judged documents that the corpus lacks; they stay judged, as trec_eval has it, and nothing can find them.

    Raises:
        BadInputError: COLLECTION_INVALID, when the corpus has none of the relevant documents.
    """
    missing = {document for judged in qrels.values() for document in judged}
    relevant = {document for judged in qrels.values() for document, relevance in judged.items() if relevance > 0}
    found = 0
    for document in files.stream_corpus(context.inputs["corpus"]):
        found += document.id in relevant
        missing.discard(document.id)
    if not found:
        message = f"wanted relevant documents that are in the corpus, got none of {len(relevant)}"
        raise BadInputError("COLLECTION_INVALID", message)
    return sorted(missing)


def _save(context: RunContext, queries: Sequence[Query], qrels: Qrels) -> None:
    for name, write in (
        ("queries.jsonl", lambda path: files.write_queries(path, queries)),
        ("qrels.jsonl", lambda path: files.write_qrels(path, qrels)),
    ):
        path = context.work_dir / name
        write(path)
        context.save(name, "DATASET", path)


def _warnings(found: Mapping[str, Any]) -> list[str]:
    sentences = {
        "judgedDocumentsMissing": "judged documents are not in the corpus: they count as relevant and cannot be found",
        "judgedQueriesMissing": "judged queries have no text and are not used",
    }
    said = [
        f"{found[name]['count']} {words}, for instance {found[name]['some'][0]!r}"
        for name, words in sentences.items()
        if found[name]["count"]
    ]
    if found["withoutRelevant"]:
        said.append(f"{found['withoutRelevant']} queries have no relevant document and are left out of every mean")
    if found["unjudged"]:
        said.append(f"{found['unjudged']} queries have no judgement and are not used")
    return said
