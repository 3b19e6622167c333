"""Taking runs: what a dispatcher asks, in which order, and what it is refused."""

import hashlib
import json
from collections.abc import Iterator

import grpc
import pytest
from server_pod import PodProcess, Run, alive, until

from assay_pods.common.artifacts import Origin
from assay_pods.gen.assay.pod.v1 import pod_service_pb2 as service
from assay_pods.gen.assay.pod.v1 import run_pb2


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodProcess]:
    pod = PodProcess(tmp_path_factory.mktemp("pod"))
    yield pod
    pod.close()


def refusal(call, *arguments, **keywords) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **keywords)
    return caught.value.code(), caught.value.details()


def describe(pod: PodProcess) -> service.DescribePodResponse:
    return pod.stub.DescribePod(service.DescribePodRequest())


def test_a_run_goes_from_start_to_done(pod):
    stored = pod.store.save_bytes(b"one row\n", Origin("00000000-0000-0000-0000-000000000000", 1, "records"))
    run = Run(pod, "echo", value=1e21)
    run.start(inputs=[service.Input(name="records", sha256=stored.sha256)])
    run.follow()
    done = run.done()
    assert run.ended() is None
    assert [event.sequence for event in run.events] == list(range(1, len(run.events) + 1))
    assert {(event.run_id, event.epoch) for event in run.events} == {(run.run_id, 1)}
    assert done.succeeded.metrics == b'{"partial":false,"value":1e+21}'
    assert done.succeeded.content_sha256 == hashlib.sha256(done.succeeded.metrics).hexdigest()
    announced = [event.artifact for event in run.events if event.WhichOneof("body") == "artifact"]
    assert [(artifact.name, artifact.kind) for artifact in announced] == [("items.jsonl", "ITEMS"), ("result.json", "RESULT")]
    assert list(done.succeeded.artifacts) == announced
    assert pod.store.verified(announced[0].sha256).read_bytes() == b"one row\n"
    assert pod.store.verified(announced[1].sha256).read_bytes() == done.succeeded.metrics
    assert announced[0].size_bytes == 8
    progress = [(event.progress.stage, event.progress.completed) for event in run.events if event.WhichOneof("body") == "progress"]
    assert progress == [("training", 1), ("training", 2)]
    assert run.wait_for("metric").metric == run_pb2.Metric(name="loss", value=0.5, step=1)
    assert run.wait_for("started").started.device == "cpu"
    assert done.usage.wall_seconds > 0
    assert done.usage.cpu_seconds > 0
    assert done.usage.gpu_seconds == 0
    assert done.usage.peak_memory_bytes > 1_000_000
    until(lambda: not pod.store.attempt_folder(run.run_id, 1).exists(), "the attempt's folder to be removed")


def test_a_result_says_itself_that_it_is_partial(pod):
    run = Run(pod, "echo", value=1, partial=True)
    run.start()
    assert run.follow().done().succeeded.partial


def test_a_run_gets_its_threads_and_an_empty_folder(pod):
    run = Run(pod, "facts", threads=2)
    run.start()
    facts = json.loads(run.follow().done().succeeded.metrics)
    assert facts["threads"] == 2
    assert facts["empty"] is True
    assert facts["device"] == "cpu"
    assert facts["waiting"] == "PASSIVE"


def test_no_work_starts_before_the_first_renewal(pod):
    run = Run(pod, "echo", value=1)
    run.start()
    run.follow(renew=False)
    # The process is up and several beats went out, but the capability's first line was not run.
    run.wait_for("started")
    run.wait_for("beat", 3)
    assert {event.WhichOneof("body") for event in run.events} == {"started", "beat"}
    run.renew(2)
    assert run.done().HasField("succeeded")


def test_the_first_beat_comes_before_anything_else(pod):
    run = Run(pod, "echo", value=1)
    run.start(beat_interval_ms=20_000)
    run.follow()
    run.done()
    assert run.events[0].beat.beat == 1


def test_starting_twice_starts_one(pod):
    run = Run(pod, "work")
    free = run.start().free_slots
    assert run.start().free_slots == free
    run.follow()
    pid = run.pid()
    assert run.start().free_slots == free
    run.cancel(run_pb2.CANCEL_MODE_IMMEDIATE)
    run.done()
    assert run.start().free_slots == free + 1, "a repeated call after the end starts nothing"
    pids = [event.log.message for event in run.watch() if event.WhichOneof("body") == "log"]
    assert pids == [f"pid {pid}"]


def test_one_epoch_has_one_spec(pod):
    run = Run(pod, "echo", value=1)
    run.start()
    other = Run(pod, "echo", run_id=run.run_id, value=2)
    code, details = refusal(other.start)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert hashlib.sha256(other.spec).hexdigest() in details
    run.cancel(run_pb2.CANCEL_MODE_FENCED)


def test_a_higher_epoch_replaces_a_lower_one(pod):
    old = Run(pod, "work")
    old.start()
    pid = old.follow().pid()
    new = Run(pod, "echo", run_id=old.run_id, epoch=2, value=5)
    new.start()
    assert not alive(pid), "the older process is gone before the new attempt is accepted"
    error = old.ended()
    assert error is not None
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert "done" not in {event.WhichOneof("body") for event in old.events}
    assert refusal(old.renew)[0] is grpc.StatusCode.NOT_FOUND
    assert new.follow().done().HasField("succeeded")


def test_a_higher_epoch_takes_the_only_slot_of_a_lower_one(tmp_path):
    pod = PodProcess(tmp_path, slots=1)
    try:
        old = Run(pod, "work")
        old.start()
        for epoch in range(2, 8):
            assert Run(pod, "work", run_id=old.run_id, epoch=epoch).start().free_slots == 0
    finally:
        pod.close()


def test_a_lower_epoch_is_refused(pod):
    new = Run(pod, "echo", epoch=3, value=1)
    new.start()
    late = Run(pod, "echo", run_id=new.run_id, epoch=2, value=1)
    code, details = refusal(late.start)
    assert code is grpc.StatusCode.ABORTED
    assert "epoch 3 was seen" in details
    assert new.follow().done().HasField("succeeded")


def test_a_start_that_comes_after_its_cancel_is_refused(pod):
    run = Run(pod, "work")
    run.cancel(run_pb2.CANCEL_MODE_FENCED)
    assert refusal(run.start)[0] is grpc.StatusCode.ABORTED


def test_slots_are_bounded_and_come_back(pod):
    runs = [Run(pod, "work") for _ in range(4)]
    assert [run.start().free_slots for run in runs] == [3, 2, 1, 0]
    code, details = refusal(Run(pod, "work").start)
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "all 4 are taken" in details
    assert {held.run_id for held in describe(pod).held_runs} >= {run.run_id for run in runs}
    for run in runs:
        run.follow(renew=False)
        run.cancel(run_pb2.CANCEL_MODE_IMMEDIATE)
        run.done()
    assert describe(pod).free_slots == 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"spec_sha256": "0" * 64}, "wanted a spec with the digest 000"),
        ({"capability": "alchemy"}, "wanted one of the capabilities probe"),
        ({"run_id": "../../etc"}, "wanted a run id as a lower-case UUID"),
        ({"epoch": 0}, "wanted an epoch from 1"),
        ({"lease_ttl_ms": 0}, "wanted a lease"),
        ({"beat_interval_ms": 21_000}, "wanted a beat interval"),
        ({"hard_deadline_ms": -1}, "wanted a hard deadline"),
        ({"inputs": [service.Input(name="a", sha256="../x")]}, "wanted a SHA-256 for the input a"),
        ({"inputs": [service.Input(name="a", sha256="0" * 64)] * 2}, "wanted each input name once"),
    ],
)
def test_a_request_that_cannot_be_right_is_refused(pod, changes, words):
    code, details = refusal(Run(pod, "echo").start, **changes)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert words in details
    assert describe(pod).free_slots == 4


@pytest.mark.parametrize("text", ["[1]", "{", '{"value":NaN}', '{"capability":"other"}', '{"threads":0}', '{"threads":true}', "\ufeff{}"])
def test_a_spec_that_makes_no_sense_is_refused(pod, text):
    spec = text.encode()
    code, _ = refusal(Run(pod, "echo").start, spec=spec, spec_sha256=hashlib.sha256(spec).hexdigest())
    assert code is grpc.StatusCode.INVALID_ARGUMENT


def test_a_run_planned_for_other_code_is_refused(pod):
    own = describe(pod).code_digests["probe"]
    code, details = refusal(Run(pod, "echo", codeDigest="f" * 64).start)
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert own in details
    fitting = Run(pod, "echo", codeDigest=own, value=1)
    fitting.start()
    assert fitting.follow().done().HasField("succeeded")


def test_a_missing_input_is_refused_and_frees_the_slot(pod):
    code, details = refusal(Run(pod, "echo").start, inputs=[service.Input(name="records", sha256="a" * 64)])
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert details == f"input records: wanted the artifact {'a' * 64}, but the store has no such file"
    assert describe(pod).free_slots == 4


def test_a_changed_input_is_refused(pod):
    stored = pod.store.save_bytes(b"true", Origin("00000000-0000-0000-0000-000000000000", 1, "changed"))
    path = pod.store.path_of(stored.sha256)
    path.chmod(0o644)
    path.write_bytes(b"false")
    code, details = refusal(Run(pod, "echo").start, inputs=[service.Input(name="records", sha256=stored.sha256)])
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert hashlib.sha256(b"false").hexdigest() in details


def test_a_run_that_is_not_held_is_not_found(pod):
    run = Run(pod, "echo")
    assert refusal(lambda: list(run.watch()))[0] is grpc.StatusCode.NOT_FOUND
    assert refusal(run.renew)[0] is grpc.StatusCode.NOT_FOUND
    run.cancel(run_pb2.CANCEL_MODE_GRACEFUL)


def test_a_beat_that_was_never_sent_is_refused(pod):
    run = Run(pod, "work")
    run.start()
    code, details = refusal(run.renew, 99)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "but got 99" in details
    run.cancel(run_pb2.CANCEL_MODE_FENCED)


def test_the_pod_says_what_it_is(pod):
    said = describe(pod)
    assert said.pod_id == pod.listening["podId"]
    assert said.device == "cpu"
    assert said.slots == 4
    assert {"python", "torch", "transformers", "trl"} <= set(said.versions)
    assert len(said.code_digests["probe"]) == 64
