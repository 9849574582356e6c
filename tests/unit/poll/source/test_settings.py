"""Tests of what follows from a source's settings: URLs with a cursor or a page number, and the fingerprint."""

from typing import Any

import pytest

from readplane.poll.source.rules import parse_source
from tests.unit.poll.source.samples import BY_FUNCTION, CHANGES, MINIMAL, SNAPSHOT, changed


def test_the_url_holds_the_cursor_in_its_format() -> None:
    source = parse_source(changed(CHANGES, cursor=None))
    assert source.url_at(1_700_000_000_123).endswith("?changed_since=2023-11-14T22%3A13%3A20.123Z")
    assert source.url_at(None).endswith("?changed_since=1970-01-01T00%3A00%3A00.000Z")
    assert source.sweep_url() == "https://office.example/all.json"
    custom = parse_source(changed(CHANGES, cursor={"format": "unix_s", "initial": "all of it"}, sweep__url=None))
    assert custom.url_at(1_700_000_000_999).endswith("=1700000000")
    assert (
        custom.url_at(None) == custom.sweep_url() == "https://office.example/articles.json?changed_since=all%20of%20it"
    )
    by_function = parse_source(changed(BY_FUNCTION, url="http://o.example/since/{cursor}/x", cursor__format="unix_ms"))
    assert by_function.url_at(1_700_000_000_123) == "http://o.example/since/1700000000123/x"
    assert by_function.url_at(None) == "http://o.example/since/0/x"


def test_a_page_url_carries_the_page_number() -> None:
    source = parse_source(changed(MINIMAL, paging={"style": "page", "parameter": "p"}))
    assert source.page_url(source.url_at(None), 2) == "http://office.example/articles.json?p=2"


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
