"""Tests of a poll of one source: changed settings, failures of the back office, and the circuit breaker."""

import json
from typing import Any

import pytest

from readplane.aws.faults import UnansweredError
from readplane.poll.errors import BackOfficeError
from tests.unit.poll.support import CHANGES, DAY_MS, LISTING, ORIGIN, SNAPSHOT, SWEPT, World
from tests.unit.support import NOW_MS


def test_the_watermark_stays_while_kinesis_refuses(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.office.row("a")
    world.stream.failure = UnansweredError("FailedRecords", sent=True)
    assert world()["outcome"] == "failed"
    assert world.checkpoint().watermark_ms is None
    assert world.checkpoint().failures.count == 0, "Kinesis failed, not the back office"
    world.stream.failure = None
    assert world()["outcome"] == "completed"
    assert world.values() == {"a": 1}


@pytest.mark.parametrize("by", ["itself", "reset"])
def test_a_corrected_translation_reaches_records_that_were_not_modified_since(world: World, by: str) -> None:
    """The changes of the old and the new translation have the same time, because the record wasn't modified.

    Without a counter in the version, the change with the greater content hash would win, even if it were the old one.
    """
    for number in range(1, 21):
        world.office.row(f"r{number}", NOW_MS - DAY_MS, number)
    for factor in (1, 2, 3, 1):
        translation = (
            CHANGES["translation"] if factor == 1 else f"{{n: to_number(join('', [to_string(n), '{factor}']))}}"
        )
        if by == "reset" and world.checkpoints.by_source:
            world.checkpoints.reset("rows")
        world.ms += DAY_MS
        assert world({**CHANGES, "translation": translation})["records"] == 20
        assert world.values() == {f"r{n}": n if factor == 1 else 10 * n + factor for n in range(1, 21)}
        assert world({**CHANGES, "translation": translation})["changes"] == 0
    assert not world.checkpoint().reread_until_ms


@pytest.mark.parametrize("setting", [{"url": f"{ORIGIN}/2?since={{cursor}}"}, {"collection": "others"}])
def test_another_back_office_or_collection_is_read_from_the_beginning(world: World, setting: dict[str, Any]) -> None:
    world.office.row("a", NOW_MS - 1000)
    world()
    world.office.rows.clear()
    world.office.row("b", NOW_MS - 2 * DAY_MS)
    assert world({**CHANGES, "lag_seconds": 5, "timeout_seconds": 3})["changes"] == 0, (
        "these settings don't change what the records mean"
    )
    assert world({**CHANGES, **setting})["changes"] == 1
    assert world.checkpoint().watermark_ms == NOW_MS - 2 * DAY_MS


def test_another_translation_reads_an_unchanged_listing_again(world: World) -> None:
    world.office.etags = True
    world.office.row("a", n=1)
    world(LISTING)
    world.ms += DAY_MS
    assert [world(LISTING)["outcome"] for _ in range(2)] == ["completed", "not_modified"]
    assert world({**LISTING, "translation": "{n: `7`}"})["outcome"] == "completed"
    assert world.values() == {"a": 7}


def test_a_paused_source_is_not_polled(world: World) -> None:
    world.checkpoints.set_paused("rows", True)
    assert world()["outcome"] == "paused"
    assert world.office.urls == []
    world.checkpoints.set_paused("rows", False)
    assert world()["outcome"] == "completed"


def test_the_breaker_opens_after_failures_in_a_row_probes_and_closes(world: World) -> None:
    source = {**CHANGES, "breaker": {"failures": 2, "cooldown_seconds": 30}}
    world.office.fault = BackOfficeError("timeout", "no response within 10 s", retryable=True)
    assert [world(source)["outcome"] for _ in range(3)] == ["failed", "failed", "open"]
    assert len(world.office.urls) == 2
    assert world.items.sources["rows"].breaker == "open"
    world.ms += 30_000
    assert world(source)["outcome"] == "failed", "the half-open breaker lets one request through"
    assert world(source)["outcome"] == "open"
    world.ms += 30_000
    world.office.fault = None
    assert world(source)["outcome"] == "completed"
    assert world.items.sources["rows"].breaker == "closed"


def test_a_failed_poll_says_why(world: World) -> None:
    assert world()["fault"] is None
    world.office.fault = BackOfficeError("timeout", "no response within 10 s", retryable=True)
    assert world()["fault"].startswith("timeout: no response within 10 s; ")
    world.office.fault = None
    world.office.answer = lambda url: b'{"rows": "hush"}'
    assert world()["fault"].startswith("page: records: found a string, not a list; ")
    world.office.answer = None
    world.office.row("a")
    world.stream.failure = UnansweredError("FailedRecords", sent=True)
    assert world()["fault"] == "aws: FailedRecords"


def test_a_good_page_resets_the_failure_count(world: World) -> None:
    source = {**CHANGES, "breaker": {"failures": 2, "cooldown_seconds": 30}}
    for _ in range(3):
        world.office.fault = BackOfficeError("connect", "ConnectionRefusedError", retryable=True)
        assert world(source)["outcome"] == "failed"
        world.office.fault = None
        assert world(source)["outcome"] == "completed"


def test_a_retry_after_header_is_obeyed(world: World) -> None:
    world.office.fault = BackOfficeError("status", "it responds with 429", status=429, retry_after=120, retryable=True)
    world()
    world.office.fault = None
    world.ms += 100_000
    assert world()["outcome"] == "open"
    world.ms += 20_000
    assert world()["outcome"] == "completed"


def test_running_out_of_time_is_no_failure_of_the_back_office(world: World) -> None:
    world.office.fault = BackOfficeError("deadline", "the time for this poll ran out before the response came")
    assert world()["outcome"] == "unfinished"
    assert world.checkpoint().failures.count == 0


@pytest.mark.parametrize("body", [b"<html>", b'{"rows":', b"{}", b'{"rows":null}', b"[]", b"\xff\xfe"])
def test_an_unreadable_response_is_not_an_empty_page(world: World, body: bytes) -> None:
    world.office.row("a")
    world()
    before = world.checkpoint()
    world.office.answer = lambda url: body
    assert world()["outcome"] == "failed"
    after = world.checkpoint()
    assert (after.watermark_ms, after.fresh_as_of_ms) == (before.watermark_ms, before.fresh_as_of_ms)
    assert after.failures.count == 1


def test_a_pass_whose_next_page_is_gone_starts_again(world: World) -> None:
    world.office.page_size = 1
    for name in "abc":
        world.office.row(name, NOW_MS - DAY_MS)
    assert world({**CHANGES, "max_pages": 1})["outcome"] == "unfinished"
    world.office.fault = BackOfficeError("status", "it responds with 410", status=410)
    world(), world()
    world.office.fault = None
    assert world()["pages"] == 3
    assert len(world.values()) == 3


@pytest.mark.parametrize("style", ["link", "token"])
@pytest.mark.parametrize("link", ["\ud800", "x" * 400_000], ids=["surrogate", "endless"])
def test_a_link_or_token_that_cannot_be_sent_is_not_saved(world: World, style: str, link: str) -> None:
    paging = {"style": style, "next": "next", "first": 1} | ({"parameter": "from"} if style == "token" else {})
    rows = [{"id": "a", "at": NOW_MS - DAY_MS, "n": 1}]
    world.office.answer = lambda url: json.dumps({"rows": rows, "next": link}).encode()
    assert world({**CHANGES, "paging": paging})["outcome"] == "failed"
    assert world.checkpoint().failures.count == 1
    world.office.answer = lambda url: json.dumps({"rows": rows}).encode()
    assert world({**CHANGES, "paging": paging})["outcome"] == "completed"


@pytest.mark.parametrize("source", [CHANGES, LISTING, SNAPSHOT], ids=["changes", "listing", "snapshot"])
def test_a_back_office_that_refuses_conditional_requests_gets_unconditional_ones(
    world: World, source: dict[str, Any]
) -> None:
    world.office.etags = True
    world.office.row("a", NOW_MS - DAY_MS)
    world.office.answer = (lambda url: b"[1]") if source is SNAPSHOT else None
    world(source)
    world.ms += DAY_MS
    world(source)

    def refuse() -> None:
        if world.office.conditions[-1]:
            raise BackOfficeError("status", "it responds with 412", status=412)

    outcomes = []
    for _ in range(3):
        world.office.before = refuse
        outcomes.append(world(source)["outcome"])
    assert outcomes == ["failed", "failed", "completed"]


def test_one_bad_page_does_not_restart_the_pass(world: World) -> None:
    world.office.page_size = 1
    for name in "abc":
        world.office.row(name, NOW_MS - DAY_MS)
    world({**CHANGES, "max_pages": 1})
    world.office.answer = lambda url: b"{"
    assert world()["outcome"] == "failed"
    world.office.answer = None
    assert world()["pages"] == 2


def test_an_outage_does_not_restart_the_pass(world: World) -> None:
    world.office.page_size = 1
    for name in "abc":
        world.office.row(name, NOW_MS - DAY_MS)
    world({**CHANGES, "max_pages": 1})
    world.office.fault = BackOfficeError("status", "it responds with 503", status=503, retryable=True)
    world()
    world.office.fault = None
    assert world()["pages"] == 2


def test_a_retry_after_header_for_a_sweep_stops_no_main_pass(world: World) -> None:
    world.office.row("a", NOW_MS - DAY_MS)
    world(SWEPT)

    def busy(url: str) -> bytes:
        if "since=0" in url:
            raise BackOfficeError("status", "it responds with 429", status=429, retry_after=600, retryable=True)
        return world.office.page(url)

    world.office.answer = busy
    world.ms += 60_000
    assert world(SWEPT, sweep=True)["outcome"] == "failed"
    requests = len(world.office.urls)
    world.ms += 60_000
    assert world(SWEPT)["outcome"] == "completed"
    assert (len(world.office.urls), world.checkpoint().fresh_as_of_ms) == (requests + 1, world.ms - 1)
    world.office.answer = None
    world.ms += 600_000
    world(SWEPT)
    assert not world.checkpoint().sweep_due


def test_a_sweep_whose_next_page_is_gone_starts_again(world: World) -> None:
    world.office.page_size = 1
    for days in range(1, 5):
        world.office.row(f"r{days}", NOW_MS - days * DAY_MS)
    world(SWEPT)
    world({**SWEPT, "max_pages": 2}, sweep=True)
    sweep_pass = world.checkpoint().sweep_pass
    world.office.answer = lambda url: b"gone" if "from=2" in url else world.office.page(url)
    assert world(SWEPT)["outcome"] == "failed"
    world.office.answer = None
    assert sweep_pass and world.checkpoint().sweep_pass is None
    world(SWEPT)
    assert not world.checkpoint().sweep_due
