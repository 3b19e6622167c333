"""Files of other runs, fetched once for all attempts of a pod and kept for the next."""

import asyncio
import contextlib
import hashlib
import weakref
from collections.abc import AsyncGenerator
from pathlib import Path

from assay_pods.common.artifacts import ArtifactStore
from assay_pods.server.http_files import Source, TransferError, Trouble, Watch, fetch_into

_MOST_TRIES = 5
_FIRST_PAUSE_S = 0.2
_LOOK_UP_EVERY_S = 5.0


class Fetcher:
    """Brings files into the pod's own store. Lives in the event loop; one file is fetched once at a time."""

    def __init__(self, store: ArtifactStore) -> None:
        """Fetch into this store."""
        self._store = store
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    async def fetch(self, source: Source, watch: Watch) -> None:
        """Have the file in the store: as it is there, or fetched, going on where a broken connection left it.

        Raises:
            TransferError: It cannot be had.
            OSError: The disk refused.
        """
        async with self._turn(source.sha256, watch):
            if await asyncio.to_thread(self._store.touch, source.sha256, source.size_bytes):
                return
            for tries in range(1, _MOST_TRIES + 1):
                try:
                    await asyncio.to_thread(self._try, source, watch)
                    return
                except TransferError as error:
                    # Bytes may be spoilt on the way, but hardly twice.
                    most = {Trouble.UNREACHABLE: _MOST_TRIES, Trouble.CORRUPT: 2}.get(error.trouble, 1)
                    if tries >= most:
                        raise
                await asyncio.sleep(_FIRST_PAUSE_S * 2**tries)

    async def verify(self, sha256: str, watch: Watch) -> None:
        """Hash a file that lies in the store.

        Raises:
            TransferError: It is missing, or its bytes have another digest.
            OSError: The disk refused.
        """
        try:
            came = await asyncio.to_thread(_digest, self._store.path_of(sha256), watch)
        except FileNotFoundError:
            raise TransferError(Trouble.MISSING, f"wanted the artifact {sha256}, but the store has no such file") from None
        if came != sha256:
            raise TransferError(Trouble.CORRUPT, f"wanted the artifact {sha256}, but its file has the digest {came}")

    @contextlib.asynccontextmanager
    async def _turn(self, sha256: str, watch: Watch) -> AsyncGenerator[None]:
        """One at a time. Who waits for another attempt's transfer, which is bounded itself, counts as moving."""
        lock = self._locks.setdefault(sha256, asyncio.Lock())
        while True:
            watch.check()
            try:
                await asyncio.wait_for(lock.acquire(), _LOOK_UP_EVERY_S)
                break
            except TimeoutError:
                continue
        try:
            yield
        finally:
            lock.release()

    def _try(self, source: Source, watch: Watch) -> None:
        partial = self._store.fetched_path(source.sha256)
        try:
            fetch_into(source, partial, watch)
        except OSError:
            # A full disk is not to stay full of what nobody can use.
            partial.unlink(missing_ok=True)
            raise
        came = _digest(partial, watch)
        if came != source.sha256:
            partial.unlink()
            raise TransferError(Trouble.CORRUPT, f"wanted a file with the digest {source.sha256}, but its bytes have {came}")
        self._store.adopt(partial, source.sha256)


def _digest(path: Path, watch: Watch) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1024 * 1024):
            watch.check()
            digest.update(chunk)
    return digest.hexdigest()
