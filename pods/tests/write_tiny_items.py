"""Prepares and trains a tiny cell, for tests in TypeScript: `python -m tests.write_tiny_items <folder>`.

The folder then holds `records.jsonl` and `items.jsonl` as a pod hands them over.
"""

import shutil
import sys
from pathlib import Path

from assay_pods.robustness.run import run
from tests.local_context import LocalContext
from tests.tiny import tiny_spec, write_tiny_model


def main(folder: Path) -> None:
    """Writes the two files, and what they were made with, into the folder."""
    model = write_tiny_model(folder / "model")
    prepared = LocalContext(folder / "prepared", tiny_spec(model))
    run(prepared)
    inputs = {name.split(".")[0]: path for name, (_, path) in prepared.saved.items()}
    trained = LocalContext(folder / "trained", tiny_spec(model, step="train", method="SFT") | {"spuriousness": 0.9}, inputs)
    run(trained)
    shutil.copy(prepared.saved["records.jsonl"][1], folder / "records.jsonl")
    shutil.copy(trained.saved["items.jsonl"][1], folder / "items.jsonl")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
