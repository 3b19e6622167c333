"""What language models were asked counts, however the attempt ends."""

from collections.abc import Iterator

import pytest
from server_pod import PodProcess, Run

from assay_pods.gen.assay.pod.v1 import run_pb2


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodProcess]:
    pod = PodProcess(tmp_path_factory.mktemp("pod"))
    yield pod
    pod.close()


@pytest.mark.parametrize("hang", [False, True], ids=["succeeded", "killed"])
def test_answers_of_language_models_are_in_the_usage_of_an_attempt_that(pod, hang):
    run = Run(pod, "ask", hang=hang)
    run.start()
    run.follow()
    assert run.wait_for("log", 2).log.message == "asked"
    if hang:
        run.cancel(run_pb2.CANCEL_MODE_IMMEDIATE)
    done = run.done()
    assert done.HasField("cancelled" if hang else "succeeded")
    assert (done.usage.prompt_tokens, done.usage.completion_tokens, done.usage.queries) == (150, 27, 2)
    assert not any(event.WhichOneof("body") == "model_calls" for event in run.events)
