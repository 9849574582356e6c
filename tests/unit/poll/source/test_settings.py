"""Tests of what follows from a source's settings: the requests of its lists, and the fingerprint."""

from typing import Any

import pytest

from readplane.poll.source.rules import parse_source
from readplane.poll.source.settings import ListRequest, RequestSettings, asks_since
from tests.unit.poll.source.samples import BY_FUNCTION, CHANGES, MINIMAL, SNAPSHOT, changed


def first_url(request: ListRequest) -> str:
    return request.url_of_page(None)


def test_the_url_holds_the_cursor_in_its_format() -> None:
    source = parse_source(changed(CHANGES, cursor=None))
    assert first_url(source.main_list(1_700_000_000_123)).endswith("?changed_since=2023-11-14T22%3A13%3A20.123Z")
    assert first_url(source.main_list(None)).endswith("?changed_since=1970-01-01T00%3A00%3A00.000Z")
    assert first_url(source.sweep_list()) == "https://office.example/all.json"
    custom = parse_source(changed(CHANGES, cursor={"format": "unix_s", "initial": "all of it"}, sweep__url=None))
    assert first_url(custom.main_list(1_700_000_000_999)).endswith("=1700000000")
    for request in (custom.main_list(None), custom.sweep_list()):
        assert first_url(request) == "https://office.example/articles.json?changed_since=all%20of%20it"
    by_function = parse_source(changed(BY_FUNCTION, url="http://o.example/since/{cursor}/x", cursor__format="unix_ms"))
    assert first_url(by_function.main_list(1_700_000_000_123)) == "http://o.example/since/1700000000123/x"
    assert first_url(by_function.main_list(None)) == "http://o.example/since/0/x"


def test_a_time_window_has_two_ends_in_the_format_and_zone_of_the_cursor() -> None:
    url = "https://office.example/articles.json?from={cursor}&to={now}"
    cursor = {
        "format": "%Y-%m-%d %H:%M:%S",
        "zone": "Europe/Berlin",
        "initial": "2023-01-01T00:00:00Z",
        "window_seconds": 3600,
    }
    source = parse_source(changed(CHANGES, url=url, cursor=cursor, sweep__url=None))
    assert source.initial_ms == 1_672_531_200_000
    assert first_url(source.main_list(1_700_000_000_999, 1_700_003_600_000)).endswith(
        "?from=2023-11-14%2023%3A13%3A20&to=2023-11-15%2000%3A13%3A20"
    )
    assert first_url(source.sweep_list(until_ms=1_700_000_000_000)).endswith(
        "?from=2023-01-01%2001%3A00%3A00&to=2023-11-14%2023%3A13%3A20"
    )
    assert parse_source(CHANGES).initial_ms == 1_577_836_800_000
    assert parse_source(MINIMAL).initial_ms == 0


def test_a_window_begins_at_the_cursor_and_ends_now_at_the_latest() -> None:
    cursor = {"format": "unix_ms", "initial": "1970-01-01T00:00:10Z", "window_seconds": 60}
    source = parse_source(changed(CHANGES, cursor=cursor, lag_seconds=45))
    assert source.window_after(None, 999_000) == (10_000, 70_000)
    assert source.window_after(20_000, 999_000) == (20_000, 80_000)
    assert source.window_after(20_000, 30_000) == (20_000, 30_000)
    assert (source.window_ms, source.lag_ms, source.cursor_lag_ms) == (60_000, 45_000, 30_000)
    unlimited = parse_source(changed(CHANGES, cursor=None, lag_seconds=45))
    assert unlimited.window_after(None, 999_000) == (None, 999_000)
    assert unlimited.window_after(20_000, 999_000) == (20_000, 999_000)
    assert (unlimited.window_ms, unlimited.cursor_lag_ms) == (None, 45_000)


def test_a_list_asks_since_a_time_if_its_url_or_body_has_the_cursor() -> None:
    assert asks_since("http://o.example/?since={cursor}", None)
    assert asks_since("http://o.example/", RequestSettings("POST", '{"since":"{cursor}"}'))
    assert not asks_since("http://o.example/?to={now}", RequestSettings("POST", None))


def test_the_body_holds_the_cursor_with_its_type() -> None:
    body = '{"filter":{"since":"{cursor}","text":"from {cursor}"},"to":"{now}","limit":10}'
    request = {"method": "POST", "body": body}
    by_number = parse_source(changed(CHANGES, request=request, cursor={"format": "unix_s"}, sweep=None))
    assert by_number.incremental and by_number.main_list(1_500).method == "POST"
    assert by_number.main_list(1_500, 9_999).body_of_page(None) == (
        '{"filter":{"since":1,"text":"from 1"},"to":9,"limit":10}'
    )
    assert by_number.main_list(None).body_of_page(None) == '{"filter":{"since":0,"text":"from 0"},"limit":10}'
    initial = parse_source(changed(CHANGES, request=request, cursor={"format": "unix_s", "initial": "77"}))
    assert '"since":77' in (initial.main_list(None).body_of_page(None) or "")
    by_text = parse_source(changed(CHANGES, request=request, cursor=None))
    assert '"since":"1970-01-01T00:00:01.500Z"' in (by_text.main_list(1_500).body_of_page(None) or "")


def test_a_sweep_at_its_own_url_never_sends_the_body_of_the_source() -> None:
    request = {"method": "POST", "body": '{"since":"{cursor}"}'}
    own = parse_source(changed(CHANGES, request=request)).sweep_list()
    assert (own.method, own.body_of_page(None)) == ("GET", None)
    posted = parse_source(
        changed(CHANGES, request=request, sweep__request={"method": "POST", "body": "{}"})
    ).sweep_list()
    assert (posted.method, posted.body_of_page(None)) == ("POST", "{}")
    same = parse_source(changed(CHANGES, request=request, sweep__url=None, cursor=None)).sweep_list()
    assert (same.method, same.body_of_page(None)) == ("POST", '{"since":"1970-01-01T00:00:00.000Z"}')


def test_a_sweep_may_go_on_at_a_cursor() -> None:
    source = parse_source(changed(CHANGES, sweep__url="https://office.example/all.json?from={cursor}"))
    assert first_url(source.sweep_list(1_700_000_000_123)).endswith("?from=2023-11-14T22%3A13%3A20.123Z")
    assert first_url(source.sweep_list()).endswith("?from=2020-01-01T00%3A00%3A00Z")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, False),
        ({"url": "http://office.example/a?since={cursor}"}, True),
        ({"request": {"method": "POST", "body": '{"since":"{cursor}"}'}}, True),
        ({"request": {"method": "POST", "body": "{}"}}, False),
        ({"paging": {"style": "link", "next": "next", "delta": "delta"}}, True),
    ],
)
def test_a_source_is_incremental_if_a_pass_can_ask_for_changes(settings: dict[str, Any], expected: bool) -> None:
    assert parse_source(changed(MINIMAL, **settings)).incremental is expected


def test_a_page_url_carries_the_page_number() -> None:
    source = parse_source(changed(MINIMAL, paging={"style": "page", "parameter": "p"}))
    assert source.main_list(None).url_of_page(2) == "http://office.example/articles.json?p=2"
    in_path = parse_source(changed(MINIMAL, url="http://office.example/{page}/a", paging={"style": "page"}))
    assert in_path.main_list(None).url_of_page(2) == "http://office.example/2/a"


@pytest.mark.parametrize(
    ("raw", "fingerprint"),
    [
        (CHANGES, "212963a1e6652a54946beb80"),
        (changed(CHANGES, cursor=None), "918f5ecfc5ded225b6d11304"),
        (changed(CHANGES, cursor={"format": "unix_s"}), "560de93074db1035cba961d8"),
        (MINIMAL, "1e80ac09177d86e658d68f89"),
        (SNAPSHOT, "0064ac2088b116f88a2abe66"),
        (BY_FUNCTION, "15ee0368276da4bea3ed7c8e"),
    ],
    ids=["initial cursor", "no cursor", "cursor format", "listing", "snapshot", "function"],
)
def test_a_new_version_of_poll_keeps_the_fingerprint_of_unchanged_settings(
    raw: dict[str, Any], fingerprint: str
) -> None:
    """A new fingerprint makes `poll` read the whole back office again, and the source is stale until then."""
    assert parse_source(raw).fingerprint == fingerprint


@pytest.mark.parametrize(
    "settings",
    [
        {"request": {"method": "POST", "body": "{}"}},
        {"payload": {"format": "csv"}},
        {"id_encoding": "tilde"},
        {"version__zone": "Europe/Berlin"},
        {"cursor__zone": "Europe/Berlin"},
        {"cursor__initial": "2021-01-01T00:00:00Z"},
        {"paging__delta": "delta"},
        {"url": "https://office.example/others.json?changed_since={cursor}"},
    ],
)
def test_a_setting_that_changes_what_is_read_changes_the_fingerprint(settings: dict[str, Any]) -> None:
    assert parse_source(changed(CHANGES, **settings)).fingerprint != parse_source(CHANGES).fingerprint
