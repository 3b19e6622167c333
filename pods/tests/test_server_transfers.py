"""A pod that shares no folder with the service: it fetches by address, uploads by grant, and tells no address to anybody."""

import base64
import hashlib
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from file_server import FileServer
from server_pod import BOUND_S, PodProcess, Run, alive, until

from assay_pods.gen.assay.pod.v1 import pod_service_pb2 as service
from assay_pods.gen.assay.pod.v1 import run_pb2


@pytest.fixture
def server() -> Iterator[FileServer]:
    server = FileServer()
    yield server
    server.close()


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[PodProcess]:
    pod = PodProcess(tmp_path)
    yield pod
    pod.close()
    said = pod.log_file.read_text()
    assert "X-Amz" not in said
    assert "canary" not in said


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def source_of(server: FileServer, name: str, data: bytes, **changes: object) -> service.Input:
    server.files[name] = data
    fields = {"name": name, "sha256": digest_of(data), "url": server.url(name), "size_bytes": len(data), **changes}
    return service.Input(**fields)


def grant(run: Run, request: run_pb2.GrantRequest, url: str = "", refusal: str = "") -> None:
    checksum = base64.b64encode(bytes.fromhex(request.sha256)).decode()
    headers = {"content-length": str(request.size_bytes), "x-amz-checksum-sha256": checksum}
    run.pod.stub.GrantUpload(
        service.GrantUploadRequest(
            run_id=run.run_id, epoch=run.epoch, sha256=request.sha256, url=url, headers=headers if url else {}, refusal=refusal
        )
    )


def place_of(run: Run, request: run_pb2.GrantRequest) -> str:
    return f"tmp/{run.run_id}/{run.epoch}/{request.sha256}"


def grant_all(run: Run, server: FileServer, count: int) -> list[run_pb2.GrantRequest]:
    """Answer the first so many requests."""
    requests = [run.wait_for("grant_request", nth).grant_request for nth in range(1, count + 1)]
    for request in requests:
        grant(run, request, server.url(place_of(run, request)))
    return requests


def kinds(run: Run) -> list[str | None]:
    return [event.WhichOneof("body") for event in run.events if event.WhichOneof("body") in ("grant_request", "artifact", "done")]


def names(run: Run) -> list[str]:
    return [event.artifact.name for event in run.events if event.WhichOneof("body") == "artifact"]


def test_a_run_reads_by_address_and_its_files_are_announced_once_they_are_uploaded(pod: PodProcess, server: FileServer) -> None:
    run = Run(pod, "echo", value=1)
    run.start(inputs=[source_of(server, "records", b"first\n")], uploads_need_grants=True)
    run.follow()
    first = run.wait_for("grant_request").grant_request
    assert (first.name, first.size_bytes) == ("items.jsonl", 6)
    assert names(run) == []
    grant(run, first, server.url(place_of(run, first)))
    second = run.wait_for("grant_request", 2).grant_request
    grant(run, second, server.url(place_of(run, second)))
    done = run.done()
    assert {artifact.name for artifact in done.succeeded.artifacts} == {"items.jsonl", "result.json"}
    assert set(names(run)) == {"items.jsonl", "result.json"}
    assert server.files[place_of(run, first)] == b"first\n"
    assert digest_of(server.files[place_of(run, second)]) == done.succeeded.content_sha256


def test_a_file_that_is_here_is_not_fetched_again_and_a_damaged_one_is(pod: PodProcess, server: FileServer) -> None:
    source = source_of(server, "records", b"kept\n")

    def run_once() -> None:
        run = Run(pod, "echo", value=1)
        run.start(inputs=[source])
        assert run.follow().done().HasField("succeeded")

    run_once()
    run_once()
    assert len(server.seen) == 1
    path = pod.store.path_of(source.sha256)
    path.chmod(0o644)
    path.write_bytes(b"KEPT\n")
    run_once()
    assert len(server.seen) == 2
    assert pod.store.verified(source.sha256).read_bytes() == b"kept\n"


def test_a_broken_download_goes_on_where_it_stopped(pod: PodProcess, server: FileServer) -> None:
    data = bytes(range(256)) * 40_000
    server.trouble = lambda seen: -3_000_000 if len(server.seen) < 3 else None
    run = Run(pod, "echo", value=1)
    run.start(inputs=[source_of(server, "records", data)])
    # The probe reads text, and fails on these bytes only after they have come.
    assert run.follow().done().failed.code == "RUN_FAILED"
    assert [seen.range for seen in server.seen] == [None, "bytes=3000000-", "bytes=6000000-"]
    assert pod.store.verified(digest_of(data)).stat().st_size == len(data)


@pytest.mark.parametrize(
    ("changes", "code", "error_class"),
    [
        ({"sha256": digest_of(b"other")}, "INPUT_CORRUPT", run_pb2.ERROR_CLASS_BAD_INPUT),
        ({"size_bytes": 3}, "INPUT_CORRUPT", run_pb2.ERROR_CLASS_BAD_INPUT),
        ({"size_bytes": 50}, "STORE_UNREACHABLE", run_pb2.ERROR_CLASS_TRANSIENT),
    ],
)
def test_other_bytes_than_were_promised_never_come_into_the_store(
    pod: PodProcess, server: FileServer, changes: dict, code: str, error_class: run_pb2.ErrorClass
) -> None:
    run = Run(pod, "echo", value=1)
    source = source_of(server, "records", b"first\n", **changes)
    run.start(inputs=[source])
    failed = run.follow().done().failed
    assert (failed.code, failed.error_class) == (code, error_class)
    assert "input records" in failed.message
    assert not pod.store.path_of(source.sha256).exists()
    assert not any(event.WhichOneof("body") == "log" for event in run.events), "no work may start"


@pytest.mark.parametrize(
    ("status", "code"), [(404, "INPUT_MISSING"), (302, "STORE_UNREACHABLE"), (403, "STORE_UNREACHABLE"), (503, "STORE_UNREACHABLE")]
)
def test_a_store_that_gives_no_file_fails_the_run_and_no_redirect_is_followed(
    pod: PodProcess, server: FileServer, status: int, code: str
) -> None:
    server.trouble = lambda seen: status
    run = Run(pod, "echo", value=1)
    run.start(inputs=[source_of(server, "records", b"first\n")])
    failed = run.follow().done().failed
    assert failed.code == code
    assert str(status) in failed.message
    assert {seen.path for seen in server.seen} == {"records"}


@pytest.mark.parametrize(
    "url",
    [
        "http://files.example/canary?X-Amz-Signature=canary",
        "http://169.254.169.254/canary",
        "http://127.0.0.1.example/canary",
        "https://me:canary@files.example/",
        "file:///etc/canary",
        "ftp://127.0.0.1/canary",
        "https:///canary",
        "canary",
    ],
)
def test_an_address_without_encryption_that_leads_off_the_machine_is_refused_and_not_told_back(pod: PodProcess, url: str) -> None:
    run = Run(pod, "echo", value=1)
    with pytest.raises(grpc.RpcError) as refused:
        run.start(inputs=[service.Input(name="records", sha256=digest_of(b""), url=url)])
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT  # pyright: ignore[reportAttributeAccessIssue] - of every call
    assert "canary" not in str(refused.value)
    run.start(uploads_need_grants=True)
    request = run.follow().wait_for("grant_request").grant_request
    with pytest.raises(grpc.RpcError) as refused:
        grant(run, request, url)
    assert "canary" not in str(refused.value)


def test_work_waits_for_its_files_while_beats_go_on_and_a_cancel_ends_it(pod: PodProcess, server: FileServer) -> None:
    held = server.hold()
    run = Run(pod, "echo", value=1)
    run.start(inputs=[source_of(server, "records", b"first\n")])
    run.follow()
    until(lambda: len(server.seen) == 1, "the download to begin")
    run.wait_for("beat", 4 + sum(event.WhichOneof("body") == "beat" for event in list(run.events)))
    run.cancel(run_pb2.CANCEL_MODE_GRACEFUL)
    assert run.done().HasField("cancelled")
    assert not any(event.WhichOneof("body") == "log" for event in run.events)
    held.set()


def requests_for(run: Run, name: str) -> list[run_pb2.GrantRequest]:
    asked = [event.grant_request for event in list(run.events) if event.WhichOneof("body") == "grant_request"]
    return [request for request in asked if request.name == name]


def test_an_unanswered_request_is_repeated(pod: PodProcess, server: FileServer) -> None:
    run = Run(pod, "echo", value=1)
    run.start(uploads_need_grants=True)
    run.follow()
    until(lambda: len(requests_for(run, "items.jsonl")) == 2, "the request again")
    first, again = requests_for(run, "items.jsonl")
    assert first == again
    grant(run, again, server.url(place_of(run, again)))
    assert run.wait_for("artifact").artifact.name == "items.jsonl"


@pytest.mark.parametrize("trouble", [403, 503, -2])
def test_an_upload_that_expired_or_broke_is_granted_again_and_done_whole(pod: PodProcess, server: FileServer, trouble: int) -> None:
    server.trouble = lambda seen: trouble if len(server.seen) == 1 else None
    run = Run(pod, "echo", value=1)
    run.start(uploads_need_grants=True)
    run.follow()
    until(lambda: len(requests_for(run, "items.jsonl")) == 1, "a request")
    (first,) = requests_for(run, "items.jsonl")
    grant(run, first, server.url(place_of(run, first)))
    until(lambda: len(server.seen) == 1, "a first upload")
    assert names(run) == []
    until(lambda: len(requests_for(run, "items.jsonl")) == 2, "another request")
    grant(run, first, server.url(place_of(run, first)))
    assert run.wait_for("artifact").artifact.name == "items.jsonl"
    assert server.files[place_of(run, first)] == b"nothing\n"


def test_what_the_store_refuses_is_never_announced(pod: PodProcess, server: FileServer) -> None:
    run = Run(pod, "echo", value=1)
    run.start(uploads_need_grants=True)
    request = run.follow().wait_for("grant_request").grant_request
    path = pod.store.path_of(request.sha256)
    path.chmod(0o644)
    path.write_bytes(b"NOTHING\n")
    grant_all(run, server, 2)
    failed = run.done().failed
    assert (failed.code, failed.error_class) == ("UPLOAD_FAILED", run_pb2.ERROR_CLASS_TRANSIENT)
    assert "items.jsonl" in failed.message
    assert "items.jsonl" not in names(run)
    assert place_of(run, request) not in server.files


def test_what_the_service_does_not_take_fails_the_run_with_its_reason(pod: PodProcess) -> None:
    run = Run(pod, "echo", value=1)
    run.start(uploads_need_grants=True)
    run.follow()
    for nth in (1, 2):
        grant(run, run.wait_for("grant_request", nth).grant_request, refusal="wanted at most 5 bytes, but got 8")
    failed = run.done().failed
    assert (failed.code, failed.error_class) == ("UPLOAD_REFUSED", run_pb2.ERROR_CLASS_BAD_INPUT)
    assert "wanted at most 5 bytes" in failed.message


def test_the_lease_is_kept_up_until_the_last_file_is_uploaded_and_a_fenced_attempt_announces_nothing(
    pod: PodProcess, server: FileServer
) -> None:
    held = server.hold()
    run = Run(pod, "echo", value=1)
    run.start(uploads_need_grants=True)
    run.follow()
    grant_all(run, server, 2)
    beats = sum(event.WhichOneof("body") == "beat" for event in run.events)
    run.wait_for("beat", beats + 3)
    assert "done" not in kinds(run)
    assert pod.stub.DescribePod(service.DescribePodRequest()).free_slots == 3
    run.cancel(run_pb2.CANCEL_MODE_FENCED)
    error = run.ended()
    assert error is not None
    assert error.code() == grpc.StatusCode.NOT_FOUND
    held.set()
    until(lambda: pod.stub.DescribePod(service.DescribePodRequest()).free_slots == 4, "the slot to be free")
    assert names(run) == []


def test_a_grant_for_an_attempt_that_is_not_here_is_refused(pod: PodProcess) -> None:
    run = Run(pod, "echo", value=1, run_id=str(uuid.uuid4()))
    with pytest.raises(grpc.RpcError) as refused:
        grant(run, run_pb2.GrantRequest(name="x", sha256=digest_of(b"x")), refusal="no")
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND  # pyright: ignore[reportAttributeAccessIssue] - of every call


def test_old_files_make_room_for_new_ones_but_not_those_in_use(tmp_path: Path, server: FileServer) -> None:
    pod = PodProcess(tmp_path, "--keep-gib", "0.0000001")
    try:
        used = source_of(server, "used", b"used " * 100)
        live = Run(pod, "work")
        live.start(inputs=[used], uploads_need_grants=True)
        live.follow().wait_for("log")
        run = Run(pod, "echo", value=1)
        run.start(inputs=[source_of(server, "other", b"other " * 100)], uploads_need_grants=True)
        grant_all(run.follow(), server, 2)
        assert run.done().HasField("succeeded")
        until(lambda: not pod.store.path_of(digest_of(b"other " * 100)).exists(), "the old file to go")
        assert pod.store.path_of(used.sha256).exists()
    finally:
        pod.close()


@pytest.mark.parametrize(
    ("changes", "mode", "outcome"),
    [({}, run_pb2.CANCEL_MODE_IMMEDIATE, "cancelled"), ({"hard_deadline_ms": 3_000}, run_pb2.CANCEL_MODE_UNSPECIFIED, "failed")],
)
def test_a_run_ended_before_its_files_are_uploaded_gives_no_result(
    pod: PodProcess, changes: dict, mode: run_pb2.CancelMode, outcome: str
) -> None:
    run = Run(pod, "echo", value=1)
    run.start(uploads_need_grants=True, **changes)
    pid = run.follow().pid()
    run.wait_for("grant_request", 2)
    until(lambda: not alive(pid), "the process to have said all")
    run.cancel(mode)
    done = run.done()
    assert done.WhichOneof("outcome") == outcome
    assert done.usage.peak_memory_bytes > 0
    assert names(run) == []


def test_a_run_that_is_ended_does_not_wait_for_a_store_that_does_not_answer(tmp_path: Path, server: FileServer) -> None:
    pod = PodProcess(tmp_path)
    try:
        server.hold()
        fetching, sending = Run(pod, "echo", value=1), Run(pod, "echo", value=2)
        fetching.start(inputs=[source_of(server, "records", b"first\n")])
        fetching.follow()
        sending.start(uploads_need_grants=True)
        grant_all(sending.follow(), server, 2)
        until(lambda: len(server.seen) == 3, "all to wait for the store")
        ended_at = time.monotonic()
        pod.process.send_signal(signal.SIGTERM)
        pod.process.send_signal(signal.SIGTERM)
        assert pod.process.wait(BOUND_S) == 0
        assert time.monotonic() - ended_at < server.HELD_S / 2
    finally:
        pod.close()


def test_checkpoints_that_are_made_faster_than_they_are_uploaded_give_way_to_newer_ones(tmp_path: Path, server: FileServer) -> None:
    pod = PodProcess(tmp_path, "--checkpoint-seconds", "0")
    try:
        run = Run(pod, "train", steps=1_000_000)
        run.start(uploads_need_grants=True)
        run.follow()
        until(lambda: len(asked_for(run)) == 2, "two requests")
        asked = [requests_for(run, name)[0] for name in asked_for(run)]
        until(lambda: run.steps() > 100, "many steps")
        # Two on their way, one that waits, one that was just replaced and one that is being made.
        until(lambda: len(list(pod.artifacts.glob("cas/??/*"))) <= 5, "the others to be removed")
        for request in asked:
            grant(run, request, server.url(place_of(run, request)))
        until(lambda: len(checkpoints(run)) == 2, "the checkpoints to be announced")
        until(lambda: any(int(name.removeprefix("checkpoint-")) > 50 for name in asked_for(run)), "the newest to have its turn")
        assert len(asked_for(run)) < 10
        run.cancel(run_pb2.CANCEL_MODE_IMMEDIATE)
        run.done()
        until(lambda: len(list(pod.artifacts.glob("cas/??/*"))) <= 2, "all but the last to be removed")
    finally:
        pod.close()


def checkpoints(run: Run) -> list[int]:
    return [event.checkpoint.step for event in list(run.events) if event.WhichOneof("body") == "checkpoint"]


def asked_for(run: Run) -> set[str]:
    return {event.grant_request.name for event in list(run.events) if event.WhichOneof("body") == "grant_request"}


def test_an_address_with_letters_that_no_address_has_is_refused(pod: PodProcess) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        Run(pod, "echo", value=1).start(
            inputs=[service.Input(name="records", sha256=digest_of(b""), url="https://files.example/caf\u00e9")]
        )
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT  # pyright: ignore[reportAttributeAccessIssue] - of every call


def test_a_file_that_waits_for_another_runs_download_of_it_is_fetched_once(pod: PodProcess, server: FileServer) -> None:
    held = server.hold()
    source = source_of(server, "records", b"first\n")
    runs = [Run(pod, "echo", value=nth) for nth in (1, 2)]
    for run in runs:
        run.start(inputs=[source])
        run.follow()
    until(lambda: len(server.seen) == 1, "the download to begin")
    held.set()
    assert all(run.done().HasField("succeeded") for run in runs)
    assert len(server.seen) == 1
