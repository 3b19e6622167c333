"""The numbered events of one attempt: kept until acknowledged, and handed to any number of watchers."""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator

from assay_pods.gen.assay.pod.v1 import run_pb2
from assay_pods.server.refusal import RefusalError

_BATCH = 256
_FORGETTABLE = frozenset({"beat", "progress", "log", "metric"})


class EventLog:
    """Events in the order of their sequence.

    Watchers that keep up see every event. Only about `most_kept` events are kept for a watch that is opened later: beyond that
    the oldest beats, progress, log lines and metrics are forgotten, but never a start, an artifact or the end.
    """

    def __init__(self, run_id: str, epoch: int, most_kept: int = 10_000) -> None:
        """Start with nothing."""
        self._run_id = run_id
        self._epoch = epoch
        self._most_kept = most_kept
        self._events: list[run_pb2.RunEvent] = []
        self._last_sequence = 0
        self._done = False
        self._dropped: RefusalError | None = None
        self._changed = asyncio.Event()

    def append(self, event: run_pb2.RunEvent) -> None:
        """Number an event and keep it; a Done is the last one."""
        assert not self._done, "nothing follows Done"
        if self._dropped is not None:
            return
        self._last_sequence += 1
        event.run_id, event.epoch, event.sequence = self._run_id, self._epoch, self._last_sequence
        self._done = event.WhichOneof("body") == "done"
        self._events.append(event)
        if len(self._events) > self._most_kept + self._most_kept // 10:
            self._forget()
        self._wake()

    def acknowledge(self, sequence: int) -> None:
        """Forget events up to this sequence."""
        del self._events[: self._after(sequence)]

    def drop(self, reason: RefusalError) -> None:
        """Forget everything and end all watches with a reason: what this attempt says does not count any more."""
        self._dropped = reason
        self._events.clear()
        self._wake()

    async def follow(self, after_sequence: int) -> AsyncIterator[run_pb2.RunEvent]:
        """Give the events after a sequence, first what is kept, then live, until Done.

        Raises:
            RefusalError: The attempt was dropped.
        """
        position = after_sequence
        while True:
            changed = self._changed
            start = self._after(position)
            batch = self._events[start : start + _BATCH]
            for event in batch:
                self._raise_if_dropped()
                yield event
                position = event.sequence
            self._raise_if_dropped()
            if not batch:
                if self._done:
                    return
                await changed.wait()

    def _raise_if_dropped(self) -> None:
        if self._dropped is not None:
            raise self._dropped

    def _after(self, sequence: int) -> int:
        return bisect_right(self._events, sequence, key=lambda event: event.sequence)

    def _forget(self) -> None:
        surplus = len(self._events) - self._most_kept
        kept: list[run_pb2.RunEvent] = []
        for event in self._events:
            if surplus > 0 and event.WhichOneof("body") in _FORGETTABLE:
                surplus -= 1
            else:
                kept.append(event)
        self._events = kept

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
