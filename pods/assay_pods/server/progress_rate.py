"""Thins out a run's progress to what people can read."""

from assay_pods.gen.assay.pod.v1 import run_pb2
from assay_pods.server import clock

_EVERY_S = 0.2


class ProgressRate:
    """Lets through the first and the last progress of a stage, and in between one in a fifth of a second."""

    def __init__(self) -> None:
        """Start before the first stage."""
        self.stage = ""
        """The stage that was named last."""
        self.last_step = 0
        """Training steps that were done."""
        self._waiting: run_pb2.RunEvent | None = None
        self._urgent = False
        self._sent_at = float("-inf")

    def note(self, event: run_pb2.RunEvent) -> run_pb2.RunEvent | None:
        """Take in a progress event, and give it back when it is time to send it."""
        progress = event.progress
        self._urgent = self._urgent or progress.stage != self.stage or progress.completed >= progress.total
        self.stage = progress.stage
        if progress.stage == "training":
            self.last_step = progress.completed
        self._waiting = event
        due = self._urgent or clock.now() - self._sent_at >= _EVERY_S
        return self.take() if due else None

    def take(self) -> run_pb2.RunEvent | None:
        """The progress that still waits, if any: it must go before whatever comes next."""
        event, self._waiting, self._urgent = self._waiting, None, False
        if event is not None:
            self._sent_at = clock.now()
        return event
