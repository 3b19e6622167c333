"""The pod as a process: how it starts, what it serves beside runs, and that nothing outlives it."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from server_pod import BOUND_S, TESTS, PodProcess, Run, alive, until

from assay_pods.gen.assay.pod.v1 import pod_service_pb2 as service
from assay_pods.gen.assay.pod.v1 import pod_service_pb2_grpc


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[PodProcess]:
    pod = PodProcess(tmp_path, "--parent-pipe")
    yield pod
    pod.close()


def descendants(pid: int) -> list[int]:
    children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*children, *(grandchild for child in children for grandchild in descendants(child))]


def start_worker(pod: PodProcess) -> tuple[Run, list[int]]:
    run = Run(pod, "work")
    run.start()
    pid = run.follow().pid()
    family = descendants(pod.process.pid)
    assert pid in family
    return run, family


def test_a_killed_pod_leaves_no_process_behind(pod):
    _, family = start_worker(pod)
    pod.process.kill()
    until(lambda: not any(map(alive, family)), "all processes of the pod to be gone")


def test_the_kernel_alone_ends_a_run_that_cannot_watch_its_pod(pod):
    run = Run(pod, "work")
    run.start()
    pid = run.follow().pid()
    # A stopped process runs none of its threads, so only the kernel can end it.
    os.kill(pid, signal.SIGSTOP)
    pod.process.kill()
    until(lambda: not alive(pid), "the stopped run to be gone")


def test_the_end_of_stdin_ends_the_pod(pod):
    run, family = start_worker(pod)
    assert pod.process.stdin is not None
    pod.process.stdin.close()
    assert pod.process.wait(BOUND_S) == 0
    error = run.ended()
    assert error is not None
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    until(lambda: not any(map(alive, family)), "all processes of the pod to be gone")


def test_sigterm_ends_the_pod_in_order(pod):
    run, family = start_worker(pod)
    pod.process.send_signal(signal.SIGTERM)
    assert pod.process.wait(BOUND_S) == 0
    error = run.ended()
    assert error is not None
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "done" not in {event.WhichOneof("body") for event in run.events}
    until(lambda: not any(map(alive, family)), "all processes of the pod to be gone")


def test_health_is_served_for_the_pod_and_its_service(pod):
    with grpc.insecure_channel(pod.listening["address"]) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", "assay.pod.v1.PodService"):
            assert stub.Check(health_pb2.HealthCheckRequest(service=name)).status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as caught:
            stub.Check(health_pb2.HealthCheckRequest(service="grpc.reflection.v1.ServerReflection"))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_message_above_the_limit_is_refused(pod):
    run = Run(pod, "echo", value="x" * (4 * 1024 * 1024))
    with pytest.raises(grpc.RpcError) as caught:
        run.start()
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in caught.value.details()


def command(*flags: str) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-m", "assay_pods.server", "--artifacts", "/nonexistent/a", "--cache", "/nonexistent/c", *flags]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=BOUND_S, cwd=TESTS.parent, check=False)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--listen", "127.0.0.1:0", "--slots", "0", "--capability", "probe=json:loads"), "wanted --slots above 0, but got 0"),
        (("--listen", "0.0.0.0:0", "--slots", "1", "--capability", "probe=json:loads"), "wanted a loopback address"),
        (("--listen", "127.0.0.1:0", "--slots", "1", "--capability", "probe"), "wanted a capability as name=module:function"),
        (("--listen", "127.0.0.1:0", "--slots", "1", "--capability", "probe=no_such.module:run"), "but there is none"),
        (("--listen", "127.0.0.1:0", "--slots", "1", "--capability", "probe=json:loads", "--tls-key", "k"), "together or none"),
        (
            ("--listen", "127.0.0.1:0", "--slots", "1", "--capability", "probe=json:loads", "--tls-client-name", "n"),
            "the --tls files beside",
        ),
    ],
)
def test_a_command_line_that_makes_no_sense_is_refused(flags, words):
    ended = command(*flags)
    assert ended.returncode == 2
    assert words in ended.stderr


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """An authority, a server and a client certificate from it, and a client certificate from a stranger."""
    folder = tmp_path / "certificates"
    folder.mkdir()

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for name in ("ca", "stranger"):
        openssl("req", "-x509", *key, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}", "-days", "2")
    for name, signer in (("server", "ca"), ("client", "ca"), ("other", "ca"), ("nameless", "ca"), ("foreign", "stranger")):
        names = {"server": "DNS:localhost,IP:127.0.0.1", "other": "DNS:other.test"}.get(name, "DNS:one.test,DNS:dispatcher.test")
        (folder / f"{name}.ext").write_text("" if name == "nameless" else f"subjectAltName={names}\n")
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        sign = ("-CA", f"{signer}.pem", "-CAkey", f"{signer}.key", "-CAcreateserial", "-extfile", f"{name}.ext", "-days", "2")
        openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *sign)
    return folder


@contextlib.contextmanager
def tls_pod(tmp_path: Path, certificates: Path, *more: str) -> Iterator[tuple[PodProcess, Callable[..., service.DescribePodResponse]]]:
    """A pod that wants certificates, and how to ask it with the certificate of somebody."""
    flags = ("--tls-cert", "server.pem", "--tls-key", "server.key", "--tls-client-ca", "ca.pem")
    pod = PodProcess(tmp_path, *(word if word.startswith("--") else str(certificates / word) for word in flags), *more)

    def read(name: str) -> bytes:
        return (certificates / name).read_bytes()

    def describe(name: str | None, *, encrypted: bool = True) -> service.DescribePodResponse:
        pair = () if name is None else (read(f"{name}.key"), read(f"{name}.pem"))
        address = pod.listening["address"]
        secure = grpc.ssl_channel_credentials(read("ca.pem"), *pair)
        with grpc.secure_channel(address, secure) if encrypted else grpc.insecure_channel(address) as channel:
            return pod_service_pb2_grpc.PodServiceStub(channel).DescribePod(service.DescribePodRequest(), timeout=5)

    try:
        yield pod, describe
    finally:
        pod.close()


def test_mutual_tls_lets_in_only_clients_with_a_certificate(tmp_path, certificates):
    with tls_pod(tmp_path, certificates) as (pod, describe):
        assert describe("client").pod_id == pod.listening["podId"]
        for name, encrypted in ((None, True), ("foreign", True), (None, False)):
            with pytest.raises(grpc.RpcError) as caught:
                describe(name, encrypted=encrypted)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert describe("other").slots == 4


def test_a_pod_that_is_told_a_name_listens_only_to_certificates_for_it(tmp_path, certificates):
    with tls_pod(tmp_path, certificates, "--tls-client-name", "dispatcher.test") as (pod, describe):
        assert describe("client").pod_id == pod.listening["podId"]
        for name in ("other", "nameless", "server"):
            with pytest.raises(grpc.RpcError) as caught:
                describe(name)
            assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
        credentials = [(certificates / name).read_bytes() for name in ("ca.pem", "other.key", "other.pem")]
        with grpc.secure_channel(pod.listening["address"], grpc.ssl_channel_credentials(*credentials)) as channel:
            watch = pod_service_pb2_grpc.PodServiceStub(channel).WatchRun(service.WatchRunRequest(run_id="x", epoch=1), timeout=5)
            with pytest.raises(grpc.RpcError) as caught:
                next(watch)
            assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_a_certificate_with_no_other_name_is_known_by_its_common_one(tmp_path, certificates):
    with tls_pod(tmp_path, certificates, "--tls-client-name", "nameless") as (pod, describe):
        assert describe("nameless").pod_id == pod.listening["podId"]
