"""How runs end: cancelled, failed, killed, hung, or with a lost lease."""

import os
import signal
from collections.abc import Iterator

import grpc
import pytest
from server_pod import PodProcess, Run, alive, until

from assay_pods.gen.assay.pod.v1 import run_pb2
from assay_pods.server import clock
from assay_pods.server.lease import Lease
from assay_pods.server.run_main import _show_one_gpu


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodProcess]:
    pod = PodProcess(tmp_path_factory.mktemp("pod"), "--stall-seconds", "0.5")
    yield pod
    pod.close()


def test_a_graceful_cancel_stops_at_the_next_step(pod):
    run = Run(pod, "work")
    run.start()
    run.follow().wait_for("progress")
    run.cancel(run_pb2.CANCEL_MODE_GRACEFUL)
    done = run.done()
    assert done.cancelled.last_step >= 1
    assert done.usage.cpu_seconds > 0


def test_a_cancel_may_come_with_a_renewal(pod):
    run = Run(pod, "work")
    run.start()
    run.follow().wait_for("progress")
    for _ in range(50):
        run.renew(1, run_pb2.CANCEL_MODE_GRACEFUL)
        if any(event.WhichOneof("body") == "done" for event in run.events):
            break
    assert run.done().HasField("cancelled")


def test_an_immediate_cancel_kills_the_process_and_what_it_started(pod):
    run = Run(pod, "child")
    run.start()
    pid = run.follow().pid()
    child = int(run.wait_for("log", 2).log.message.removeprefix("child "))
    run.wait_for("progress")
    run.cancel(run_pb2.CANCEL_MODE_IMMEDIATE)
    done = run.done()
    assert done.cancelled.last_step >= 1
    assert done.usage.peak_memory_bytes > 1_000_000
    assert not alive(pid)
    until(lambda: not alive(child), "the run's own child to be gone")


def test_a_run_cancelled_before_its_first_renewal_never_works(pod):
    run = Run(pod, "work")
    run.start()
    run.follow(renew=False)
    run.cancel(run_pb2.CANCEL_MODE_GRACEFUL)
    assert run.done().cancelled.last_step == 0
    assert "log" not in {event.WhichOneof("body") for event in run.events}


def test_a_fenced_run_says_nothing_more(pod):
    run = Run(pod, "work")
    run.start()
    pid = run.follow().pid()
    run.cancel(run_pb2.CANCEL_MODE_FENCED)
    error = run.ended()
    assert error is not None
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert "done" not in {event.WhichOneof("body") for event in run.events}
    until(lambda: not alive(pid), "the process to be gone")


def test_a_segfault_ends_one_run_and_not_the_pod(pod):
    other = Run(pod, "work")
    other.start()
    other.follow().wait_for("progress")
    run = Run(pod, "segfault")
    run.start()
    failed = run.follow().done().failed
    assert failed.error_class == run_pb2.ERROR_CLASS_POISON
    assert failed.code == "PROCESS_KILLED"
    assert "signal 11 (SIGSEGV), exit status 139" in failed.message
    assert failed.stage == "scoring"
    seen = len(other.events)
    until(lambda: len(other.events) > seen + 2, "the other run to go on")
    other.cancel(run_pb2.CANCEL_MODE_GRACEFUL)
    assert other.done().HasField("cancelled")


def test_a_kill_from_outside_names_the_exit_status(pod):
    run = Run(pod, "work")
    run.start()
    os.kill(run.follow().pid(), signal.SIGKILL)
    failed = run.done().failed
    assert failed.error_class == run_pb2.ERROR_CLASS_POISON
    assert "signal 9 (SIGKILL), exit status 137" in failed.message


@pytest.mark.parametrize(
    ("step", "error_class", "code", "words"),
    [
        ("bad_input", run_pb2.ERROR_CLASS_BAD_INPUT, "MODEL_UNSAFE", "wanted safetensors, but got a pickle"),
        ("run_error", run_pb2.ERROR_CLASS_UNKNOWN, "CONTROL_FAILED", "wanted a control that holds, but it failed"),
        ("unreachable", run_pb2.ERROR_CLASS_TRANSIENT, "MODEL_UNREACHABLE", "wanted the hub, which did not answer"),
        ("hostile", run_pb2.ERROR_CLASS_BAD_INPUT, "DATASET_INVALID", "row a b [31m : wanted a text"),
        ("tensor_disk", run_pb2.ERROR_CLASS_TRANSIENT, "DISK_FULL", "No space left on device"),
        ("memory", run_pb2.ERROR_CLASS_OOM, "OUT_OF_MEMORY", "MemoryError: wanted 1 TiB"),
        ("disk", run_pb2.ERROR_CLASS_TRANSIENT, "DISK_FULL", "No space left on device"),
        ("error", run_pb2.ERROR_CLASS_UNKNOWN, "RUN_FAILED", "RuntimeError: the secret"),
        ("nan", run_pb2.ERROR_CLASS_UNKNOWN, "RUN_FAILED", "wanted a finite number at $.deep[0].loss, but got nan"),
        ("exit", run_pb2.ERROR_CLASS_UNKNOWN, "PROCESS_EXITED", "exited with status 7"),
    ],
)
def test_an_error_gets_its_class(pod, step, error_class, code, words):
    run = Run(pod, step)
    run.start()
    failed = run.follow().done().failed
    assert (failed.error_class, failed.code) == (error_class, code)
    assert words in failed.message
    assert "Traceback" not in failed.message
    assert "\n" not in failed.message


@pytest.mark.parametrize(
    ("device", "given", "seen"), [("cuda:X", None, "0"), ("cuda:X", "3,1", "3"), ("cpu", "3,1", "3,1"), ("cpu", None, None)]
)
def test_a_run_on_a_gpu_sees_one_gpu(monkeypatch, device, given, seen):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if given is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    _show_one_gpu(device)
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == seen


def test_the_trace_of_an_error_is_in_the_log(pod):
    run = Run(pod, "error")
    run.start()
    run.follow().done()
    traces = [line["trace"] for line in pod.log_lines() if line["event"] == "run failed" and line["run"] == run.run_id]
    assert len(traces) == 1
    assert "server_capability.py" in traces[0]


def test_a_metric_that_is_no_number_becomes_a_warning(pod):
    run = Run(pod, "nan")
    run.start()
    run.follow().done()
    warning = run.wait_for("log", 2).log
    assert (warning.level, warning.message) == ("warning", "loss at step 3 is nan")


def test_a_run_without_renewals_is_killed(pod):
    run = Run(pod, "work")
    run.start(lease_ttl_ms=1_000)
    run.follow(renew=False)
    run.renew(1)
    pid = run.pid()
    error = run.ended()
    assert error is not None
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert "no beat was acknowledged within 0.7 of its lease of 1.0 s" in error.details()
    assert run.wait_for("beat", 3).beat.beat == 3, "it kept beating until then"
    assert "done" not in {event.WhichOneof("body") for event in run.events}
    until(lambda: not alive(pid), "the process to be gone")
    with pytest.raises(grpc.RpcError) as caught:
        run.start(lease_ttl_ms=1_000)
    assert caught.value.code() is grpc.StatusCode.ABORTED


def test_a_run_that_is_never_renewed_is_given_up(pod):
    run = Run(pod, "work")
    run.start(lease_ttl_ms=300)
    error = run.follow(renew=False).ended()
    assert error is not None
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert "log" not in {event.WhichOneof("body") for event in run.events}


def test_renewals_carry_a_run_past_its_first_lease(pod):
    run = Run(pod, "work")
    run.start(lease_ttl_ms=600)
    run.follow()
    # Ten beats of 0.1 s are more than the whole lease.
    run.wait_for("beat", 10)
    assert run.error is None
    run.cancel(run_pb2.CANCEL_MODE_GRACEFUL)
    assert run.done().HasField("cancelled")


def test_a_hung_run_stops_beating_and_loses_its_lease(pod):
    run = Run(pod, "hang")
    run.start(lease_ttl_ms=2_000)
    run.follow()
    pid = run.pid()
    error = run.ended()
    assert error is not None
    assert error.code() is grpc.StatusCode.NOT_FOUND
    beats = [event for event in run.events if event.WhichOneof("body") == "beat"]
    assert len(beats) <= 7, "half a second without a move allows five beats of a tenth"
    until(lambda: not alive(pid), "the process to be gone")


def test_a_hard_deadline_ends_a_run_that_still_beats(pod):
    run = Run(pod, "work")
    run.start(hard_deadline_ms=500)
    failed = run.follow().done().failed
    assert (failed.error_class, failed.code, failed.stage) == (run_pb2.ERROR_CLASS_UNKNOWN, "HARD_DEADLINE", "training")
    assert "within 0.5 s" in failed.message


def test_a_pod_that_was_stopped_past_the_lease_counts_nothing(pod):
    run = Run(pod, "work")
    run.start(lease_ttl_ms=1_000)
    run.follow().wait_for("progress")
    pid = run.pid()
    os.kill(pod.process.pid, signal.SIGSTOP)
    try:
        # The run goes on while its pod stands still, and ends after the lease.
        lease_end = clock.now() + 0.8
        until(lambda: clock.now() > lease_end, "the lease to run out")
        os.kill(pid, signal.SIGKILL)
    finally:
        os.kill(pod.process.pid, signal.SIGCONT)
    error = run.ended()
    assert error is not None
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert "done" not in {event.WhichOneof("body") for event in run.events}


def test_the_lease_runs_from_the_sending_of_a_beat():
    lease = Lease(10.0, now=100.0)
    assert lease.until == 107.0
    assert [lease.send_beat(100.0), lease.send_beat(103.0), lease.send_beat(106.0)] == [1, 2, 3]
    lease.acknowledge(2)
    assert lease.until == 110.0, "beat 2 was sent at 103, whenever its answer came"
    lease.acknowledge(1)
    assert lease.until == 110.0, "an older answer changes nothing"
    lease.acknowledge(3)
    assert lease.until == 113.0
    with pytest.raises(ValueError, match="wanted a beat from 1 to 3, but got 4"):
        lease.acknowledge(4)
