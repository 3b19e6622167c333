"""The report as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from assay_pods.robustness.report_parts import Part, heading_lines, method_of
from assay_pods.robustness.report_sections import Table, claims_table, family_tables

Document = Mapping[str, Any]


def render_markdown(document: Document) -> str:
    """The whole report; what users named cannot become a heading, a table cell, a link or a tag."""
    lines = [f"# Robustness: {plain(document['name'])}", ""]
    lines += [f"- {plain(line)}" for line in heading_lines(document)[1:]]
    lines += _list("In short", document["summary"])
    declared = document["declaredContrast"]
    if declared is not None:
        shown = "its interval excludes 0" if declared["excludesZero"] else f"not shown: {declared['reason'] or 'its interval includes 0'}"
        said = f"{method_of(declared)}, {declared['metric']}, {declared['from']:g} and {declared['to']:g}: {shown}"
        lines += _list("Declared contrast", [said])
    lines += _table(claims_table(document), "##")
    for family in document["families"]:
        part = Part(document, family)
        lines += ["", f"## {plain(family['name'])}"]
        for table in family_tables(part):
            lines += _table(table, "###")
    lines += _list("What was not shown", document["notShown"]) + _list("To keep in mind", document["caveats"])
    return "\n".join(lines) + "\n"


def _list(title: str, sentences: Sequence[str]) -> list[str]:
    return ["", f"## {title}", "", *(f"- {plain(one)}" for one in sentences)] if sentences else []


def _table(table: Table, level: str) -> list[str]:
    if not table.rows:
        return []
    head = ["", f"{level} {plain(table.caption)}", "", _row(table.header), _row(["---"] * len(table.header))]
    return head + [_row([plain(cell) for cell in row]) for row in table.rows]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def plain(text: object) -> str:
    """One line of text in which nothing has a meaning to Markdown or HTML."""
    shown = "".join(character if character.isprintable() else " " for character in str(text))
    for character in "\\`*_[]|":
        shown = shown.replace(character, f"\\{character}")
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("#", "&#35;")
