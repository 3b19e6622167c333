"""A collection of real text that needs no download: the documentation strings of Python's standard library.

Each query is the summary line of a documented module, class or function; the rest of its documentation is the one relevant document
(known-item search). Nobody judged the other documents, so a system that finds a better text than the original gets no credit, and the
summary's author wrote the document too, so words are shared more often than between a user and a text. The sources are parsed, never
imported. Another version of Python is another collection; the result names the version.
"""

import ast
import inspect
import platform
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from assay_pods.retrieval.collections.collection import Collection
from assay_pods.retrieval.files import Document, Query
from assay_pods.retrieval.overlap import normalised

_LEFT_OUT = {
    "test",
    "tests",
    "idlelib",
    "lib2to3",
    "site-packages",
    "dist-packages",
    "turtledemo",
    "ensurepip",
    "__pycache__",
    "pydoc_data",
}
_SUMMARY_WORDS = range(4, 31)
_FEWEST_BODY_WORDS = 8


class _Documented(NamedTuple):
    name: str
    summary: str
    body: str


def generate(_collection: Mapping[str, Any]) -> Collection:
    """Makes the collection from the sources of the Python that runs this."""
    library = Path(sysconfig.get_paths()["stdlib"])
    found = {item.body: item for item in reversed(list(_documented(library)))}
    items = sorted({item.name: item for item in found.values()}.values())
    times_asked = Counter(normalised(item.summary) for item in items)
    made = Collection([], [], {}, notes={"python": platform.python_version()})
    for item in items:
        made.documents.append(Document(item.name, f"{item.name} {item.body}"))
        if times_asked[normalised(item.summary)] == 1:
            made.queries.append(Query(f"q:{item.name}", item.summary))
            made.qrels[f"q:{item.name}"] = {item.name: 1}
    return made


def _documented(library: Path) -> Iterator[_Documented]:
    """Everything with a summary line and a text behind it, in the order of the files' names."""
    for path in sorted(library.rglob("*.py")):
        place = path.relative_to(library)
        if _LEFT_OUT.isdisjoint(place.parts):
            module = ".".join(place.with_suffix("").parts).removesuffix(".__init__")
            for name, text in _texts(_parsed(path), module):
                summary, _, rest = inspect.cleandoc(text).partition("\n\n")
                item = _Documented(name, _one_line(summary), _one_line(rest))
                if len(item.summary.split()) in _SUMMARY_WORDS and len(item.body.split()) >= _FEWEST_BODY_WORDS:
                    yield item


def _parsed(path: Path) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(path.read_bytes())
        except SyntaxError:
            # The library ships templates that are no Python.
            return ast.Module([], [])


def _texts(node: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[str, str]]:
    """The documentation strings of a module or class and of what stands in it, with their dotted names."""
    if text := ast.get_docstring(node, clean=False):
        yield prefix, text
    for child in node.body:
        if isinstance(child, ast.ClassDef):
            yield from _texts(child, f"{prefix}.{child.name}")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and (text := ast.get_docstring(child, clean=False)):
            yield f"{prefix}.{child.name}", text


def _one_line(text: str) -> str:
    return " ".join(text.split())
