"""The context that a capability gets in a run's process: what it says becomes events on the way to the server."""

import json
import math
import os
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from assay_pods.common.artifacts import ArtifactStore, Origin, Stored
from assay_pods.common.context import CancelledError, ReleasedError
from assay_pods.gen.assay.pod.v1 import run_pb2
from assay_pods.server.job import CANCEL, GO, RANKS, RELEASE, SCORE_PARTIAL, Job

_LONGEST_LOG = 2_000
_METRICS_AT_ONCE = 1_000
_METRICS_PER_SECOND = 100
_CHECKPOINT_SHARE = 0.05
"""Checkpoints take no more than this part of the time, however long one takes."""


class Channel:
    """The run process's end of the pipe to the server. Messages are protobuf, never pickle: the server trusts no run.

    When the pipe is broken the pod is gone and nobody hears any more, so the process ends on the spot.
    """

    def __init__(self, connection: Connection) -> None:
        """Keep the pipe."""
        self._connection = connection
        self._wish: bytes | None = None

    def send(self, event: run_pb2.RunEvent) -> None:
        """Send an event; the server numbers it."""
        try:
            self._connection.send_bytes(event.SerializeToString())
        except OSError:
            os._exit(1)

    def wait_for_go(self) -> bool:
        """Wait until work may start; False when the user cancelled first."""
        return self._receive() == GO

    def wish(self) -> bytes | None:
        """How the run is to stop, if it is: the word of the highest rank that came."""
        while self._connection.poll():
            word = self._receive()
            if RANKS.get(word, 0) > RANKS.get(self._wish or b"", 0):
                self._wish = word
        return self._wish

    def _receive(self) -> bytes:
        try:
            return self._connection.recv_bytes()
        except (EOFError, OSError):
            os._exit(1)


class ChannelContext:
    """`RunContext` over a channel. One per process; calls come from one thread."""

    def __init__(self, job: Job, channel: Channel) -> None:
        """Parse the spec."""
        self._job = job
        self._channel = channel
        self._store = ArtifactStore(job.artifacts_dir)
        self._spec: Mapping[str, Any] = json.loads(job.spec)
        self._work_dir = self._store.attempt_folder(job.run_id, job.epoch) / "work"
        self._stage = ""
        self._last_step = 0
        self._metrics = _MetricRate()
        self._saved: dict[str, run_pb2.Artifact] = {}
        self._kept_at: float | None = None
        self._asked_at = 0.0
        self._keeping_s = 0.0
        self._calls = run_pb2.ModelCalls()

    def make_work_dir(self) -> None:
        """Make the work folder, empty even when a pod died in the middle of this very attempt."""
        self._store.remove_attempt(self._job.run_id, self._job.epoch)
        self._work_dir.mkdir(parents=True)

    @property
    def spec(self) -> Mapping[str, Any]:
        """The parsed spec."""
        return self._spec

    @property
    def spec_sha256(self) -> str:
        """The digest that names the spec."""
        return self._job.spec_sha256

    @property
    def inputs(self) -> Mapping[str, Path]:
        """Input name to a read-only file whose digest was verified."""
        return self._job.inputs

    @property
    def work_dir(self) -> Path:
        """An empty folder of this attempt, removed when it ends."""
        return self._work_dir

    @property
    def cache_dir(self) -> Path:
        """A folder that outlives the run."""
        return self._job.cache_dir

    @property
    def device(self) -> str:
        """A torch device: `cpu` or `cuda`."""
        return self._job.device.partition(":")[0]

    @property
    def resume(self) -> Path | None:
        """The checkpoint to go on from."""
        return self._job.resume

    @property
    def micro_batch_divisor(self) -> int:
        """Into how many parts a step's batch is divided, at least."""
        return self._job.micro_batch_divisor

    @property
    def score_partial_requested(self) -> bool:
        """Whether training is to stop and what there is to be scored."""
        return self._channel.wish() == SCORE_PARTIAL

    @property
    def stage(self) -> str:
        """The stage that was named last; empty before the first."""
        return self._stage

    @property
    def artifacts(self) -> list[run_pb2.Artifact]:
        """What was saved so far."""
        return list(self._saved.values())

    def progress(self, stage: str, completed: int, total: int) -> None:
        """Say how far the work is. Raises CancelledError or ReleasedError when it is to stop here."""
        self._stage = stage
        if stage == "training":
            self._last_step = completed
            # From the first step on: loading and preparing are not worth a checkpoint.
            self._kept_at = time.monotonic() if self._kept_at is None else self._kept_at
        self._channel.send(run_pb2.RunEvent(progress=run_pb2.Progress(stage=stage, completed=completed, total=total)))
        wish = self._channel.wish()
        if wish == CANCEL or (wish == SCORE_PARTIAL and stage not in ("training", "scoring")):
            raise CancelledError(self._last_step)
        if wish == RELEASE and stage != "training":
            raise ReleasedError(self._last_step)

    def checkpoint_due(self) -> bool:
        """Whether the training's state is to be kept now."""
        self._asked_at = time.monotonic()
        if self._channel.wish() == RELEASE:
            return True
        pause_s = max(self._job.checkpoint_s, self._keeping_s / _CHECKPOINT_SHARE)
        return self._kept_at is not None and self._asked_at - self._kept_at >= pause_s

    def checkpoint(self, path: Path, step: int) -> None:
        """Move a checkpoint into the store and announce it. Raises ReleasedError when the run is to stop there."""
        self._last_step = step
        stored = self._store.save(path, Origin(self._job.run_id, self._job.epoch, f"checkpoint-{step}"))
        checkpoint = run_pb2.Checkpoint(step=step, sha256=stored.sha256, size_bytes=stored.size_bytes)
        self._channel.send(run_pb2.RunEvent(checkpoint=checkpoint))
        self._kept_at = time.monotonic()
        self._keeping_s = self._kept_at - self._asked_at
        if self._channel.wish() == RELEASE:
            raise ReleasedError(step)

    def log(self, message: str, level: str = "info") -> None:
        """Say a line to people; line breaks and other control characters become spaces."""
        if level not in ("info", "warning"):
            raise ValueError(f"wanted the level info or warning, but got {level!r}")
        line = "".join(character if character.isprintable() else " " for character in message)
        self._channel.send(run_pb2.RunEvent(log=run_pb2.Log(level=level, message=line[:_LONGEST_LOG])))

    def metric(self, name: str, value: float, step: int) -> None:
        """Report a value measured on the way; a name that goes on above 100 a second loses values."""
        if not math.isfinite(value):
            self.log(f"{name} at step {step} is {float(value)}", "warning")
        elif self._metrics.admits(name):
            self._channel.send(run_pb2.RunEvent(metric=run_pb2.Metric(name=name, value=value, step=step)))

    def count_answer(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Enter an answer of a language model into the usage of this attempt."""
        self._calls.prompt_tokens += prompt_tokens
        self._calls.completion_tokens += completion_tokens
        self._calls.queries += 1
        self._channel.send(run_pb2.RunEvent(model_calls=self._calls))

    def save(self, name: str, kind: str, path: Path) -> None:
        """Move a finished file into the artifact store and announce it under `name`; each name is saved once."""
        self._announce(kind, self._store.save(path, self._origin(name)), name)

    def save_result(self, document: bytes) -> str:
        """Save the result document as `result.json` and give its digest."""
        stored = self._store.save_bytes(document, self._origin("result.json"))
        self._announce("RESULT", stored, "result.json")
        return stored.sha256

    def _origin(self, name: str) -> Origin:
        if name in self._saved:
            raise ValueError(f"wanted each artifact name once, but {name!r} was saved before")
        return Origin(self._job.run_id, self._job.epoch, name)

    def _announce(self, kind: str, stored: Stored, name: str) -> None:
        artifact = run_pb2.Artifact(name=name, kind=kind, sha256=stored.sha256, size_bytes=stored.size_bytes)
        self._saved[name] = artifact
        self._channel.send(run_pb2.RunEvent(artifact=artifact))


class _MetricRate:
    """Bounds how many values of one name are sent, so that a tight loop cannot drown its watcher: a bucket of tokens for each name."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, float]] = {}

    def admits(self, name: str) -> bool:
        now = time.monotonic()
        tokens, filled_at = self._buckets.get(name, (float(_METRICS_AT_ONCE), now))
        tokens = min(_METRICS_AT_ONCE, tokens + (now - filled_at) * _METRICS_PER_SECOND)
        self._buckets[name] = (tokens - 1 if tokens >= 1 else tokens, now)
        return tokens >= 1
