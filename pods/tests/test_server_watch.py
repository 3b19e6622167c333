"""Watching runs: replay, acknowledgement and many watchers."""

import asyncio
from collections.abc import Iterator

import pytest
from server_pod import PodProcess, Run, until

from assay_pods.gen.assay.pod.v1 import run_pb2
from assay_pods.server.event_log import EventLog


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodProcess]:
    pod = PodProcess(tmp_path_factory.mktemp("pod"))
    yield pod
    pod.close()


def kinds(events: list[run_pb2.RunEvent]) -> list[str | None]:
    return [event.WhichOneof("body") for event in events]


def test_a_reopened_watch_goes_on_after_its_sequence(pod):
    run = Run(pod, "echo", value=1)
    run.start()
    run.follow().done()
    first = list(run.watch())
    assert first == run.events
    again = list(run.watch(after_sequence=3))
    assert again == first[3:]
    assert list(run.watch()) == first[3:], "what was acknowledged is forgotten"
    assert list(run.watch(after_sequence=first[-1].sequence)) == []


def test_two_watchers_see_the_same_live_events(pod):
    run = Run(pod, "work")
    run.start()
    other = Run(pod, "work", run_id=run.run_id)
    run.follow()
    other.follow(renew=False)
    run.wait_for("progress", 2)
    other.wait_for("progress", 2)
    run.cancel(run_pb2.CANCEL_MODE_GRACEFUL)
    run.done()
    other.done()
    assert run.ended() is None
    assert other.ended() is None
    assert run.events == other.events


def test_the_end_can_be_fetched_by_another_dispatcher(pod):
    run = Run(pod, "echo", value=1)
    run.start()
    run.renew()
    # Nobody watches while the run ends.
    until(lambda: any(line["event"] == "attempt ended" and line["run"] == run.run_id for line in pod.log_lines()), "the run to end")
    assert kinds(list(run.watch()))[-1] == "done"


def test_the_end_is_forgotten_in_time(tmp_path):
    pod = PodProcess(tmp_path, "--keep-done-seconds", "0.05")
    try:
        run = Run(pod, "echo", value=1)
        run.start()
        run.follow().done()

        def forgotten() -> bool:
            other = Run(pod, "echo", run_id=run.run_id).follow(renew=False)
            error = other.ended()
            return error is not None and "does not hold it" in error.details()

        until(forgotten, "the run to be forgotten")
    finally:
        pod.close()


def test_a_flood_of_progress_is_thinned_out(pod):
    run = Run(pod, "flood")
    run.start()
    run.follow()
    assert run.done().HasField("succeeded")
    # 20,000 of each were reported within a second or so: five a second and one at each beat get through, and a bounded curve.
    seconds = run.done().usage.wall_seconds
    assert 1 <= kinds(run.events).count("progress") <= 15 * seconds + 4
    assert 1_000 <= kinds(run.events).count("metric") <= 1_000 + 100 * seconds + 1
    assert run.wait_for("metric", 1_000).metric.step == 999, "a curve of ordinary length is whole"


def test_a_long_log_forgets_only_what_can_be_forgotten():
    async def scenario() -> list[run_pb2.RunEvent]:
        log = EventLog("run", 1, most_kept=20)
        log.append(run_pb2.RunEvent(started=run_pb2.Started(device="cpu")))
        for number in range(100):
            log.append(run_pb2.RunEvent(beat=run_pb2.Beat(beat=number)))
            if number % 20 == 0:
                log.append(run_pb2.RunEvent(artifact=run_pb2.Artifact(name=str(number))))
        log.append(run_pb2.RunEvent(done=run_pb2.Done()))
        return [event async for event in log.follow(0)]

    events = asyncio.run(scenario())
    assert len(events) <= 22
    assert kinds(events)[0] == "started"
    assert kinds(events)[-1] == "done"
    assert kinds(events).count("artifact") == 5
    assert events[-2].beat.beat == 99, "the newest are kept"
    assert [event.sequence for event in events] == sorted({event.sequence for event in events})
