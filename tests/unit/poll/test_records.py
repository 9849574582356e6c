"""Tests of a page's records: the changes that are sent, their versions, and the records that go to quarantine."""

import itertools
import json
from collections.abc import Iterable
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit

import pytest

from readplane.aws.faults import UnansweredError
from readplane.model.change import Change
from readplane.model.timestamp import rfc3339
from readplane.model.version import time_ms
from tests.unit.poll.support import CHANGES, DAY_MS, LISTING, ORIGIN, SWEPT, World
from tests.unit.support import NOW_MS


def test_a_change_names_its_source_and_the_time_before_its_request(world: World) -> None:
    world.office.row("a", NOW_MS - 500)
    world()
    (change,) = world.stream.changes
    assert (change.source, change.actor) == ("rows", "source/rows")
    assert (time_ms(change.version), change.accepted_at) == (NOW_MS - 500, rfc3339(NOW_MS))


def test_of_several_contents_with_one_time_the_one_read_last_wins(world: World) -> None:
    world.office.row("a", n=1)
    world()
    for n in (2, 1, 3, 1):
        world.office.row("a", n=n)
        world()
        assert world.values() == {"a": n}
    assert [change.version for change in world.stream.changes] == sorted(
        change.version for change in world.stream.changes
    )


def test_after_a_crash_the_later_of_two_contents_with_one_time_wins(world: World) -> None:
    """The poll crashes after Kinesis has received the first content, but before the checkpoint marks it as sent."""
    for first, second in itertools.permutations(range(1, 6), 2):
        world = World()
        world.office.row("a", n=first)

        def crash(save: int) -> None:
            if save == 2:
                raise KeyboardInterrupt

        world.checkpoints.before_save = crash
        with pytest.raises(KeyboardInterrupt):
            world()
        assert world.values() == {"a": first}
        world.checkpoints.before_save = None
        world.office.row("a", n=second)
        world.ms += 60_000
        world()
        assert world.values() == {"a": second}


def test_a_crash_before_kinesis_has_a_page_loses_no_record(world: World) -> None:
    world.office.row("young")
    world.office.row("old", NOW_MS - DAY_MS)
    world.stream.failure = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        world()
    world.stream.failure = None
    world.ms += 60_000
    assert world()["changes"] == 2
    assert set(world.values()) == {"young", "old"}


def test_a_record_older_than_a_pending_one_is_sent_until_its_item_has_it(world: World) -> None:
    """A poll remembers the later state of a row as pending, but crashes before it sends the change.

    Then the back office deletes the row, and an older transaction inserts the row again with an earlier time.
    This older state is the one that the item must get.
    """
    world.office.row("a", NOW_MS - 1000, n=2)
    world.stream.failure = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        world()
    world.stream.failure = None
    world.office.row("a", NOW_MS - 2000, n=1)
    world.ms += 60_000
    assert [world()["changes"] for _ in range(3)] == [1, 0, 0]
    assert world.values() == {"a": 1}
    world.office.row("a", NOW_MS - 1000, n=2)
    world()
    assert world.values() == {"a": 2}


def test_records_before_the_watermark_that_are_not_remembered_are_looked_up(world: World) -> None:
    world.office.row("a", NOW_MS - DAY_MS)
    world.office.row("b", NOW_MS - 1000)
    world()
    world.office.answer = lambda url: json.dumps({"rows": list(world.office.rows.values()), "next": None}).encode()
    assert world()["changes"] == 0
    world.office.row("c", NOW_MS - DAY_MS)
    assert world()["changes"] == 1


def test_of_a_record_twice_on_a_page_the_later_one_wins_even_when_all_is_read_again(world: World) -> None:
    for factor in range(1, 9):
        rows = [{"id": "a", "at": NOW_MS - DAY_MS, "n": factor * n} for n in (1, 2)]
        world.office.answer = lambda url, rows=rows: json.dumps({"rows": rows}).encode()
        world()
        assert world.values() == {"a": 2 * factor}
        world.checkpoints.reset("rows")


def test_of_a_record_on_several_pages_the_last_page_wins_even_when_all_is_read_again(world: World) -> None:
    """A back office may list one event for each modification of a record.

    Then several pages can hold events of the same record.
    """
    ms = NOW_MS - DAY_MS
    links = [f"{ORIGIN}?from=1", f"{ORIGIN}?from=2", f"{ORIGIN}?from=3", None]
    pages = [{"rows": [{"id": "a", "at": ms, "n": n}], "next": link} for n, link in enumerate(links)]
    world.office.answer = lambda url: json.dumps(
        pages[int(dict(parse_qsl(urlsplit(url).query)).get("from", 0))]
    ).encode()
    for _ in range(4):
        world()
        assert world.values() == {"a": 3}
        world.checkpoints.reset("rows")


def test_a_delete_becomes_a_tombstone(world: World) -> None:
    world.office.row("a", NOW_MS - 1000)
    world()
    world.office.row("a", NOW_MS - 500, gone=True)
    world()
    assert world.values() == {}
    assert world.items.by_key["item/things/a"].op == "delete"


def test_a_record_that_cannot_be_translated_goes_to_quarantine_once_and_delays_no_other(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(100):
        world.office.row(f"r{number}", n="secret" if number == 50 else number)
    response = world()
    assert (response["changes"], response["quarantined"]) == (99, 1)
    for _ in range(3):
        world.ms += 70_000
        assert world()["quarantined"] == 0
    assert world.quarantine.puts == 1
    (key,) = world.quarantine.entries
    assert key.startswith("quarantine/invalid/")
    assert "secret" not in capsys.readouterr().out


def test_too_many_bad_records_on_a_page_fail_the_poll_and_none_goes_to_quarantine(world: World) -> None:
    """If the translation fails for more than 1,000 records of a page, an operator must correct the translation.

    Quarantining all these records wouldn't help, because the operator would have to redrive every one of them.
    """
    rows = [{"id": f"r{number}", "at": NOW_MS, "n": "bad"} for number in range(1_001)]
    rows.append({"id": "good", "at": NOW_MS, "n": 1})
    world.office.answer = lambda url: json.dumps({"rows": rows}).encode()
    assert world()["outcome"] == "failed"
    assert world.quarantine.puts == 0 and world.checkpoint().failures.count == 1
    assert list(world.items.by_key) == ["item/things/good"], "the good record is sent all the same"
    del rows[0]
    response = world()
    assert (response["outcome"], response["quarantined"]) == ("completed", 1_000)
    assert world()["quarantined"] == 0
    assert world.quarantine.puts == 1_000


def test_a_record_without_owner_in_an_owner_collection_goes_to_quarantine(world: World) -> None:
    source = {**CHANGES, "owner": "owner", "collection": "mine"}
    world.office.answer = lambda url: json.dumps(
        {"rows": [{"id": "a", "at": NOW_MS, "n": 1, "owner": "u-1"}, {"id": "b", "at": NOW_MS, "n": 1}]}
    ).encode()
    response = world(source)
    assert (response["changes"], response["quarantined"]) == (1, 1)
    assert list(world.items.by_key) == ["item/mine/u-1/a"]


def test_a_page_too_large_for_one_invocation_is_sent_in_several(world: World) -> None:
    """Each poll skips the records whose changes `apply` has applied. So it gets further than the poll before it."""
    listed = [{"id": f"r{number}", "at": NOW_MS - DAY_MS, "n": 1} for number in range(6_000)]
    world.office.answer = lambda url: json.dumps({"rows": listed}).encode()
    put = world.stream.put_changes

    def put_some(changes: Iterable[Change], seconds: float) -> None:
        put(itertools.islice(changes, 2_000), seconds)
        raise UnansweredError("FailedRecords", sent=True)

    with patch.object(world.stream, "put_changes", put_some):
        assert [world()["outcome"] for _ in range(2)] == ["failed"] * 2
    assert world()["changes"] == 2_000
    assert len(world.values()) == 6_000


def test_a_listing_without_times_sends_only_records_with_other_content(world: World) -> None:
    for name in "abc":
        world.office.row(name)
    assert world(LISTING)["changes"] == 3
    assert world(LISTING)["changes"] == 0
    world.office.row("b", n=7)
    assert world(LISTING)["changes"] == 1
    assert world.values() == {"a": 1, "b": 7, "c": 1}
    assert time_ms(world.items.by_key["item/things/b"].version) == NOW_MS + 2


def test_a_listed_record_is_compared_with_the_change_on_its_way_to_the_item(world: World) -> None:
    """A change in flight is one that `poll` has sent, but `apply` hasn't applied yet.

    While a change is in flight, its row can change back to the content that the item still has. If `poll` compared the
    row only with the item, it would send no change. Then `apply` would apply the change in flight, and the item would
    be wrong.
    """
    world.office.row("a", n=1)
    world.office.row("b", n=1)
    world(LISTING)
    world.stream.holding = True
    world.office.row("a", n=2)
    world.office.row("c", n=1)
    assert world(LISTING)["changes"] == 2
    assert world(LISTING)["changes"] == 0
    world.office.row("a", n=1)
    world.office.row("c", n=1, gone=True)
    assert world(LISTING)["changes"] == 2
    for change in reversed(world.stream.changes):
        world.items.apply(change)
    world.stream.holding = False
    assert world.values() == {"a": 1, "b": 1}
    assert world(LISTING)["changes"] == 0


def test_a_change_that_was_lost_on_its_way_is_sent_again(world: World) -> None:
    world.stream.holding = True
    world.office.row("a")
    assert [world(LISTING)["changes"] for _ in range(2)] == [1, 0]
    world.stream.holding = False
    world.ms += 2 * 3_600_000
    assert world(LISTING)["changes"] == 1
    assert world.values() == {"a": 1}


def test_other_content_wins_even_if_our_clock_is_behind_the_item(world: World) -> None:
    world.office.row("a", n=1)
    world(LISTING)
    world.ms -= 60_000
    world.office.row("a", n=2)
    world(LISTING)
    assert world.values() == {"a": 2}


def test_a_sweep_corrects_an_item_whose_record_changed_without_a_new_time(world: World) -> None:
    for name in "ab":
        world.office.row(name, NOW_MS - DAY_MS)
    world(SWEPT)
    before = world.items.by_key["item/things/a"].version
    world.office.row("a", NOW_MS - 2 * DAY_MS, n=9)
    world(SWEPT)
    assert world.values()["a"] == 1
    world(SWEPT, sweep=True)
    assert world.values()["a"] == 9
    after = world.items.by_key["item/things/a"].version
    assert time_ms(after) == time_ms(before) and after > before
    world.office.row("a", NOW_MS - DAY_MS + 1, n=10)
    world(SWEPT, sweep=True)
    assert world.values()["a"] == 10, "a later modification wins"


def test_a_sweep_corrects_an_item_that_a_client_wrote(world: World) -> None:
    """The sweep corrects the item although the client's change has a later time than the back office's record."""
    world.office.row("a", NOW_MS - DAY_MS, 2)
    version = f"{NOW_MS - 1000:012x}"
    client_version = f"{version[:8]}-{version[8:]}-7fff-bfff-ffffffffffff"
    world.items.apply(Change(client_version, "things", "a", '{"n":1}', "someone", "api", rfc3339(NOW_MS - 1000)))
    world(SWEPT)
    world.ms += 2 * 60_000
    world(SWEPT, sweep=True)
    assert world.values() == {"a": 2}


@pytest.mark.parametrize("source", [SWEPT, {**LISTING, "version": CHANGES["version"]}], ids=["swept", "listing"])
def test_a_deleted_record_that_comes_back_unchanged_is_sent_again(world: World, source: dict[str, Any]) -> None:
    """The checkpoint still remembers that the record's change was sent.

    Only the item shows that a sweep has deleted the item since then.
    """
    for name in "abc":
        world.office.row(name, NOW_MS - DAY_MS)
    world(source)
    row = world.office.rows.pop("b")
    for _ in range(2):
        world(source, sweep=True)
    assert "b" not in world.values()
    world.office.rows["b"] = row
    world(source, sweep=True)
    assert world.values() == {"a": 1, "b": 1, "c": 1}
    assert world(source, sweep=True)["changes"] == 0


def test_a_sweep_sends_no_change_that_its_item_has(world: World) -> None:
    for number in range(20):
        world.office.row(f"r{number}", NOW_MS - DAY_MS * (number % 2) - 1000, number)
    world(SWEPT)
    count = len(world.stream.changes)
    world(SWEPT, sweep=True)
    assert len(world.stream.changes) == count
