"""A run context over a temporary folder: what tests hand to a capability in place of a pod's run process."""

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay_pods.common.artifacts import ArtifactStore, Origin
from assay_pods.common.canonical_json import canonical_json
from assay_pods.common.context import CancelledError, ReleasedError


class KilledError(BaseException):
    """Stands for the end of the process: nothing of the run's own code may catch it."""


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What is asked of a run while it trains; steps count those that are done."""

    resume: Path | None = None
    micro_batch_divisor: int = 1
    checkpoints_at: frozenset[int] = frozenset()
    release_at: int | None = None
    killed_at: int | None = None
    score_partial_at: int | None = None


class LocalContext:
    """Keeps everything that a capability says, and moves saved files into `<folder>/artifacts`.

    Args:
        folder: The folder of this run; `work`, `cache` and `artifacts` are made in it.
        spec: The spec of the run.
        inputs: Input name to file.
        cache: A cache folder shared with other runs; None makes one in `folder`.
        cancel_after: Ask to stop at the first progress call after this many; None never does.
        training: What is asked for while the run trains.
    """

    def __init__(
        self,
        folder: Path,
        spec: Mapping[str, Any],
        inputs: Mapping[str, Path] | None = None,
        cache: Path | None = None,
        cancel_after: int | None = None,
        training: "Wishes | None" = None,
    ) -> None:
        self.spec = spec
        self.inputs = dict(inputs or {})
        self.work_dir = folder / "work"
        self.cache_dir = cache or folder / "cache"
        self.artifacts_dir = folder / "artifacts"
        self.device = "cpu"
        self.stages: list[tuple[str, int, int]] = []
        self.lines: list[tuple[str, str]] = []
        self.metrics: list[tuple[str, float, int]] = []
        self.answers: list[tuple[int, int]] = []
        self.saved: dict[str, tuple[str, Path]] = {}
        self._cancel_after = cancel_after
        self._wishes = training or Wishes()
        self._step = 0
        self._store = ArtifactStore(folder / "store")
        self.spec_sha256 = hashlib.sha256(canonical_json(dict(spec))).hexdigest()
        self.resume = self._wishes.resume
        self.micro_batch_divisor = self._wishes.micro_batch_divisor
        self.checkpoints: list[tuple[int, Path]] = []
        for path in (self.work_dir, self.cache_dir, self.artifacts_dir):
            path.mkdir(parents=True, exist_ok=True)

    @property
    def score_partial_requested(self) -> bool:
        return self._wishes.score_partial_at is not None and self._step >= self._wishes.score_partial_at

    def checkpoint_due(self) -> bool:
        return self._step in self._wishes.checkpoints_at or self._step == self._wishes.release_at

    def checkpoint(self, path: Path, step: int) -> None:
        stored = self._store.save(path, Origin("00000000-0000-0000-0000-000000000000", 1, f"checkpoint-{step}"))
        self.checkpoints.append((step, self._store.path_of(stored.sha256)))
        if step == self._wishes.release_at:
            raise ReleasedError(step)

    def progress(self, stage: str, completed: int, total: int) -> None:
        self.stages.append((stage, completed, total))
        if stage == "training":
            if completed == self._wishes.killed_at:
                raise KilledError
            self._step = completed + 1
        if self._cancel_after is not None and len(self.stages) > self._cancel_after:
            raise CancelledError(completed)

    def log(self, message: str, level: str = "info") -> None:
        self.lines.append((level, message))

    def metric(self, name: str, value: float, step: int) -> None:
        self.metrics.append((name, value, step))

    def count_answer(self, prompt_tokens: int, completion_tokens: int) -> None:
        self.answers.append((prompt_tokens, completion_tokens))

    def save(self, name: str, kind: str, path: Path) -> None:
        target = self.artifacts_dir / name
        shutil.move(path, target)
        self.saved[name] = (kind, target)
