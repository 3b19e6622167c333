"""The lease of an attempt as the pod keeps it, and the beats that ask for its renewal."""

SHARE = 0.7
"""The part of the lease for which an attempt works on without an acknowledged beat; the rest is margin for the other side."""


class Lease:
    """Runs out when 0.7 of the lease has passed since the sending of the last acknowledged beat.

    The moment of sending counts and not that of the answer: an answer that was held up must not carry work past the moment
    at which the database gives the run to another pod.
    """

    def __init__(self, ttl_s: float, now: float) -> None:
        """Start the clock: the time to the first acknowledgement is bounded too."""
        self.until = now + SHARE * ttl_s
        self._ttl_s = ttl_s
        self._last_beat = 0
        self._sent_at: dict[int, float] = {}

    def send_beat(self, now: float) -> int:
        """Give the number of the next beat, sent now."""
        self._last_beat += 1
        self._sent_at[self._last_beat] = now
        return self._last_beat

    def acknowledge(self, beat: int) -> None:
        """Extend the lease from the moment when this beat was sent; an older beat than the last acknowledged changes nothing.

        Raises:
            ValueError: No such beat was sent.
        """
        if not 1 <= beat <= self._last_beat:
            raise ValueError(f"wanted a beat from 1 to {self._last_beat}, but got {beat}")
        sent_at = self._sent_at.get(beat)
        if sent_at is not None:
            self.until = max(self.until, sent_at + SHARE * self._ttl_s)
            self._sent_at = {number: at for number, at in self._sent_at.items() if number >= beat}
