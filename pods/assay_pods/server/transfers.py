"""What one attempt reads and uploads over the network, where its pod shares no folder with the service."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assay_pods.common.artifacts import ArtifactError, ArtifactStore
from assay_pods.gen.assay.pod.v1 import pod_service_pb2, run_pb2
from assay_pods.server.failures import failed, failure_of
from assay_pods.server.fetcher import Fetcher
from assay_pods.server.http_files import Source, TransferError, Trouble, Watch, send_file
from assay_pods.server.pod_log import log

_MOST_TRIES = 5
_FIRST_PAUSE_S = 0.2
_UPLOADS_AT_ONCE = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A file that the attempt reads."""

    what: str
    """How messages name it."""
    sha256: str
    source: Source | None = None
    """Where it comes from; None when it lies in the store and only waits to be hashed."""
    check: Callable[[], None] | None = None
    """Looks at the verified file; raises ValueError when the work cannot go on from it. Given for checkpoints alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Files:
    """Where the files of an attempt are, and which of them come from elsewhere."""

    store: ArtifactStore
    """The pod's own."""
    fetcher: Fetcher
    """Shared by the pod's attempts."""
    wanted: Sequence[Wanted]
    """What is to be fetched or hashed before work starts."""
    by_grants: bool
    """Whether files are uploaded before they are announced."""


class Transfers:
    """Fetches before work starts, and uploads what the run's process saved before it is announced. Lives in the event loop.

    Args:
        files: Where they are.
        announce: Told each event of a file that can be told now, and each request for a grant.
        moved: Told from any thread whenever bytes moved.
        ask_again_s: After how long without an answer a grant is asked for again.
    """

    def __init__(
        self, files: Files, *, announce: Callable[[run_pb2.RunEvent], None], moved: Callable[[], None], ask_again_s: float
    ) -> None:
        """Start with nothing under way."""
        self._files = files
        self._announce = announce
        self._watch = Watch(moved)
        self._ask_again_s = ask_again_s
        self._at_once = asyncio.Semaphore(_UPLOADS_AT_ONCE)
        self._uploads: dict[asyncio.Task[bool], str] = {}
        self._waiting: dict[str, list[asyncio.Future[pod_service_pb2.GrantUploadRequest]]] = {}
        self._queued_checkpoint: asyncio.Task[bool] | None = None
        self._kept_checkpoint: str | None = None
        self._failure: run_pb2.Failed | None = None

    @property
    def busy(self) -> bool:
        """Whether uploads are under way."""
        return bool(self._uploads)

    @property
    def needed(self) -> set[str]:
        """Digests of files that must stay in the store."""
        return {wanted.sha256 for wanted in self._files.wanted} | set(self._uploads.values())

    @property
    def by_grants(self) -> bool:
        """Whether the store is the pod's own, and not shared with the service."""
        return self._files.by_grants

    async def fetch(self) -> run_pb2.Failed | None:
        """Bring all that is wanted into the store, and hash it; gives why the run cannot start."""
        for wanted in self._files.wanted:
            try:
                if wanted.source is None:
                    await self._files.fetcher.verify(wanted.sha256, self._watch)
                else:
                    await self._files.fetcher.fetch(wanted.source, self._watch)
                if wanted.check is not None:
                    await asyncio.to_thread(wanted.check)
            except TransferError as error:
                return _failure_to_fetch(wanted, error)
            except ValueError as error:
                return _broken(wanted, str(error))
            except OSError as error:
                return failure_of(error, "")
        return None

    def offer(self, event: run_pb2.RunEvent, name: str, file: run_pb2.Artifact | run_pb2.Checkpoint) -> None:
        """Announce a file that the run's process saved, after its upload where it needs one.

        Where uploads are slower than training, a checkpoint that still waits for its turn gives way to the next one.
        """
        if not self._files.by_grants:
            self._announce(event)
            return
        task = asyncio.create_task(self._upload(event, run_pb2.GrantRequest(name=name, sha256=file.sha256, size_bytes=file.size_bytes)))
        self._uploads[task] = file.sha256
        if event.WhichOneof("body") == "checkpoint":
            if self._queued_checkpoint is not None:
                self._queued_checkpoint.cancel()
            self._queued_checkpoint = task
            task.add_done_callback(self._forget_checkpoint)
        else:
            task.add_done_callback(self._uploads.pop)

    def grant(self, grant: pod_service_pb2.GrantUploadRequest) -> None:
        """Hand a grant to whoever asked for it."""
        for asked in self._waiting.pop(grant.sha256, []):
            if not asked.done():
                asked.set_result(grant)

    async def settle(self) -> run_pb2.Failed | None:
        """Wait until nothing is under way; gives why a file could not be uploaded."""
        while self._uploads:
            await asyncio.wait(self._uploads)
        return self._failure

    def stop(self) -> None:
        """Give up everything at once. A thread may still send for a moment: what comes of it waits under this attempt's own name."""
        self._watch.stop()
        for task in self._uploads:
            task.cancel()

    def _forget_checkpoint(self, task: asyncio.Task[bool]) -> None:
        """Of an attempt's checkpoints only the last one that was uploaded stays here: this pod may be the one that goes on from it."""
        uploaded = not task.cancelled() and task.exception() is None and task.result()
        surplus = self._uploads.pop(task)
        if uploaded:
            surplus, self._kept_checkpoint = self._kept_checkpoint, surplus
        if self._queued_checkpoint is task:
            self._queued_checkpoint = None
        if surplus is not None and surplus not in self.needed:
            asyncio.get_running_loop().run_in_executor(None, self._files.store.remove, surplus)

    async def _upload(self, event: run_pb2.RunEvent, request: run_pb2.GrantRequest) -> bool:
        """Whether the file was uploaded and announced."""
        try:
            async with self._at_once:
                if self._queued_checkpoint is asyncio.current_task():
                    self._queued_checkpoint = None
                await self._upload_patiently(request)
            self._announce(event)
            return True
        except (TransferError, ArtifactError, OSError) as error:
            log.warning("upload failed", name=request.name, reason=str(error))
            # Without a checkpoint the run only has further to go.
            if event.WhichOneof("body") != "checkpoint":
                self._failure = self._failure or _failure_to_upload(request, error)
            return False

    async def _upload_patiently(self, request: run_pb2.GrantRequest) -> None:
        path = self._files.store.path_of(request.sha256)
        for tries in range(1, _MOST_TRIES + 1):
            grant = await self._granted(request)
            if grant.refusal:
                raise _RefusedError(Trouble.REFUSED, grant.refusal)
            try:
                await asyncio.to_thread(send_file, path, grant.url, grant.headers, self._watch)
                return
            except TransferError as error:
                if error.trouble not in (Trouble.EXPIRED, Trouble.UNREACHABLE) or tries == _MOST_TRIES:
                    raise
            await asyncio.sleep(_FIRST_PAUSE_S * 2**tries)

    async def _granted(self, request: run_pb2.GrantRequest) -> pod_service_pb2.GrantUploadRequest:
        """Ask until an answer comes: a dispatcher may die before it answers, and its sibling has not heard the question."""
        asked: asyncio.Future[pod_service_pb2.GrantUploadRequest] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(request.sha256, []).append(asked)
        while True:
            self._announce(run_pb2.RunEvent(grant_request=request))
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(asyncio.shield(asked), self._ask_again_s)


class _RefusedError(TransferError):
    """The service does not take the file, whoever sends it."""


def _failure_to_fetch(wanted: Wanted, error: TransferError) -> run_pb2.Failed:
    message = f"{wanted.what}: {error}"
    if error.trouble not in (Trouble.MISSING, Trouble.CORRUPT):
        return failed(run_pb2.ERROR_CLASS_TRANSIENT, "STORE_UNREACHABLE", message, "")
    if wanted.check is not None:
        return _broken(wanted, str(error))
    code = "INPUT_MISSING" if error.trouble is Trouble.MISSING else "INPUT_CORRUPT"
    return failed(run_pb2.ERROR_CLASS_BAD_INPUT, code, message, "")


def _broken(wanted: Wanted, reason: str) -> run_pb2.Failed:
    return failed(run_pb2.ERROR_CLASS_TRANSIENT, "CHECKPOINT_BROKEN", f"{wanted.what}: {reason}", "")


def _failure_to_upload(request: run_pb2.GrantRequest, error: Exception) -> run_pb2.Failed:
    message = f"artifact {request.name}: {error}"
    if isinstance(error, _RefusedError):
        return failed(run_pb2.ERROR_CLASS_BAD_INPUT, "UPLOAD_REFUSED", message, "")
    return failed(run_pb2.ERROR_CLASS_TRANSIENT, "UPLOAD_FAILED", message, "")
