"""A language model's endpoint on this machine: speaks OpenAI's chat completions and can be told to misbehave."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Asked:
    """A request that came."""

    path: str
    authorization: str | None
    body: dict[str, Any]

    @property
    def prompt(self) -> str:
        return self.body["messages"][0]["content"]


@dataclass
class TeacherServer:
    """Answers `Written about <prompt>, take <seed>.` and counts words as tokens."""

    asked: list[Asked] = field(default_factory=list)
    trouble: Callable[[int, Asked], tuple[int, Any] | None] = lambda number, asked: None
    """A status and a body to answer with, by the number of the request from 1; None for none."""

    def __post_init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # noqa: N802
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with outer._lock:
                    asked = Asked(self.path, self.headers.get("authorization"), body)
                    outer.asked.append(asked)
                    number = len(outer.asked)
                status, said = outer.trouble(number, asked) or (200, outer._answer(asked))
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("retry-after-ms", "1")
                if 300 <= status < 400:
                    self.send_header("location", said)
                content = json.dumps(said).encode()
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, asked: Asked) -> dict[str, Any]:
        text = f"Written about {asked.prompt}, take {asked.body['seed']}."
        return completion(text, len(asked.prompt.split()), len(text.split()))


def completion(text: str | None, prompt_tokens: int, completion_tokens: int) -> dict[str, Any]:
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        },
    }
