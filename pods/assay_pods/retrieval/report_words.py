"""What a report says in words: the verdict first, then what its figures do not show."""

from collections.abc import Mapping, Sequence
from typing import Any

from assay_pods.retrieval.report_inputs import Experiment

Document = Mapping[str, Any]

_FIRST = {
    "HELPED": "Distillation helped: SoftQE finds more than the base encoder, than contrastive training alone and than a shuffled teacher.",
    "NOT_ATTRIBUTABLE": "SoftQE finds more than the base encoder, but the gain is not shown to come from what expansions know.",
    "NO_DIFFERENCE_SHOWN": "Distillation was not shown to help: no difference to the base encoder at this size.",
    "WORSE": "Distillation did harm: SoftQE finds less than the base encoder.",
    "GATE_CLOSED": "Nothing was distilled: on dev queries the expanded encoder was not shown to beat the plain one.",
    "NOT_TESTED": "Whether distillation helps was not tested: a row of the declared family has no result.",
}


def verdict(experiment: Experiment, tests: Sequence[Document]) -> tuple[str, str]:
    """What the declared family shows of distillation, and why."""
    if any(one.gate for one in experiment.missing):
        closed = [gate["fold"] for gate in experiment.teach["gate"] if not gate["open"]]
        return "GATE_CLOSED", f"The gate is closed in {len(closed)} of {len(experiment.teach['gate'])} folds."
    untested = [test["against"] for test in tests if test["delta"] is None]
    if untested:
        return "NOT_TESTED", f"No result for SoftQE minus {', '.join(untested)}."
    by = {test["against"]: test["verdict"] for test in tests}
    if by.get("BASE") == "WORSE":
        return "WORSE", "Its interval lies below 0."
    if by.get("BASE") != "BETTER":
        return "NO_DIFFERENCE_SHOWN", "The interval of SoftQE minus base includes 0, or p after Holm is too large."
    short = [against for against, found in by.items() if found != "BETTER"]
    if short:
        return "NOT_ATTRIBUTABLE", f"It is not shown to beat {' and '.join(short)}, which learns without expansions or from wrong ones."
    return "HELPED", "Each of the declared tests, after Holm."


def summary(document: Document) -> list[str]:
    """A few sentences, the verdict first."""
    said = [_FIRST[document["verdict"]] + f" {document['reason']}"]
    for test in document["tests"]:
        if test["delta"] is not None:
            delta = test["delta"]
            said.append(
                f"SoftQE minus {test['against']}: nDCG@10 {delta['value']:+.3f} [{delta['low']:+.3f}, {delta['high']:+.3f}], "
                f"p {test['adjustedP']:.2g} after Holm; {test['wins']} queries won, {test['ties']} tied, {test['losses']} lost."
            )
    chosen = next((one for one in document["selection"] if one["system"] == "SOFTQE"), None)
    if chosen is not None and chosen["keptBase"]:
        said.append(
            f"In {chosen['keptBase']} of {chosen['trainings']} trainings of SoftQE no step was better on dev queries than the base, "
            "so that the student is the base encoder itself."
        )
    by = {row["system"]: row for row in document["leaderboard"]}
    for group, figures in by.get("SOFTQE", {}).get("groups", {}).items():
        delta = figures["delta"]
        if delta is not None:
            said.append(f"Among {group} queries SoftQE minus base is {delta['value']:+.3f} [{delta['low']:+.3f}, {delta['high']:+.3f}].")
    gain = document["recoveredGain"]
    if gain["value"] is not None:
        interval = f"[{gain['low']:.0%}, {gain['high']:.0%}]"
        said.append(f"It keeps {gain['value']:.0%} of the expansion's gain {interval} without expanding at query time.")
    best = document["leaderboard"][0]
    said.append(f"The best row is {best['system']}, nDCG@10 {best['metrics']['ndcg@10']['value']:.3f}.")
    return said


def not_shown(document: Document) -> list[str]:
    """What the figures do not show."""
    said = ["That the same holds for another collection, another encoder or other expansions."]
    powerless = [test["against"] for test in document["tests"] if test["underpowered"]]
    if powerless:
        threshold, against = document["statistics"]["practicalThreshold"], ", ".join(powerless)
        said.append(f"Differences of {threshold:g} against {against}: so few queries find them less than four times in five.")
    if document["collection"]["kind"] == "PLANTED":
        said.append("That distillation helps on real text: the collection is generated so that it can, and shows that the machinery works.")
    if document["collection"]["kind"] == "STDLIB":
        said.append("How people search: each query is the first line of the one document that answers it.")
    return said


def caveats(experiment: Experiment, document: Document) -> list[str]:
    """What to keep in mind."""
    counts = document["queries"]
    said = [
        "Ties are broken by score and then by document id, both descending; a judged query without a ranking counts 0.",
        f"{counts['withoutRelevant']} tested queries have no relevant document and are in no mean.",
        "p-values are about these queries and these students: seeds are averaged, not sampled.",
        "Rows outside the declared family are described with intervals and not tested.",
        "The expanded encoder is a reference above, not a bound: it may itself be below the base.",
        "Latencies are of one query at a time on this machine; what an LLM takes to write an expansion is not in them.",
    ]
    collection = document["collection"]
    if collection["kind"] == "PLANTED" and "unseenTopics" in collection:
        said.append(
            "The base finds less than chance in a planted collection, because decoys stand first for invented names. A student that leaves "
            f"the decoys finds topics that it never saw about as often as chance, 1 in {collection['topics'] + collection['unseenTopics']}."
        )
    said += [f"Of the files: {warning}." for warning in experiment.asked["warnings"]]
    if experiment.missing:
        said.append(f"{len(experiment.missing)} of {len(experiment.spec['cells'])} trainings gave no ranking.")
    closed = [gate["fold"] for gate in document["gate"] if not gate["open"]]
    said += [f"The gate is closed in fold {fold}, and distillation went on as asked." for fold in closed if not experiment.missing]
    return said
