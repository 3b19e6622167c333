"""The server's side of a run's process: starting it, hearing it and killing it."""

import asyncio
import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from assay_pods.gen.assay.pod.v1 import run_pb2
from assay_pods.server.job import LARGEST_MESSAGE_BYTES, Job
from assay_pods.server.pod_log import log
from assay_pods.server.run_main import run_main

_EVENTS_PER_BATCH = 256

_CHILDREN = threading.Lock()
"""Starting a process polls the other threads' children too; of two readers of one exit status the second would see 255."""


class RunProcess:
    """One process, with one thread of the server that starts it, reads its pipe and waits for its end.

    Everything but that thread runs in the event loop; the process is told nothing but `job.GO` and `job.CANCEL`.

    Args:
        job: What the process works on.
        heard: Called in the event loop with each batch of events.
    """

    def __init__(self, job: Job, heard: Callable[[list[run_pb2.RunEvent]], None]) -> None:
        """Make the pipe; nothing is started yet."""
        self.ended = asyncio.Event()
        """Set when the process is gone and everything that it said was heard."""
        self.exit_code: int | None = None
        """Set with `ended`; negative for a signal; None when the process could not be started."""
        self._job = job
        self._heard = heard
        self._loop = asyncio.get_running_loop()
        self._ours, self._theirs = multiprocessing.Pipe()
        self._pid: int | None = None
        self._killed = False

    def start(self) -> None:
        """Start the process; it is up once it sends Started, which waits for the fork server's imports."""
        # Here, and not in the thread: the kernel ends the fork server with the thread that started it.
        forkserver.ensure_running()
        threading.Thread(target=self._serve, name=f"run-{self._job.run_id}-{self._job.epoch}", daemon=True).start()

    def tell(self, word: bytes) -> None:
        """Send a word; a process that is gone hears nothing."""
        with contextlib.suppress(OSError):
            self._ours.send_bytes(word)

    def kill(self) -> None:
        """Kill the process and all that it started. Does nothing when it is gone."""
        self._killed = True
        if self._pid is not None and not self.ended.is_set():
            _kill_group(self._pid)

    def usage(self) -> run_pb2.Usage | None:
        """Processor time and peak memory up to now, as the kernel tells them; None where it does not."""
        if self._pid is None or sys.platform != "linux":
            return None
        try:
            fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
            status = Path(f"/proc/{self._pid}/status").read_text()
        except OSError:
            return None
        ticks = sum(int(field) for field in fields[11:15])
        peak = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)
        return run_pb2.Usage(cpu_seconds=ticks / os.sysconf("SC_CLK_TCK"), peak_memory_bytes=peak * 1024)

    def _serve(self) -> None:
        exit_code: int | None = None
        try:
            process = multiprocessing.get_context("forkserver").Process(target=run_main, args=(self._job, self._theirs))
            with _CHILDREN:
                process.start()
            self._theirs.close()
            self._in_loop(self._set_pid, process.pid)
            self._read(process)
            multiprocessing.connection.wait([process.sentinel])
            with _CHILDREN:
                process.join()
            exit_code = process.exitcode
        except Exception:  # noqa: BLE001 - the trace is logged, and the attempt must end whatever it was
            log.exception("run process was lost", run=self._job.run_id, epoch=self._job.epoch)
            self.kill()
        with contextlib.suppress(RuntimeError):
            self._in_loop(self._set_ended, exit_code)

    def _read(self, process: ForkServerProcess) -> None:
        """Hear the pipe until the process is gone. Its end is seen by itself: a grandchild may keep the pipe open."""
        gone = False
        while not gone:
            gone = self._ours not in multiprocessing.connection.wait([self._ours, process.sentinel])
            while self._ours.poll():
                batch = self._read_batch()
                if not batch:
                    return
                self._in_loop(self._heard, [run_pb2.RunEvent.FromString(message) for message in batch])

    def _read_batch(self) -> list[bytes]:
        """The messages that are there; none at the end of the pipe."""
        batch: list[bytes] = []
        with contextlib.suppress(EOFError, OSError):
            while len(batch) < _EVENTS_PER_BATCH and self._ours.poll():
                batch.append(self._ours.recv_bytes(LARGEST_MESSAGE_BYTES))
        return batch

    def _in_loop(self, call: Callable[[Any], None], value: Any) -> None:
        """Call in the event loop and wait for it, so that a busy run waits for the server and not the other way round."""

        async def invoke() -> None:
            call(value)

        asyncio.run_coroutine_threadsafe(invoke(), self._loop).result()

    def _set_pid(self, pid: int | None) -> None:
        self._pid = pid
        if self._killed:
            self.kill()

    def _set_ended(self, exit_code: int | None) -> None:
        if self._pid is not None:
            # What the process itself started and left behind.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGKILL)
        self.exit_code = exit_code
        self._ours.close()
        self.ended.set()


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    # A process that was killed before it made its own group.
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
