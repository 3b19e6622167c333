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


class ReleasedError(Exception):
    """The run goes on later or elsewhere; `last_step` counts the training steps that were done."""

    def __init__(self, last_step: int = 0) -> None:
        """Keep the number of steps."""
        super().__init__(f"released after step {last_step}")
        self.last_step = last_step


class RunContext(Protocol):
    """The run as its capability sees it. One per process; calls come from one thread.

    A capability that trains names the stage "training" while it does, and asks after every step whether a checkpoint is due and whether
    it is to score what there is; in every other stage `progress` alone ends a run that is to stop.
    """

    @property
    def spec(self) -> Mapping[str, Any]:
        """The parsed spec; see docs/contract.md."""
        ...

    @property
    def spec_sha256(self) -> str:
        """The digest that names the spec; a checkpoint of another one is of no use."""
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

    @property
    def resume(self) -> Path | None:
        """The checkpoint to go on from, of this spec and verified by its digest; None to begin at the beginning."""
        ...

    @property
    def micro_batch_divisor(self) -> int:
        """Into how many parts a step's batch is divided, at least, because memory ran out before; 1 for none."""
        ...

    @property
    def score_partial_requested(self) -> bool:
        """Whether training is to stop after this step and what there is to be scored, with `partial` in the result."""
        ...

    def checkpoint_due(self) -> bool:
        """Whether the training's state is to be kept now: it is a while since the last time, or the run is to be released."""
        ...

    def checkpoint(self, path: Path, step: int) -> None:
        """Move a checkpoint into the artifact store and announce it. Raises ReleasedError when the run is to stop there."""
        ...

    def progress(self, stage: str, completed: int, total: int) -> None:
        """Say how far the work is.

        Raises CancelledError when the user asked to stop, ReleasedError outside the stage "training" when the run is to go on later or
        elsewhere. Who is to score what there is gets on in the stages "training" and "scoring", and stops in others.
        """
        ...

    def log(self, message: str, level: str = "info") -> None:
        """Say a line to people."""
        ...

    def metric(self, name: str, value: float, step: int) -> None:
        """Report a value measured on the way; cheap, batched by the caller of the stream."""
        ...

    def count_answer(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Enter an answer of a language model into the usage of this attempt, however it ends; tokens as the model counts them."""
        ...

    def save(self, name: str, kind: str, path: Path) -> None:
        """Move a finished file into the artifact store and announce it under `name`."""
        ...
