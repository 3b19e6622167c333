"""The report as one HTML page that needs nothing else: no script, no style sheet, no picture from elsewhere."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from assay_pods.robustness.report_parts import Part, heading_lines, method_of
from assay_pods.robustness.report_sections import Table, claims_table, family_tables
from assay_pods.robustness.report_svg import Axes, Line, PlotPoint, plot

Document = Mapping[str, Any]

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#111;background:#fff}
table{border-collapse:collapse;margin:.6rem 0;display:block;overflow-x:auto}
caption{text-align:left;font-weight:600;padding:.3rem 0}
th,td{border:1px solid #ccc;padding:.2rem .5rem;text-align:left;vertical-align:top;font-variant-numeric:tabular-nums}
thead th{background:#f1f1f1}
.plots{display:flex;flex-wrap:wrap;gap:1rem}
figure{margin:0}
figcaption{font-weight:600}
.legend{list-style:none;padding:0;margin:.2rem 0;display:flex;gap:1rem;flex-wrap:wrap;font-size:13px}
.measured{background:#fff0e0}.none{background:#eef5ee}.refused{background:#eee;color:#444}
"""
_LOOK = {"MEASURED": "measured", "LOWER": "measured", "NO_DIFFERENCE_SHOWN": "none", "EQUIVALENT": "none"}
_REFUSED = {
    *("INCOMPLETE", "CORE_NOT_LEARNED", "CONTROL_FAILED", "BASE_EXPLAINS_GAP"),
    *("TEXT_TOO_FEW", "SCORES_DISAGREE", "NOT_MEASURABLE", "NO_COMPARISON"),
}


def render_html(document: Document) -> str:
    """The whole page. Every text is escaped, and the page forbids itself to load or run anything."""
    body = [f"<h1>Robustness: {_text(document['name'])}</h1>", _list(heading_lines(document)[1:])]
    body += [_section("In short", _list(document["summary"])), _section("Claims", _table(claims_table(document)))]
    for number, family in enumerate(document["families"]):
        part = Part(document, family)
        tables = "".join(_table(table) for table in family_tables(part))
        body.append(_section(family["name"], f'<div class="plots">{_plots(part, number)}</div>{tables}'))
    body += [_section("What was not shown", _list(document["notShown"])), _section("To keep in mind", _list(document["caveats"]))]
    head = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{escape(POLICY, quote=True)}">'
    head += '<meta name="viewport" content="width=device-width, initial-scale=1">'
    head += f"<title>Robustness: {_text(document['name'])}</title><style>{STYLE}</style>"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body><main>\n' + "\n".join(body) + "\n</main></body></html>\n"


def _text(text: object) -> str:
    return escape("".join(character if character.isprintable() else " " for character in str(text)), quote=True)


def _section(title: str, content: str) -> str:
    return f"<section><h2>{_text(title)}</h2>\n{content}</section>"


def _list(sentences: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{_text(one)}</li>' for one in sentences)}</ul>" if sentences else "<p>Nothing.</p>"


def _table(table: Table) -> str:
    header = "".join(f'<th scope="col">{_text(name)}</th>' for name in table.header)
    rows = "".join(f"<tr>{''.join(_cell(text, place) for place, text in enumerate(row))}</tr>" for row in table.rows)
    return f"<table><caption>{_text(table.caption)}</caption><thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table>"


def _cell(text: str, place: int) -> str:
    if place == 0:
        return f'<th scope="row">{_text(text)}</th>'
    look = _LOOK.get(text) or ("refused" if text in _REFUSED else None)
    return f"<td>{_text(text)}</td>" if look is None else f'<td class="{look}">{_text(text)}</td>'


def _plots(part: Part, number: int) -> str:
    gap = Axes("Gap by rate and method", "spuriousness rate", "gap G", -1.0, 1.0)
    worst = Axes("Worst group by rate and method", "spuriousness rate", "worst-group accuracy", 0.0, 1.0)
    suffers = "outSlice" if part.narrow else "conflicting"
    lost = Axes(
        "What suffers, by rate and method",
        "spuriousness rate",
        "out-of-slice accuracy" if part.narrow else "conflicting accuracy",
        0.0,
        1.0,
    )
    learning = Axes(f"While training: {lost.y_name} against in-distribution accuracy", "in-distribution accuracy", lost.y_name, 0.0, 1.0)
    shown = [
        (gap, _lines(part, lambda cell: cell["gap"])),
        (lost, _lines(part, lambda cell: None if cell["gap"] is None else cell["groups"].get(suffers))),
        (worst, _lines(part, lambda cell: cell["worstGroup"])),
        (learning, _curves(part, suffers)),
    ]
    figures = [
        f"<figure><figcaption>{_text(axes.title)}</figcaption>{plot(axes, lines, f'f{number}p{place}')}</figure>"
        for place, (axes, lines) in enumerate(shown)
        if lines
    ]
    return "".join(figures) or "<p>No figure may be read, so nothing is plotted.</p>"


def _lines(part: Part, pick: Any) -> list[Line]:
    """One line for each method, variant and learning rate that has a figure."""
    points: dict[str, list[PlotPoint]] = {}
    for cell in part.of("cells"):
        found = pick(cell)
        if found is not None and found["value"] is not None:
            point = PlotPoint(cell["spuriousness"], found["value"], found["low"], found["high"])
            points.setdefault(method_of(cell), []).append(point)
    return [Line(name, sorted(those)) for name, those in points.items()]


def _curves(part: Part, suffers: str) -> list[Line]:
    """Quarters of training, where the runs tell them: the mean over seeds of each quarter."""
    lines: list[Line] = []
    for cell in part.of("cells"):
        seeds = cell["curve"]
        if not seeds or cell["gap"] is None or cell["spuriousness"] == 0.0:
            continue
        points = [_curve_point([curve[quarter] for curve in seeds], suffers) for quarter in range(min(map(len, seeds)))]
        lines.append(Line(f"{method_of(cell)} {cell['spuriousness']:g}", [point for point in points if point is not None]))
    return [line for line in lines if line.points]


def _curve_point(quarter: Sequence[Document], suffers: str) -> PlotPoint | None:
    pairs = [(one["inDistribution"], one[suffers]) for one in quarter]
    told = [(float(x), float(y)) for x, y in pairs if x is not None and y is not None]
    return None if not told else PlotPoint(sum(x for x, _ in told) / len(told), sum(y for _, y in told) / len(told), None, None)
