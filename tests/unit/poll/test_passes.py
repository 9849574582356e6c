"""Tests of one pass: its pages, the watermark, conditional requests, and the hashes of listed items."""

import json
from typing import Any
from unittest.mock import patch

import pytest

from readplane.poll.passes.base import advance_watermark, cursor_before
from readplane.poll.upstream.request import BackOfficeRequest
from tests.fakes.source_settings import add_defaults
from tests.unit.poll.support import CHANGES, DAY_MS, LISTING, ORIGIN, SNAPSHOT, World
from tests.unit.support import NOW_MS


def test_every_page_becomes_changes_and_the_next_pass_asks_from_a_lag_before_the_watermark(world: World) -> None:
    world.office.page_size = 2
    for number in range(5):
        world.office.row(f"r{number}", NOW_MS - 900_000 + number, number)
    response = world()
    assert (response["outcome"], response["pages"], response["records"], response["changes"]) == ("completed", 3, 5, 5)
    assert world.values() == {f"r{number}": number for number in range(5)}
    assert world.checkpoint().watermark_ms == NOW_MS - 900_000 + 4
    assert world.checkpoint().fresh_as_of_ms == NOW_MS
    assert world()["changes"] == 0
    assert world.office.urls[3] == f"{ORIGIN}?since={NOW_MS - 900_000 + 4 - 60_000}"


def test_a_long_catch_up_continues_where_it_stopped(world: World) -> None:
    world.office.page_size = 10
    for number in range(95):
        world.office.row(f"r{number:02}", NOW_MS - DAY_MS + number)
    source = {**CHANGES, "max_pages": 3}
    responses = [world(source) for _ in range(4)]
    assert [response["outcome"] for response in responses] == ["unfinished"] * 3 + ["completed"]
    assert sum(response["records"] for response in responses) == 95
    assert len(world.values()) == 95
    # The source counts as fresh only as of the time of the pass's first request, because the pass may have missed later
    # modifications.
    assert world.checkpoint().fresh_as_of_ms == NOW_MS


def test_a_record_committed_late_within_the_lag_is_found(world: World) -> None:
    world.office.row("a", NOW_MS - 1000)
    world()
    world.office.row("late", NOW_MS - 50_000)
    assert world()["changes"] == 1
    assert set(world.values()) == {"a", "late"}


def test_the_watermark_does_not_pass_the_time_of_the_first_request(world: World) -> None:
    """A pass can miss a record that is modified after the pass's first request.

    The modified record can belong on a page that the pass has already read. If the watermark were later than the
    modification, the next pass would miss the record too.
    """
    world.office.row("a", NOW_MS + 100_000)
    world()
    assert world.checkpoint().watermark_ms == NOW_MS


def test_a_page_is_requested_conditionally_by_its_etag(world: World) -> None:
    world.office.etags = True
    world.office.row("a", NOW_MS - DAY_MS)
    world()
    world()  # The first pass moved the cursor in the URL. No ETag of the new URL is known yet.
    response = world()
    assert response["outcome"] == "not_modified"
    assert world.checkpoint().fresh_as_of_ms == NOW_MS + 2
    assert world.office.conditions[:2] == [None, None] and world.office.conditions[2] is not None
    world.office.row("b", NOW_MS)
    assert world()["changes"] == 1


def test_a_list_of_several_pages_is_never_requested_conditionally(world: World) -> None:
    world.office.etags, world.office.page_size = True, 1
    for name in "ab":
        world.office.row(name)
    for _ in range(3):
        world()
    assert set(world.office.conditions) == {None}


def test_a_listing_is_not_requested_conditionally_while_changes_or_missing_items_are_pending(world: World) -> None:
    world.office.etags = True
    for name in "abc":
        world.office.row(name)
    for _ in range(3):
        assert world(LISTING)["outcome"] == "completed", "`apply` may not have applied the changes yet"
    world.ms += DAY_MS
    assert [world(LISTING)["outcome"] for _ in range(2)] == ["completed", "not_modified"]
    del world.office.rows["b"]
    assert world(LISTING)["missing"] == 1
    assert world(LISTING)["outcome"] == "completed", "the item must be missing again, in the same response"
    assert set(world.values()) == {"a", "c"}


def test_the_hashes_of_a_huge_page_are_stored_in_chunks_that_dynamodb_takes(world: World) -> None:
    world.office.page_size = 100_000
    world.office.answer = lambda url: json.dumps({"rows": [{"id": f"r{n}", "n": n} for n in range(45_000)]}).encode()
    with patch.object(world.stream, "put_changes"):
        assert world(LISTING)["records"] == 45_000
    assert sum(map(len, world.checkpoints.chunks.values())) == 45_000 * 8
    assert max(map(len, world.checkpoints.chunks.values())) < 390 * 1024


@pytest.mark.parametrize(
    ("previous_ms", "newest_ms", "started_ms", "expected"),
    [
        (None, None, 100, None),
        (50, None, 100, 50),
        (None, 70, 100, 70),
        (80, 70, 100, 80),
        (80, 130, 100, 100),
        (None, 130, 100, 100),
    ],
)
def test_the_watermark_is_the_latest_time_that_has_surely_been_read(
    previous_ms: int | None, newest_ms: int | None, started_ms: int, expected: int | None
) -> None:
    assert advance_watermark(previous_ms, newest_ms, started_ms) == expected


def test_the_cursor_is_a_lag_before_the_watermark() -> None:
    assert cursor_before(None, 60) is None
    assert cursor_before(1_000, 60) == 940
    assert cursor_before(10, 60) == 0


@pytest.mark.parametrize("source", [CHANGES, LISTING, SNAPSHOT], ids=["changes", "listing", "snapshot"])
def test_an_untrue_304_hides_changes_for_an_hour_at_most(world: World, source: dict[str, Any]) -> None:
    """The back office's ETag stays the same although its list changes."""
    world.office.row("a", NOW_MS - DAY_MS)
    texts = [b"[1]", b"[2]"]
    world.office.answer = (lambda url: texts[0]) if source is SNAPSHOT else None
    world.office.etag = '"the same"'
    for _ in range(3):
        world(source)
        world.ms += 61 * 60_000
    world(source)
    world.office.row("a", NOW_MS - DAY_MS + 1, 7)
    del texts[0]
    world.ms += 50 * 60_000
    assert world(source)["outcome"] == "not_modified"
    world.ms += 11 * 60_000
    assert world(source)["outcome"] == "completed"
    assert world.office.conditions[-2:] == ['"the same"', None]
    if source is SNAPSHOT:
        assert b"[2]" in next(iter(world.regions["eu-west-1"].documents.values()))[2]
    else:
        assert world.values() == {"a": 7}


@pytest.mark.parametrize("source", [CHANGES, LISTING, SNAPSHOT], ids=["changes", "listing", "snapshot"])
def test_conditional_requests_can_be_switched_off(world: World, source: dict[str, Any]) -> None:
    world.office.etags = True
    world.office.row("a", NOW_MS - DAY_MS)
    world.office.answer = (lambda url: b"[1]") if source is SNAPSHOT else None
    for _ in range(6):
        assert world({**source, "conditional": False})["outcome"] == "completed"
        world.ms += 25 * 60_000
    assert set(world.office.conditions) == {None}


def test_a_snapshot_is_requested_as_its_source_says(world: World) -> None:
    source = add_defaults({**SNAPSHOT, "request": {"method": "POST", "body": '{"query": "{ rates }"}'}})
    world.office.etags = True
    world.office.answer = lambda url: b"[1]"
    assert [world(source)["outcome"] for _ in range(2)] == ["completed", "completed"]
    assert world.office.requests[-1] == BackOfficeRequest(ORIGIN, "POST", b'{"query":"{ rates }"}')


def test_a_snapshot_that_is_not_what_the_source_expects_replaces_nothing(world: World) -> None:
    source = {**SNAPSHOT, "expect": "status == 'ok'"}
    world.office.answer = lambda url: b'{"status":"ok","n":1}'
    assert world(source)["outcome"] == "completed"
    world.office.answer = lambda url: b'{"status":"error"}'
    assert world(source)["outcome"] == "failed"
    assert b'"n":1' in next(iter(world.regions["eu-west-1"].documents.values()))[2]
