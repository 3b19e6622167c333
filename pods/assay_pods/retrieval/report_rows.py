"""The figures of a report: a row for each system, the confirmatory family with Holm, the recovered gain."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from assay_pods.retrieval.metrics import METRICS
from assay_pods.retrieval.report_inputs import Experiment, System, key_of
from assay_pods.retrieval.significance import Paired, holm, mean_interval, paired, recovered

HEADLINE = "ndcg@10"
_EQUIVALENCE = 0.90
"""Confidence of the interval that has to lie within the practical threshold."""

Row = dict[str, Any]


def leaderboard(experiment: Experiment, cost: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    """A row for each system, by nDCG@10, the best first."""
    rows = [_row(experiment, system) | dict(cost.get(system.key, {})) for system in experiment.systems.values()]
    return sorted(rows, key=lambda row: (-row["metrics"][HEADLINE]["value"], row["system"], row["alpha"] or 0.0))


def _row(experiment: Experiment, system: System) -> Row:
    ids, level = experiment.ids, _level(experiment)
    metrics = {metric: estimate(system, metric, ids, level) for metric in METRICS}
    over_seeds = [statistics.fmean(values[query][HEADLINE] for query in ids) for values in system.by_seed.values()]
    base = experiment.systems["BASE"]
    return {
        "system": system.name,
        "alpha": system.alpha,
        "seeds": system.seeds,
        "metrics": metrics,
        "seedSd": statistics.stdev(over_seeds) if len(over_seeds) > 1 else None,
        "againstBase": None if system is base else _against(compare(experiment, system, base), system),
        "groups": {
            group: {
                HEADLINE: estimate(system, HEADLINE, members, level, group),
                "delta": None if system is base else _difference(compare(experiment, system, base, members, group), system),
            }
            for group, members in groups(experiment).items()
        },
    }


def groups(experiment: Experiment) -> dict[str, list[str]]:
    """Queries by group, of groups that have two or more."""
    found: dict[str, list[str]] = {}
    for query in experiment.queries:
        if query.group is not None:
            found.setdefault(query.group, []).append(query.id)
    return {group: members for group, members in sorted(found.items()) if len(members) > 1}


def estimate(system: System, metric: str, ids: Sequence[str], level: float, group: str = "") -> Row:
    """A metric's mean over queries with its bootstrap interval, within 0 to 1."""
    values = system.column(metric, ids)
    interval = mean_interval(values, f"{metric}/{system.key}/{group}", level)
    return _estimate(statistics.fmean(values), interval.low, interval.high, len(ids), system)


def _estimate(value: float, low: float | None, high: float | None, n: int, system: System) -> Row:
    ends = {"low": value if low is None else low, "high": value if high is None else high}
    return {"value": value, **ends, "n": n, "seeds": max(1, len(system.seeds)), "interval": "bca"}


def compare(experiment: Experiment, system: System, other: System, ids: Sequence[str] | None = None, group: str = "") -> Paired:
    """nDCG@10 of one system minus that of another, over queries that both answered."""
    members = experiment.ids if ids is None else ids
    name = f"{system.key} - {other.key}/{group}"
    return paired(system.column(HEADLINE, members), other.column(HEADLINE, members), name, _level(experiment))


def _difference(found: Paired, system: System) -> Row:
    return _estimate(found.delta, found.interval.low, found.interval.high, found.queries, system)


def _against(found: Paired, system: System) -> Row:
    return {"delta": _difference(found, system), "wins": found.wins, "ties": found.ties, "losses": found.losses}


def tests(experiment: Experiment) -> list[Row]:
    """The family that was declared, Holm over those of it that could be made. What could not has nulls and INCONCLUSIVE."""
    family = [(experiment.systems.get(one), experiment.systems.get(other), one, other) for one, other in experiment.spec["family"]]
    made = [
        (one, compare(experiment, one, other), _equivalence(experiment, one, other)) if one is not None and other is not None else None
        for one, other, _, _ in family
    ]
    adjusted = iter(holm([found[1].p for found in made if found is not None]))
    return [
        _named(one, other, name, against) | (_UNTESTED if found is None else _tested(experiment, *found, next(adjusted)))
        for (one, other, name, against), found in zip(family, made, strict=True)
    ]


_UNTESTED: Row = {
    "delta": None,
    "p": None,
    "adjustedP": None,
    "tP": None,
    "wins": 0,
    "ties": 0,
    "losses": 0,
    "minimumDetectableEffect": None,
    "underpowered": False,
    "verdict": "INCONCLUSIVE",
    "reason": "One of the two has no result.",
}


def _named(one: System | None, other: System | None, name: str, against: str) -> Row:
    return {
        "system": name,
        "alpha": None if one is None else one.alpha,
        "against": against,
        "againstAlpha": None if other is None else other.alpha,
    }


def _equivalence(experiment: Experiment, one: System, other: System) -> bool:
    """Whether the 90 % interval lies within the practical threshold on both sides of 0."""
    differences = np.subtract(one.column(HEADLINE, experiment.ids), other.column(HEADLINE, experiment.ids))
    low, high = mean_interval(differences, f"{one.key} ~ {other.key}", _EQUIVALENCE)
    threshold = float(experiment.spec["practicalThreshold"])
    return low is not None and high is not None and -threshold < low and high < threshold


def _tested(experiment: Experiment, system: System, found: Paired, equivalent: bool, adjusted: float) -> Row:
    verdict, reason = _verdict(found, adjusted, equivalent, 1 - _level(experiment))
    return {
        "delta": _difference(found, system),
        "p": found.p,
        "adjustedP": adjusted,
        "tP": found.t_p,
        "wins": found.wins,
        "ties": found.ties,
        "losses": found.losses,
        "minimumDetectableEffect": found.detectable,
        "underpowered": found.detectable > float(experiment.spec["practicalThreshold"]),
        "effectSize": found.effect,
        "exact": found.exact,
        "verdict": verdict,
        "reason": reason,
    }


def _verdict(found: Paired, adjusted: float, equivalent: bool, alpha: float) -> tuple[str, str]:
    shown = f"p {adjusted:.2g} after Holm"
    if adjusted <= alpha and found.delta > 0 and not found.interval.includes(0.0):
        return "BETTER", f"{shown}, and the interval lies above 0."
    if adjusted <= alpha and found.delta < 0 and not found.interval.includes(0.0):
        return "WORSE", f"{shown}, and the interval lies below 0."
    if equivalent:
        return "EQUIVALENT", "The 90 % interval lies within the practical threshold on both sides of 0."
    return "INCONCLUSIVE", f"{shown}: no difference was shown at this size."


def recovered_gain(experiment: Experiment) -> Row:
    """The share of the expansion's gain that SoftQE keeps; not defined where that gain is not shown."""
    wanted = [experiment.systems.get(name) for name in ("SOFTQE", "BASE", "BASE_EXPANDED")]
    none = {"value": None, "low": None, "high": None}
    there = [system for system in wanted if system is not None]
    if len(there) < len(wanted):
        return none | {"reason": "SoftQE has no result."}
    student, base, expanded = (system.column(HEADLINE, experiment.ids) for system in there)
    found = recovered(student, base, expanded, "recovered gain")
    if found is None or not math.isfinite(found.value):
        return none | {"reason": "Not defined: the expanded encoder's own gain over the base is not shown to be above 0."}
    return {"value": found.value, "low": found.interval.low, "high": found.interval.high, "reason": None}


def missing_rows(experiment: Experiment) -> list[Row]:
    """Trainings without a ranking."""
    return [{name: one.cell[name] for name in ("system", "alpha", "fold", "seed")} | {"reason": one.reason} for one in experiment.missing]


def receipts(experiment: Experiment, latency_saved_ms: float | None) -> list[Row]:
    """For each query that counts, what every system made of it, in the order of ids."""
    return [_receipt(experiment, query.id, query.text, query.group, latency_saved_ms) for query in experiment.queries]


def _receipt(experiment: Experiment, query: str, text: str, group: str | None, saved: float | None) -> Row:
    systems = experiment.systems
    base = systems["BASE"].values[query][HEADLINE]
    deltas = {key: system.values[query][HEADLINE] - base for key, system in systems.items() if key != "BASE"}
    samples = experiment.expansions.get(query, ())
    judged = experiment.qrels[query]
    return {
        "query": query,
        "text": text,
        "group": group,
        "expansion": samples[0].text if samples else None,
        "systems": {key: system.values[query] | {"seeds": max(1, len(system.seeds))} for key, system in systems.items()},
        "delta": deltas,
        "lost": deltas.get(key_of("SOFTQE", 1.0), 0.0) < 0,
        "top": {
            key: [
                {"document": document, "score": score, "relevance": judged.get(document)}
                for document, score in next(iter(system.rankings.values()))[query][:10]
            ]
            for key, system in systems.items()
        },
        "seconds": {"latencySavedMs": saved},
    }


def _level(experiment: Experiment) -> float:
    return float(experiment.spec.get("confidence", 0.95))


def selection(experiment: Experiment) -> list[dict[str, Any]]:
    """Of each trained row, how many trainings there were, and in how many of them selection on dev queries kept the base encoder."""
    counted: dict[tuple[str, float | None], list[bool]] = {}
    for result in experiment.results:
        counted.setdefault((result["kind"], result.get("alpha")), []).append(result["selected"]["step"] == 0)
    return [{"system": name, "alpha": alpha, "trainings": len(kept), "keptBase": sum(kept)} for (name, alpha), kept in counted.items()]
