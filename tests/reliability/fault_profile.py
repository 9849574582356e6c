"""Which faults a history has, and how often. Each seed switches kinds of faults on and off (swarm testing).

If every history had every fault, most histories would only show the most violent one.
"""

import random
from typing import NamedTuple


class Profile(NamedTuple):
    """The faults of one history.

    :param regions: how many Regions the stack has.
    :param items: how many item ids clients and operators use.
    :param writes: how many requests clients send.
    :param throttled, unsent, lost: how probable it is that AWS refuses a call, that a call doesn't reach AWS, and that
        AWS carries a call out but its answer is lost.
    :param partial: how probable it is that AWS carries out a batch call for some entries only.
    :param stale: how probable it is that an eventually consistent read returns the row before its last write.
    :param crashes: how probable it is that an invocation's sandbox dies at one of its calls.
    :param slow: how probable it is that a call takes seconds, so that other invocations overtake this one.
    :param duplicates: how probable it is that a queue or Firehose delivers something twice.
    :param poison: how probable it is that a line of the write log can't be applied.
    :param skew_ms: how far the clocks of the two Regions are apart.
    :param lag_ms: the greatest lag of the global table.
    :param losses: whether a Region, the cache and the database are lost for a while.
    :param has_stores: whether there are a cache and a database, which `feed` writes.
    :param has_source: whether `poll` reads a back office.
    :param months: whether a month passes in the middle, so that tombstones expire, and then old objects are replayed.
    """

    regions: int
    items: int
    writes: int
    throttled: float
    unsent: float
    lost: float
    partial: float
    stale: float
    crashes: float
    slow: float
    duplicates: float
    poison: float
    skew_ms: int
    lag_ms: int
    losses: bool
    has_stores: bool
    has_source: bool
    months: bool


def draw_profile(draw: random.Random) -> Profile:
    """Return the faults of a history, from its own random numbers."""

    def rate(greatest: float, on: float = 0.5) -> float:
        return draw.uniform(greatest / 4, greatest) if draw.random() < on else 0.0

    regions = 2 if draw.random() < 0.8 else 1
    profile = Profile(
        regions=regions,
        items=draw.choice([1, 2, 3, 5]),
        writes=draw.randrange(10, 60),
        throttled=rate(0.08),
        unsent=rate(0.05),
        lost=rate(0.08),
        partial=rate(0.3),
        stale=rate(0.5),
        crashes=rate(0.3),
        slow=rate(0.1, 0.7),
        duplicates=rate(0.4),
        poison=rate(0.2, 0.3),
        skew_ms=draw.choice([0, 50, 2_000, 300_000]) if regions == 2 else 0,
        lag_ms=draw.choice([0, 500, 5_000]),
        losses=draw.random() < 0.3,
        has_stores=draw.random() < 0.6,
        has_source=draw.random() < 0.5,
        months=draw.random() < 0.3,
    )
    if draw.random() < 0.15:  # AWS does all that it is told, so that the strictest rules can be checked
        return profile._replace(throttled=0, unsent=0, lost=0, partial=0, crashes=0, losses=False)
    return profile
