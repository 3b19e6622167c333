"""Readers of uploaded collections: BEIR, TREC, MS MARCO and query2doc.

They take what the check at upload passes (docs/contract.md, "Uploaded collections") and say the file, the line and what was wanted for
all else, because a pod trusts nobody. All read as a stream; of a corpus only the ids stay in memory.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assay_pods.retrieval.files import Document, Expansion, Qrels, Query
from assay_pods.retrieval.inputs.lines import Line, lines, peek
from assay_pods.retrieval.inputs.rows import HEADER_IDS, Element, Row, columns, elements, objects, plain

__all__ = ["documents", "expansions", "judgements", "queries"]

QUERY2DOC = "query2doc"
"""The provider of rows that are in query2doc's layout and name none."""

_CORPUS_COLUMNS = {2: "id and text", 3: "id, title and text", 4: "id, url, title and text, each after a tab"}
_QRELS_COLUMNS = {3: "query, document and code", 4: "query, iteration, document and code"}
_DOCNO = re.compile(r"<docno(?:\s[^>]*)?>([^<]*)(?:</docno\s*>)?", re.IGNORECASE)
_NUM = re.compile(r"<num(?:\s[^>]*)?>([^<]*)", re.IGNORECASE)
_TITLE = re.compile(r"<title(?:\s[^>]*)?>([^<]*)", re.IGNORECASE)
_LABEL = re.compile(r"^\s*(?:number|topic):", re.IGNORECASE)


def documents(path: Path) -> Iterator[Document]:
    """Gives the documents of a corpus in their order; those without text too.

    Raises:
        BadInputError: COLLECTION_INVALID, with the line.
    """
    mark, found = peek(lines(path, "corpus"), "corpus")
    read = _json_documents(found) if mark == "{" else _trec_documents(found) if mark == "<" else _column_documents(found)
    seen: set[str] = set()
    for line, document in read:
        _once(line, document.id, seen)
        yield document


def queries(path: Path) -> Iterator[Query]:
    """Gives the queries in their order.

    Raises:
        BadInputError: COLLECTION_INVALID, with the line.
    """
    mark, found = peek(lines(path, "queries"), "queries")
    read = _json_queries(found) if mark == "{" else _topics(found) if mark == "<" else _column_queries(found)
    seen: set[str] = set()
    for line, query in read:
        _once(line, query.id, seen)
        if not query.text:
            line.refuse("a query with a text", line.text)
        yield query


def judgements(path: Path, name: str = "qrels") -> Qrels:
    """Gives the relevance codes as they came.

    Raises:
        BadInputError: COLLECTION_INVALID, with the line.
    """
    mark, found = peek(lines(path, name), name)
    qrels: Qrels = {}
    for line, query, document, code in _json_judgements(found) if mark == "{" else _column_judgements(found):
        judged = qrels.setdefault(line.id_of(query, "a query's id"), {})
        if line.id_of(document, "a document's id") in judged:
            line.refuse("each query and document judged once", f"{query} {document}")
        judged[document] = line.code_of(code)
    return qrels


def expansions(path: Path) -> Iterator[Expansion]:
    """Gives expansions, several of a query where there are several rows of it.

    Raises:
        BadInputError: COLLECTION_INVALID, with the line.
    """
    _, found = peek(lines(path, "expansions"), "expansions")
    for line, values in objects(found):
        text = values.get("text", values.get("pseudo_doc"))
        if not isinstance(text, str) or not text.strip():
            line.refuse("an expansion with a text (text or pseudo_doc)", line.text)
        provider = values.get("provider") or (QUERY2DOC if "pseudo_doc" in values else "uploaded")
        yield Expansion(line.id_of(values.get("query_id"), "a query_id"), text.strip(), str(provider), str(values.get("prompt_hash") or ""))


def _json_documents(found: Iterator[Line]) -> Iterator[tuple[Line, Document]]:
    for row in objects(found):
        yield row.line, Document(_id(row), _joined(_text(row, "title", ""), _text(row, "text")))


def _trec_documents(found: Iterator[Line]) -> Iterator[tuple[Line, Document]]:
    for element in elements(found, "doc"):
        name = _only(element, "docno", _DOCNO)
        yield element.line, Document(element.line.id_of(name, "a <DOCNO>"), plain(_DOCNO.sub(" ", element.text)))


def _column_documents(found: Iterator[Line]) -> Iterator[tuple[Line, Document]]:
    for line, values in _without_header(columns(found, _CORPUS_COLUMNS)):
        title = values[-2] if len(values) > 2 else ""
        yield line, Document(line.id_of(values[0], "an id"), _joined(title, values[-1]))


def _json_queries(found: Iterator[Line]) -> Iterator[tuple[Line, Query]]:
    for row in objects(found):
        group = row.values.get("group")
        if not isinstance(group, str | None):
            row.line.refuse("a group that is a text", group)
        yield row.line, Query(_id(row), _text(row, "text").strip(), group=group or None)


def _topics(found: Iterator[Line]) -> Iterator[tuple[Line, Query]]:
    for element in elements(found, "top"):
        query_id = element.line.id_of(_only(element, "num", _NUM), "a <num>")
        yield element.line, Query(query_id, plain(_only(element, "title", _TITLE)))


def _only(element: Element, name: str, field: re.Pattern[str]) -> str:
    """What stands behind the one tag of a name, up to the next tag: topics often leave the closing ones out."""
    values: list[str] = field.findall(element.text)
    if len(values) != 1:
        element.line.refuse(f"one <{name}> in each element", f"{len(values)} of them")
    return _LABEL.sub("", values[0]).strip()


def _column_queries(found: Iterator[Line]) -> Iterator[tuple[Line, Query]]:
    for line, values in _without_header(columns(found, {2: "id and text, with a tab between"})):
        yield line, Query(line.id_of(values[0], "an id"), values[1])


def _json_judgements(found: Iterator[Line]) -> Iterator[tuple[Line, Any, Any, Any]]:
    for line, values in objects(found):
        names = (("query-id", "query"), ("corpus-id", "document"), ("score", "relevance"))
        yield line, *(values.get(first, values.get(second)) for first, second in names)


def _column_judgements(found: Iterator[Line]) -> Iterator[tuple[Line, Any, Any, Any]]:
    for place, (line, values) in enumerate(columns(found, _QRELS_COLUMNS, blanks=True)):
        header = place == 0 and (values[0].lower() in HEADER_IDS or not values[-1].lstrip("+-").isdecimal())
        if not header:
            yield line, values[0], values[-2], values[-1]


def _without_header(rows: Iterator[Row]) -> Iterator[Row]:
    for place, row in enumerate(rows):
        if place > 0 or row.values[0].lower() not in HEADER_IDS:
            yield row


def _once(line: Line, name: str, seen: set[str]) -> None:
    if name in seen:
        line.refuse("each id once", name)
    seen.add(name)


def _id(row: Row) -> str:
    return row.line.id_of(row.values.get("_id", row.values.get("id")), "an id (_id or id)")


def _text(row: Row, name: str, default: str | None = None) -> str:
    value = row.values.get(name, default)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        row.line.refuse(f"a text under {name!r}", value)
    return value


def _joined(title: str, text: str) -> str:
    return f"{title.strip()} {text.strip()}".strip()
