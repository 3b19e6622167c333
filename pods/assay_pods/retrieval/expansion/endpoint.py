"""A teacher behind any address that speaks OpenAI's chat completions."""

import os
import re
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import openai
from openai.types.chat import ChatCompletion

from assay_pods.common.context import BadInputError, RunContext, TransientError
from assay_pods.retrieval.expansion.teacher import Answer, Asked

RETRIES = 5
"""Further tries of one answer after a busy or silent teacher, with the pauses that it asks for or growing ones."""
TIMEOUT_S = 120.0

_AT_ONCE = 8
_SECRET = re.compile(r"ASSAY_TEACHER_[A-Z0-9_]+")


class Endpoint:
    """Asks for several answers at once."""

    batch = _AT_ONCE

    def __init__(self, context: RunContext) -> None:
        """Makes a client; nothing is sent yet.

        Raises:
            BadInputError: TEACHER_REFUSED, when the address is none that a pod may ask, or the pod holds no such secret for it.
        """
        spec = context.spec["expansion"]
        _check_address(spec["url"])
        self._context = context
        self._spec = spec
        self.name: str = spec["model"]
        names = ("url", "model", "temperature", "maxTokens", "secretEnv")
        self.identity: Mapping[str, Any] = {"kind": "ENDPOINT"} | {name: spec[name] for name in names}
        self._client = openai.OpenAI(
            base_url=spec["url"],
            api_key=_secret(spec["secretEnv"], spec["url"]) or "none",
            max_retries=RETRIES,
            timeout=TIMEOUT_S,
            # Another address than the one that was checked must not get the prompt, let alone the key.
            http_client=openai.DefaultHttpxClient(follow_redirects=False),
        )

    def answer(self, asked: Sequence[Asked]) -> list[Answer]:
        """Answers; those that came are counted even when another one failed.

        Raises:
            BadInputError: TEACHER_REFUSED.
            TransientError: TEACHER_UNREACHABLE.
        """
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            futures = [pool.submit(self._ask, one) for one in asked]
            wait(futures)
        for future in futures:
            if future.exception() is None:
                self._context.count_answer(future.result().prompt_tokens, future.result().completion_tokens)
        return [_result(future) for future in futures]

    def _ask(self, one: Asked) -> Answer:
        said: Any = self._client.chat.completions.create(
            model=self._spec["model"],
            messages=[{"role": "user", "content": one.prompt}],
            temperature=self._spec["temperature"],
            max_tokens=self._spec["maxTokens"],
            seed=one.sample,
        )
        if not isinstance(said, ChatCompletion) or not said.choices:
            raise BadInputError("TEACHER_REFUSED", f"wanted a chat completion from the teacher, got {str(said)[:80]!r}")
        used = said.usage
        text = (said.choices[0].message.content or "").strip()
        return Answer(text, used.prompt_tokens if used else 0, used.completion_tokens if used else 0)


def _result(future: Future[Answer]) -> Answer:
    try:
        return future.result()
    except (openai.APIConnectionError, openai.RateLimitError, openai.InternalServerError) as wrong:
        raise TransientError("TEACHER_UNREACHABLE", f"wanted an answer within {RETRIES + 1} tries, got: {_short(wrong)}") from wrong
    except openai.OpenAIError as wrong:
        raise BadInputError("TEACHER_REFUSED", f"wanted an answer from the teacher, got: {_short(wrong)}") from wrong


def _short(wrong: Exception) -> str:
    return f"{type(wrong).__name__}: {str(wrong)[:200]}"


def _secret(name: str | None, url: str) -> str | None:
    """The key of the variable that the spec names. Whoever runs the pod says beside it which address may get it: `<name>_URL`."""
    if name is None:
        return None
    if not _SECRET.fullmatch(name):
        raise BadInputError("TEACHER_REFUSED", f"wanted a secret whose name begins with ASSAY_TEACHER_, got {name!r}")
    secret, bound = os.environ.get(name), os.environ.get(f"{name}_URL")
    if not secret or not bound:
        raise BadInputError("TEACHER_REFUSED", f"wanted {name} and {name}_URL in the pod's environment, which lacks them")
    if url.rstrip("/") != bound.rstrip("/"):
        raise BadInputError("TEACHER_REFUSED", f"wanted the address that {name} is meant for, got {url!r}")
    return secret


def _check_address(url: str) -> None:
    """Refuses what no teacher is behind: another scheme, and the addresses by which clouds hand credentials to their machines.

    `ASSAY_TEACHER_HOSTS`, where it is set, names the hosts that may be asked, with commas between.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInputError("TEACHER_REFUSED", f"wanted an http or https address, got {url!r}")
    hosts = os.environ.get("ASSAY_TEACHER_HOSTS")
    if hosts is not None and parts.hostname not in [host.strip() for host in hosts.split(",")]:
        raise BadInputError("TEACHER_REFUSED", f"wanted a host that ASSAY_TEACHER_HOSTS names, got {parts.hostname!r}")
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or parts.scheme, type=socket.SOCK_STREAM)
    except OSError as wrong:
        raise TransientError("TEACHER_UNREACHABLE", f"wanted an address of {parts.hostname!r}, got: {wrong}") from wrong
    if any(ip_address(str(address[4][0]).partition("%")[0]).is_link_local for address in found):
        raise BadInputError("TEACHER_REFUSED", f"wanted a host that is not link-local, got {parts.hostname!r}")
