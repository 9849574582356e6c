"""How much the loss of a Region costs, in the model of a DynamoDB global table (test_two_regions.py).

Clients write items through the primary Region, until that Region is lost. Then they write through the other Region,
until the primary Region is back. The simulation has a virtual clock and fixed seeds, so its numbers are always the
same. docs/drill.md shows them, and a test compares that table with this simulation.

A change that Readplane has accepted waits in Firehose's buffer, then `apply` writes it to the Region's items, and
DynamoDB copies it to the other Region after the lag. Wherever the change is when the Region is lost, it stays there,
and goes on when the Region is back.
"""

import functools
import heapq
import random
from collections.abc import Callable
from typing import NamedTuple

import pytest

from ops.console import ROOT
from readplane.model.change import Change
from tests.histories.test_two_regions import Region, document_of, settle
from tests.unit.support import NOW_MS, change

WRITES_PER_SECOND = 5
ITEMS = 40
AWAY_MS, AFTER_MS = 20_000, 5_000
"""How long the primary Region is away, and how long clients write to it again afterwards, in milliseconds."""

APPLY_MS = (500, 1_500)
"""How long `apply` takes after Firehose has written an object."""

SEEDS = range(10)
SETTINGS = [(0, 0), (0, 1), (0, 5), (60, 0), (60, 5)]
"""Firehose's buffering and the greatest lag of the global table, in seconds."""


class Loss(NamedTuple):
    """What the loss of the primary Region costs.

    missing: how many accepted changes the other Region lacks when the primary Region is lost
    rpo: the age of the oldest of them, in seconds; 0 without one
    conflicts: how many items were changed in the other Region before it had their changes of the primary Region
    overtaken: how many of the missing changes nobody could ever read in the other Region, because a newer change of the
        same item was there first
    lost: how many items don't end, in both Regions, with the newest change that Readplane accepted
    """

    missing: int
    rpo: float
    conflicts: int
    overtaken: int
    lost: int


class World:
    """Both Regions of many items, and the events that are to come."""

    def __init__(self, buffering: int, lag: int, seed: int) -> None:
        self.random = random.Random(f"{buffering} {lag} {seed}")
        self.buffering_ms, self.lag_ms = buffering * 1000, lag * 1000
        self.items = [[Region(0), Region(1)] for _ in range(ITEMS)]
        self.accepted: list[tuple[int, int, Change]] = []
        self.events: list[tuple[int, int, int, Callable[[int], None]]] = []
        self.waiting: list[Callable[[int], None]] = []
        self.seen: set[str] = set()
        self.away = False
        self.number = 0

    def at(self, ms: int, region: int, action: Callable[[int], None]) -> None:
        """Let something happen in a Region at a time. If the Region is away then, it happens when it is back."""
        self.number += 1
        heapq.heappush(self.events, (ms, self.number, region, action))

    def run(self, until: int) -> None:
        while self.events and self.events[0][0] < until:
            ms, _, region, action = heapq.heappop(self.events)
            if self.away and region == 0:
                self.waiting.append(action)
            else:
                action(ms)

    def accept(self, ms: int, region: int) -> None:
        """Let `write` accept a change of a random item in a Region, and send it on its way."""
        item = self.random.randrange(ITEMS)
        new = change(f"p-{item}", ms=NOW_MS + ms, tail=len(self.accepted), data=f'{{"n":{len(self.accepted)}}}')
        self.accepted.append((region, item, new))
        # Firehose writes an object when its oldest line has waited for the whole buffering.
        flushed = ms if not self.buffering_ms else (ms // self.buffering_ms + 1) * self.buffering_ms
        self.at(flushed + self.random.randint(*APPLY_MS), region, lambda now: self.apply(now, region, item, new))

    def apply(self, ms: int, region: int, item: int, new: Change) -> None:
        """Apply a change in a Region, publish the item, and let DynamoDB copy the write after the lag."""
        pair = self.items[item]
        before = len(pair[region].outgoing)
        pair[region].apply(ms, new)
        self.publish(ms, item, region)
        for _ in range(len(pair[region].outgoing) - before):
            # The sender is the Region with the write. It copies nothing while it is away.
            self.at(ms + self.random.randint(0, self.lag_ms), region, lambda now: self.copy(now, region, item))

    def copy(self, ms: int, region: int, item: int) -> None:
        if self.away:
            self.waiting.append(lambda now: self.copy(now, region, item))
            return
        pair = self.items[item]
        if pair[region].outgoing:
            pair[1 - region].receive(*pair[region].outgoing.popleft())
            self.publish(ms, item, 1 - region)

    def publish(self, ms: int, item: int, region: int) -> None:
        pair = self.items[item]
        before = len(pair[region].outgoing)
        while pair[region].stream:
            pair[region].publish(ms, 100)
        if region == 1 and pair[1].item:
            self.seen.add(pair[1].item.version)
        for _ in range(len(pair[region].outgoing) - before):
            self.at(ms + self.random.randint(0, self.lag_ms), region, lambda now: self.copy(now, region, item))


@functools.cache
def lose_a_region(buffering: int, lag: int, seed: int, *, comes_back: bool = True) -> Loss:
    """Play one history, and return what the loss of the primary Region costs in it.

    The Region is lost at any time between two objects of Firehose. Changes from long before can't matter any more, so
    the history doesn't have them.

    :param comes_back: whether what waited in the primary Region goes on when the Region is back.
    """
    world = World(buffering, lag, seed)
    step = 1000 // WRITES_PER_SECOND
    start = 10 * world.buffering_ms
    lost_ms = start + world.buffering_ms + world.lag_ms + APPLY_MS[1] + world.random.randint(0, world.buffering_ms)
    back_ms, end_ms = lost_ms + AWAY_MS, lost_ms + AWAY_MS + AFTER_MS
    for ms in range(start, lost_ms, step):
        world.run(ms)
        world.accept(ms, 0)
    world.run(lost_ms)
    missing = [(item, new) for _, item, new in world.accepted if _lacks(world.items[item][1], new)]
    rpo = max((NOW_MS + lost_ms - new.age_starts_ms for _, new in missing), default=0) / 1000
    world.away = True
    lacking = {item for item, _ in missing}
    conflicts = set()
    for ms in range(lost_ms, back_ms, step):
        world.run(ms)
        world.accept(ms, 1)
        conflicts |= {world.accepted[-1][1]} & lacking
    world.run(back_ms)
    world.away = False
    for action in world.waiting if comes_back else ():
        action(back_ms)
    for ms in range(back_ms, end_ms, step):
        world.run(ms)
        world.accept(ms, 0)
    world.run(10 * end_ms)
    for pair in world.items:
        settle(pair, 20 * end_ms)
    newest: dict[int, Change] = {}
    for _, item, new in world.accepted:
        newest[item] = max(newest.get(item, new), new, key=lambda entry: entry.version)
    lost = sum(
        [region.item for region in world.items[item]] != [new, new]
        or [region.document for region in world.items[item]] != [document_of(new)] * 2
        for item, new in newest.items()
    )
    overtaken = sum(new.version not in world.seen for _, new in missing)
    return Loss(len(missing), rpo, len(conflicts), overtaken, lost)


def _lacks(region: Region, new: Change) -> bool:
    """Return whether a Region has neither a change nor a newer one of the same item."""
    return region.item is None or region.item.version < new.version


@pytest.mark.parametrize(("buffering", "lag"), SETTINGS)
def test_no_accepted_change_is_lost_when_the_region_is_back_and_the_rpo_has_a_bound(buffering: int, lag: int) -> None:
    losses = [lose_a_region(buffering, lag, seed) for seed in SEEDS]
    assert [loss.lost for loss in losses] == [0] * len(SEEDS)
    bound = buffering + APPLY_MS[1] / 1000 + lag
    assert all(loss.rpo <= bound for loss in losses)
    # Without this, the test would also pass if the model copied everything at once.
    assert max(loss.rpo for loss in losses) > 0.5 * bound


def test_what_waited_in_a_region_that_never_comes_back_is_lost() -> None:
    assert sum(lose_a_region(60, 5, seed, comes_back=False).lost for seed in SEEDS) > 0


def test_the_lag_and_the_buffering_each_cost_changes() -> None:
    def total(buffering: int, lag: int) -> int:
        return sum(lose_a_region(buffering, lag, seed).missing for seed in SEEDS)

    assert total(0, 0) < total(0, 1) < total(0, 5) < total(60, 5)


def rows() -> list[str]:
    """Return the rows of the table in docs/drill.md."""
    lines = []
    for buffering, lag in SETTINGS:
        losses = [lose_a_region(buffering, lag, seed) for seed in SEEDS]
        longest = max(loss.rpo for loss in losses)
        sums = [sum(values) / len(SEEDS) for values in zip(*losses, strict=True)]
        lags = f"0 to {lag} s" if lag else "0 s"
        numbers = f"{sums[0]:.1f} | {sums[2]:.1f} | {sums[3]:.1f} | {sum(loss.lost for loss in losses)}"
        lines.append(f"| {buffering} s | {lags} | {longest:.1f} s | {numbers} |")
    return lines


def test_the_documentation_shows_the_numbers_of_this_simulation() -> None:
    text = (ROOT / "docs/drill.md").read_text("utf-8")
    for row in rows():
        assert row in text, "docs/drill.md shows other numbers. The right ones:\n" + "\n".join(rows())
