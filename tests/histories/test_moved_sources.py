"""Simulated histories of a source that two Regions can poll: one Region is lost, the other one takes the source over.

The simulation has the real code of `poll`, its checkpoints and the switch, and does what `ops/readplane sources move`
does. DynamoDB and Kinesis are fakes, one of each in every Region. The global table is a model: DynamoDB copies each
write of a Region to the other one after a while, in any order, and the write with the latest time wins. `publish`
applies the greater version again whenever a copied write made the version go down.

At the end of each part of a history, the items must equal the back office's rows. For the part in which a Region is
lost, this holds for the other Region alone.
"""

import json
import random
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest

from readplane.model.change import parse_line
from readplane.poll.change_stream import KinesisChangeStream
from readplane.poll.checkpoint import Position
from readplane.poll.checkpoint_table import DynamoCheckpoints
from readplane.poll.declared_sources import DeclaredSources
from readplane.poll.handler import Poll
from readplane.poll.poll_stores import PollStores
from readplane.poll.sourced_items import DynamoSourcedItems
from readplane.poll.switch import DynamoSwitch
from readplane.telemetry import Telemetry
from tests.fakes.dynamodb import MemoryDynamo
from tests.fakes.expressions import Item
from tests.fakes.sandbox import MemoryStream
from tests.unit.poll.support import CHANGES, COLLECTIONS, LISTING, SCHEMA, MemoryQuarantine, Office
from tests.unit.support import NOW_MS

REGIONS = ("eu-central-1", "eu-west-1")
HORIZON_MS = 30 * 86_400_000
TICK_MS = 3 * 60_000
"""How much time passes between two polls of a Region."""

MAX_WAY_MS = 50 * 60_000
"""How long a change waits on the change stream, and a write for its copy, taken together. `poll` allows an hour."""

LATE_MS = 50_000
"""How much earlier than its commit a row may be stamped. The source's lag is a minute."""

SEEDS = range(12)


class Write(NamedTuple):
    """A write of a Region to its copy of the items table, which is on its way to the other Region.

    ms: when the Region wrote it
    time: the time by which DynamoDB finds the latest write, which no two writes share
    """

    ms: int
    pk: str
    item: Item
    time: tuple[int, int]


class Region(MemoryDynamo):
    """One Region: its copy of the items table, its checkpoints, its change stream and its `poll`."""

    def __init__(self, number: int, world: "World") -> None:
        super().__init__("items")
        self.world = world
        self.name = REGIONS[number]
        self.checkpoints_table = MemoryDynamo("checkpoints", consistent_only=True)
        self.stream = MemoryStream()
        self.waiting: list[tuple[int, bytes]] = []
        self.outgoing: list[Write] = []
        self.written: dict[str, tuple[int, int]] = {}
        self.checkpoints = DynamoCheckpoints(self.checkpoints_table, "checkpoints")
        self.switch = DynamoSwitch(self, "items", self.name, REGIONS[0])
        self.sourced = DynamoSourcedItems(self, "items", "by_collection", horizon_ms=HORIZON_MS)

    def _write(self, pk: str, item: Item) -> None:
        super()._write(pk, item)
        self.written[pk] = self.world.next_time()
        self.outgoing.append(Write(self.world.ms, pk, item, self.written[pk]))

    def receive(self, write: Write) -> None:
        """Take a write of the other Region, unless this Region has a later one, and mend the item as `publish` does."""
        before = self.items.get(write.pk, {})
        if write.time < self.written.get(write.pk, (0, 0)):
            return
        self.items[write.pk], self.written[write.pk] = write.item, write.time
        if "version" in before and before["version"]["S"] > write.item["version"]["S"]:
            self._write(write.pk, before)

    def poll(self) -> str:
        """Poll the source as its schedule does, and return the outcome."""
        stores = PollStores(
            checkpoints=self.checkpoints,
            items=self.sourced,
            stream=KinesisChangeStream(self.stream, "changes"),
            quarantine=MemoryQuarantine(),
            documents={},
            switch=self.switch,
        )
        sources = DeclaredSources({"rows": self.world.settings}, {"things": SCHEMA}, COLLECTIONS)
        poll = Poll(sources, stores, lambda source: self.world.office, Telemetry("poll", "model"))
        outcome: str = poll({"source": "rows", "sweep": False}, lambda: 60_000)["outcome"]
        self.waiting += [(self.world.ms, data) for _, data in self.stream.records]
        self.stream.records.clear()
        return outcome

    def take_over(self) -> None:
        """Do what `ops/readplane sources move` does. Nothing here reaches the other Region."""
        position = self.switch.get_position("rows") or Position(None, None, None)
        self.checkpoints.take_over("rows", position, self.world.ms)
        self.switch.move_here("rows", self.world.ms)

    def values(self) -> dict[str, Any]:
        """Return a dict from the id of each item that isn't deleted to the member ``n`` of its data."""
        return {
            item["item_id"]["S"]: json.loads(item["data"]["S"])["n"]
            for pk, item in self.items.items()
            if pk.startswith("item/") and "data" in item
        }


class World:
    """The back office, both Regions, and what is on its way between them."""

    def __init__(self, settings: dict[str, Any], seed: int) -> None:
        self.settings = settings
        self.random = random.Random(seed)
        self.ms = NOW_MS
        self.office = Office()
        self.office.page_size = 7
        self.times = 0
        self.edits = 4
        self.regions = [Region(number, self) for number in (0, 1)]
        self.lost: set[int] = set()
        self.outcomes: list[set[str]] = [set(), set()]
        for number in range(20):
            self.office.row(f"r-{number}", at=NOW_MS - self.random.randrange(90 * 86_400_000), n=0)

    def next_time(self) -> tuple[int, int]:
        self.times += 1
        return self.ms, self.times

    def edit(self) -> None:
        """Let a user of the back office change some rows. A commit may come later than the row's time says."""
        for _ in range(self.random.randrange(self.edits)):
            row_id = f"r-{self.random.randrange(40)}"
            stamped = self.ms - self.random.randrange(LATE_MS)
            before = self.office.rows.get(row_id)
            if before is None or before["at"] < stamped:
                self.office.row(row_id, at=stamped, n=self.random.randrange(1000), gone=self.random.random() < 0.1)

    def tick(self) -> None:
        """Let time pass: rows change, both Regions poll, and some of what is on its way arrives."""
        self.ms += TICK_MS
        self.edit()
        for number, region in enumerate(self.regions):
            if number not in self.lost:
                self.outcomes[number].add(region.poll())
        self.deliver(self.random.choice([0.0, 0.0, 0.1, 0.5]), MAX_WAY_MS // 2)

    def deliver(self, share: float, oldest_ms: int) -> None:
        """Apply a share of the waiting changes, and copy a share of the writes. What has waited long arrives."""

        def arrives(since_ms: int) -> bool:
            return self.ms - since_ms >= oldest_ms - TICK_MS or self.random.random() < share

        for number, region in enumerate(self.regions):
            if number in self.lost:
                continue
            for entry in [entry for entry in region.waiting if arrives(entry[0])]:
                region.waiting.remove(entry)
                region.sourced.apply(parse_line(entry[1], COLLECTIONS))
        if self.lost:
            return  # nothing leaves a lost Region, and nothing reaches it
        for number, region in enumerate(self.regions):
            arriving = [write for write in region.outgoing if arrives(write.ms)]
            self.random.shuffle(arriving)
            for write in arriving:
                region.outgoing.remove(write)
                self.regions[1 - number].receive(write)

    def settle(self) -> None:
        """Let everything arrive while nobody changes a row, and poll once more after an hour."""
        for _ in range(3):
            self.ms += 61 * 60_000
            for number, region in enumerate(self.regions):
                if number not in self.lost:
                    region.poll()
            for _ in range(4):
                self.deliver(1.0, 0)

    def rows(self) -> dict[str, Any]:
        return {row["id"]: row["n"] for row in self.office.rows.values() if not row["gone"]}


def play(settings: dict[str, Any], seed: int) -> None:
    """Play one history: the first Region is lost, the source moves, the Region is back, and the source moves back."""
    world = World(settings, seed)
    first, second = world.regions
    with patch("readplane.clock.time.time_ns", lambda: world.ms * 1_000_000):
        for _ in range(world.random.randrange(60)):
            world.tick()
        assert "elsewhere" not in world.outcomes[0] and world.outcomes[1] <= {"elsewhere"}

        world.lost = {0}
        world.edits = world.random.choice([1, 2])  # with few edits later on, nothing hides what the move has missed
        for _ in range(world.random.randrange(10)):
            world.tick()
        second.take_over()
        for _ in range(world.random.randrange(1, 30)):
            world.tick()
        world.settle()
        assert second.values() == world.rows(), "the Region that took over misses something"

        world.lost = set()
        world.edits = 4
        second_polls = second.poll()
        world.outcomes = [set(), set()]
        for _ in range(world.random.randrange(1, 30)):
            world.tick()
        world.settle()
        assert second_polls != "elsewhere" and first.poll() == "elsewhere" != second.poll()
        assert "elsewhere" not in world.outcomes[1]
        assert first.values() == second.values() == world.rows(), "the Regions differ after one was lost"

        first.take_over()
        for _ in range(world.random.randrange(1, 30)):
            world.tick()
        world.settle()
        assert second.poll() == "elsewhere" != first.poll()
        assert first.values() == second.values() == world.rows(), "the Regions differ after the source moved back"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("settings", [CHANGES, LISTING], ids=["incremental", "listing"])
def test_the_items_equal_the_rows_when_a_region_is_lost_and_when_it_is_back(
    settings: dict[str, Any], seed: int
) -> None:
    play(settings, seed)
