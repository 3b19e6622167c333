"""Step `teach`: what the frozen encoder and BM25 find, with and without expansions, and whether there is anything to learn from that."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay_pods.common.context import RunContext
from assay_pods.retrieval import ann, files, search, splits, vectors
from assay_pods.retrieval.bm25 import Bm25, expanded
from assay_pods.retrieval.encoder import Encoder
from assay_pods.retrieval.files import Expansion, Qrels, Query, Ranking
from assay_pods.retrieval.metrics import RELEVANT, mean, per_query
from assay_pods.retrieval.ordering import Pair
from assay_pods.retrieval.significance import paired
from assay_pods.retrieval.vectors import QueryVectors, unit

PRF_DOCUMENTS = 3
NEGATIVES = 8
DEEP, DEEP_QUERIES, SHALLOW = 1_000, 500, 100
"""Documents of a ranking, up to so many queries; and beyond, where a file of all would take gigabytes."""
NEAR = 1e-5
_TIMED, _WARM_UP = 30, 3


@dataclass(frozen=True)
class _Case:
    context: RunContext
    encoder: Encoder
    queries: list[Query]
    qrels: Qrels
    expansions: Mapping[str, Sequence[Expansion]]
    shards: search.Shards
    vectors: QueryVectors
    bm25: Bm25

    @property
    def own_ids(self) -> bool:
        return bool(self.context.spec["dropIdenticalIds"])

    def own(self, queries: Sequence[Query]) -> list[str] | None:
        """The ids to leave out, where documents with a query's id are."""
        return [query.id for query in queries] if self.own_ids else None


def teach(context: RunContext) -> dict[str, Any]:
    """Writes the query vectors, the rankings of what is not trained, and hard negatives; says whether the gate is open.

    Raises:
        BadInputError: SCORES_NOT_FINITE, COLLECTION_INVALID, ENCODER_UNSUPPORTED; INDEX_UNSUPPORTED, where the approximate index that
            is asked for cannot be learnt from this collection.
    """
    started = (time.perf_counter(), time.process_time())
    case = _open(context)
    depth = depth_for(len(case.queries))
    systems = _systems(case)
    found: dict[str, dict[str, list[Pair]]] = {}
    for place, (name, run) in enumerate(systems.items()):
        context.progress("searching", place, len(systems))
        answers = run(case.queries, depth)
        found[name] = {query.id: ranking for query, ranking in zip(case.queries, answers, strict=True)}
    gates = [_gate(case, fold, found) for fold in splits.folds(case.queries)]
    _save(case, found)
    context.progress("searching", len(systems), len(systems))
    approximate = _approximate(case, found["BASE"])
    latency = _latency(case, systems)
    return {
        "step": "teach",
        "gate": gates,
        "approximate": approximate,
        "rankingDepth": depth,
        "unexpanded": len(case.vectors.unexpanded),
        "nearTies": _near_ties(found["BASE"]),
        "warnings": _warnings(gates),
        "seconds": {"wall": time.perf_counter() - started[0], "cpu": time.process_time() - started[1], "latencyMs": latency},
    }


def depth_for(queries: int) -> int:
    """How many documents a ranking has."""
    return DEEP if queries <= DEEP_QUERIES else SHALLOW


def _open(context: RunContext) -> _Case:
    context.progress("encoding", 0, 1)
    queries = files.read_queries(context.inputs["queries"])
    expansions = files.read_expansions(context.inputs["expansions"])
    corpus = files.read_corpus(context.inputs["corpus"])
    encoder = Encoder(context.spec["encoder"], context.device, context.cache_dir)
    made = vectors.taught(encoder, queries, expansions)
    context.progress("encoding", 1, 1)
    qrels, shards = files.read_qrels(context.inputs["qrels"]), vectors.open_shards(context)
    index = Bm25([document.id for document in corpus], [document.text for document in corpus])
    return _Case(context, encoder, queries, qrels, expansions, shards, made, index)


System = Callable[[Sequence[Query], int], list[list[Pair]]]


def _systems(case: _Case) -> dict[str, System]:
    """What is compared without any training."""

    def dense(rows: Any, queries: Sequence[Query], k: int) -> list[list[Pair]]:
        return search.exact(case.shards, rows, k, device=case.context.device, own_ids=case.own(queries))

    def plain(queries: Sequence[Query], k: int) -> list[list[Pair]]:
        return dense(case.vectors.rows(queries, case.vectors.base), queries, k)

    def with_feedback(queries: Sequence[Query], k: int) -> list[list[Pair]]:
        rows, first = case.vectors.rows(queries, case.vectors.base), plain(queries, PRF_DOCUMENTS)
        near = [case.shards.vectors([one for one, _ in ranking]).sum(axis=0) for ranking in first]
        counts = np.array([[1 + len(ranking)] for ranking in first])
        return dense(unit((rows + np.array(near)) / counts), queries, k)

    def words(queries: Sequence[Query]) -> list[str]:
        samples = ([sample.text for sample in case.expansions.get(query.id, ())] for query in queries)
        return [expanded(query.text, said) if said else query.text for query, said in zip(queries, samples, strict=True)]

    return {
        "BM25": lambda queries, k: case.bm25.search([query.text for query in queries], k, case.own(queries)),
        "BM25_EXPANDED": lambda queries, k: case.bm25.search(words(queries), k, case.own(queries)),
        "BASE": plain,
        "BASE_EXPANDED": lambda queries, k: dense(case.vectors.rows(queries, case.vectors.teacher), queries, k),
        "VECTOR_PRF": with_feedback,
    }


def _gate(case: _Case, fold: int, found: Mapping[str, Mapping[str, list[Pair]]]) -> dict[str, Any]:
    """Whether expanding helps the frozen encoder on the queries that select: only then is there something to learn."""
    dev = [query.id for query in splits.parts(case.queries, fold).dev]
    qrels = {one: case.qrels[one] for one in dev if one in case.qrels}
    base, teacher = (per_query(qrels, {one: found[name][one] for one in dev}) for name in ("BASE", "BASE_EXPANDED"))
    if len(base) < 2:
        return {"fold": fold, "open": False, "delta": None, "low": None, "high": None, "queries": len(base)}
    compared = paired([teacher[one]["ndcg@10"] for one in base], [base[one]["ndcg@10"] for one in base], f"gate/{fold}")
    low, high = compared.interval
    is_open = low is not None and low > 0
    return {"fold": fold, "open": is_open, "delta": compared.delta, "low": low, "high": high, "queries": len(base)}


def _approximate(case: _Case, exact: Mapping[str, Sequence[Pair]]) -> dict[str, Any] | None:
    """What an approximate index loses of BASE: its recall of the exact ranking, and its nDCG@10 beside the exact one.

    Only this tells of the index: every row of the leaderboard is searched exactly.
    """
    kind = case.context.spec.get("approximate")
    if kind is None:
        return None
    tested = [query for fold in splits.folds(case.queries) for query in splits.parts(case.queries, fold).test]
    rows = case.vectors.rows(tested, case.vectors.base)
    started = time.perf_counter()
    index = ann.Ann(case.shards, kind)
    built = time.perf_counter() - started
    qrels = {query.id: case.qrels[query.id] for query in tested if query.id in case.qrels}
    answers = dict(zip((query.id for query in tested), index.search(rows, SHALLOW, case.own(tested)), strict=True))
    ndcg = {name: _mean_ndcg(qrels, rankings) for name, rankings in (("approximate", answers), ("exact", exact))}
    recalls = [ann.recall(index, case.shards, rows, k) for k in (10, SHALLOW)]
    return {
        "kind": kind,
        "recall": {str(one.k): one.value for one in recalls},
        "queries": recalls[0].queries,
        "ndcg@10": ndcg,
        "seconds": {"build": built},
    }


def _mean_ndcg(qrels: Qrels, rankings: Mapping[str, Sequence[Pair]]) -> float | None:
    values = per_query(qrels, rankings)
    return mean(qrels, values, "ndcg@10").value if values else None


def _save(case: _Case, found: Mapping[str, Mapping[str, list[Pair]]]) -> None:
    context, work = case.context, case.context.work_dir
    vectors.write(work / "vectors.safetensors", case.vectors)
    context.save("vectors.safetensors", "CACHE", work / "vectors.safetensors")
    tested = {query.id: fold for fold in splits.folds(case.queries) for query in splits.parts(case.queries, fold).test}
    rankings = (
        Ranking(name, one, [document for document, _ in answers[one]], [score for _, score in answers[one]], fold=fold)
        for name, answers in found.items()
        for one, fold in tested.items()
    )
    files.write_rankings(work / "rankings.jsonl", rankings)
    context.save("rankings.jsonl", "ITEMS", work / "rankings.jsonl")
    training = {query.id for fold in splits.folds(case.queries) for query in splits.parts(case.queries, fold).train}
    negatives = {query.id: _negatives(case, found["BM25"][query.id], query.id) for query in case.queries if query.id in training}
    files.write_negatives(work / "negatives.jsonl", negatives)
    context.save("negatives.jsonl", "DATASET", work / "negatives.jsonl")


def _negatives(case: _Case, ranking: Sequence[Pair], query: str) -> list[str]:
    judged = case.qrels.get(query, {})
    return [document for document, _ in ranking if judged.get(document, 0) < RELEVANT][:NEGATIVES]


def _near_ties(rankings: Mapping[str, Sequence[Pair]]) -> int:
    """Neighbours of the first hundred that another order of sums might swap."""
    return sum(
        above - below < NEAR for ranking in rankings.values() for (_, above), (_, below) in zip(ranking[:100], ranking[1:101], strict=False)
    )


def _latency(case: _Case, systems: Mapping[str, System]) -> dict[str, dict[str, float]]:
    """Milliseconds of one query at a time, after a few that do not count: the encoder alone, a search alone, BM25 alone."""
    some = case.queries[: _TIMED + _WARM_UP]

    def times(work: Callable[[Query], object]) -> dict[str, float]:
        taken: list[float] = []
        for query in some:
            begun = time.perf_counter()
            work(query)
            taken.append(1_000 * (time.perf_counter() - begun))
        counted = taken[min(_WARM_UP, len(taken) - 1) :]
        return {"p50": float(np.quantile(counted, 0.5)), "p95": float(np.quantile(counted, 0.95))}

    def expanded_text(query: Query) -> str:
        samples = case.expansions.get(query.id, ())
        return query.text + (case.encoder.separator + samples[0].text if samples else "")

    return {
        "encoder": times(lambda query: case.encoder.queries([query.text])),
        "encoderExpanded": times(lambda query: case.encoder.queries([expanded_text(query)])),
        "search": times(lambda query: systems["BASE"]([query], 100)),
        "bm25": times(lambda query: systems["BM25"]([query], 100)),
    }


def _warnings(gates: Sequence[Mapping[str, Any]]) -> list[str]:
    closed = [gate for gate in gates if not gate["open"]]
    if not closed:
        return []
    return [f"{len(closed)} of {len(gates)} gates are closed: the expanded teacher does not beat the base encoder on dev queries"]
