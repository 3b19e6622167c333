"""Rows of a hub: fetched at the pinned commit; an id that the hub has not is refused for good, a hub that is away is tried again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import hub_server
import pytest

PODS = Path(__file__).resolve().parents[1]
FETCH = """
import json, sys
from pathlib import Path
from assay_pods.common.context import RunError
from assay_pods.robustness.user_items import hub
try:
    print(json.dumps({"rows": hub.fetch(json.loads(sys.argv[1]), Path(sys.argv[2]))}))
except RunError as error:
    print(json.dumps({"kind": type(error).__name__, "code": error.code}))
"""
DATA = {"id": "me/rows", "config": None, "split": "train", "revision": hub_server.REVISION, "format": "GSM8K"}
ROWS = [{"question": f"What is {i} and 1?", "answer": f"{i} + 1\n#### {i + 1}"} for i in range(5)]


def fetch(address: str, folder: Path, **changes: str) -> dict[str, object]:
    """Fetches in a process of its own: the libraries read the hub's address once, when they are loaded."""
    env = os.environ | {"HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HOME": str(folder / "home"), "PYTHONPATH": str(PODS)}
    command = [sys.executable, "-c", FETCH, json.dumps(DATA | changes), str(folder)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=300)
    return json.loads(done.stdout.splitlines()[-1])


def test_rows_come_as_they_stand_at_the_commit(tmp_path: Path) -> None:
    with hub_server.hub_of(b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)) as address:
        assert fetch(address, tmp_path) == {"rows": ROWS}


@pytest.mark.parametrize("change", [{"id": "me/nothing"}, {"revision": "c" * 40}, {"split": "validation"}], ids=["id", "commit", "split"])
def test_what_the_hub_has_not_is_bad_input(tmp_path: Path, change: dict[str, str]) -> None:
    with hub_server.hub_of(b'{"question": "?", "answer": "#### 1"}\n') as address:
        assert fetch(address, tmp_path, **change) == {"kind": "BadInputError", "code": "DATASET_INVALID"}


def test_a_hub_that_does_not_answer_is_tried_again(tmp_path: Path) -> None:
    with hub_server.hub_of(b"") as address:
        pass
    assert fetch(address, tmp_path) == {"kind": "TransientError", "code": "DATASET_UNREACHABLE"}
