"""A hub of one data set, `me/rows`, that answers what the client libraries ask for on the way to its one file."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REVISION = "a" * 40
FILE = "train.jsonl"


@contextmanager
def hub_of(content: bytes) -> Iterator[str]:
    """Serves the content as the data set's only file at the one revision; gives the hub's address."""
    etag = "b" * 40
    about = {"id": "me/rows", "sha": REVISION, "private": False, "tags": [], "siblings": [{"rfilename": FILE}]}
    listed = [{"type": "file", "path": FILE, "size": len(content), "oid": etag}]
    answers = {
        f"/api/datasets/me/rows/revision/{REVISION}": json.dumps(about).encode(),
        f"/api/datasets/me/rows/tree/{REVISION}": json.dumps(listed).encode(),
        f"/datasets/me/rows/resolve/{REVISION}/{FILE}": content,
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            body = answers.get(path)
            self.send_response(404 if body is None else 200)
            if body is None:
                within = path.startswith(("/datasets/me/rows/", "/api/datasets/me/rows/")) and REVISION in path
                self.send_header("x-error-code", "EntryNotFound" if within else "RepoNotFound")
            self.send_header("content-length", str(len(body or b"")))
            self.send_header("content-type", "application/json")
            self.send_header("x-repo-commit", REVISION)
            self.send_header("etag", f'"{etag}"')
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body or b"")

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
