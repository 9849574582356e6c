"""How fresh a source's items are: its watermark, and whether that is within what was promised."""

from typing import NamedTuple

from .timestamp import ms_of


class DeclaredSource(NamedTuple):
    """What `read` knows of a source: the collection that it feeds, and how stale that may be (milliseconds)."""

    name: str
    collection: str
    staleness_budget_ms: int


class Freshness(NamedTuple):
    """What `poll` last told of a source, every text ``None`` where there is nothing to tell.

    ``fresh_as_of`` (RFC 3339): everything that the source held at this time has been read. ``breaker``: ``closed``,
    ``open`` or ``half_open``. ``checked_at`` (RFC 3339): when `poll` last tried.
    """

    fresh_as_of: str | None
    breaker: str | None
    checked_at: str | None

    def staleness_ms(self, now_ms: int) -> int | None:
        """Milliseconds since ``fresh_as_of``, 0 where the clocks disagree; ``None`` before the first whole pass."""
        fresh_ms = ms_of(self.fresh_as_of or "")
        return None if fresh_ms is None else max(0, now_ms - fresh_ms)


NEVER = Freshness(None, None, None)
"""Of a source that was never polled."""


def is_stale(freshness: Freshness, budget_ms: int, now_ms: int) -> bool:
    """Whether a source is behind its staleness budget, as one that was never wholly read is."""
    staleness = freshness.staleness_ms(now_ms)
    return staleness is None or staleness > budget_ms
