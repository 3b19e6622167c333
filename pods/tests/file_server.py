"""A store of files by address, as a bucket's presigned addresses look to a pod, that can be told to misbehave."""

import base64
import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Seen:
    """A request that came."""

    method: str
    path: str
    range: str | None


@dataclass
class FileServer:
    """Files by path; every address carries a secret, as a signature is one."""

    files: dict[str, bytes] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    trouble: Callable[[Seen], int | None] = lambda seen: None
    """A status to answer with, or minus the number of bytes after which to break the connection; None for none."""

    SECRET = "X-Amz-Signature=canary"
    HELD_S = 20.0
    """How long a held request waits at most."""

    def __post_init__(self) -> None:
        owner = self
        self._held: list[threading.Event] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                owner.give(self)

            def do_PUT(self) -> None:
                owner.take(self)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        for held in self._held:
            held.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def hold(self) -> threading.Event:
        """Let every request wait until the event is set."""
        held = threading.Event()
        self._held.append(held)

        def wait(seen: Seen) -> None:
            del seen
            held.wait(self.HELD_S)

        self.trouble = wait
        return held

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/{path}?{self.SECRET}"

    def give(self, request: BaseHTTPRequestHandler) -> None:
        path, cut = self._admit(request)
        if path is None:
            return
        data = self.files.get(path)
        if data is None:
            request.send_error(404)
            return
        start = int((request.headers.get("Range") or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(data) - start))
        request.end_headers()
        request.wfile.write(data[start:] if cut is None else data[start : start + cut])
        request.close_connection = cut is not None

    def take(self, request: BaseHTTPRequestHandler) -> None:
        path, cut = self._admit(request)
        if path is None:
            return
        length = int(request.headers["Content-Length"])
        data = request.rfile.read(length if cut is None else min(cut, length))
        if cut is not None:
            request.close_connection = True
            return
        wanted = request.headers.get("x-amz-checksum-sha256")
        if wanted != base64.b64encode(hashlib.sha256(data).digest()).decode():
            request.send_error(400)
            return
        self.files[path] = data
        request.send_response(200)
        request.send_header("Content-Length", "0")
        request.end_headers()

    def _admit(self, request: BaseHTTPRequestHandler) -> tuple[str | None, int | None]:
        path, _, query = request.path.lstrip("/").partition("?")
        seen = Seen(request.command, path, request.headers.get("Range"))
        self.seen.append(seen)
        answer = 403 if query != self.SECRET else self.trouble(seen)
        if answer is None or answer < 0:
            return path, None if answer is None else -answer
        request.close_connection = True
        request.send_response(answer)
        request.send_header("Content-Length", "0")
        request.send_header("Location", self.url("elsewhere"))
        request.end_headers()
        return None, None
