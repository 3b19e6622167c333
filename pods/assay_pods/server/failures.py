"""From an exception or a process's exit status to the error class that decides whether a run is tried again."""

import errno
import signal
import sys

from assay_pods.common.checkpoint_files import CheckpointError
from assay_pods.common.context import BadInputError, RunError, TransientError
from assay_pods.gen.assay.pod.v1 import run_pb2

_LONGEST_MESSAGE = 1_000


def failure_of(error: Exception, stage: str) -> run_pb2.Failed:
    """Classify what a capability raised. The message is one short line; the trace belongs into the pod's log."""
    if isinstance(error, BadInputError):
        return failed(run_pb2.ERROR_CLASS_BAD_INPUT, error.code, str(error), stage)
    if isinstance(error, TransientError):
        return failed(run_pb2.ERROR_CLASS_TRANSIENT, error.code, str(error), stage)
    if isinstance(error, RunError):
        return failed(run_pb2.ERROR_CLASS_UNKNOWN, error.code, str(error), stage)
    if isinstance(error, CheckpointError):
        return failed(run_pb2.ERROR_CLASS_TRANSIENT, "CHECKPOINT_BROKEN", str(error), stage)
    if _is_out_of_memory(error):
        return failed(run_pb2.ERROR_CLASS_OOM, "OUT_OF_MEMORY", f"{type(error).__name__}: {error}", stage)
    if _is_disk_full(error):
        return failed(run_pb2.ERROR_CLASS_TRANSIENT, "DISK_FULL", f"the pod's disk is full: {error}", stage)
    return failed(run_pb2.ERROR_CLASS_UNKNOWN, "RUN_FAILED", f"{type(error).__name__}: {error}", stage)


def failure_of_exit(exit_code: int, stage: str, *, memory_ran_out: bool = False) -> run_pb2.Failed:
    """Classify the end of a process that said nothing; `exit_code` is negative for a signal, as `multiprocessing` has it.

    Args:
        exit_code: How the process ended.
        stage: What it was doing.
        memory_ran_out: The kernel has ended a process for lack of memory meanwhile.
    """
    if exit_code >= 0:
        message = f"wanted a result, but the run's process exited with status {exit_code} and said none"
        return failed(run_pb2.ERROR_CLASS_UNKNOWN, "PROCESS_EXITED", message, stage)
    number = -exit_code
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = "unnamed"
    message = f"wanted a result, but the run's process was ended by signal {number} ({name}), exit status {128 + number}"
    if number == signal.SIGKILL and memory_ran_out:
        return failed(run_pb2.ERROR_CLASS_OOM, "OUT_OF_MEMORY", f"{message}; the kernel counts it as out of memory", stage)
    return failed(run_pb2.ERROR_CLASS_POISON, "PROCESS_KILLED", message, stage)


def failed(error_class: run_pb2.ErrorClass, code: str, message: str, stage: str) -> run_pb2.Failed:
    """Make a failure whose message is one printable line of bounded length, whatever text of a user it quotes."""
    line = " ".join("".join(character if character.isprintable() else " " for character in message).split())
    return run_pb2.Failed(error_class=error_class, code=code, message=line[:_LONGEST_MESSAGE], stage=stage)


def _is_disk_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    # safetensors' writer passes the system's error on as words alone.
    return type(error).__name__ == "SafetensorError" and f"(os error {errno.ENOSPC})" in str(error)


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError):
        return True
    # The server itself runs without torch, and so do capabilities that need none.
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    # torch's allocator for the CPU raises a plain RuntimeError.
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
