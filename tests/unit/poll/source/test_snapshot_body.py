"""Tests of checking a snapshot's body, and of turning it into the JSON that is published."""

from typing import Any

import pytest

from readplane.poll.errors import PageError
from readplane.poll.source.rules import parse_source
from readplane.poll.source.snapshot_body import check_snapshot
from tests.fakes.source_settings import add_defaults
from tests.unit.poll.source.test_translate import ANYTHING, VALIDATE


def snapshot(body: bytes, content_type: str | None = None, validate: Any = VALIDATE, **settings: Any) -> bytes:
    raw = {"name": "a", "mode": "snapshot", "collection": "a", "url": "http://o.example/", "staleness_budget": 1}
    return check_snapshot(body, content_type, parse_source(add_defaults({**raw, **settings})), validate)


def test_a_snapshot_must_be_json_that_fits_the_schema() -> None:
    body = b' {"name": "n", "price": 1.10}\n'
    assert snapshot(body) == body and snapshot(b"\xef\xbb\xbf" + body) == body
    assert snapshot(b"[1, 2]", validate=ANYTHING) == b"[1, 2]"
    for body, problem in (
        (b"", "not JSON"),
        (b'{"name": "n"', "not JSON"),
        (b"<html>", "not JSON"),
        (b'{"name": "\xff"}', "the response holds bytes or characters that are no text"),
        (b'{"name": "n", "price": NaN}', "NaN or Infinity"),
        (b'{"name": "n", "name": "m"}', "occurs twice"),
        (b'{"name": "n", "a": "\t", "name": "m"}', "occurs twice"),
        (b'{"name": "n", "a": [{"b": 1, "b": 2}]}', "occurs twice"),
        (b"[" * 102 + b"]" * 102, "deep"),
        (b'{"name": ""}', "/name: The schema says minLength"),
        (b"{}", "the response: The schema requires"),
    ):
        with pytest.raises(PageError, match=problem):
            snapshot(body)


def test_a_snapshot_is_published_as_json_in_utf_8() -> None:
    assert snapshot(b'{"name": "\xe4", "price": 1.10}', payload={"charset": "latin-1"}) == (
        '{"name": "ä", "price": 1.10}'.encode()
    )
    assert snapshot('{"name": "ä"}'.encode("utf-16")) == '{"name": "ä"}'.encode()
    assert snapshot(b'{"name": "a\tb", "price": 1.10}') == b'{"name":"a\\tb","price":1.10}'
    assert snapshot(b"name;x\n\xe4;1\n", validate=ANYTHING, payload={"format": "csv", "delimiter": ";"},
                    content_type="text/csv; charset=iso-8859-1") == '[{"name":"ä","x":"1"}]'.encode()  # fmt: skip
    assert snapshot(b"<name>n</name>", payload={"format": "xml"}) == b'{"name":"n"}'
    assert snapshot(b"a,b\n", validate=ANYTHING, payload={"format": "csv"}) == b"[]"


@pytest.mark.parametrize(
    ("body", "payload_format", "problem"),
    [
        (b"a,b\n1,2\n1,2,3\n1\n", "csv", "the CSV has 2 rows with more or fewer fields"),
        (b"a,a\n", "csv", "names a column twice"),
        (b"a\n\xff\n", "csv", "holds bytes"),
        (b"%s,b\n%s" % (b"a" * 4000, b"1,2\n" * 9000), "csv", "larger than 4 times max_bytes"),
        (b"<a>\xff</a>", "xml", "holds bytes"),
        (b"<a><b></a>", "xml", "not well-formed"),
        (b"<a>" * 150 + b"</a>" * 150, "xml", "nested more than 100 deep"),
    ],
)
def test_a_snapshot_in_csv_or_xml_is_refused_as_a_whole(body: bytes, payload_format: str, problem: str) -> None:
    with pytest.raises(PageError, match=problem):
        snapshot(body, validate=ANYTHING, payload={"format": payload_format})


def test_a_snapshot_that_is_an_error_message_is_refused() -> None:
    assert snapshot(b'{"name": "n"}', expect="name != null") == b'{"name": "n"}'
    with pytest.raises(PageError, match="expect: the response isn't the expected one"):
        snapshot(b'{"error": "hidden"}', validate=ANYTHING, expect="name != null")
