"""Files over HTTP by presigned addresses. An address is a secret: no message of an error holds one."""

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import BinaryIO
from urllib.parse import SplitResult, urlsplit

_CHUNK = 1024 * 1024
_CONNECT_WITHIN_S = 10.0
_TIMEOUT_S = 60.0
"""No answer and no byte for so long is a broken connection."""


class Trouble(Enum):
    """What stopped a transfer."""

    EXPIRED = auto()
    """The address does not hold any more, or not yet."""
    MISSING = auto()
    """There is no such file."""
    REFUSED = auto()
    """The store does not take these bytes."""
    CORRUPT = auto()
    """Other bytes came than were wanted."""
    UNREACHABLE = auto()
    """No whole answer; the same may work again."""
    STOPPED = auto()
    """Nobody wants it any more."""


class TransferError(Exception):
    """A transfer that did not come to its end; the message says what was wanted and what came."""

    def __init__(self, trouble: Trouble, message: str) -> None:
        """Keep the trouble beside the message."""
        super().__init__(message)
        self.trouble = trouble


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A file that can be fetched."""

    sha256: str
    size_bytes: int
    url: str = field(repr=False)


class Watch:
    """How transfers in threads are stopped from outside, and whom they tell that they move."""

    def __init__(self, moved: Callable[[], None]) -> None:
        """Tell this one, from any thread."""
        self._moved = moved
        self._stopped = threading.Event()
        self._sockets: set[socket.socket] = set()

    def stop(self) -> None:
        """End all transfers now, those that wait for the other side too."""
        self._stopped.set()
        for each in list(self._sockets):
            # Not the TLS layer's own way, which would wait for an answer.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)

    def check(self) -> None:
        """Say that the transfer moves; raises TransferError when it is to stop."""
        if self._stopped.is_set():
            raise TransferError(Trouble.STOPPED, "wanted the end of a transfer, but it was stopped")
        self._moved()

    @contextlib.contextmanager
    def connected(self, connection: http.client.HTTPConnection) -> Generator[None]:
        """Connect, and keep the connection where `stop` finds it."""
        connection.connect()
        connected = connection.sock
        connected.settimeout(_TIMEOUT_S)
        self._sockets.add(connected)
        try:
            self.check()
            yield
        finally:
            self._sockets.discard(connected)


def is_safe_address(url: str) -> bool:
    """Whether an address is encrypted or on this machine, and holds no login."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or port == 0 or parts.username is not None or parts.password is not None or " " in url:
        return False
    if not (url.isascii() and url.isprintable()):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def fetch_into(source: Source, target: Path, watch: Watch) -> None:
    """Bring a file to its whole size, going on from what an earlier try left at `target`; its bytes are not hashed here.

    Raises:
        TransferError: What came so far stays at `target`, unless more came than was wanted.
        OSError: The disk refused.
    """
    have = target.stat().st_size if target.exists() else 0
    if have > source.size_bytes:
        target.unlink()
        have = 0
    if have == source.size_bytes and target.exists():
        return
    headers = {"Range": f"bytes={have}-"} if have > 0 else {}
    with _exchange("GET", source.url, headers, watch) as response:
        if response.status == 416:
            target.unlink(missing_ok=True)
            raise TransferError(Trouble.UNREACHABLE, "wanted the rest of a file, but the store has no such part")
        _check_status(response)
        with target.open("ab" if response.status == 206 else "wb") as file:
            have = have if response.status == 206 else 0
            for chunk in _chunks(response, source.url):
                watch.check()
                have += len(chunk)
                if have > source.size_bytes:
                    file.truncate(0)
                    raise TransferError(Trouble.CORRUPT, f"wanted {source.size_bytes} bytes, but more came")
                file.write(chunk)
    if have < source.size_bytes:
        raise TransferError(Trouble.UNREACHABLE, f"wanted {source.size_bytes} bytes, but the connection ended after {have}")


def send_file(path: Path, url: str, headers: Mapping[str, str], watch: Watch) -> None:
    """Upload a file.

    Raises:
        TransferError: The store does not hold the file; the same may be tried again.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file, _exchange("PUT", url, headers, watch, _WatchedFile(file, watch)) as response:
        _check_status(response)


class _WatchedFile:
    """A file that says when it is read, as `http.client` takes it."""

    def __init__(self, file: BinaryIO, watch: Watch) -> None:
        self._file = file
        self._watch = watch

    def read(self, length: int = -1, /) -> bytes:
        self._watch.check()
        return self._file.read(length)


@contextlib.contextmanager
def _exchange(
    method: str, url: str, headers: Mapping[str, str], watch: Watch, body: _WatchedFile | None = None
) -> Generator[http.client.HTTPResponse]:
    """One request on a connection of its own; a redirect is an answer like any other."""
    parts = urlsplit(url)
    connection = _connect(parts)
    with contextlib.ExitStack() as stack:
        stack.callback(connection.close)
        with _reaching(parts.hostname):
            stack.enter_context(watch.connected(connection))
            connection.request(method, f"{parts.path}?{parts.query}", body=body, headers=dict(headers))
            response = connection.getresponse()
        yield response


@contextlib.contextmanager
def _reaching(host: str | None) -> Generator[None]:
    """Whatever goes wrong with a connection is told without its address."""
    try:
        yield
    except (http.client.HTTPException, OSError, ValueError) as error:
        raise TransferError(Trouble.UNREACHABLE, f"wanted an answer of {host}, but got {type(error).__name__}") from None


def _connect(parts: SplitResult) -> http.client.HTTPConnection:
    assert parts.hostname is not None, "the address was checked"
    if parts.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=_CONNECT_WITHIN_S, context=context, blocksize=_CHUNK)
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=_CONNECT_WITHIN_S, blocksize=_CHUNK)


def _chunks(response: http.client.HTTPResponse, url: str) -> Iterator[bytes]:
    while True:
        with _reaching(urlsplit(url).hostname):
            # What is there: a slow connection moves too.
            chunk = response.read1(_CHUNK)
        if not chunk:
            return
        yield chunk


def _check_status(response: http.client.HTTPResponse) -> None:
    status = response.status
    if status in (200, 206):
        return
    message = f"wanted status 200 of the store, but got {status}"
    if status in (401, 403):
        raise TransferError(Trouble.EXPIRED, message)
    if status == 404:
        raise TransferError(Trouble.MISSING, message)
    if status in (408, 429) or status >= 500:
        raise TransferError(Trouble.UNREACHABLE, message)
    raise TransferError(Trouble.REFUSED, message)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
