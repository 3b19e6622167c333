"""What a capability sees of the run that it works on, and the errors it may raise."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol


class RunError(Exception):
    """Base of the errors that a capability raises on purpose; `code` is stable, the message says what was wanted and what came."""

    def __init__(self, code: str, message: str) -> None:
        """Keep the code beside the message."""
        super().__init__(message)
        self.code = code


class BadInputError(RunError):
    """The request cannot succeed as it is; it is never tried again."""


class TransientError(RunError):
    """Something outside failed that may work next time; the run is tried again with growing pauses."""


class CancelledError(Exception):
    """The user asked for the run to end; `last_step` counts the training steps that were done."""

    def __init__(self, last_step: int = 0) -> None:
        """Keep the number of steps."""
        super().__init__(f"cancelled after step {last_step}")
        self.last_step = last_step


class RunContext(Protocol):
    """The run as its capability sees it. One per process; calls come from one thread."""

    @property
    def spec(self) -> Mapping[str, Any]:
        """The parsed spec; see docs/contract.md."""
        ...

    @property
    def inputs(self) -> Mapping[str, Path]:
        """Input name to a read-only file whose digest was verified."""
        ...

    @property
    def work_dir(self) -> Path:
        """An empty folder of this attempt, removed when it ends."""
        ...

    @property
    def cache_dir(self) -> Path:
        """A folder that outlives the run, shared by the runs of this pod (converted models); writers must rename into place."""
        ...

    @property
    def device(self) -> str:
        """A torch device: `cpu` or `cuda`."""
        ...

    def progress(self, stage: str, completed: int, total: int) -> None:
        """Say how far the work is. Raises CancelledError when the user asked to stop."""
        ...

    def log(self, message: str, level: str = "info") -> None:
        """Say a line to people."""
        ...

    def metric(self, name: str, value: float, step: int) -> None:
        """Report a value measured on the way; cheap, batched by the caller of the stream."""
        ...

    def save(self, name: str, kind: str, path: Path) -> None:
        """Move a finished file into the artifact store and announce it under `name`."""
        ...
