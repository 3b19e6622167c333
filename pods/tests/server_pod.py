"""A real pod process for tests, and a dispatcher's side of the contract in a few lines."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc

from assay_pods.common.artifacts import ArtifactStore
from assay_pods.gen.assay.pod.v1 import pod_service_pb2 as service
from assay_pods.gen.assay.pod.v1 import pod_service_pb2_grpc, run_pb2

BOUND_S = 20.0
"""No wait in these tests is longer; reaching it means a hang."""

TESTS = Path(__file__).parent


class PodProcess:
    """`python -m assay_pods.server` on a free port."""

    def __init__(self, folder: Path, *flags: str, slots: int = 4) -> None:
        self.artifacts = folder / "artifacts"
        self.log_file = folder / "pod.log"
        command = [sys.executable, "-m", "assay_pods.server", "--listen", "127.0.0.1:0", "--artifacts", str(self.artifacts)]
        command += ["--cache", str(folder / "cache"), "--slots", str(slots), "--device", "cpu", "--preload", "none"]
        command += ["--capability", "probe=server_capability:run", "--grace-seconds", "1", *flags]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])}
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=env)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the pod did not start: {self.log_file.read_text()}"
        self.listening = json.loads(line)
        self.store = ArtifactStore(self.artifacts)
        self._channel = grpc.insecure_channel(self.listening["address"])
        self.stub = pod_service_pb2_grpc.PodServiceStub(self._channel)

    def close(self) -> None:
        self._channel.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        assert self.process.stdin is not None and self.process.stdout is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(BOUND_S)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def log_lines(self) -> list[dict]:
        return [json.loads(line) for line in self.log_file.read_text().splitlines() if line.startswith("{")]


class Run:
    """One attempt as a dispatcher sees it: starts it, watches it in a thread and acknowledges its beats."""

    def __init__(self, pod: PodProcess, step: str, *, run_id: str | None = None, epoch: int = 1, **spec: object) -> None:
        self.pod = pod
        self.run_id = run_id or str(uuid.uuid4())
        self.epoch = epoch
        self.spec = json.dumps({"capability": "probe", "step": step, "threads": 1, **spec}).encode()
        self.events: list[run_pb2.RunEvent] = []
        self.error: grpc.RpcError | None = None
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def request(self, **changes: object) -> service.StartRunRequest:
        fields = {
            "run_id": self.run_id,
            "epoch": self.epoch,
            "capability": "probe",
            "spec": self.spec,
            "spec_sha256": hashlib.sha256(self.spec).hexdigest(),
            "lease_ttl_ms": 30_000,
            "beat_interval_ms": 100,
            **changes,
        }
        return service.StartRunRequest(**fields)

    def start(self, **changes: object) -> service.StartRunResponse:
        return self.pod.stub.StartRun(self.request(**changes))

    def renew(self, beat: int = 1, mode: run_pb2.CancelMode = run_pb2.CANCEL_MODE_UNSPECIFIED) -> None:
        self.pod.stub.RenewRun(service.RenewRunRequest(run_id=self.run_id, epoch=self.epoch, beat=beat, cancel_mode=mode))

    def cancel(self, mode: run_pb2.CancelMode) -> None:
        self.pod.stub.CancelRun(service.CancelRunRequest(run_id=self.run_id, epoch=self.epoch, mode=mode))

    def watch(self, after_sequence: int = 0) -> Iterator[run_pb2.RunEvent]:
        request = service.WatchRunRequest(run_id=self.run_id, epoch=self.epoch, after_sequence=after_sequence)
        for response in self.pod.stub.WatchRun(request, timeout=BOUND_S):
            yield response.event

    def follow(self, *, renew: bool = True) -> "Run":
        """Watch in the background, acknowledging every beat if so wished."""
        self._thread = threading.Thread(target=self._follow, args=(renew,), daemon=True)
        self._thread.start()
        return self

    def _follow(self, renew: bool) -> None:
        try:
            for event in self.watch():
                with self._changed:
                    self.events.append(event)
                    self._changed.notify_all()
                if renew and event.WhichOneof("body") == "beat":
                    self.renew(event.beat.beat)
        except grpc.RpcError as error:
            self.error = error
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, kind: str, count: int = 1) -> run_pb2.RunEvent:
        """Wait for the count-th event of a kind."""

        def found() -> list[run_pb2.RunEvent]:
            return [event for event in self.events if event.WhichOneof("body") == kind]

        with self._changed:
            arrived = self._changed.wait_for(lambda: len(found()) >= count, BOUND_S)
            assert arrived, f"wanted {count} {kind}, but got {[event.WhichOneof('body') for event in self.events]}, {self.error}"
            return found()[count - 1]

    def done(self) -> run_pb2.Done:
        return self.wait_for("done").done

    def ended(self) -> grpc.RpcError | None:
        """Wait until the watch is over and give its error."""
        assert self._thread is not None
        self._thread.join(BOUND_S)
        assert not self._thread.is_alive(), "wanted the watch to end"
        return self.error

    def steps(self) -> int:
        """Steps that it has told of."""
        return max((event.progress.completed for event in list(self.events) if event.WhichOneof("body") == "progress"), default=0)

    def pid(self) -> int:
        return int(self.wait_for("log").log.message.removeprefix("pid "))


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition that nothing announces."""
    pause = threading.Event()
    deadline = time.monotonic() + BOUND_S
    while not condition():
        assert time.monotonic() < deadline, f"wanted {what} within {BOUND_S} s"
        pause.wait(0.02)


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
