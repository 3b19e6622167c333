"""What an attempt reads: hashed before it is taken or, where that may outlast the call, before its work starts."""

import asyncio
import functools
from pathlib import Path

import grpc

from assay_pods.common.artifacts import ArtifactError, ArtifactStore
from assay_pods.common.checkpoint_files import CheckpointError, check_made_for
from assay_pods.server.fetcher import Fetcher
from assay_pods.server.plan import Plan
from assay_pods.server.refusal import RefusalError
from assay_pods.server.transfers import Files, Wanted

_AT_ONCE_BYTES = 256 * 1024 * 1024
"""So much is hashed while the dispatcher waits. Its lease is not renewed meanwhile: the rest is hashed when it is."""


class Inputs:
    """Looks at the files of plans."""

    def __init__(self, store: ArtifactStore) -> None:
        """Find and fetch files in this store."""
        self._store = store
        self._fetcher = Fetcher(store)

    def path_of(self, sha256: str) -> Path:
        """Where a file lies, or will once it is fetched."""
        return self._store.path_of(sha256)

    async def files_of(self, plan: Plan) -> Files:
        """Verify what can be verified now; the rest is wanted before work starts.

        Raises:
            RefusalError: FAILED_PRECONDITION for an input, DATA_LOSS for the checkpoint to go on from.
        """
        return await asyncio.to_thread(self._files_of, plan)

    def _files_of(self, plan: Plan) -> Files:
        wanted: list[Wanted] = []
        left = _AT_ONCE_BYTES
        for name, sha256 in plan.inputs.items():
            source = plan.sources.get(sha256)
            try:
                size = self._store.size_of(sha256) if source is None else 0
                if source is not None or size > left:
                    wanted.append(Wanted(what=f"input {name}", sha256=sha256, source=source))
                else:
                    self._store.verified(sha256)
                    left -= size
            except ArtifactError as error:
                raise RefusalError(grpc.StatusCode.FAILED_PRECONDITION, f"input {name}: {error}") from None
        wanted += self._checkpoint_of(plan, left)
        return Files(store=self._store, fetcher=self._fetcher, wanted=wanted, by_grants=plan.uploads_need_grants)

    def _checkpoint_of(self, plan: Plan, left: int) -> list[Wanted]:
        resume = plan.resume_from
        if resume is None:
            return []
        source = plan.sources.get(resume.sha256)
        check = functools.partial(check_made_for, self._store.path_of(resume.sha256), plan.spec_sha256, resume.step)
        wanted = Wanted(what=f"checkpoint at step {resume.step}", sha256=resume.sha256, source=source, check=check)
        if source is not None:
            return [wanted]
        try:
            size = self._store.size_of(resume.sha256)
            if size <= left:
                self._store.verified(resume.sha256)
            check()
        except (ArtifactError, CheckpointError) as error:
            raise RefusalError(grpc.StatusCode.DATA_LOSS, str(error)) from None
        return [wanted] if size > left else []
