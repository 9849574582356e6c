"""Tests of faults that last: what readers and writers get meanwhile, whether an alarm fires, and what is lost.

Each test stops one part of a stack that has no other faults. docs/failures.md names these tests.
"""

from contextlib import ExitStack
from typing import Any, NamedTuple, NoReturn
from unittest.mock import patch

import pytest

from readplane.aws.faults import RefusedError
from readplane.model.change import Change
from readplane.model.keys import item_key
from readplane.model.timestamp import rfc3339
from readplane.model.version import stamp
from tests.reliability.aws import Firehose, Queue, Shard, kinesis_record
from tests.reliability.fault_profile import Profile
from tests.reliability.invariants import BrokenRuleError
from tests.reliability.machine import Region
from tests.reliability.source import THINGS
from tests.reliability.world import PRODUCTS, World

HOUR_MS = 3_600_000
CALM = Profile(
    regions=1,
    items=1,
    writes=0,
    throttled=0,
    unsent=0,
    lost=0,
    partial=0,
    stale=0,
    crashes=0,
    slow=0,
    duplicates=0,
    poison=0,
    skew_ms=0,
    lag_ms=0,
    losses=False,
    has_stores=True,
    has_source=False,
    months=False,
)


class Seen(NamedTuple):
    """What readers see of an item: its JSON text, in each store. ``None`` if the store doesn't have the item."""

    items: str | None
    documents: str | None
    database: str | None


def everywhere(number: int) -> Seen:
    """Return what readers see if all stores have the same content."""
    return Seen(*3 * [f'{{"n": {number}}}'])


class Calm:
    """A stack without faults, and a client that puts the item ``i`` in its first Region."""

    def __init__(self, regions: int = 1) -> None:
        self.world = World(1, CALM._replace(regions=regions))
        self.stack = self.world.stacks[0]

    def put(self) -> str | None:
        """Put the item. Return ``accepted`` or ``refused``."""
        return self.world.clients[0].put(self.stack, "i")

    def put_sourced(self, number: int) -> None:
        """Put a change of a back office on the change stream. The same number is the same change."""
        version = stamp(self.world.machine.now_ms, bytes([number]) * 10)
        now = rfc3339(self.world.machine.now_ms)
        line = Change(version, THINGS, "i", f'{{"n": {number}}}', "source/office", "office", now).line()
        self.world.invariants.log_line(line)
        self.stack.change_stream.put(kinesis_record(line))

    def stop(self, part: Firehose | Queue | Shard, hours: float) -> None:
        """Let a part of AWS deliver nothing for some hours."""
        off = Region(self.world.machine, "off", 0, 0)
        off.lost_until_ms = self.world.machine.now_ms + int(hours * HOUR_MS)
        part._region = off

    def wait(self, hours: float) -> None:
        self.world.machine.run_until(self.world.machine.now_ms + int(hours * HOUR_MS))

    def seen(self, collection: str = PRODUCTS) -> Seen:
        """Return what readers see of the item."""
        row = self.stack.replica.items.get(item_key(collection, "i", None))
        document = self.stack.buckets.objects.get(f"public/documents/{collection}/i")
        stored = self.stack.database.rows.get(item_key(collection, "i", None))
        return Seen(
            row["data"]["S"] if row else None,
            document.decode().partition('"data":')[2][:-1] if document else None,
            stored.data if stored else None,
        )

    def has_alarm(self) -> bool:
        """Whether the alarm on what waits in a queue or stream fires."""
        return self.world.invariants._alarms(self.world.machine.now_ms)

    def end(self) -> None:
        """Let everything happen that is still to come, and check that nothing is lost and that all stores agree."""
        self.world.machine.settle()
        self.world.invariants.check_end()


@pytest.fixture
def calm() -> Calm:
    """Return a stack in which everybody sees the content 1."""
    calm = Calm()
    assert calm.put() == "accepted"
    calm.wait(0.1)
    assert calm.seen() == everywhere(1) and not calm.has_alarm()
    return calm


def test_while_firehose_cannot_write_to_s3_writes_are_accepted_and_reads_grow_old(calm: Calm) -> None:
    calm.stop(calm.stack.firehose, hours=23)
    assert calm.put() == "accepted"
    calm.wait(22)
    assert calm.seen() == everywhere(1) and calm.has_alarm()
    calm.wait(2)
    assert calm.seen() == everywhere(2) and not calm.has_alarm()
    calm.end()


def test_only_what_firehose_drops_after_a_day_is_lost(calm: Calm) -> None:
    calm.stop(calm.stack.firehose, hours=25)
    assert calm.put() == "accepted"
    with patch.object(calm.stack.firehose, "_deliver", lambda *_: None):
        calm.wait(26)
    with pytest.raises(BrokenRuleError, match="doesn't have the newest change"):
        calm.end()
    assert calm.put() == "accepted"
    calm.wait(0.1)
    assert calm.seen() == everywhere(3)
    calm.end()


def test_a_disabled_key_refuses_writes_and_reads_and_loses_nothing_that_was_accepted(calm: Calm) -> None:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise RefusedError("KMSDisabledException", 400)

    stack, key = calm.stack, item_key(PRODUCTS, "i", None)
    calm.stop(stack.firehose, hours=1 / 6)  # it can't encrypt what it should write to S3
    assert calm.put() == "accepted"
    with ExitStack() as patches:
        for part in (stack.firehose, stack.replica, stack.buckets):
            patches.enter_context(patch.object(part, "call", refuse))
        assert calm.put() == "refused"
        with pytest.raises(RefusedError):
            stack.functions_of("read").items.get_item(key)
        calm.wait(1 / 12)
        assert calm.seen() == everywhere(1) and calm.has_alarm()
    calm.wait(1 / 6)
    assert calm.seen() == everywhere(2)
    calm.end()


def test_a_lost_notification_hides_the_changes_of_its_object_until_a_replay(calm: Calm) -> None:
    stack = calm.stack
    with patch.object(stack, "announce", lambda *_: None):
        assert calm.put() == "accepted"
        calm.wait(1)
    *_, lost = (key for key in stack.buckets.objects if key.startswith("log/"))
    assert calm.seen() == everywhere(1)
    assert stack.apply_telemetry.handled[lost] == 0, "the alarm compares this with what Firehose delivered"
    stack.announce(lost, replay=True, lost=True)
    calm.wait(0.1)
    assert calm.seen() == everywhere(2) and stack.apply_telemetry.handled[lost] == 1
    calm.end()


def test_while_nothing_reads_the_apply_queue_reads_grow_old_and_nothing_is_lost_for_days(calm: Calm) -> None:
    calm.stop(calm.stack.apply_queue, hours=95)
    assert calm.put() == "accepted"
    calm.wait(94)
    assert calm.seen() == everywhere(1) and calm.has_alarm()
    calm.wait(2)
    assert calm.seen() == everywhere(2)
    calm.end()


def test_while_nothing_reads_the_items_stream_items_are_right_and_documents_grow_old(calm: Calm) -> None:
    calm.stop(calm.stack.streams[1], hours=23)
    assert calm.put() == "accepted"
    calm.wait(22)
    assert calm.seen() == everywhere(1)._replace(items='{"n": 2}') and calm.has_alarm()
    calm.wait(2)
    assert calm.seen() == everywhere(2)
    calm.end()


def test_while_replication_stops_each_region_shows_its_own_writes_and_nothing_is_lost() -> None:
    calm = Calm(regions=2)
    stacks = calm.world.stacks
    for stack in stacks:
        stack.replica.region = Region(calm.world.machine, stack.region.name, 0, stack.region.table_skew_ms)
        stack.replica.region.lost_until_ms = calm.world.machine.now_ms + HOUR_MS // 4
        assert calm.world.clients[0].put(stack, "i") == "accepted"
    calm.wait(0.2)
    assert [stack.database.rows[item_key(PRODUCTS, "i", None)].data for stack in stacks] == ['{"n": 1}', '{"n": 2}']
    calm.wait(0.1)
    assert calm.seen() == everywhere(2)
    calm.end()


def test_while_nothing_reads_the_change_stream_changes_are_late_and_lost_only_after_its_retention(calm: Calm) -> None:
    calm.put_sourced(1)
    calm.wait(0.1)
    assert calm.seen(THINGS) == everywhere(1)
    calm.stop(calm.stack.change_stream, hours=23)
    calm.put_sourced(2)
    calm.wait(22)
    assert calm.seen(THINGS) == everywhere(1) and calm.has_alarm()
    calm.wait(2)
    assert calm.seen(THINGS) == everywhere(2)
    calm.put_sourced(3)
    with patch.object(calm.stack.change_stream, "_serve", lambda _: []):  # Kinesis deletes the record unread
        calm.wait(1)
    with pytest.raises(BrokenRuleError, match="doesn't have the newest change"):
        calm.end()
    calm.put_sourced(4)  # after a reset of the source, `poll` sends all records again
    calm.wait(0.1)
    assert calm.seen(THINGS) == everywhere(4)
    calm.end()
