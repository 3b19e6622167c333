"""Files of other runs, fetched once for all attempts of a pod and kept for the next."""

import asyncio
import hashlib
from collections import defaultdict
from pathlib import Path

from assay_pods.common.artifacts import ArtifactStore
from assay_pods.server.http_files import Source, TransferError, Trouble, Watch, fetch_into

_MOST_TRIES = 5
_FIRST_PAUSE_S = 0.2


class Fetcher:
    """Brings files into the pod's own store. Lives in the event loop; one file is fetched once at a time."""

    def __init__(self, store: ArtifactStore) -> None:
        """Fetch into this store."""
        self._store = store
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def fetch(self, source: Source, watch: Watch) -> None:
        """Have the file in the store: as it is there, or fetched, going on where a broken connection left it.

        Raises:
            TransferError: It cannot be had.
            OSError: The disk refused.
        """
        async with self._locks[source.sha256]:
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

    def _try(self, source: Source, watch: Watch) -> None:
        partial = self._store.fetched_path(source.sha256)
        fetch_into(source, partial, watch)
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
