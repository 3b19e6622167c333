"""What the server hands to a run's process, and the words that pass between the two."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

GO = b"go"
"""The lease was acknowledged once: work may start."""

CANCEL = b"cancel"
"""The user wants the run to stop at its next step."""

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
    inputs: Mapping[str, Path]
    artifacts_dir: Path
    cache_dir: Path
    device: str
    """`cpu`, or `cuda:` with the device's name."""
    threads: int
