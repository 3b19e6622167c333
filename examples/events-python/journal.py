"""The events that were taken, and with them how far the consumer is."""

import json
import os
from pathlib import Path
from typing import Any

# Records that are remembered; one that comes again later only costs a question to the API.
BELLS_MAX = 10_000


class Journal:
    """A file with a JSON object a line.

    The file is the position too: one write says both what happened and how far the consumer is, so neither can be true
    without the other. A service would write both in one transaction of its database.
    """

    def __init__(self, path: Path) -> None:
        """Opens the file, cuts off a line that a crash left half written, and finds out how far it goes."""
        self._last: dict[str, int] = {}
        self._bells: dict[str, None] = {}
        written = path.read_bytes() if path.exists() else b""
        whole = written.rfind(b"\n") + 1
        if whole < len(written):
            os.truncate(path, whole)
        for line in written[:whole].splitlines():
            self._note(json.loads(line))
        self._file = path.open("ab")

    def last_sequence(self, experiment_id: str) -> int:
        """The last event of the experiment that is in the file; 0 for none."""
        return self._last.get(experiment_id, 0)

    def knows(self, bell_id: str) -> bool:
        """Whether everything that the record with this id rang for is in the file."""
        return bell_id in self._bells

    def append(self, experiment_id: str, events: list[dict[str, Any]], bell_id: str | None) -> None:
        """Writes events behind the last ones; they are on disk when this returns.

        Args:
            experiment_id: whose events they are.
            events: the events, in order.
            bell_id: the record that rang for events up to the last of these; None where more of them follow.
        """
        lines = [{"experimentId": experiment_id, "bellId": None, **event} for event in events]
        lines[-1]["bellId"] = bell_id
        self._file.write("".join(json.dumps(line) + "\n" for line in lines).encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        for line in lines:
            self._note(line)

    def _note(self, line: dict[str, Any]) -> None:
        self._last[line["experimentId"]] = line["sequence"]
        if line["bellId"] is None:
            return
        self._bells[line["bellId"]] = None
        if len(self._bells) > BELLS_MAX:
            del self._bells[next(iter(self._bells))]
