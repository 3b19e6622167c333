"""What a checkpoint's file says of itself, readable without torch: the server looks before it takes a run."""

import json
import struct
from pathlib import Path
from typing import Any

_HEADER_BYTES_MAX = 100_000_000
_LENGTH = struct.Struct("<Q")

STATE_KEY = "assay.checkpoint"
"""The one key of the file's metadata; its value is JSON."""


class CheckpointError(ValueError):
    """A file is no checkpoint, or one of other work; the message says what was wanted and what came."""


def read_state(path: Path) -> dict[str, Any]:
    """Reads what a checkpoint says beside its tensors.

    Raises:
        CheckpointError: The file is no safetensors file with our metadata.
    """
    try:
        with path.open("rb") as file:
            (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
            if length > _HEADER_BYTES_MAX:
                raise ValueError(f"a header of {length} bytes")
            header = json.loads(file.read(length))
        state = json.loads(header["__metadata__"][STATE_KEY])
    except (struct.error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"wanted a checkpoint in safetensors, but got another file: {error}") from None
    if not isinstance(state, dict):
        raise CheckpointError(f"wanted a checkpoint's state as a JSON object, but got {type(state).__name__}")
    return state


def check_made_for(path: Path, spec_sha256: str, step: int) -> None:
    """Holds a checkpoint to the work that is to go on from it.

    Raises:
        CheckpointError: It is no checkpoint, or one of another spec or step.
    """
    state = read_state(path)
    if state.get("specSha256") != spec_sha256:
        raise CheckpointError(f"wanted a checkpoint of the spec {spec_sha256}, but got one of {str(state.get('specSha256'))[:80]}")
    if state.get("step") != step:
        raise CheckpointError(f"wanted a checkpoint of step {step}, but got one of step {str(state.get('step'))[:80]}")
