"""What the server hands to a run's process, and the words that pass between the two."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

GO = b"go"
"""The lease was acknowledged once: work may start."""

RELEASE = b"release"
"""The run is to stop at its next checkpoint and go on later or elsewhere."""

SCORE_PARTIAL = b"score-partial"
"""The user wants training to stop at its next step and what there is to be scored."""

CANCEL = b"cancel"
"""The user wants the run to stop at its next step."""

RANKS = {RELEASE: 1, SCORE_PARTIAL: 2, CANCEL: 3}
"""Of two wishes the higher one counts."""

LARGEST_MESSAGE_BYTES = 4 * 1024 * 1024
"""The largest gRPC message in either direction, and so the largest event."""

LARGEST_RESULT_BYTES = 3 * 1024 * 1024
"""The largest result document; it leaves room for the other fields of its event."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One attempt of a run, complete for the process that works on it."""

    run_id: str
    epoch: int
    entry: str
    """The capability's function as `module:function`."""
    spec: bytes
    spec_sha256: str
    inputs: Mapping[str, Path]
    artifacts_dir: Path
    cache_dir: Path
    device: str
    """`cpu`, or `cuda:` with the device's name."""
    threads: int
    checkpoint_s: float
    """Seconds of training between two checkpoints, at least."""
    resume: Path | None = None
    """The checkpoint to go on from."""
    micro_batch_divisor: int = 1
