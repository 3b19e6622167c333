"""Checkpoints, resume, release and partial scoring over the wire, against a real pod process."""

import hashlib
import json
import os
import signal
import tempfile
from collections.abc import Iterator

import grpc
import pytest
from server_capability import checkpoint_bytes
from server_pod import BOUND_S, PodProcess, Run, alive, until

from assay_pods.common.artifacts import Origin
from assay_pods.gen.assay.pod.v1 import run_pb2

FOREVER = 1_000_000


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodProcess]:
    pod = PodProcess(tmp_path_factory.mktemp("pod"), "--checkpoint-seconds", "0.05")
    yield pod
    pod.close()


def stored(pod: PodProcess, data: bytes, step: int) -> run_pb2.Checkpoint:
    kept = pod.store.save_bytes(data, Origin("00000000-0000-0000-0000-000000000000", 1, "checkpoint"))
    return run_pb2.Checkpoint(step=step, sha256=kept.sha256, size_bytes=kept.size_bytes)


def result(done: run_pb2.Done) -> dict:
    return json.loads(done.succeeded.metrics)


def kinds(run: Run) -> list[str | None]:
    return [event.WhichOneof("body") for event in run.events]


def test_a_training_run_announces_checkpoints_whose_files_are_whole(pod):
    run = Run(pod, "train", steps=FOREVER)
    run.start()
    checkpoint = run.follow().wait_for("checkpoint", 2).checkpoint
    assert checkpoint.step > 1
    assert pod.store.verified(checkpoint.sha256).stat().st_size == checkpoint.size_bytes
    run.cancel(run_pb2.CANCEL_MODE_GRACEFUL)
    assert run.done().cancelled.last_step >= checkpoint.step


def test_another_attempt_goes_on_from_a_checkpoint(pod):
    first = Run(pod, "train", steps=60)
    first.start()
    checkpoint = first.follow().wait_for("checkpoint").checkpoint
    first.cancel(run_pb2.CANCEL_MODE_IMMEDIATE)
    first.done()
    again = Run(pod, "train", run_id=first.run_id, epoch=2, steps=60)
    again.start(resume_from=checkpoint, micro_batch_divisor=2)
    assert result(again.follow().done()) == {"first": checkpoint.step, "steps": 60, "divisor": 2, "partial": False}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda digest: checkpoint_bytes("0" * 64, 3), "wanted a checkpoint of the spec"),
        (lambda digest: checkpoint_bytes(digest, 4), "wanted a checkpoint of step 3"),
        (lambda digest: b"\x80\x04K\x03.", "wanted a checkpoint in safetensors"),
    ],
)
def test_a_checkpoint_of_other_work_is_refused_as_data_loss(pod, make, said):
    run = Run(pod, "train", steps=5)
    checkpoint = stored(pod, make(hashlib.sha256(run.spec).hexdigest()), 3)
    with pytest.raises(grpc.RpcError) as refused:
        run.start(resume_from=checkpoint)
    assert refused.value.code() is grpc.StatusCode.DATA_LOSS
    assert said in refused.value.details()
    assert run.start().free_slots < 4


@pytest.mark.parametrize("damage", [lambda data: data[:-1] + bytes([data[-1] ^ 1]), lambda data: data[:-1], None])
def test_a_damaged_or_missing_checkpoint_is_refused_as_data_loss(pod, damage):
    run = Run(pod, "train", steps=5, nonce=str(damage))
    data = checkpoint_bytes(hashlib.sha256(run.spec).hexdigest(), 3)
    checkpoint = stored(pod, data, 3)
    path = pod.store.path_of(checkpoint.sha256)
    path.chmod(0o644)
    path.unlink() if damage is None else path.write_bytes(damage(data))
    with pytest.raises(grpc.RpcError) as refused:
        run.start(resume_from=checkpoint)
    assert refused.value.code() is grpc.StatusCode.DATA_LOSS


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"resume_from": run_pb2.Checkpoint(step=-1, sha256="0" * 64, size_bytes=1)}, "a checkpoint's step from 0"),
        ({"resume_from": run_pb2.Checkpoint(step=1, sha256="../../etc/passwd", size_bytes=1)}, "a SHA-256 for the checkpoint"),
        ({"resume_from": run_pb2.Checkpoint(step=1, sha256="0" * 64)}, "a checkpoint of more than 0 bytes"),
        ({"micro_batch_divisor": -2}, "a micro-batch divisor from 1 to 64"),
        ({"micro_batch_divisor": 65}, "a micro-batch divisor from 1 to 64"),
    ],
)
def test_fields_that_make_no_sense_are_refused(pod, changes, said):
    with pytest.raises(grpc.RpcError) as refused:
        Run(pod, "train", steps=5).start(**changes)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert said in refused.value.details()


def test_a_released_run_stops_at_a_checkpoint_that_it_writes_first(pod):
    run = Run(pod, "train", steps=FOREVER)
    run.start()
    run.follow().wait_for("progress", 3)
    run.cancel(run_pb2.CANCEL_MODE_RELEASE)
    done = run.done()
    last = [event for event in run.events if event.WhichOneof("body") == "checkpoint"][-1].checkpoint
    assert done.released.last_step == last.step > 0
    assert done.usage.wall_seconds > 0
    pod.store.verified(last.sha256)


def test_a_release_may_come_with_a_renewal(pod):
    run = Run(pod, "train", steps=FOREVER)
    run.start()
    run.follow().wait_for("progress")
    run.renew(1, run_pb2.CANCEL_MODE_RELEASE)
    assert run.done().HasField("released")


def test_a_run_released_before_its_first_renewal_or_where_it_keeps_no_checkpoint_says_so_too(pod):
    waiting = Run(pod, "train", steps=FOREVER)
    waiting.start()
    waiting.follow(renew=False)
    waiting.cancel(run_pb2.CANCEL_MODE_RELEASE)
    assert waiting.done().released.last_step == 0
    preparing = Run(pod, "prepare")
    preparing.start()
    preparing.follow().wait_for("progress")
    preparing.cancel(run_pb2.CANCEL_MODE_RELEASE)
    assert preparing.done().HasField("released")
    assert "checkpoint" not in kinds(preparing)


def test_a_user_who_cancels_a_run_that_is_being_released_is_heard(pod):
    run = Run(pod, "work")  # it never looks for a release
    run.start()
    run.follow().wait_for("progress")
    run.cancel(run_pb2.CANCEL_MODE_RELEASE)
    run.cancel(run_pb2.CANCEL_MODE_GRACEFUL)
    assert run.done().HasField("cancelled")


def test_score_partial_ends_training_and_gives_a_partial_result(pod):
    run = Run(pod, "train", steps=FOREVER)
    run.start()
    run.follow().wait_for("progress", 3)
    run.cancel(run_pb2.CANCEL_MODE_SCORE_PARTIAL)
    done = run.done()
    assert done.succeeded.partial
    assert 0 < result(done)["steps"] < FOREVER
    assert run.events[-2].WhichOneof("body") == "artifact"


def test_score_partial_stops_work_that_trains_nothing(pod):
    run = Run(pod, "prepare")
    run.start()
    run.follow().wait_for("progress")
    run.cancel(run_pb2.CANCEL_MODE_SCORE_PARTIAL)
    assert run.done().HasField("cancelled")


def test_sigterm_releases_every_run_before_the_pod_ends(tmp_path):
    pod = PodProcess(tmp_path, "--grace-seconds", "60")
    try:
        runs = [Run(pod, "train", steps=FOREVER), Run(pod, "prepare")]
        for run in runs:
            run.start()
            run.follow().wait_for("progress")
        pod.process.send_signal(signal.SIGTERM)
        for run in runs:
            assert run.done().HasField("released")
            assert run.ended() is None
        assert "checkpoint" in kinds(runs[0])
        assert pod.process.wait(BOUND_S) == 0
    finally:
        pod.close()


def test_a_second_sigterm_ends_the_grace(tmp_path):
    pod = PodProcess(tmp_path, "--grace-seconds", "600")
    try:
        run = Run(pod, "work")
        run.start()
        pid = run.follow().pid()
        pod.process.send_signal(signal.SIGTERM)
        until(lambda: any(line["event"] == "ending" for line in pod.log_lines()), "the pod to be ending")
        with pytest.raises(grpc.RpcError) as refused:
            Run(pod, "echo", value=1).start()
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert alive(pid)
        pod.process.send_signal(signal.SIGTERM)
        assert pod.process.wait(BOUND_S) == 0
        error = run.ended()
        assert error is not None
        # Between the end of the run and that of the pod there is a moment in which the pod answers that it holds no such run.
        assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND)
        until(lambda: not alive(pid), "the run's process to be gone")
    finally:
        pod.close()


LARGE = 300 * 1024 * 1024
"""More than is hashed before a run is taken; of these files only the header is on the disk."""


def put_large(pod: PodProcess, sha256: str, beginning: bytes = b"") -> None:
    path = pod.store.path_of(sha256)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(beginning)
    os.truncate(path, LARGE)


def test_a_large_file_is_hashed_while_the_lease_is_renewed_and_no_work_starts_on_a_damaged_one(pod):
    run = Run(pod, "echo", value=1)
    put_large(pod, "a" * 64)
    run.start(inputs=[{"name": "records", "sha256": "a" * 64}])
    failed = run.follow().done().failed
    assert (failed.code, failed.error_class) == ("INPUT_CORRUPT", run_pb2.ERROR_CLASS_BAD_INPUT)
    assert "log" not in kinds(run)
    pod.store.path_of("a" * 64).unlink()
    with pytest.raises(grpc.RpcError) as refused:
        Run(pod, "echo", value=1).start(inputs=[{"name": "records", "sha256": "a" * 64}])
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION


def test_a_large_checkpoint_is_held_to_its_header_at_once_and_to_its_digest_before_work_starts(pod):
    run = Run(pod, "train", steps=5)
    put_large(pod, "b" * 64, checkpoint_bytes(hashlib.sha256(run.spec).hexdigest(), 3))
    with pytest.raises(grpc.RpcError) as refused:
        run.start(resume_from=run_pb2.Checkpoint(step=4, sha256="b" * 64, size_bytes=LARGE))
    assert refused.value.code() is grpc.StatusCode.DATA_LOSS
    run.start(resume_from=run_pb2.Checkpoint(step=3, sha256="b" * 64, size_bytes=LARGE))
    failed = run.follow().done().failed
    assert (failed.code, failed.error_class) == ("CHECKPOINT_BROKEN", run_pb2.ERROR_CLASS_TRANSIENT)
    assert "log" not in kinds(run)
    pod.store.path_of("b" * 64).unlink()


def test_a_large_file_that_is_whole_is_worked_on(pod):
    with tempfile.TemporaryFile(dir=pod.artifacts) as zeros:
        zeros.truncate(LARGE)
        digest = hashlib.file_digest(zeros, "sha256").hexdigest()
    put_large(pod, digest)
    run = Run(pod, "facts")
    run.start(inputs=[{"name": "records", "sha256": digest}])
    assert run.follow().done().HasField("succeeded")
    pod.store.path_of(digest).unlink()


def test_a_checkpoint_that_does_not_fit_the_training_is_broken_for_whoever_is_sent_there(pod):
    run = Run(pod, "misfit")
    run.start()
    failed = run.follow().done().failed
    assert (failed.code, failed.error_class) == ("CHECKPOINT_BROKEN", run_pb2.ERROR_CLASS_TRANSIENT)
    assert "wanted a checkpoint of 3 weights" in failed.message
