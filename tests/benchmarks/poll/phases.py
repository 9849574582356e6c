"""The phases of the outage benchmark: the back office first responds, then stalls, then is down, and then recovers."""

from typing import NamedTuple


class Phases(NamedTuple):
    """The lengths of the phases of the outage benchmark, in seconds and in the order of the phases.

    calm: the phase in which the back office responds in its usual time.
    stalling: the phase in which some responses of the back office stall.
    down: the phase in which the back office is down. In the first half, it refuses connections. In the second half, it
        accepts connections, but never responds on them, not even after the recovery.
    recovered: the phase in which the back office responds in its usual time again.
    """

    calm: float
    stalling: float
    down: float
    recovered: float

    @property
    def seconds(self) -> float:
        """The total length of all phases, in seconds."""
        return sum(self)

    @property
    def down_at(self) -> float:
        """The time at which the back office goes down, in seconds from the start of the first phase."""
        return self.calm + self.stalling

    @property
    def hangs_at(self) -> float:
        """The time from which the back office lets connections hang, in seconds from the start of the first phase."""
        return self.down_at + self.down / 2

    @property
    def up_at(self) -> float:
        """The time at which the back office is up again, in seconds from the start of the first phase."""
        return self.down_at + self.down

    def at(self, seconds: float) -> str:
        """Return the name of the phase at a time: ``calm`` before the start, ``recovered`` after the end.

        :param seconds: the time, in seconds from the start of the first phase.
        """
        until = 0.0
        for name, length in self._asdict().items():
            until += length
            if seconds < until:
                return name
        return "recovered"
