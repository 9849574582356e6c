"""The phases of the outage benchmark: the back office is calm, stalls, is down, and has recovered."""

from typing import NamedTuple


class Phases(NamedTuple):
    """The seconds of each phase. The phases follow one another in this order.

    calm: the back office responds in its usual time.
    stalling: some of its responses stall.
    down: in the first half it refuses connections. In the second half it accepts them and never responds on them, not
        even after the recovery.
    recovered: it responds in its usual time again.
    """

    calm: float
    stalling: float
    down: float
    recovered: float

    @property
    def seconds(self) -> float:
        """The length of all phases together, in seconds."""
        return sum(self)

    @property
    def down_at(self) -> float:
        """When the outage begins, in seconds from the start."""
        return self.calm + self.stalling

    @property
    def hangs_at(self) -> float:
        """When connections begin to hang, in seconds from the start."""
        return self.down_at + self.down / 2

    @property
    def up_at(self) -> float:
        """When the outage ends, in seconds from the start."""
        return self.down_at + self.down

    def at(self, seconds: float) -> str:
        """Return the name of the phase at a time.

        :param seconds: the time since the start. Before the start, the first phase counts; after the end, the last one.
        """
        until = 0.0
        for name, length in self._asdict().items():
            until += length
            if seconds < until:
                return name
        return "recovered"
