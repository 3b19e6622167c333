"""The pod: which attempts it holds, who gets a slot, and which epoch of a run counts."""

import asyncio
import contextlib
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc

from assay_pods.common.artifacts import ArtifactStore
from assay_pods.gen.assay.pod.v1 import run_pb2
from assay_pods.server.attempt import Attempt
from assay_pods.server.capabilities import Capability
from assay_pods.server.inputs import Inputs
from assay_pods.server.job import Job
from assay_pods.server.plan import RUN_ID, Plan
from assay_pods.server.pod_log import log
from assay_pods.server.refusal import RefusalError

_MOST_EPOCHS = 100_000

_Key = tuple[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class PodSettings:
    """What a pod is made of."""

    artifacts_dir: Path
    cache_dir: Path
    slots: int
    capabilities: Mapping[str, Capability]
    stall_s: float
    keep_done_s: float
    checkpoint_s: float
    keep_bytes: int
    """How much of files that are stored elsewhere too may stay for the next runs."""


class Pod:
    """Holds the attempts of this process. Lives in one event loop, so its state changes only between awaits."""

    def __init__(self, settings: PodSettings, device: "asyncio.Task[str]") -> None:
        """Start with no attempts; the device may still be being asked for."""
        self.id = str(uuid.uuid4())
        self.settings = settings
        self._device = device
        self._store = ArtifactStore(settings.artifacts_dir)
        self._inputs = Inputs(self._store)
        self._attempts: dict[_Key, Attempt] = {}
        self._accepting: dict[_Key, asyncio.Task[None]] = {}
        self._reserved = 0
        self._epochs = _Epochs()
        self._lives: set[asyncio.Task[None]] = set()
        self._closing = False

    async def device(self) -> str:
        """The device, once it is known."""
        return await asyncio.shield(self._device)

    @property
    def free_slots(self) -> int:
        """How many more runs it would take now."""
        if self._closing:
            return 0
        return self.settings.slots - self._reserved - sum(attempt.busy for attempt in self._attempts.values())

    @property
    def held(self) -> list[_Key]:
        """Run and epoch of the attempts that can be watched."""
        return [key for key, attempt in self._attempts.items() if not attempt.fenced]

    def find(self, run_id: str, epoch: int) -> Attempt:
        """The attempt that can be watched and renewed.

        Raises:
            RefusalError: NOT_FOUND.
        """
        attempt = self._attempts.get((run_id, epoch))
        if attempt is None or attempt.fenced:
            message = f"wanted epoch {epoch} of run {run_id}, but this pod does not hold it"
            raise RefusalError(grpc.StatusCode.NOT_FOUND, message)
        return attempt

    async def start(self, plan: Plan) -> None:
        """Take an attempt; repeating the call changes nothing.

        Raises:
            RefusalError: UNAVAILABLE, ABORTED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, DATA_LOSS or
                INVALID_ARGUMENT, as the contract says.
        """
        key = (plan.run_id, plan.epoch)
        accepting = self._accepting.get(key)
        if accepting is None:
            accepting = asyncio.create_task(self._accept(plan))
            self._accepting[key] = accepting
            accepting.add_done_callback(lambda _: self._accepting.pop(key))
        # A caller that gives up does not undo what it asked for: it will ask again.
        await asyncio.shield(accepting)

    def cancel(self, run_id: str, epoch: int, mode: run_pb2.CancelMode) -> None:
        """End an attempt early. One that never came is refused should it still come."""
        attempt = self._attempts.get((run_id, epoch))
        if attempt is not None:
            attempt.cancel(mode)
        elif mode != run_pb2.CANCEL_MODE_UNSPECIFIED and RUN_ID.fullmatch(run_id):
            self._epochs.end(run_id, epoch)

    async def release(self, within_s: float) -> None:
        """Take nothing more and ask every run to stop at its next checkpoint; wait until all have, but no longer than this."""
        self._closing = True
        busy = [attempt for attempt in self._attempts.values() if attempt.busy]
        for attempt in busy:
            attempt.cancel(run_pb2.CANCEL_MODE_RELEASE)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*(attempt.wait_until_gone() for attempt in busy)), within_s)

    async def close(self) -> None:
        """Take nothing more, kill all run processes and say nothing for them: their leases expire and they run elsewhere."""
        self._closing = True
        for attempt in self._attempts.values():
            if attempt.busy:
                attempt.fence("the pod is shutting down", grpc.StatusCode.UNAVAILABLE)
        for life in list(self._lives):
            await life

    async def _accept(self, plan: Plan) -> None:
        if self._closing:
            raise RefusalError(grpc.StatusCode.UNAVAILABLE, "wanted a pod that takes runs, but this one is shutting down")
        held = self._attempts.get((plan.run_id, plan.epoch))
        if held is not None:
            if held.fenced:
                raise RefusalError(
                    grpc.StatusCode.ABORTED, f"wanted a newer epoch of run {plan.run_id} than {plan.epoch}, which was fenced"
                )
            if held.job.spec != plan.spec:
                message = f"wanted the spec that epoch {plan.epoch} of run {plan.run_id} was started with, but got {plan.spec_sha256}"
                raise RefusalError(grpc.StatusCode.INVALID_ARGUMENT, message)
            return
        self._epochs.check_and_see(plan.run_id, plan.epoch)
        await self._replace_older(plan)
        if self.free_slots < 1:
            raise RefusalError(grpc.StatusCode.RESOURCE_EXHAUSTED, f"wanted a free slot, but all {self.settings.slots} are taken")
        self._reserved += 1
        try:
            job = await self._job_of(plan)
            files = await self._inputs.files_of(plan)
        finally:
            self._reserved -= 1
        # Meanwhile a higher epoch, a cancel or the end of the pod may have come.
        self._epochs.check_and_see(plan.run_id, plan.epoch)
        if self._closing:
            raise RefusalError(grpc.StatusCode.UNAVAILABLE, "wanted a pod that takes runs, but this one is shutting down")
        attempt = Attempt(job, plan.limits, files)
        self._attempts[plan.run_id, plan.epoch] = attempt
        life = asyncio.create_task(self._see_through(attempt))
        self._lives.add(life)
        life.add_done_callback(self._lives.discard)

    async def _replace_older(self, plan: Plan) -> None:
        """A higher epoch shows that the lower ones lost their lease."""
        older = [attempt for (run_id, epoch), attempt in self._attempts.items() if run_id == plan.run_id and epoch < plan.epoch]
        for attempt in older:
            attempt.fence(f"epoch {plan.epoch} replaced it")
        for attempt in older:
            await attempt.wait_until_gone()

    async def _job_of(self, plan: Plan) -> Job:
        return Job(
            run_id=plan.run_id,
            epoch=plan.epoch,
            entry=plan.capability.entry,
            spec=plan.spec,
            spec_sha256=plan.spec_sha256,
            checkpoint_s=self.settings.checkpoint_s,
            resume=self._inputs.path_of(plan.resume_from.sha256) if plan.resume_from is not None else None,
            micro_batch_divisor=plan.micro_batch_divisor,
            inputs={name: self._inputs.path_of(sha256) for name, sha256 in plan.inputs.items()},
            artifacts_dir=self.settings.artifacts_dir,
            cache_dir=self.settings.cache_dir,
            device=await self.device(),
            threads=plan.threads,
        )

    async def _see_through(self, attempt: Attempt) -> None:
        key = (attempt.job.run_id, attempt.job.epoch)
        log.info("attempt accepted", run=key[0], epoch=key[1])
        try:
            await attempt.run()
        finally:
            self._epochs.end(*key)
            keep_s = 0 if attempt.fenced else self.settings.keep_done_s
            asyncio.get_running_loop().call_later(keep_s, self._attempts.pop, key, None)
        log.info("attempt ended", run=key[0], epoch=key[1], fenced=attempt.fenced)
        with contextlib.suppress(OSError):
            await asyncio.to_thread(self._store.remove_attempt, *key)
            if attempt.transfers.by_grants:
                needed = set[str]().union(*(each.transfers.needed for each in self._attempts.values() if each.busy))
                await asyncio.to_thread(self._store.evict, self.settings.keep_bytes, needed)


class _Epochs:
    """The highest epoch seen of each run, and the highest that was ended here and must not be started again."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def check_and_see(self, run_id: str, epoch: int) -> None:
        seen, ended = self._seen.get(run_id, (0, 0))
        if epoch < seen or epoch <= ended:
            what = f"epoch {seen} was seen" if epoch < seen else f"epoch {ended} was ended here"
            raise RefusalError(grpc.StatusCode.ABORTED, f"wanted a newer epoch of run {run_id} than {epoch}: {what}")
        self._note(run_id, epoch, ended)

    def end(self, run_id: str, epoch: int) -> None:
        seen, ended = self._seen.get(run_id, (0, 0))
        self._note(run_id, max(seen, epoch), max(ended, epoch))

    def _note(self, run_id: str, seen: int, ended: int) -> None:
        self._seen[run_id] = (seen, ended)
        self._seen.move_to_end(run_id)
        if len(self._seen) > _MOST_EPOCHS:
            self._seen.popitem(last=False)
