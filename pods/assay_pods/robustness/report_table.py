"""The report as text: at most 110 columns, figures rounded to two or three digits."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

WIDTH = 110

Document = Mapping[str, Any]


def render(document: Document) -> str:
    """The whole table."""
    blocks = [
        _heading(document),
        _declared(document),
        _cells(document),
        _margins(document),
        _degradation(document),
        _gates(document),
        _controls(document),
        _sentences("What was not shown", document["notShown"]),
        _sentences("To keep in mind", document["caveats"]),
        _times(document),
    ]
    text = "\n\n".join(block for block in blocks if block) + "\n"
    # Names and reasons quote what users sent: nothing of it may steer a terminal.
    return "".join(character if character.isprintable() or character == "\n" else " " for character in text)


def _heading(document: Document) -> str:
    source, trainer, data = document["model"]["source"], document["trainer"], document["data"]
    model = " ".join(str(value) for key, value in sorted(source.items()) if key != "kind")
    complete = "complete" if document["complete"] else f"INCOMPLETE: {len(document['missingCells'])} runs without a full result"
    lines = [
        f"Robustness: {document['name']} ({complete})",
        f"model    {model} (sha256 {document['model']['digest'][:12]})",
        f"data     {data['kind']} {data.get('cell') or str(data.get('digest'))[:12]}, rate as correlation; {_sizes(data)}",
        f"trainer  {trainer['kind']}, {trainer.get('epochs')} epochs, {trainer.get('promptsPerStep')} prompts a step,"
        f" beta {trainer.get('beta')}, {trainer.get('precision')}, learning rate {_learning_rates(document)}",
        f"seeds    {', '.join(map(str, document['seeds']))}; intervals {document['statistics']['confidence']:.0%} over"
        f" {document['statistics']['intervalsOver']}",
    ]
    return "\n".join(wrapped for line in lines for wrapped in textwrap.wrap(line, WIDTH, subsequent_indent=" " * 9))


def _sizes(data: Document) -> str:
    """What was asked of the generated cell, or what the first seed found in the rows that a client gave."""
    size = data["size"]
    if data["kind"] == "GENERATED":
        pairs = ", ".join(f"{size[f'{split}Pairs']} {split}" for split in ("train", "validation", "test"))
        return f"{pairs} pairs; {size['generationItems']} generated texts a run"
    found = data["prepared"][0].get("records") if data["prepared"] else None
    return "sizes not known" if found is None else ", ".join(f"{found[split]} {split}" for split in found) + " rows"


def _learning_rates(document: Document) -> str:
    """One where all planned methods have the same, else each method's own."""
    rates = document["trainer"].get("learningRate") or {}
    planned = {method: rates[method] for method in sorted(document["grid"]["methods"]) if method in rates}
    if len(set(planned.values())) == 1:
        return f"{next(iter(planned.values())):g}"
    return ", ".join(f"{rate:g} ({method})" for method, rate in planned.items()) or "not said"


def _declared(document: Document) -> str:
    declared = document["declaredContrast"]
    if declared is None:
        return ""
    found = "not measured" if declared["estimate"] is None else f"{_figure(declared['estimate'])} (n = {declared['estimate']['n']})"
    said = "the interval excludes 0" if declared["excludesZero"] else "NOT SHOWN"
    title = f"Declared contrast: {declared['method']}, conflicting accuracy at rho {declared['from']:g} minus at rho {declared['to']:g}"
    return f"{title}\n  {found}: {said}"


def _cells(document: Document) -> str:
    header = ("method", "rho", "aligned", "conflicting", "neutral", "gap", "G(rho) - G(0)")
    rows = []
    base = document["base"]
    if base is not None:
        rows.append(("base", "-", *_groups(base), _figure(base["gap"]), ""))
    for cell in document["cells"]:
        rows.append(
            (cell["method"], f"{cell['spuriousness']:g}", *_groups(cell), _figure(cell["gap"]), _figure(cell["controlAdjustedGap"]))
        )
    verdicts = [f"{cell['method']} {cell['spuriousness']:g}: {cell['verdict']}: {cell['reason']}" for cell in document["cells"]]
    wrapped = [line for verdict in verdicts for line in textwrap.wrap(verdict, WIDTH, initial_indent="  ", subsequent_indent="      ")]
    return "\n".join(["Accuracy by forced choice, test items", *_columns(header, rows), "Verdicts", *wrapped])


def _groups(cell: Document) -> tuple[str, str, str]:
    groups = cell["groups"]
    return _figure(groups.get("aligned")), _figure(groups.get("conflicting")), _figure(groups.get("neutral"))


def _margins(document: Document) -> str:
    header = ("method", "rho", "G - G_base", "cue on both", "generated", "cue effect E", "core margin C")
    rows = []
    base = document["base"]
    if base is not None:
        rows.append(("base", "-", "", _figure(base["groups"].get("cueOnBoth")), *_beside(base)))
    for cell in document["cells"]:
        both = _figure(cell["groups"].get("cueOnBoth"))
        rows.append((cell["method"], f"{cell['spuriousness']:g}", _figure(cell["baseAdjustedGap"]), both, *_beside(cell)))
    return "\n".join(["Beside it (E and C in nats, within a method only)", *_columns(header, rows)])


def _beside(cell: Document) -> tuple[str, str, str]:
    return _figure(cell["generation"]), _figure(cell["cueEffect"], 1), _figure(cell["coreMargin"], 1)


def _degradation(document: Document) -> str:
    if not document["degradation"]:
        return ""
    header = (
        "method",
        "rho",
        "conflicting",
        "balanced",
        f"within {document['statistics']['practicalThreshold']:g}",
        "McNemar p",
        "adjusted p",
    )
    rows = []
    for row in document["degradation"]:
        exact = None if row["mcnemar"] is None else row["mcnemar"]["p"]
        rates = f"{row['from']:g} - {row['to']:g}"
        within = {True: "yes", False: "not shown", None: "-"}[row["withinPracticalThreshold"]]
        figures = (_figure(row["conflicting"]), _figure(row["balanced"]))
        rows.append((row["method"], rates, *figures, within, _p(exact), _p(row["adjustedP"])))
    test = document["degradationTest"]
    note = ["  within: the 90% interval of the conflicting difference lies inside the threshold on both sides"]
    note += [] if test is None or test["note"] is None else [f"  {test['name']}: {test['note']}"]
    return "\n".join(["Degradation: accuracy at the lower rate minus at the higher", *_columns(header, rows), *note])


def _gates(document: Document) -> str:
    rows = [(gate["method"], _figure(gate["estimate"]), gate["reason"]) for gate in document["coreGate"]]
    if document["base"] is not None:
        gate = document["base"]["coreGate"]
        rows.insert(0, ("base", _figure(gate["estimate"]), gate["reason"]))
    return "\n".join(["Core gate: balanced accuracy at rho 0, validation items", *_columns(("method", "balanced", ""), rows)])


def _controls(document: Document) -> str:
    rows, failures = [], []
    for control in document["controls"]:
        shown = _figure(control.get("gap")) if "gap" in control else _figure(control.get("cueEffect"), 1)
        outcome = "passed" if control["passed"] else "not measured" if shown == "-" else "FAILED"
        rows.append((control["kind"], control["method"], outcome, shown))
        if not control["passed"]:
            failures += textwrap.wrap(f"{control['kind']} of {control['method']}: {control['reason']}", WIDTH - 2)
    return "\n".join(["Controls", *_columns(("control", "method", "", "gap or E"), rows), *(f"  {line}" for line in failures)])


def _sentences(title: str, sentences: Sequence[str]) -> str:
    lines = [line for one in sentences for line in textwrap.wrap(one, WIDTH, initial_indent="  - ", subsequent_indent="    ")]
    return "\n".join([title, *lines]) if lines else ""


def _times(document: Document) -> str:
    rows = [
        (cell["method"], f"{cell['spuriousness']:g}", *_time(cell), f"{cell['steps']}", f"{cell['tokens']}") for cell in document["cells"]
    ]
    if document["base"] is not None:
        base = document["base"]
        rows.insert(0, ("base", "-", *_time(base), f"{base['steps']}", f"{base['tokens']}"))
    given = [(name, one) for name, one in sorted(document["seconds"].items()) if one is not None]
    totals = [f"  {name}: {one['wall']:.1f} s wall, {one['cpu']:.1f} s CPU" for name, one in given]
    hardware = document.get("hardware")
    where = [] if hardware is None else [f"  on {hardware['device']}, {hardware['machine']}, {hardware['cpus']} CPUs"]
    header = ("method", "rho", "wall s", "CPU s", "steps", "tokens")
    return "\n".join(["Time (sums over runs and seeds)", *_columns(header, rows), *totals, *where])


def _time(cell: Document) -> tuple[str, str]:
    if not cell["seeds"]:
        return "-", "-"
    return f"{cell['seconds']['wall']:.1f}", f"{cell['seconds']['cpu']:.1f}"


def _figure(found: Document | None, digits: int = 2) -> str:
    if found is None or found["value"] is None:
        return "-"
    if found["low"] is None or found["high"] is None:
        return _number(found["value"], digits)
    return f"{_number(found['value'], digits)} [{_number(found['low'], digits)},{_number(found['high'], digits)}]"


def _number(value: float, digits: int) -> str:
    """Without the zero before the point, which keeps seven columns within the width."""
    rounded = f"{value:.{0 if digits == 1 and abs(value) >= 99.95 else digits}f}"
    sign, magnitude = ("-", rounded[1:]) if rounded.startswith("-") else ("", rounded)
    sign = sign if magnitude.strip("0.") else ""
    return sign + (magnitude[1:] if magnitude.startswith("0.") else magnitude)


def _p(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"


def _columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [header, *rows]]
    return [f"  {line}" for line in lines]
