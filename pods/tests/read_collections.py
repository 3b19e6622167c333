"""Reads collection files as the pod does, for a test that holds the check at upload to the same verdicts.

Standard input: a JSON list of `{"kind","path"}`; standard output: for each the number of rows, or null where the reader refuses.
"""

import json
import sys
from pathlib import Path

from assay_pods.common.context import BadInputError
from assay_pods.retrieval import inputs


def _rows(kind: str, path: Path) -> int | None:
    try:
        if kind == "CORPUS":
            return sum(1 for _ in inputs.documents(path))
        if kind == "QUERIES":
            return sum(1 for _ in inputs.queries(path))
        if kind == "QRELS":
            return sum(len(judged) for judged in inputs.judgements(path).values())
        return sum(1 for _ in inputs.expansions(path))
    except BadInputError:
        return None


if __name__ == "__main__":
    json.dump([_rows(file["kind"], Path(file["path"])) for file in json.load(sys.stdin)], sys.stdout)
