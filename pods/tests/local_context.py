"""A run context over a temporary folder: what tests hand to a capability in place of a pod's run process."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assay_pods.common.context import CancelledError


class LocalContext:
    """Keeps everything that a capability says, and moves saved files into `<folder>/artifacts`.

    Args:
        folder: The folder of this run; `work`, `cache` and `artifacts` are made in it.
        spec: The spec of the run.
        inputs: Input name to file.
        cache: A cache folder shared with other runs; None makes one in `folder`.
        cancel_after: Ask to stop at the first progress call after this many; None never does.
    """

    def __init__(
        self,
        folder: Path,
        spec: Mapping[str, Any],
        inputs: Mapping[str, Path] | None = None,
        cache: Path | None = None,
        cancel_after: int | None = None,
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
        self.saved: dict[str, tuple[str, Path]] = {}
        self._cancel_after = cancel_after
        for path in (self.work_dir, self.cache_dir, self.artifacts_dir):
            path.mkdir(parents=True, exist_ok=True)

    def progress(self, stage: str, completed: int, total: int) -> None:
        self.stages.append((stage, completed, total))
        if self._cancel_after is not None and len(self.stages) > self._cancel_after:
            raise CancelledError(completed)

    def log(self, message: str, level: str = "info") -> None:
        self.lines.append((level, message))

    def metric(self, name: str, value: float, step: int) -> None:
        self.metrics.append((name, value, step))

    def save(self, name: str, kind: str, path: Path) -> None:
        target = self.artifacts_dir / name
        shutil.move(path, target)
        self.saved[name] = (kind, target)
