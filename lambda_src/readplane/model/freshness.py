"""The freshness of a source: how stale its items are, and whether this exceeds the source's staleness budget."""

from typing import NamedTuple

from .timestamp import ms_of


class DeclaredSource(NamedTuple):
    """Those settings of a source that the function `read` needs.

    :param name: the source's name.
    :param collection: the name of the collection that the source feeds.
    :param staleness_budget: how stale the collection's items may be, in seconds.
    """

    name: str
    collection: str
    staleness_budget: int

    @property
    def staleness_budget_ms(self) -> int:
        """How stale the items of the source's collection may be, in milliseconds."""
        return self.staleness_budget * 1000


class Freshness(NamedTuple):
    """How fresh a source was after its last poll. A field is ``None`` until a poll has set it.

    :param fresh_as_of: a time (RFC 3339). Readplane has read everything that the back office held at this time.
    :param breaker: the circuit breaker's state: ``closed``, ``open`` or ``half_open``.
    :param checked_at: when `poll` last tried to poll the source (RFC 3339).
    """

    fresh_as_of: str | None
    breaker: str | None
    checked_at: str | None

    def staleness_ms(self, now_ms: int) -> int | None:
        """Return the milliseconds since ``fresh_as_of``, or ``None`` if the source was never read completely.

        The result is 0 if ``fresh_as_of`` lies in the future. This can happen, because two machines' clocks differ.
        """
        fresh_ms = ms_of(self.fresh_as_of or "")
        return None if fresh_ms is None else max(0, now_ms - fresh_ms)


NEVER_POLLED = Freshness(None, None, None)
"""The freshness of a source before its first poll."""


def is_stale(freshness: Freshness, budget_ms: int, now_ms: int) -> bool:
    """Whether a source exceeds its staleness budget. A source that was never read completely counts as stale."""
    staleness = freshness.staleness_ms(now_ms)
    return staleness is None or staleness > budget_ms
