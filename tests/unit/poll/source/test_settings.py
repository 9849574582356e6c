"""Tests of the URLs that result from a source's settings, with a cursor or a page number in them."""

from readplane.poll.source.rules import parse_source
from tests.unit.poll.source.samples import BY_FUNCTION, CHANGES, MINIMAL, changed


def test_the_url_holds_the_cursor_in_its_format() -> None:
    source = parse_source(CHANGES)
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
