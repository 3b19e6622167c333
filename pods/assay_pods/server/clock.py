"""The clock by which leases run."""

import time

# A laptop that sleeps must not wake up with a lease that ran out hours ago: this clock counts the sleep where the system has one.
_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> float:
    """Seconds on a clock that never goes back and that no administrator can set."""
    return time.clock_gettime(_CLOCK)
