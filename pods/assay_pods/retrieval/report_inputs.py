"""What a report reads: the values of every system by query, and which trainings gave none."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay_pods.common.context import BadInputError
from assay_pods.retrieval import files, splits
from assay_pods.retrieval.files import Qrels, Query, Ranking
from assay_pods.retrieval.metrics import METRICS, Values, per_query
from assay_pods.retrieval.ordering import Pair, ordered

Rankings = dict[str, list[Pair]]
"""What one system found, by query."""
UNTRAINED = ("BM25", "BM25_EXPANDED", "BASE", "BASE_EXPANDED", "VECTOR_PRF")
RANK_CONSTANT = 60
"""Of reciprocal rank fusion, as its authors have it."""


@dataclass(frozen=True)
class System:
    """A row of the leaderboard: one system with what it found, by seed; what is not trained has one seed without a number."""

    name: str
    alpha: float | None
    rankings: Mapping[int | None, Rankings]
    """By seed, rankings of every tested query."""
    values: dict[str, Values]
    """By query, means over seeds; only queries that have a relevant document."""
    by_seed: Mapping[int | None, dict[str, Values]]

    @property
    def key(self) -> str:
        """What names the row in files."""
        return key_of(self.name, self.alpha)

    @property
    def seeds(self) -> list[int]:
        """The seeds that it was trained with."""
        return [seed for seed in self.by_seed if seed is not None]

    def column(self, metric: str, queries: Iterable[str]) -> list[float]:
        """A metric's values of these queries, in their order."""
        return [self.values[query][metric] for query in queries]


@dataclass(frozen=True)
class Missing:
    """A training that gave no ranking."""

    cell: Mapping[str, Any]
    reason: str
    gate: bool
    """Whether a closed gate stopped it."""


@dataclass(frozen=True)
class Experiment:
    """All that a report is made of."""

    spec: Mapping[str, Any]
    queries: list[Query]
    """Tested queries with a relevant document, by their ids."""
    tested: list[Query]
    qrels: Qrels
    """Judgements of the tested queries."""
    expansions: Mapping[str, Sequence[files.Expansion]]
    training: int
    """Queries that train, in any fold."""
    systems: dict[str, System]
    missing: list[Missing]
    asked: Mapping[str, Any]
    """What the step `queries` found in the files."""
    teach: Mapping[str, Any]
    expand: Mapping[str, Any]
    results: list[Mapping[str, Any]]
    """Of trainings that ended with a ranking."""

    @property
    def ids(self) -> list[str]:
        """The queries that count, in order."""
        return [query.id for query in self.queries]


def key_of(name: str, alpha: float | None) -> str:
    """Names a row; only a mixture has several with one name."""
    return f"{name}@{alpha:g}" if name == "SOFTQE_MIXED" and alpha is not None else name


def read_experiment(spec: Mapping[str, Any], inputs: Mapping[str, Path]) -> Experiment:
    """Reads every input of a report.

    Raises:
        BadInputError: ITEMS_INVALID, when no tested query has a relevant document or a system has no ranking of them.
    """
    queries, qrels = files.read_queries(inputs["queries"]), files.read_qrels(inputs["qrels"])
    lists = [splits.parts(queries, fold) for fold in splits.folds(queries)]
    tested = sorted((query for parts in lists for query in parts.test), key=lambda query: query.id.encode())
    judged = {query.id: qrels[query.id] for query in tested if query.id in qrels}
    found = _untrained(inputs["rankings"], judged)
    systems = {name: _system(name, None, {None: rankings}, judged) for name, rankings in found.items()}
    counted = [query for query in tested if query.id in systems["BASE"].values] if "BASE" in systems else []
    if len(counted) < 2:
        raise BadInputError("ITEMS_INVALID", f"wanted two tested queries with a relevant document, got {len(counted)} of {len(tested)}")
    missing, results, trained = _trained(spec, inputs)
    for (name, alpha), by_seed in trained.items():
        whole = {seed: rankings for seed, rankings in by_seed.items() if judged.keys() <= rankings.keys()}
        if whole:
            systems[key_of(name, alpha)] = _system(name, alpha, whole, judged)
    if "SOFTQE" in systems and "BM25" in systems:
        words = systems["BM25"].rankings[None]
        fused = {seed: {query: _fused([words[query], one[query]]) for query in judged} for seed, one in systems["SOFTQE"].rankings.items()}
        systems["RRF"] = _system("RRF", None, fused, judged)
    return Experiment(
        spec=spec,
        queries=counted,
        tested=tested,
        qrels=judged,
        expansions=files.read_expansions(inputs["expansions"]),
        training=len({query.id for parts in lists for query in parts.train}),
        systems=systems,
        missing=missing,
        asked=json.loads(inputs["asked"].read_bytes()),
        teach=json.loads(inputs["teach"].read_bytes()),
        expand=json.loads(inputs["expand"].read_bytes()) if "expand" in inputs else {},
        results=results,
    )


def _untrained(path: Path, judged: Qrels) -> dict[str, Rankings]:
    found: dict[str, Rankings] = {}
    for ranking in files.read_rankings(path):
        if ranking.query in judged:
            found.setdefault(ranking.system, {})[ranking.query] = ranking.pairs
    return {name: {query: found[name].get(query, []) for query in judged} for name in UNTRAINED if name in found}


def _trained(
    spec: Mapping[str, Any], inputs: Mapping[str, Path]
) -> tuple[list[Missing], list[Mapping[str, Any]], dict[tuple[str, float | None], dict[int | None, Rankings]]]:
    missing: list[Missing] = []
    results: list[Mapping[str, Any]] = []
    trained: dict[tuple[str, float | None], dict[int | None, Rankings]] = {}
    for cell in spec["cells"]:
        result, rankings = inputs.get(f"result:{cell['input']}"), inputs.get(f"rankings:{cell['input']}")
        told: Mapping[str, Any] = {} if result is None else json.loads(result.read_bytes())
        if rankings is None:
            gate = told.get("reason") == "GATE"
            missing.append(Missing(cell, "the gate is closed" if gate else "it gave no result", gate))
            continue
        results.append(told)
        of_seed = trained.setdefault((cell["system"], cell["alpha"]), {}).setdefault(cell["seed"], {})
        of_seed.update({ranking.query: ranking.pairs for ranking in _of(cell, files.read_rankings(rankings))})
    return missing, results, trained


def _of(cell: Mapping[str, Any], rankings: Sequence[Ranking]) -> Sequence[Ranking]:
    wrong = next((one for one in rankings if (one.system, one.seed, one.fold) != (cell["system"], cell["seed"], cell["fold"])), None)
    if wrong is not None:
        wanted = f"{cell['system']} of fold {cell['fold']} with seed {cell['seed']}"
        got = f"{wrong.system} of fold {wrong.fold} with seed {wrong.seed}"
        raise BadInputError("ITEMS_MISMATCH", f"wanted rankings of {wanted}, got {got}")
    return rankings


def _system(name: str, alpha: float | None, rankings: Mapping[int | None, Rankings], judged: Qrels) -> System:
    by_seed = {seed: per_query(judged, one) for seed, one in rankings.items()}
    first = next(iter(by_seed.values()))
    means = {
        query: {metric: sum(values[query][metric] for values in by_seed.values()) / len(by_seed) for metric in METRICS} for query in first
    }
    return System(name, alpha, rankings, means, by_seed)


def _fused(rankings: Sequence[Sequence[Pair]]) -> list[Pair]:
    """Reciprocal rank fusion."""
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, (document, _) in enumerate(ranking, start=1):
            scores[document] = scores.get(document, 0.0) + 1 / (RANK_CONSTANT + rank)
    return ordered(scores.items())
