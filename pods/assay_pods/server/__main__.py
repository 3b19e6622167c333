"""`python -m assay_pods.server`: serve runs until told to end."""

import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio  # pyright: ignore[reportAttributeAccessIssue] - the stubs lack it

from assay_pods.gen.assay.pod.v1 import pod_service_pb2_grpc
from assay_pods.server.clients import ClientNames
from assay_pods.server.device import find_device
from assay_pods.server.job import LARGEST_MESSAGE_BYTES
from assay_pods.server.options import Options, TlsFiles, parse_options
from assay_pods.server.pod import Pod
from assay_pods.server.pod_log import configure_logging, log
from assay_pods.server.preload import start_fork_server
from assay_pods.server.service import SERVICE_NAME, PodService

_END_WITHIN_S = 5.0
_THREADS = 8
_THREADS_OF_A_RUN = 4
"""One download, two uploads, and one that was stopped and is on its way out."""


def main(arguments: Sequence[str]) -> int:
    """Run the pod; gives the exit status.

    SIGTERM and SIGINT end it in order: no new runs; every run writes a checkpoint, if it can, and says Released. What has not by the
    end of the grace is killed, and its open watches end with UNAVAILABLE: its lease expires and it runs elsewhere. A second signal,
    and with --parent-pipe the end of stdin, ends the grace.
    """
    started = time.monotonic()
    options = parse_options(arguments)
    configure_logging()
    options.settings.cache_dir.mkdir(parents=True, exist_ok=True)
    start_fork_server(options.preload)
    asyncio.run(_serve(options, started))
    return 0


async def _serve(options: Options, started: float) -> None:
    # Threads for every transfer of every run: a store that is slow to answer must not hold up the start of the next run.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS + _THREADS_OF_A_RUN * options.settings.slots))
    stop = Stop()
    stop.listen(options)
    pod = Pod(options.settings, asyncio.create_task(find_device(options.device)))
    server, status = _make_server(pod, options.tls)
    await status.set(SERVICE_NAME, health_pb2.HealthCheckResponse.SERVING)
    port = _bind(server, options)
    await server.start()
    address = f"{options.listen.rpartition(':')[0]}:{port}"
    sys.stdout.write(json.dumps({"event": "listening", "address": address, "podId": pod.id}) + "\n")
    sys.stdout.flush()
    log.info("listening", address=address, pod=pod.id, seconds=round(time.monotonic() - started, 3))
    await stop.asked.wait()
    log.info("ending", pod=pod.id, at_once=stop.at_once.is_set())
    await status.enter_graceful_shutdown()
    await _release(pod, options.grace_s, stop)
    await pod.close()
    # Whoever watches hears the last Done within this time.
    await server.stop(1.0)


async def _release(pod: Pod, grace_s: float, stop: "Stop") -> None:
    release = asyncio.create_task(pod.release(grace_s))
    at_once = asyncio.create_task(stop.at_once.wait())
    await asyncio.wait([release, at_once], return_when=asyncio.FIRST_COMPLETED)
    for task in (release, at_once):
        task.cancel()


def _make_server(pod: Pod, tls: TlsFiles | None) -> tuple[grpc.aio.Server, health_aio.HealthServicer]:
    limits = [("grpc.max_receive_message_length", LARGEST_MESSAGE_BYTES), ("grpc.max_send_message_length", LARGEST_MESSAGE_BYTES)]
    # Without this a second pod could share the port and take half of the calls.
    interceptors = [ClientNames(tls.client_name)] if tls is not None and tls.client_name is not None else []
    server = grpc.aio.server(interceptors=interceptors, options=[*limits, ("grpc.so_reuseport", 0)])
    pod_service_pb2_grpc.add_PodServiceServicer_to_server(PodService(pod), server)
    status = health_aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    return server, status


def _bind(server: grpc.aio.Server, options: Options) -> int:
    if options.tls is None:
        return server.add_insecure_port(options.listen)
    return server.add_secure_port(options.listen, _credentials(options.tls))


def _credentials(files: TlsFiles) -> grpc.ServerCredentials:
    pair = (files.key.read_bytes(), files.certificate.read_bytes())
    return grpc.ssl_server_credentials([pair], root_certificates=files.client_ca.read_bytes(), require_client_auth=True)


class Stop:
    """Whether the pod is to end: in order, or at once."""

    def __init__(self) -> None:
        """Start with nobody asking."""
        self.asked = asyncio.Event()
        self.at_once = asyncio.Event()

    def listen(self, options: Options) -> None:
        """Hear signals and, where the pod belongs to a parent, the parent's end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ask)
        if options.parent_pipe:
            threading.Thread(target=self._end_with_parent, args=(loop,), name="parent-pipe", daemon=True).start()

    def _ask(self) -> None:
        if self.asked.is_set():
            self.at_once.set()
        self.asked.set()

    def _hurry(self) -> None:
        self.at_once.set()
        self.asked.set()

    def _end_with_parent(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait for the end of stdin. The parent is gone then, so the pod goes even if its own end gets stuck."""
        while os.read(sys.stdin.fileno(), 4096):
            pass
        loop.call_soon_threadsafe(self._hurry)
        time.sleep(_END_WITHIN_S)
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
