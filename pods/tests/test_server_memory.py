"""A process that the kernel ended for lack of memory is told from one that somebody killed."""

import signal

import pytest

from assay_pods.gen.assay.pod.v1 import run_pb2
from assay_pods.server.failures import failure_of_exit
from assay_pods.server.memory import processes_ended_for_memory


def test_the_count_of_the_container_goes_before_that_of_the_machine(tmp_path):
    container, machine = tmp_path / "memory.events", tmp_path / "vmstat"
    machine.write_text("nr_free_pages 12\noom_kill 7\n")
    assert processes_ended_for_memory((container, machine)) == 7
    container.write_text("low 0\noom 3\noom_kill 2\noom_group_kill 0\n")
    assert processes_ended_for_memory((container, machine)) == 2
    assert processes_ended_for_memory((tmp_path / "nowhere",)) == 0


@pytest.mark.parametrize(
    ("exit_code", "ran_out", "error_class", "code"),
    [
        (-signal.SIGKILL, True, run_pb2.ERROR_CLASS_OOM, "OUT_OF_MEMORY"),
        (-signal.SIGKILL, False, run_pb2.ERROR_CLASS_POISON, "PROCESS_KILLED"),
        (-signal.SIGSEGV, True, run_pb2.ERROR_CLASS_POISON, "PROCESS_KILLED"),
        (7, True, run_pb2.ERROR_CLASS_UNKNOWN, "PROCESS_EXITED"),
    ],
)
def test_only_a_kill_while_memory_ran_out_is_out_of_memory(exit_code, ran_out, error_class, code):
    failure = failure_of_exit(exit_code, "training", memory_ran_out=ran_out)
    assert (failure.error_class, failure.code, failure.stage) == (error_class, code, "training")
