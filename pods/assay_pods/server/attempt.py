"""One attempt of a run on this pod: its lease, its beats, its early end, and the Done that closes it."""

import asyncio
from dataclasses import dataclass
from enum import Enum, auto

import grpc

from assay_pods.gen.assay.pod.v1 import run_pb2
from assay_pods.server import clock, lease
from assay_pods.server.event_log import EventLog
from assay_pods.server.failures import failed, failure_of_exit
from assay_pods.server.job import CANCEL, GO, RANKS, RELEASE, SCORE_PARTIAL, Job
from assay_pods.server.memory import processes_ended_for_memory
from assay_pods.server.pod_log import log
from assay_pods.server.progress_rate import ProgressRate
from assay_pods.server.refusal import RefusalError
from assay_pods.server.run_process import RunProcess
from assay_pods.server.transfers import Files, Transfers

_WORDS = {
    run_pb2.CANCEL_MODE_RELEASE: RELEASE,
    run_pb2.CANCEL_MODE_SCORE_PARTIAL: SCORE_PARTIAL,
    run_pb2.CANCEL_MODE_GRACEFUL: CANCEL,
}

_EXIT_WITHIN_S = 10.0
"""How long a process may take to go after it said Done."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The times that bound an attempt, in seconds."""

    lease_ttl_s: float
    beat_interval_s: float
    hard_deadline_s: float | None
    stall_s: float


class _Verdict(Enum):
    """Why the pod killed the process."""

    FENCED = auto()
    CANCELLED = auto()
    RELEASED = auto()
    HARD_DEADLINE = auto()


class Attempt:
    """Lives in the event loop; `run` goes through its whole life. Work starts with the first acknowledged beat."""

    def __init__(self, job: Job, limits: Limits, files: Files) -> None:
        """Start the lease's clock and send the first beat; no process is started yet."""
        self.job = job
        self.transfers = Transfers(files, announce=self._announce, moved=self._note_move, ask_again_s=2 * limits.beat_interval_s)
        self._preparing: asyncio.Task[None] | None = None
        self.log = EventLog(job.run_id, job.epoch)
        self._gone = asyncio.Event()
        self._limits = limits
        self._process = RunProcess(job, self._hear)
        self._accepted_at = clock.now()
        self._lease = lease.Lease(limits.lease_ttl_s, self._accepted_at)
        self._moved_at = self._accepted_at
        self._working = False
        self._told = b""
        self._verdict: _Verdict | None = None
        self._outcome: run_pb2.Done | None = None
        self._exit_by: float | None = None
        self._progress = ProgressRate()
        self._last_usage = run_pb2.Usage()
        self._calls = run_pb2.ModelCalls()
        self._ended_for_memory = processes_ended_for_memory()
        self._send_beat(self._accepted_at)

    @property
    def busy(self) -> bool:
        """Whether it holds a slot: its process lives, or is about to."""
        return not self._gone.is_set()

    @property
    def fenced(self) -> bool:
        """Whether what the attempt says does not count any more."""
        return self._verdict is _Verdict.FENCED

    async def run(self) -> None:
        """Start the process, keep the lease's clock, and close the event log once the process is gone and its files are told of."""
        self._process.start()
        over = asyncio.create_task(self._until_over())
        while not over.done():
            # Deadlines come before anything else after a wait: the whole pod may have been stopped for long.
            now = clock.now()
            self._enforce(now)
            if now >= self._next_beat_at:
                self._send_beat(now)
            due_in = None if self._verdict is not None else max(0.001, self._next_due() - now)
            await asyncio.wait({over}, timeout=due_in)
        await over
        self._enforce(clock.now())
        # Before Done is heard: whoever hears it may give the slot away at once.
        self._gone.set()
        if not self.fenced:
            self._flush_progress()
            self.log.append(run_pb2.RunEvent(done=self._done()))

    async def wait_until_gone(self) -> None:
        """Wait until the process is gone and its slot is free."""
        await self._gone.wait()

    def renew(self, beat: int, cancel_mode: run_pb2.CancelMode) -> None:
        """Note that the lease was extended when this beat was heard, and what the user wants."""
        now = clock.now()
        self._enforce(now)
        try:
            self._lease.acknowledge(beat)
        except ValueError as error:
            raise RefusalError(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from None
        self.cancel(cancel_mode)
        if self._preparing is None and self._verdict is None and self.busy:
            self._preparing = asyncio.create_task(self._prepare())

    def cancel(self, mode: run_pb2.CancelMode) -> None:
        """End the attempt early. Of several wishes the strongest counts."""
        if mode == run_pb2.CANCEL_MODE_UNSPECIFIED:
            return
        if mode == run_pb2.CANCEL_MODE_FENCED:
            self.fence("it was fenced")
        elif mode == run_pb2.CANCEL_MODE_IMMEDIATE or not self._working:
            self._kill(_Verdict.RELEASED if mode == run_pb2.CANCEL_MODE_RELEASE else _Verdict.CANCELLED)
        else:
            # A mode that a newer dispatcher knows and this pod does not stops the run all the same.
            word = _WORDS.get(mode, CANCEL)
            if RANKS[word] > RANKS.get(self._told, 0):
                self._told = word
                self._process.tell(word)

    def fence(self, reason: str, status: grpc.StatusCode = grpc.StatusCode.NOT_FOUND) -> None:
        """End the process at once and say nothing more; open watches end with the reason."""
        if self.fenced:
            return
        log.info("attempt fenced", run=self.job.run_id, epoch=self.job.epoch, reason=reason)
        self._verdict = _Verdict.FENCED
        self.transfers.stop()
        self._process.kill()
        self.log.drop(RefusalError(status, f"wanted epoch {self.job.epoch} of run {self.job.run_id}, but {reason}"))

    def _enforce(self, now: float) -> None:
        """Hold the attempt to its deadlines."""
        if not self.busy:
            return
        if self._needs_lease and now >= self._lease.until:
            self.fence(f"no beat was acknowledged within {lease.SHARE} of its lease of {self._limits.lease_ttl_s} s")
        if self._limits.hard_deadline_s is not None and now >= self._accepted_at + self._limits.hard_deadline_s:
            self._kill(_Verdict.HARD_DEADLINE)
        if self._exit_by is not None and now >= self._exit_by:
            # It has said all: its files may still be on their way, and its Done counts.
            self._exit_by = None
            self._process.kill()

    def _kill(self, verdict: _Verdict) -> None:
        if self._verdict is None and self.busy:
            self._verdict = verdict
            self._note_usage()
            if self._outcome is not None and self.transfers.busy:
                # Its files will not come any more.
                self._last_usage, self._outcome = self._outcome.usage, None
            self.transfers.stop()
            self._process.kill()

    def _next_due(self) -> float:
        due = [self._next_beat_at, self._lease.until if self._needs_lease else None, self._exit_by]
        if self._limits.hard_deadline_s is not None:
            due.append(self._accepted_at + self._limits.hard_deadline_s)
        return min(at for at in due if at is not None)

    def _send_beat(self, now: float) -> None:
        """Send the next beat, unless the run has stopped moving: a hung run must not look alive."""
        self._next_beat_at = now + self._limits.beat_interval_s
        self._note_usage()
        self._flush_progress()
        if now - self._moved_at < self._limits.stall_s:
            self.log.append(run_pb2.RunEvent(beat=run_pb2.Beat(beat=self._lease.send_beat(now))))
        else:
            log.warning("run does not move", run=self.job.run_id, epoch=self.job.epoch, seconds=round(now - self._moved_at, 3))

    def _hear(self, events: list[run_pb2.RunEvent]) -> None:
        now = clock.now()
        self._moved_at = now
        self._enforce(now)
        for event in events:
            body = event.WhichOneof("body")
            if body == "done" and self._verdict is not None:
                # It was ended before this was heard, and its files will not come any more.
                self._last_usage = event.done.usage
            elif body == "done":
                self._outcome = event.done
                self._exit_by = now + _EXIT_WITHIN_S
            elif body == "progress":
                due = self._progress.note(event)
                if due is not None:
                    self.log.append(due)
            elif body == "artifact":
                self.transfers.offer(event, event.artifact.name, event.artifact)
            elif body == "checkpoint":
                self.transfers.offer(event, f"checkpoint-{event.checkpoint.step}", event.checkpoint)
            elif body == "model_calls":
                self._calls = event.model_calls
            elif body in ("started", "log", "metric"):
                self.log.append(event)

    @property
    def _needs_lease(self) -> bool:
        """Whether work goes on: the process has not said its last, or its files are on their way."""
        return self._outcome is None or self.transfers.busy

    async def _prepare(self) -> None:
        """Fetch what is missing, then let work start."""
        failure = await self.transfers.fetch()
        if self._verdict is not None or not self.busy:
            return
        self._moved_at = clock.now()
        if failure is None:
            self._working = True
            self._process.tell(GO)
        else:
            self._outcome = run_pb2.Done(failed=failure)
            self._process.kill()

    async def _until_over(self) -> None:
        """The process is gone, and the files of a result are where everybody finds them."""
        await self._process.ended.wait()
        self._exit_by = None
        if self._outcome is None or self._outcome.WhichOneof("outcome") not in ("succeeded", "released"):
            self.transfers.stop()
        failure = await self.transfers.settle()
        if failure is not None and self._outcome is not None:
            self._outcome.failed.CopyFrom(failure)

    def _announce(self, event: run_pb2.RunEvent) -> None:
        self._flush_progress()
        self.log.append(event)

    def _note_move(self) -> None:
        """May be called from any thread."""
        self._moved_at = clock.now()

    def _flush_progress(self) -> None:
        event = self._progress.take()
        if event is not None:
            self.log.append(event)

    def _note_usage(self) -> None:
        usage = self._process.usage()
        if usage is not None and usage.peak_memory_bytes > 0:  # a process that is just dying has no memory to tell of
            self._last_usage = usage

    def _done(self) -> run_pb2.Done:
        done = self._outcome or self._done_without_words()
        if not done.HasField("usage"):
            done.usage.CopyFrom(self._last_usage)
        done.usage.wall_seconds = clock.now() - self._accepted_at
        done.usage.prompt_tokens = self._calls.prompt_tokens
        done.usage.completion_tokens = self._calls.completion_tokens
        done.usage.queries = self._calls.queries
        done.usage.gpu_seconds = done.usage.wall_seconds if self.job.device.startswith("cuda") else 0
        return done

    def _done_without_words(self) -> run_pb2.Done:
        """What the end of a process means that did not say Done itself."""
        stage = self._progress.stage
        if self._verdict is _Verdict.CANCELLED:
            return run_pb2.Done(cancelled=run_pb2.Cancelled(last_step=self._progress.last_step))
        if self._verdict is _Verdict.RELEASED:
            return run_pb2.Done(released=run_pb2.Released(last_step=self._progress.last_step))
        if self._verdict is _Verdict.HARD_DEADLINE:
            message = f"wanted an end within {self._limits.hard_deadline_s} s, but the run was still at work"
            return run_pb2.Done(failed=failed(run_pb2.ERROR_CLASS_UNKNOWN, "HARD_DEADLINE", message, stage))
        if self._process.exit_code is None:
            message = "wanted a process for the run, but the pod lost it or could not start one; its log says why"
            return run_pb2.Done(failed=failed(run_pb2.ERROR_CLASS_TRANSIENT, "PROCESS_LOST", message, stage))
        memory_ran_out = processes_ended_for_memory() > self._ended_for_memory
        return run_pb2.Done(failed=failure_of_exit(self._process.exit_code, stage, memory_ran_out=memory_ran_out))
