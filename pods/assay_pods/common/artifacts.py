"""A content-addressed folder of immutable files, and the canonical JSON that digests are made of."""

import contextlib
import errno
import hashlib
import os
import re
import shutil
from collections.abc import Set
from pathlib import Path
from typing import NamedTuple

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


class ArtifactError(ValueError):
    """A file of the store is missing, does not match its digest, or was given an unusable name."""


class Stored(NamedTuple):
    """A file in the store."""

    sha256: str
    size_bytes: int


class Origin(NamedTuple):
    """Which attempt a file comes from, and its name there."""

    run_id: str
    epoch: int
    name: str


class ArtifactStore:
    """Files named by their SHA-256 below `cas/`, and the unfinished files of attempts below `tmp/<run>/<epoch>/`.

    Both lie on one file system, so that a file appears under its digest whole or not at all. Two writers of equal bytes
    are harmless, and no writer can change what a digest names.

    Args:
        root: The folder; it is made when missing.
    """

    def __init__(self, root: Path) -> None:
        """Make the folders."""
        self.root = root
        self._cas = root / "cas"
        self._tmp = root / "tmp"
        for folder in (self._cas, self._tmp):
            folder.mkdir(parents=True, exist_ok=True)

    def path_of(self, sha256: str) -> Path:
        """Where the file with this digest lies, whether it is there or not.

        Raises:
            ArtifactError: The digest is no lower-case hex SHA-256.
        """
        if not _SHA256.fullmatch(sha256):
            raise ArtifactError(f"wanted a SHA-256 as 64 lower-case hex digits, but got {sha256[:80]!r}")
        return self._cas / sha256[:2] / sha256

    def size_of(self, sha256: str) -> int:
        """The size of the file with this digest, as it lies there.

        Raises:
            ArtifactError: It is missing.
        """
        try:
            return self.path_of(sha256).stat().st_size
        except FileNotFoundError:
            raise _missing(sha256) from None

    def verified(self, sha256: str) -> Path:
        """The file with this digest after hashing it again.

        Raises:
            ArtifactError: It is missing, or its bytes have another digest.
        """
        path = self.path_of(sha256)
        try:
            with path.open("rb") as file:
                came = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            raise _missing(sha256) from None
        if came != sha256:
            raise ArtifactError(f"wanted the artifact {sha256}, but its file has the digest {came}")
        return path

    def touch(self, sha256: str, size_bytes: int) -> bool:
        """Whether the file is here and whole, after hashing it again; then it counts as used now. A damaged one is removed."""
        path = self.path_of(sha256)
        try:
            if path.stat().st_size == size_bytes:
                self.verified(sha256)
                os.utime(path)
                return True
        except (FileNotFoundError, ArtifactError):
            pass
        path.unlink(missing_ok=True)
        return False

    def fetched_path(self, sha256: str) -> Path:
        """Where a file that comes from elsewhere is gathered."""
        folder = self._tmp / "fetch"
        folder.mkdir(exist_ok=True)
        return folder / f"{self.path_of(sha256).name}.partial"

    def adopt(self, partial: Path, sha256: str) -> None:
        """Take a gathered file in whose digest was checked."""
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        self._settle(partial, sha256)

    def remove(self, sha256: str) -> None:
        """Remove a file that nobody reads any more."""
        self.path_of(sha256).unlink(missing_ok=True)

    def evict(self, most_bytes: int, keep: Set[str]) -> None:
        """Remove the files that were not used for longest, gathered ones too, until the rest fits, but none of those to be kept."""
        files: list[tuple[float, int, Path]] = []
        for path in (*self._cas.glob("??/*"), *self._tmp.glob("fetch/*.partial")):
            with contextlib.suppress(FileNotFoundError):
                found = path.stat()
                files.append((found.st_mtime, found.st_size, path))
        surplus = sum(size for _, size, _ in files) - most_bytes
        for used_at, size, path in sorted(files):
            if surplus <= 0:
                return
            with contextlib.suppress(FileNotFoundError):
                # Somebody may have begun to use it since it was looked at.
                if path.name.removesuffix(".partial") not in keep and path.stat().st_mtime == used_at:
                    path.unlink()
                    surplus -= size

    def attempt_folder(self, run_id: str, epoch: int) -> Path:
        """The folder for unfinished files of an attempt; `run_id` and `epoch` were checked by whoever accepted the run."""
        return self._tmp / run_id / str(epoch)

    def remove_attempt(self, run_id: str, epoch: int) -> None:
        """Remove what an ended attempt left unfinished."""
        folder = self.attempt_folder(run_id, epoch)
        shutil.rmtree(folder, ignore_errors=True)
        # Another attempt of the run may still have files there.
        with contextlib.suppress(OSError):
            folder.parent.rmdir()

    def save(self, source: Path, origin: Origin) -> Stored:
        """Move a finished file into the store; afterwards `source` is gone.

        Args:
            source: A regular file.
            origin: Its attempt and its name; names are labels, never paths.

        Raises:
            ArtifactError: The name is no label, or the source is not a regular file.
            OSError: The disk refused; nothing unfinished stays behind.
        """
        if source.is_symlink() or not source.is_file():
            raise ArtifactError(f"wanted a regular file to save as {origin.name!r}, but {source.name!r} is none")
        partial = self._partial(origin)
        try:
            _move(source, partial)
            return self._commit(partial)
        finally:
            partial.unlink(missing_ok=True)

    def save_bytes(self, data: bytes, origin: Origin) -> Stored:
        """Write bytes into the store; raises as `save` does."""
        partial = self._partial(origin)
        try:
            partial.write_bytes(data)
            return self._commit(partial)
        finally:
            partial.unlink(missing_ok=True)

    def _partial(self, origin: Origin) -> Path:
        if not _LABEL.fullmatch(origin.name):
            wanted = "up to 128 letters, digits, '.', '_', ':' or '-', starting with a letter or digit"
            raise ArtifactError(f"wanted an artifact name of {wanted}, but got {origin.name[:200]!r}")
        folder = self.attempt_folder(origin.run_id, origin.epoch)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{origin.name}.partial"

    def _commit(self, partial: Path) -> Stored:
        """Make the bytes durable, then give them their name, then make the name durable."""
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            size = os.fstat(file.fileno()).st_size
        self._settle(partial, sha256)
        return Stored(sha256, size)

    def _settle(self, partial: Path, sha256: str) -> None:
        partial.chmod(0o444)
        final = self.path_of(sha256)
        if not final.parent.exists():
            final.parent.mkdir(exist_ok=True)
            _sync_folder(self._cas)
        partial.replace(final)
        _sync_folder(final.parent)


def _missing(sha256: str) -> ArtifactError:
    return ArtifactError(f"wanted the artifact {sha256}, but the store has no such file")


def _move(source: Path, target: Path) -> None:
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copyfile(source, target)
        source.unlink()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
