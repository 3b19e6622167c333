"""The report as text: at most 110 columns, figures rounded to two or three digits."""

import textwrap
from collections.abc import Sequence

from assay_pods.robustness.report_parts import Document, Part, figure_of, heading_lines, method_of, p_of, rate_of

WIDTH = 110


def render(document: Document) -> str:
    """The whole table."""
    blocks = [_heading(document), _sentences("In short", document["summary"]), _declared(document), _claims(document)]
    for family in document["families"]:
        part = Part(document, family)
        blocks += [_title(part), _cells(part), _margins(part), _degradation(part), _by_rate(part), _gates(part), _controls(part)]
    blocks += [
        _sentences("What was not shown", document["notShown"]),
        _sentences("To keep in mind", document["caveats"]),
        _times(document),
    ]
    text = "\n\n".join(block for block in blocks if block) + "\n"
    # Names and reasons quote what users sent: nothing of it may steer a terminal.
    return "".join(character if character.isprintable() or character == "\n" else " " for character in text)


def _title(part: Part) -> str:
    if len(part.document["families"]) == 1:
        return ""
    return f"{'=' * 4} {part.family['name']} {'=' * 4}"


def _heading(document: Document) -> str:
    lines = heading_lines(document)
    return "\n".join(wrapped for line in lines for wrapped in textwrap.wrap(line, WIDTH, subsequent_indent=" " * 9))


def _declared(document: Document) -> str:
    declared = document["declaredContrast"]
    if declared is None:
        return ""
    found = "not measured" if declared["estimate"] is None else f"{figure_of(declared['estimate'])} (n = {declared['estimate']['n']})"
    said = "the interval excludes 0" if declared["excludesZero"] else "NOT SHOWN"
    title = f"Declared contrast: {method_of(declared)}, conflicting accuracy at rho {declared['from']:g} minus at rho {declared['to']:g}"
    return f"{title}\n  {found}: {said}"


def _cells(part: Part) -> str:
    header = ("method", "rho", *(_WORDS.get(name, name) for name in part.columns), "gap", "G(rho) - G(0)")
    rows = [(method_of(one), "-", *_groups(part, one), figure_of(one["gap"]), "") for name in ("base", "start") for one in part.of(name)]
    for cell in part.of("cells"):
        rows.append((method_of(cell), rate_of(cell), *_groups(part, cell), figure_of(cell["gap"]), figure_of(cell["controlAdjustedGap"])))
    verdicts = [f"{method_of(cell)} {rate_of(cell)}: {cell['verdict']}: {cell['reason']}" for cell in part.of("cells")]
    wrapped = [line for verdict in verdicts for line in textwrap.wrap(verdict, WIDTH, initial_indent="  ", subsequent_indent="      ")]
    by_text = any(cell["primaryScore"] == "generatedText" for cell in part.of("cells"))
    title = "Accuracy by the checker on generated text, test items" if by_text else "Accuracy by forced choice, test items"
    return "\n".join([title, *_columns(header, rows), "Verdicts", *wrapped])


_WORDS = {"inSlice": "in slice", "outSlice": "out of slice", "unseenSlice": "unseen slice"}


def _groups(part: Part, cell: Document) -> tuple[str, ...]:
    return tuple(figure_of(cell["groups"].get(name)) for name in part.columns)


def _margins(part: Part) -> str:
    effect, both = ("marginGap", "unseenGap") if part.narrow else ("cueEffect", "cueOnBoth")
    words = ("in - unseen", "margin gap") if part.narrow else ("cue on both", "cue effect E")
    header = ("method", "rho", "G - G_base", words[0], "generated", words[1], "core margin C")

    def beside(cell: Document) -> tuple[str, str, str, str]:
        shown = cell.get(both) if part.narrow else cell["groups"].get(both)
        return figure_of(shown), figure_of(cell["generation"]), figure_of(cell[effect], 1), figure_of(cell["coreMargin"], 1)

    rows = [(method_of(one), "-", "", *beside(one)) for name in ("base", "start") for one in part.of(name)]
    rows += [(method_of(cell), rate_of(cell), figure_of(cell["baseAdjustedGap"]), *beside(cell)) for cell in part.of("cells")]
    return "\n".join(["Beside it (margins in nats, within a method only)", *_columns(header, rows)])


def _degradation(part: Part) -> str:
    lines: list[str] = []
    threshold = f"within {part.document['statistics']['practicalThreshold']:g}"
    header = ("method", "rho", _WORDS.get(part.columns[1], part.columns[1]), "balanced", threshold, "McNemar p", "adjusted p")
    lost = [_contrast_row(row, f"{row['from']:g} - {row['to']:g}") for row in part.of("degradation")]
    if lost:
        lines += ["Degradation: accuracy at the lower rate minus at the higher", *_columns(header, lost)]
        lines.append("  within: the 90% interval of the first difference lies inside the threshold on both sides")
    mitigated = [_contrast_row(row, rate_of(row)) for row in part.of("mitigation")]
    if mitigated:
        lines += ["Mitigation: accuracy with it minus without it", *_columns(header, mitigated)]
    size = [_contrast_row(row, rate_of(row)) for row in part.of("narrowness")]
    if size:
        lines += ["Narrowness: out-of-slice accuracy minus that of the size control", *_columns(header, size)]
    test = part.document["degradationTest"]
    note = [] if test is None or test["note"] is None else textwrap.wrap(f"{test['name']}: {test['note']}", WIDTH - 2)
    return "\n".join([*lines, *(f"  {line}" for line in note)]) if lines else ""


def _contrast_row(row: Document, rates: str) -> tuple[str, ...]:
    exact = None if row["mcnemar"] is None else row["mcnemar"]["p"]
    within = {True: "yes", False: "not shown", None: "-"}[row["withinPracticalThreshold"]]
    return (method_of(row), rates, figure_of(row["estimate"]), figure_of(row["overall"]), within, p_of(exact), p_of(row["adjustedP"]))


def _by_rate(part: Part) -> str:
    lines: list[str] = []
    for row in part.of("methodByRate"):
        pair = f"{row['method']} - {row['against']}: {figure_of(row['estimate'])}, adjusted p {p_of(row['adjustedP'])}: {row['reason']}"
        lines += textwrap.wrap(pair, WIDTH, initial_indent="  ", subsequent_indent="      ")
    return "\n".join(["Methods against each other: what the first loses minus what the second loses", *lines]) if lines else ""


def _claims(document: Document) -> str:
    said = [f"{one['claim']} {one['answer']}: {one['reason']}" for one in document["claims"]]
    return _sentences("Claims of arXiv 2505.05704, at this scale", said)


def _gates(part: Part) -> str:
    gates = [*(one["coreGate"] for name in ("base", "start") for one in part.of(name)), *part.of("coreGate")]
    rows = [(method_of(gate), figure_of(gate["estimate"]), gate["reason"]) for gate in gates]
    return "\n".join(["Core gate: balanced accuracy at rho 0, validation items", *_columns(("method", "balanced", ""), rows)])


def _controls(part: Part) -> str:
    rows, failures = [], []
    for control in part.of("controls"):
        shown = (
            figure_of(control.get("gap")) if "gap" in control else figure_of(control.get("cueEffect", control.get("marginGapChange")), 1)
        )
        outcome = "passed" if control["passed"] else "not measured" if shown == "-" else "FAILED"
        rows.append((control["kind"], method_of(control), outcome, shown))
        if not control["passed"]:
            failures += textwrap.wrap(f"{control['kind']} of {method_of(control)}: {control['reason']}", WIDTH - 2)
    return "\n".join(["Controls", *_columns(("control", "method", "", "gap or E"), rows), *(f"  {line}" for line in failures)])


def _sentences(title: str, sentences: Sequence[str]) -> str:
    lines = [line for one in sentences for line in textwrap.wrap(one, WIDTH, initial_indent="  - ", subsequent_indent="    ")]
    return "\n".join([title, *lines]) if lines else ""


def _times(document: Document) -> str:
    several = len(document["families"]) > 1
    entries = [one for name in ("base", "start", "cells") for one in document[name]]
    rows = [
        (*((str(one["task"] or "-"), _SHORT.get(one["artifact"], "-")) if several else ()), method_of(one), rate_of(one), *_time(one))
        + (f"{one['steps']}", f"{one['tokens']}")
        for one in entries
    ]
    given = [(name, one) for name, one in sorted(document["seconds"].items()) if one is not None]
    totals = [f"  {name}: {one['wall']:.1f} s wall, {one['cpu']:.1f} s CPU" for name, one in given]
    hardware = document.get("hardware")
    where = [] if hardware is None else [f"  on {hardware['device']}, {hardware['machine']}, {hardware['cpus']} CPUs"]
    header = (*(("task", "artifact") if several else ()), "method", "rho", "wall s", "CPU s", "steps", "tokens")
    return "\n".join(["Time (sums over runs and seeds)", *_columns(header, rows), *totals, *where])


_SHORT = {"FEATURE_AMBIGUITY": "FA", "DISTRIBUTIONAL_NARROWNESS": "DN"}


def _time(cell: Document) -> tuple[str, str]:
    if not cell["seeds"]:
        return "-", "-"
    return f"{cell['seconds']['wall']:.1f}", f"{cell['seconds']['cpu']:.1f}"


def _columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [header, *rows]]
    return [f"  {line}" for line in lines]
