"""`python -m assay_pods.server`: serve runs until told to end."""

import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio  # pyright: ignore[reportAttributeAccessIssue] - the stubs lack it

from assay_pods.gen.assay.pod.v1 import pod_service_pb2_grpc
from assay_pods.server.device import find_device
from assay_pods.server.job import LARGEST_MESSAGE_BYTES
from assay_pods.server.options import Options, TlsFiles, parse_options
from assay_pods.server.pod import Pod
from assay_pods.server.pod_log import configure_logging, log
from assay_pods.server.preload import start_fork_server
from assay_pods.server.service import SERVICE_NAME, PodService

_END_WITHIN_S = 5.0


def main(arguments: Sequence[str]) -> int:
    """Run the pod; gives the exit status.

    SIGTERM, SIGINT and, with --parent-pipe, the end of stdin end it in order: no new runs, run processes killed, open watches
    ended with UNAVAILABLE. Nothing is said for the runs; their leases expire and they run elsewhere.
    """
    started = time.monotonic()
    options = parse_options(arguments)
    configure_logging()
    options.settings.cache_dir.mkdir(parents=True, exist_ok=True)
    start_fork_server(options.preload)
    asyncio.run(_serve(options, started))
    return 0


async def _serve(options: Options, started: float) -> None:
    stop = asyncio.Event()
    _listen_for_the_end(options, stop)
    pod = Pod(options.settings, asyncio.create_task(find_device(options.device)))
    server, status = _make_server(pod)
    await status.set(SERVICE_NAME, health_pb2.HealthCheckResponse.SERVING)
    port = _bind(server, options)
    await server.start()
    address = f"{options.listen.rpartition(':')[0]}:{port}"
    sys.stdout.write(json.dumps({"event": "listening", "address": address, "podId": pod.id}) + "\n")
    sys.stdout.flush()
    log.info("listening", address=address, pod=pod.id, seconds=round(time.monotonic() - started, 3))
    await stop.wait()
    log.info("ending", pod=pod.id)
    await status.enter_graceful_shutdown()
    await pod.close()
    await server.stop(1.0)


def _make_server(pod: Pod) -> tuple[grpc.aio.Server, health_aio.HealthServicer]:
    limits = [("grpc.max_receive_message_length", LARGEST_MESSAGE_BYTES), ("grpc.max_send_message_length", LARGEST_MESSAGE_BYTES)]
    # Without this a second pod could share the port and take half of the calls.
    server = grpc.aio.server(options=[*limits, ("grpc.so_reuseport", 0)])
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


def _listen_for_the_end(options: Options, stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if options.parent_pipe:
        threading.Thread(target=_end_with_parent, args=(loop, stop), name="parent-pipe", daemon=True).start()


def _end_with_parent(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Wait for the end of stdin. The parent is gone then, so the pod goes even if its own end gets stuck."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    loop.call_soon_threadsafe(stop.set)
    time.sleep(_END_WITHIN_S)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
