"""What each option costs a query, what distilling costs once, and after how many queries the one is worth the other."""

from collections.abc import Mapping
from typing import Any

from assay_pods.retrieval.report_inputs import Experiment

Milliseconds = dict[str, dict[str, float] | None]


def latencies(experiment: Experiment) -> dict[str, Milliseconds]:
    """Of each system whose parts were timed, milliseconds of one query by itself: p50 and p95 of encoder, search and both.

    `total` adds the parts' quantiles: exact for neither, an upper end for p95.
    """
    timed: Mapping[str, Mapping[str, float]] = experiment.teach.get("seconds", {}).get("latencyMs", {})
    search, plain, expanded, words = (timed.get(name) for name in ("search", "encoder", "encoderExpanded", "bm25"))
    found = {
        "BM25": _parts(None, words),
        "BASE": _parts(plain, search),
        "BASE_EXPANDED": _parts(expanded, search),
    }
    students = {result["kind"]: result.get("seconds", {}).get("encoderMs") for result in reversed(experiment.results)}
    for key, system in experiment.systems.items():
        if system.name in students:
            found[key] = _parts(students[system.name] or plain, search)
    return {key: parts for key, parts in found.items() if key in experiment.systems and parts["total"] is not None}


def _parts(encoder: Mapping[str, float] | None, search: Mapping[str, float] | None) -> Milliseconds:
    there = [dict(part) for part in (encoder, search) if part is not None]
    total = {share: sum(part[share] for part in there) for share in ("p50", "p95")} if search is not None else None
    return {"encoder": None if encoder is None else dict(encoder), "search": None if search is None else dict(search), "total": total}


def latency_saved_ms(found: Mapping[str, Milliseconds]) -> float | None:
    """How much sooner the distilled encoder answers than the one that reads an expansion, at the median; the LLM's own time on top."""
    ends = [(found.get(key) or {}).get("total") for key in ("BASE_EXPANDED", "SOFTQE")]
    expanded, distilled = ends
    return None if expanded is None or distilled is None else expanded["p50"] - distilled["p50"]


def query_costs(experiment: Experiment) -> dict[str, dict[str, Any]]:
    """Tokens and price of 1,000 queries, of systems that expand at query time; null where no LLM wrote the expansions."""
    told = experiment.expand
    asked = sum(part["asked"] for part in told.get("queries", {}).values()) if "promptTokens" in told else 0
    nothing = {"tokensPerThousand": None, "pricePerThousand": None}
    if asked == 0:
        return {key: nothing for key in experiment.systems}
    spent = {
        "tokensPerThousand": {"prompt": 1000 * told["promptTokens"] / asked, "completion": 1000 * told["completionTokens"] / asked},
        "pricePerThousand": 1000 * told["price"] / asked,
    }
    return {key: spent if key in ("BM25_EXPANDED", "BASE_EXPANDED") else nothing for key in experiment.systems}


def break_even(experiment: Experiment) -> dict[str, Any]:
    """After how many queries distilling once has cost less than expanding each at query time, at the declared prices."""
    of_query = query_costs(experiment).get("BASE_EXPANDED", {})
    price, tokens = of_query.get("pricePerThousand"), of_query.get("tokensPerThousand")
    share = experiment.training / 1000
    once = {
        "expandedQueries": experiment.training,
        "promptTokens": None if tokens is None else tokens["prompt"] * share,
        "completionTokens": None if tokens is None else tokens["completion"] * share,
        "price": None if price is None else price * share,
    }
    if price is None:
        return {"queries": None, "reason": "No LLM wrote the expansions, so that a query costs no tokens either way.", "oneOff": once}
    if price == 0:
        return {"queries": None, "reason": "No price was declared for the LLM's tokens.", "oneOff": once}
    reason = "At the declared prices of tokens; compute is counted apart, under seconds, and is not in it."
    return {"queries": experiment.training, "reason": reason, "oneOff": once}


def one_off_seconds(experiment: Experiment) -> dict[str, float]:
    """Seconds of all trainings of SoftQE, which a user pays once."""
    of_softqe = [result.get("seconds", {}) for result in experiment.results if result.get("kind") == "SOFTQE"]
    return {name: sum(float(one.get(name, 0.0)) for one in of_softqe) for name in ("wall", "cpu")}
