"""Test the core of `rebuild items fill`: what it folds, what it leaves out, and how it goes on after it was killed."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from typing import Any

import pytest

from ops.cli import items_fill
from ops.cli.items_fill import Bounds, Fill, FilledItems, ListedObject, Restored
from ops.cli.items_poison import Poison, PoisonHandler, QuarantiningPoison, digest_of
from ops.console import CommandError
from ops.walk import LogObject
from readplane.aws.faults import RefusedError, UnansweredError
from readplane.clock import now_ms
from readplane.model.change import TOMBSTONE_MARGIN_MS, Change, parse_line
from readplane.model.timestamp import rfc3339
from readplane.stores.items import ApplyOutcome
from readplane.stores.items_bulk import DynamoBulkItems
from tests.fakes.dynamodb import MemoryDynamo
from tests.unit.support import ALICE, COLLECTIONS, NOW_MS, MemoryItems, MemoryLog, change

HOME, AWAY = "eu-central-1", "eu-west-1"
DAY_MS = 86_400_000


class AtOnce(Executor):
    """Runs each task when it is submitted."""

    def submit(self, task: Callable[..., Any], /, *arguments: Any, **fields: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(task(*arguments, **fields))
        except Exception as error:
            future.set_exception(error)
        return future


class Steps:
    """A job in memory. `kill_at` is the number of the call at which it dies."""

    def __init__(self) -> None:
        self.position: Any = None
        self.counts: Counter[str] = Counter()
        self.calls = 0
        self.kill_at = 0
        self.units = 0
        self.positions: list[Any] = []

    def _step(self) -> None:
        self.calls += 1
        if self.calls == self.kill_at:
            raise KeyboardInterrupt

    def advance(self, position: Any, **counts: int) -> None:
        self._step()
        self.position = position
        self.positions.append(position["key"])
        self.counts.update(counts)

    def pace(self, steps: int = 1) -> None:
        self._step()
        self.units += steps

    def renew(self) -> None:
        self._step()


class World:
    """The logs of two Regions, the quarantine, and the table that is being made."""

    def __init__(self) -> None:
        self.logs = {HOME: MemoryLog(), AWAY: MemoryLog()}
        self.items = MemoryItems()
        self.live = MemoryItems()
        self.quarantined: list[str] = []
        self.job = Steps()

    def put(self, region: str, key: str, *lines: Change | bytes) -> None:
        self.logs[region].objects[key] = [line.line() if isinstance(line, Change) else line for line in lines]

    def poison(self) -> Poison:
        return Poison(lambda: self.quarantined)

    def quarantine(self, line: bytes, origin: str = "") -> None:
        self.quarantined.append(f"quarantine/unparsable/{digest_of(line, origin).hex()}.json")

    def listed(self) -> Iterator[ListedObject]:
        found = [(region, key) for region in (HOME, AWAY) for key in sorted(self.logs[region].objects)]
        done = self.job.position and (self.job.position["region"], self.job.position["key"])
        for region, key in found[found.index(done) + 1 :] if done else found:
            yield ListedObject(region, "log", LogObject(key, 10, NOW_MS))

    def fold(self, *, poison: PoisonHandler | None = None, left_out: Sequence[str] = (), **options: Any) -> None:
        fill = Fill(
            self.logs,
            self.items,
            COLLECTIONS,
            poison or self.poison(),
            readers=AtOnce(),
            writers=AtOnce(),
            left_out=left_out,
            **{"bounds": Bounds(3, 10**6)} | options,
        )
        fill.fold(self.listed(), self.job)


@pytest.fixture
def world() -> World:
    return World()


def test_the_newest_change_of_each_item_wins_in_whichever_log_it_is(world: World) -> None:
    world.put(HOME, "log/a", change("p-1", ms=NOW_MS - 9 * 365 * DAY_MS), change("p-2"), change("me", ms=NOW_MS + 2))
    world.put(HOME, "log/b", change("p-1", ms=NOW_MS + 3), change("p-3"), change("p-2", ms=NOW_MS - 1))
    world.put(AWAY, "log/a", change("p-3", ms=NOW_MS + 1, data=None), change("x", collection="profiles", owner=ALICE))
    world.fold()
    assert {key: item.version for key, item in world.items.by_key.items()} == {
        item.key: item.version
        for item in (
            change("p-1", ms=NOW_MS + 3),
            change("p-2"),
            change("me", ms=NOW_MS + 2),
            change("p-3", ms=NOW_MS + 1),
            change("x", collection="profiles", owner=ALICE),
        )
    }
    assert world.job.position == {"pass": 1, "region": AWAY, "prefix": "log", "key": "log/a"}
    assert (world.job.counts["objects"], world.job.counts["lines"]) == (3, 8)


def test_known_poison_and_damage_are_counted_and_the_lines_before_the_damage_are_folded(world: World) -> None:
    world.put(HOME, "log/a", change("p-1"), b"nonsense\n", change("p-2"))
    world.put(HOME, "log/b", change("p-3"))
    world.logs[HOME].damaged.add("log/b")
    world.quarantine(b"nonsense\r\n")
    world.quarantine(b"", "log/b:2")
    world.fold()
    assert sorted(world.items.by_key) == [f"item/products/p-{number}" for number in (1, 2, 3)]
    assert world.job.counts["poison"] == 2


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ([change("p-1"), b"nonsense\n"], "log/a:2 in eu-west-1 can't be applied (unparsable"),
        ([change("p-1", collection="shoes")], "leave it out (--without-collection shoes)"),
        ([change("p-1", owner=ALICE)], "--quarantine puts such lines into quarantine"),
    ],
)
def test_unknown_poison_stops_the_fill_and_names_the_line(world: World, lines: list[Change | bytes], text: str) -> None:
    world.put(HOME, "log/a", change("p-9"))
    world.put(AWAY, "log/a", *lines)
    with pytest.raises(CommandError) as error:
        world.fold()
    assert text in str(error.value)
    assert world.job.position is None


def test_the_quarantine_is_listed_again_before_the_fill_stops(world: World) -> None:
    world.put(HOME, "log/a", b"nonsense\n")
    poison = world.poison()
    world.quarantine(b"nonsense")
    world.fold(poison=poison)
    assert world.job.counts["poison"] == 1


def test_a_quarantined_change_that_can_be_applied_now_is_folded(world: World) -> None:
    late = change("p-1", ms=NOW_MS - 90 * DAY_MS)
    world.put(HOME, "log/a", late)
    world.quarantine(late.line())
    world.fold()
    assert world.items.by_key[late.key] == late


def test_a_removed_collection_is_left_out_on_demand(world: World) -> None:
    world.put(HOME, "log/a", change("p-1", collection="shoes"), change("p-1"), change("p-2", collection="shoes"))
    world.fold(left_out=["shoes"])
    assert (list(world.items.by_key), world.job.counts["left_out"]) == (["item/products/p-1"], 2)


def test_unknown_poison_goes_to_quarantine_on_demand_with_a_marker_in_both_tables(world: World) -> None:
    removed = change("p-1", collection="shoes")
    world.put(AWAY, "log/a", removed, b"nonsense\n", b"nonsense\n", change("p-1"))
    poison = QuarantiningPoison(world.poison(), world.logs, [world.live, world.items], lambda: NOW_MS)
    world.fold(poison=poison)
    assert [entry[1:] for entry in world.logs[AWAY].quarantined] == [
        ("unknown_collection", "log/a:1"),
        ("unparsable", "log/a:2"),
    ]
    assert world.logs[HOME].quarantined == []
    for table in (world.live, world.items):
        assert table.get_change_status(removed.key, removed.change_id) == (None, "unknown_collection")
    assert (world.job.counts["quarantined"], world.job.counts["poison"]) == (2, 1)


@pytest.mark.parametrize("size", [1, 10**9])
def test_a_broken_connection_is_made_again_at_the_same_line(
    world: World, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(items_fill, "AHEAD_BYTES", size)
    world.put(HOME, "log/a", *(change(f"p-{number}") for number in range(5)))
    lines, broken = world.logs[HOME].lines, [4, 2, 3]

    def break_off(key: str) -> Iterator[bytes]:
        last = broken.pop() if broken else 9
        for number, line in enumerate(lines(key)):
            if number == last:
                raise UnansweredError("IncompleteRead", sent=True)
            yield line

    monkeypatch.setattr(world.logs[HOME], "lines", break_off)
    world.fold()
    assert (len(world.items.by_key), world.job.counts["lines"], broken) == (5, 5, [])
    broken.extend([0] * items_fill.READ_ATTEMPTS)
    world.job = Steps()
    with pytest.raises(UnansweredError):
        world.fold()


def test_an_object_that_vanishes_is_poison_of_its_own(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put(HOME, "log/a", change("p-1"))

    def vanish(key: str) -> Iterator[bytes]:
        raise RefusedError("NoSuchKey", 404)
        yield b""

    monkeypatch.setattr(world.logs[HOME], "lines", vanish)
    with pytest.raises(CommandError, match=r"log/a:1 in eu-central-1 .*was deleted after it was listed"):
        world.fold()
    world.quarantine(b"", "log/a:1")
    world.fold()
    assert world.job.counts["poison"] == 1


def test_an_archived_object_stops_the_fill(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put(HOME, "log/a", change("p-1"))

    def refuse(key: str) -> Iterator[bytes]:
        raise RefusedError("InvalidObjectState", 403)
        yield b""

    monkeypatch.setattr(world.logs[HOME], "lines", refuse)
    with pytest.raises(CommandError, match=r"log/a in eu-central-1 is archived\. Restore the archived objects"):
        world.fold()


def test_the_position_never_passes_a_change_that_is_not_written(world: World) -> None:
    """Kill the fill at each of its calls. After a second run, nothing is missing, and no object was left out."""
    random.seed(4711)
    for number in range(12):
        world.put(HOME if number % 2 else AWAY, f"log/{number:02}", *_random_changes())
    expected: dict[str, str] = {}
    for log in world.logs.values():
        for lines in log.objects.values():
            for line in lines:
                new = parse_line(line, COLLECTIONS)
                expected[new.key] = max(expected.get(new.key, ""), new.version)
    world.fold()
    calls = world.job.calls
    assert calls > 20
    for kill_at in range(1, calls + 1):
        world.items, world.job = MemoryItems(), Steps()
        world.job.kill_at = kill_at
        with pytest.raises(KeyboardInterrupt):
            world.fold()
        world.job.kill_at = 0
        world.fold()
        assert {key: item.version for key, item in world.items.by_key.items()} == expected
        assert world.job.counts["objects"] == 12


def _random_changes() -> list[Change]:
    return [change(f"p-{random.randrange(7)}", ms=NOW_MS + random.randrange(99)) for _ in range(random.randrange(1, 8))]


def test_what_might_bring_a_deleted_item_back_is_left_out_of_a_restored_table(world: World) -> None:
    """`erase finish` has rewritten an object, so it is read again. The delete of its old put lies in another object."""
    now = now_ms()
    old = change("old", ms=now - 100 * DAY_MS)
    recent = [change(f"p-{days}", ms=now - days * DAY_MS) for days in (6, 10, 19)]
    world.put(HOME, "log/a", old, *recent, change("before", ms=now - 8 * DAY_MS))
    world.put(AWAY, "log/a", change("late", ms=now - 100 * DAY_MS)._replace(accepted_at=rfc3339(now - DAY_MS)))
    world.fold(restored=Restored(now - 20 * DAY_MS, 7 * DAY_MS))
    everything_since = {"p-6", "p-10", "p-19", "before", "late"}
    assert {item.item_id for item in world.items.by_key.values()} == everything_since
    assert world.job.counts["expired"] == 1
    world.job, world.items = Steps(), MemoryItems()
    world.fold(restored=Restored(now - 7 * DAY_MS, 30 * DAY_MS))
    assert {item.item_id for item in world.items.by_key.values()} == everything_since
    world.job = Steps()
    world.fold()
    assert old.key in world.items.by_key and world.job.counts["expired"] == 0


def test_a_fill_with_few_items_saves_its_position_every_minute(world: World) -> None:
    for number in range(7):
        world.put(HOME, f"log/{number}", change("p-1", ms=NOW_MS + number))
    seconds = iter(range(0, 1000, 25))
    world.fold(bounds=Bounds(), monotonic=lambda: next(seconds))
    assert world.job.positions == ["log/2", "log/5", "log/6"]


def test_the_rate_counts_write_units(world: World) -> None:
    long = '{"text":"' + "x" * 3000 + '"}'
    wide = '{"text":"' + "\u20ac" * 1000 + '"}'
    world.put(
        HOME, "log/a", change("p-1"), change("p-2", data=long), change("p-3", data=wide), change("p-4", data=None)
    )
    world.fold()
    assert world.job.units == 1 + 4 + 4 + 1


class Refusing(MemoryItems):
    """A table that refuses the second batch."""

    batches = 0

    def apply_all(self, changes: Sequence[Change]) -> Counter[ApplyOutcome]:
        self.batches += 1
        if self.batches == 2:
            raise RefusedError("AccessDeniedException", 400)
        return super().apply_all(changes)


def test_a_refused_write_ends_the_fill_before_its_position(world: World) -> None:
    world.items = Refusing()
    world.put(HOME, "log/a", *(change(f"a-{number}") for number in range(3)))
    world.put(HOME, "log/b", *(change(f"b-{number}") for number in range(3)))
    with pytest.raises(RefusedError):
        world.fold()
    assert world.job.position["key"] == "log/a"
    world.fold()
    assert len(world.items.by_key) == 6


HORIZON_MS = 30 * DAY_MS
EARLIEST = (NOW_MS + HORIZON_MS + TOMBSTONE_MARGIN_MS) // 1000
"""When a tombstone expires that the fill writes, in Unix seconds."""


def items_in(dynamodb: MemoryDynamo) -> FilledItems:
    return FilledItems(dynamodb, "items", horizon_ms=HORIZON_MS, clock=lambda: NOW_MS)


def expiry(dynamodb: MemoryDynamo, tombstone: Change) -> int:
    """Return when a tombstone of the table expires, in Unix seconds."""
    return int(dynamodb.items[tombstone.key]["expires_at"]["N"])


def test_a_tombstone_in_the_building_table_outlives_the_fill() -> None:
    dynamodb = MemoryDynamo()
    old = [change(f"p-{number}", ms=NOW_MS - 400 * DAY_MS, data=None) for number in range(4)]
    ahead = change("p-9", ms=NOW_MS + 5 * DAY_MS, data=None)
    items_in(dynamodb).apply_all([*old, ahead, change("p-5")])
    assert {expiry(dynamodb, each) for each in old} == {EARLIEST}
    assert expiry(dynamodb, ahead) == EARLIEST + 5 * 86_400
    assert "expires_at" not in dynamodb.items["item/products/p-5"]


@pytest.mark.parametrize("size", [2, 10], ids=["one by one", "in bulk"])
def test_a_tombstone_of_a_restored_table_outlives_the_fill(size: int) -> None:
    """Its delete may be folded before an older put, which lies in another folder or in the log of the other Region."""
    dynamodb = MemoryDynamo()
    deletes = [change(f"p-{number}", ms=NOW_MS - 61 * DAY_MS // 2, data=None) for number in range(size)]
    DynamoBulkItems(dynamodb, "items", horizon_ms=HORIZON_MS).apply_all(deletes)
    assert expiry(dynamodb, deletes[0]) == NOW_MS // 1000 + 86_400 // 2
    older = [change(delete.item_id, ms=NOW_MS - 40 * DAY_MS) for delete in deletes]
    assert items_in(dynamodb).apply_all(older) == {"superseded": size}
    assert items_in(dynamodb).apply_all(deletes) == {"applied": size}
    assert {expiry(dynamodb, each) for each in deletes} == {EARLIEST}
    assert items_in(dynamodb).apply_all(deletes) == {"duplicate": size}
    newer = [change(delete.item_id) for delete in deletes]
    assert items_in(dynamodb).apply_all(newer) == {"applied": size}
    assert not [row for row in dynamodb.items.values() if "expires_at" in row or "data" not in row]


def test_a_second_fill_on_the_same_day_writes_nothing() -> None:
    dynamodb = MemoryDynamo()
    changes = [change(f"p-{number}", ms=NOW_MS - 400 * DAY_MS, data=None) for number in range(4)] + [change("p-4")]
    items_in(dynamodb).apply_all(changes)
    dynamodb.calls.clear()
    later = FilledItems(dynamodb, "items", horizon_ms=HORIZON_MS, clock=lambda: NOW_MS + DAY_MS - 1000)
    assert later.apply_all(changes) == {"duplicate": 5}
    assert dynamodb.calls == {"BatchGetItem": 1}
