"""What befalls the back office, and when."""

from typing import NamedTuple


class Phases(NamedTuple):
    """Seconds of each phase, one after the other.

    While it is ``down``, connections are refused at first, and hang in the second half: what comes then is accepted and
    never answered, not even after the recovery.
    """

    calm: float
    stalling: float
    down: float
    recovered: float

    @property
    def seconds(self) -> float:
        """How long it takes in all."""
        return sum(self)

    @property
    def down_at(self) -> float:
        """When the outage begins, in seconds from the start, as of all that follow."""
        return self.calm + self.stalling

    @property
    def hangs_at(self) -> float:
        """When connections begin to hang instead of being refused."""
        return self.down_at + self.down / 2

    @property
    def up_at(self) -> float:
        """When the outage is over."""
        return self.down_at + self.down

    def at(self, seconds: float) -> str:
        """The phase's name; the first before the start, the last after the end."""
        until = 0.0
        for name, length in self._asdict().items():
            until += length
            if seconds < until:
                return name
        return "recovered"
