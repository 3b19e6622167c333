"""Whether the kernel has ended processes because memory ran out."""

from collections.abc import Iterable
from pathlib import Path

_COUNTERS = (Path("/sys/fs/cgroup/memory.events"), Path("/proc/vmstat"))


def processes_ended_for_memory(counters: Iterable[Path] = _COUNTERS) -> int:
    """The kernel's count, of this container where it has one of its own, else of the machine; 0 where nobody counts."""
    for path in counters:
        try:
            lines = path.read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, count = line.partition(" ")
            if name == "oom_kill" and count.isdecimal():
                return int(count)
    return 0
