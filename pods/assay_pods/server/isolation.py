"""Ties the life of one process to another's, and keeps a run's trouble to its own process."""

import contextlib
import ctypes
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel to kill this process when the thread that started it ends. Linux only; a no-op elsewhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def isolate_run_process() -> None:
    """Make this process a group of its own that dies with the pod and is the first to go when memory runs out."""
    os.setsid()
    die_with_parent()
    # Where the kernel does not help, the end of the pod shows as the end of a pipe that only the pod holds open.
    threading.Thread(target=_end_with_pod, name="pod-watch", daemon=True).start()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800")
    # The pod's stdout is for its parent; whatever a library prints belongs with the log.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def _end_with_pod() -> None:
    pod = multiprocessing.parent_process()
    assert pod is not None, "a run's process is started by the pod"
    multiprocessing.connection.wait([pod.sentinel])
    os.killpg(0, signal.SIGKILL)
