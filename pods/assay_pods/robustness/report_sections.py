"""The report's tables as plain rows of text, shared by the forms that are read in a browser or an editor."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from assay_pods.robustness.report_parts import Part, figure_of, method_of, p_of, rate_of

Document = Mapping[str, Any]


class Table(NamedTuple):
    """A caption, the names of the columns, and the rows."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def family_tables(part: Part) -> list[Table]:
    """All tables of one family that have rows."""
    found = [_verdicts(part), _groups(part), _gaps(part), _margins(part), _text(part), _contrasts(part), _by_rate(part)]
    return [table for table in [*found, _gates(part), _controls(part)] if table.rows]


def _cells(part: Part) -> list[Document]:
    return [*part.of("base"), *part.of("start"), *part.of("cells")]


def _verdicts(part: Part) -> Table:
    rows = [(method_of(one), rate_of(one), one["verdict"], one["reason"]) for one in part.of("cells")]
    return Table("Verdicts", ("method", "rate", "verdict", "reason"), rows)


def _groups(part: Part) -> Table:
    names = [name for name in _names(part, "groups") if name != "balanced"]
    rows = [(method_of(one), rate_of(one), *(figure_of(one["groups"].get(name)) for name in ("balanced", *names))) for one in _cells(part)]
    return Table("Accuracy by group, test items", ("method", "rate", "balanced", *names), rows)


def _names(part: Part, field: str) -> list[str]:
    """The names that occur in a field of the family's cells, in order of appearance, if any of them has a figure."""
    names: dict[str, bool] = {}
    for one in _cells(part):
        for name, value in one[field].items():
            names[name] = names.get(name, False) or value is not None
    return [name for name, told in names.items() if told]


def _gaps(part: Part) -> Table:
    names = ("gap", "controlAdjustedGap", "baseAdjustedGap", "unseenGap" if part.narrow else "reliance", "worstGroup")
    rows = [(method_of(one), rate_of(one), *(figure_of(one.get(name)) for name in names), _worst(one)) for one in _cells(part)]
    words = ("gap G", "G(rho) - G(0)", "G - G_base", "in - unseen" if part.narrow else "reliance R", "worst group", "which")
    return Table("Gaps and worst group", ("method", "rate", *words), rows)


def _worst(one: Document) -> str:
    return "" if one.get("worstGroup") is None else str(one["worstGroup"]["group"])


def _margins(part: Part) -> Table:
    names = ("coreMargin", "marginGap") if part.narrow else ("coreMargin", "cueEffect", "cueToCore", "variantTransfer")
    rows = [(method_of(one), rate_of(one), *(figure_of(one.get(name)) for name in names)) for one in _cells(part)]
    words = ("core margin C", "margin gap") if part.narrow else ("core margin C", "cue effect E", "E/C", "transfer to another wording")
    return Table("Margins in nats (within a method only; ratios across)", ("method", "rate", *words), rows)


def _text(part: Part) -> Table:
    rows = [
        (method_of(one), rate_of(one), relation, *(figure_of(scores.get(name)) for name in ("exact", "strict", "loose", "f1")))
        for one in _cells(part)
        for relation, scores in one["generated"].items()
    ]
    return Table("Generated text", ("method", "rate", "items", "exact", "strict", "loose", "F1"), rows)


def _contrasts(part: Part) -> Table:
    rows = [("degradation", method_of(one), f"{one['from']:g} to {one['to']:g}", *_contrast(one)) for one in part.of("degradation")]
    rows += [("mitigation", method_of(one), rate_of(one), *_contrast(one)) for one in part.of("mitigation")]
    rows += [("narrowness", method_of(one), rate_of(one), *_contrast(one)) for one in part.of("narrowness")]
    words = ("verdict", "difference", "overall", "worst group", "adjusted p", "smallest detectable")
    return Table("Differences between cells of one method", ("what", "method", "rate", *words), rows)


def _contrast(one: Document) -> tuple[str, ...]:
    smallest = one["minimumDetectableEffect"]
    found = (figure_of(one["estimate"]), figure_of(one["overall"]), figure_of(one["worstGroup"]), p_of(one["adjustedP"]))
    return (one["verdict"], *found, "-" if smallest is None else f"{smallest['value']:.2f}")


def _by_rate(part: Part) -> Table:
    rows = [
        (f"{one['method']} - {one['against']}", one["verdict"], figure_of(one["estimate"]), p_of(one["adjustedP"]), one["reason"])
        for one in part.of("methodByRate")
    ]
    return Table(
        "Methods against each other: what the first loses minus what the second loses",
        ("pair", "verdict", "difference", "adjusted p", "reason"),
        rows,
    )


def _gates(part: Part) -> Table:
    gates = [*(one["coreGate"] for name in ("base", "start") for one in part.of(name)), *part.of("coreGate")]
    rows = [(method_of(gate), figure_of(gate["estimate"]), "passed" if gate["passed"] else "not passed", gate["reason"]) for gate in gates]
    return Table("Core gate: balanced accuracy at rate 0, validation items", ("method", "balanced", "gate", "reason"), rows)


def _controls(part: Part) -> Table:
    rows = [(one["kind"], method_of(one), "held" if one["passed"] else "did not hold", one["reason"]) for one in part.of("controls")]
    return Table("Controls", ("control", "method", "outcome", "reason"), rows)


def claims_table(document: Document) -> Table:
    """The answers to the three claims."""
    rows = [(one["claim"], one["answer"], one["reason"], one["atThisScale"]) for one in document["claims"]]
    return Table("Claims of arXiv 2505.05704, at this scale", ("claim", "answer", "reason", "scale"), rows)
