"""The report to read: as text, as Markdown, and as one HTML page that needs nothing else."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

Document = Mapping[str, Any]

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#111;background:#fff}"
    "table{border-collapse:collapse;margin:.6rem 0;display:block;overflow-x:auto}caption{text-align:left;font-weight:600}"
    "th,td{border:1px solid #ccc;padding:.2rem .5rem;text-align:right;font-variant-numeric:tabular-nums}th:first-child{text-align:left}"
)


class Table(NamedTuple):
    """Cells as people read them."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def render_text(document: Document) -> str:
    """The report as plain text."""
    parts = [f"Retrieval: {_line(document['name'])}", "", *document["summary"]]
    for table in tables(document):
        parts += ["", table.caption, *_aligned(table)]
    for title, sentences in _lists(document):
        parts += ["", title, *(f"- {_line(one)}" for one in sentences)]
    return "\n".join(parts) + "\n"


def render_markdown(document: Document) -> str:
    """The report as Markdown; what users named cannot become a heading, a cell, a link or a tag."""
    lines = [f"# Retrieval: {plain(document['name'])}", "", *(f"- {plain(one)}" for one in document["summary"])]
    for table in tables(document):
        rows = [table.header, ["---"] * len(table.header), *([plain(cell) for cell in row] for row in table.rows)]
        lines += ["", f"## {plain(table.caption)}", "", *(f"| {' | '.join(row)} |" for row in rows)]
    for title, sentences in _lists(document):
        lines += ["", f"## {title}", "", *(f"- {plain(one)}" for one in sentences)]
    return "\n".join(lines) + "\n"


def render_html(document: Document) -> str:
    """The report as a page. Every text is escaped, and the page forbids itself to load or run anything."""
    title = f"Retrieval: {_text(document['name'])}"
    body = [f"<h1>{title}</h1>", _items(document["summary"]), *(_html_table(table) for table in tables(document))]
    body += [f"<h2>{_text(name)}</h2>{_items(sentences)}" for name, sentences in _lists(document)]
    head = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{escape(POLICY, quote=True)}">'
    head += f"<title>{title}</title><style>{STYLE}</style>"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body><main>\n' + "\n".join(body) + "\n</main></body></html>\n"


def tables(document: Document) -> list[Table]:
    """Every table of the report; one without rows is left out."""
    found = [_leaderboard(document), _tests(document), _groups(document), _gates(document), _costs(document)]
    return [table for table in found if table.rows]


def _leaderboard(document: Document) -> Table:
    level = f"{document['statistics']['confidence']:.0%}"
    header = ("system", "nDCG@10", f"{level} interval", "minus base", "won/tied/lost", "RR@10", "R@100", "AP", "Judged@10", "sd over seeds")
    rows = [
        (
            row["key"],
            *_value(row["metrics"]["ndcg@10"]),
            *(("-", "-") if row["againstBase"] is None else (_signed(row["againstBase"]["delta"]), _outcomes(row["againstBase"]))),
            *(f"{row['metrics'][name]['value']:.4f}" for name in ("rr@10", "recall@100", "ap", "judged@10")),
            "-" if row["seedSd"] is None else f"{row['seedSd']:.4f}",
        )
        for row in document["leaderboard"]
    ]
    return Table(f"Leaderboard over {document['queries']['tested']} test queries", header, rows)


def _tests(document: Document) -> Table:
    header = ("declared before it ran", "nDCG@10", "p", "p after Holm", "p of paired t", "detectable", "verdict")
    rows = [
        (
            f"{test['system']} - {test['against']}",
            *(
                ("-",) * 5
                if test["delta"] is None
                else (
                    _signed(test["delta"]),
                    f"{test['p']:.2g}",
                    f"{test['adjustedP']:.2g}",
                    "-" if test["tP"] is None else f"{test['tP']:.2g}",
                    f"{test['minimumDetectableEffect']:.3f}",
                )
            ),
            test["verdict"],
        )
        for test in document["tests"]
    ]
    return Table("Tests", header, rows)


def _groups(document: Document) -> Table:
    rows = [
        (row["key"], group, *_value(found["ndcg@10"]), "-" if found["delta"] is None else _signed(found["delta"]))
        for row in document["leaderboard"]
        for group, found in row["groups"].items()
    ]
    return Table("By group of queries", ("system", "group", "nDCG@10", "interval", "minus base"), rows)


def _gates(document: Document) -> Table:
    rows = [
        (
            str(gate["fold"]),
            "open" if gate["open"] else "closed",
            "-" if gate["delta"] is None else f"{gate['delta']:+.3f}",
            "-" if gate["low"] is None else f"[{gate['low']:+.3f}, {gate['high']:+.3f}]",
            str(gate["queries"]),
        )
        for gate in document["gate"]
    ]
    return Table("Gate: the expanded encoder minus the plain one on dev queries", ("fold", "gate", "nDCG@10", "interval", "queries"), rows)


def _costs(document: Document) -> Table:
    timed: Mapping[str, Any] = document["seconds"]["latencyMs"]
    rows = [
        (
            row["key"],
            *(_quantiles(timed.get(row["key"], {}).get(part)) for part in ("encoder", "search", "total")),
            "-" if row["tokensPerThousand"] is None else f"{sum(row['tokensPerThousand'].values()):.0f}",
            "-" if row["pricePerThousand"] is None else f"{row['pricePerThousand']:.4g}",
        )
        for row in document["leaderboard"]
        if row["key"] in timed or row["tokensPerThousand"] is not None
    ]
    header = ("system", "encoder p50/p95 ms", "search", "both", "LLM tokens per 1,000", "price per 1,000")
    return Table("What a query costs", header, rows)


def _lists(document: Document) -> list[tuple[str, Sequence[str]]]:
    missing = [f"{row['system']}, fold {row['fold']}, seed {row['seed']}: {row['reason']}" for row in document["missing"]]
    cost = [document["breakEven"]["reason"]]
    if document["breakEven"]["queries"] is not None:
        cost.insert(0, f"Distilling once has cost less than expanding each query after {document['breakEven']['queries']} queries.")
    gain = document["recoveredGain"]["reason"]
    found = [
        ("Approximate search", _approximate(document["approximate"])),
        ("Cost", cost),
        ("Recovered gain", [] if gain is None else [gain]),
        ("Missing", missing),
        ("What was not shown", document["notShown"]),
        ("To keep in mind", document["caveats"]),
    ]
    return [(title, sentences) for title, sentences in found if sentences]


def _approximate(found: Document | None) -> list[str]:
    if found is None:
        return []
    said = [
        f"{found['kind']} finds {found['recall']['10']:.1%} of the exact first 10 and {found['recall']['100']:.1%} of the exact first 100, "
        f"as a mean over {found['queries']} queries of the base encoder."
    ]
    ndcg = found["ndcg@10"]
    if ndcg["exact"] is not None:
        said.append(f"nDCG@10 of BASE by this index is {ndcg['approximate']:.4f}, by exact search {ndcg['exact']:.4f}.")
    return [*said, "Every row of the leaderboard is searched exactly."]


def _value(estimate: Document) -> tuple[str, str]:
    return f"{estimate['value']:.4f}", f"[{estimate['low']:.4f}, {estimate['high']:.4f}]"


def _signed(estimate: Document) -> str:
    return f"{estimate['value']:+.4f} [{estimate['low']:+.4f}, {estimate['high']:+.4f}]"


def _outcomes(row: Document) -> str:
    return f"{row['wins']}/{row['ties']}/{row['losses']}"


def _quantiles(part: Document | None) -> str:
    return "-" if part is None else f"{part['p50']:.1f}/{part['p95']:.1f}"


def _aligned(table: Table) -> list[str]:
    rows = [table.header, *table.rows]
    widths = [max(len(row[place]) for row in rows) for place in range(len(table.header))]
    return ["  ".join(cell.ljust(widths[0]) if place == 0 else cell.rjust(widths[place]) for place, cell in enumerate(row)) for row in rows]


def _html_table(table: Table) -> str:
    header = "".join(f'<th scope="col">{_text(name)}</th>' for name in table.header)
    rows = "".join(
        f'<tr><th scope="row">{_text(row[0])}</th>{"".join(f"<td>{_text(cell)}</td>" for cell in row[1:])}</tr>' for row in table.rows
    )
    return f"<table><caption>{_text(table.caption)}</caption><thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table>"


def _items(sentences: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{_text(one)}</li>' for one in sentences)}</ul>"


def plain(text: object) -> str:
    """One line of text in which nothing has a meaning to Markdown or HTML."""
    shown = _line(text)
    for character in "\\`*_[]|":
        shown = shown.replace(character, f"\\{character}")
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("#", "&#35;")


def _text(text: object) -> str:
    return escape(_line(text), quote=True)


def _line(text: object) -> str:
    return "".join(character if character.isprintable() else " " for character in str(text))
