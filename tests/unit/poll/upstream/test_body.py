"""Tests of reading a response's body that is compressed, too large, cut off, or a web page instead of data."""

import gzip
import json
import tracemalloc

import pytest
from urllib3 import HTTPResponse

from readplane.poll.upstream.body import Gunzip
from tests.unit.poll.upstream.http_server import PAGE, HttpServer, SkippingClock, client_of, failure, fetch, raw, says


@pytest.mark.parametrize(
    "page",
    [
        b"<html>We are down for maintenance</html>",
        b"\r\n \xef\xbb\xbf<!DOCTYPE html><p>Sign in",
        b"\xef\xbb\xbf\n<p>",
        "<html>".encode("utf-16"),
    ],
)
@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "Application/XHTML+xml", "application/json", ""])
def test_a_web_page_is_no_data(office: HttpServer, clock: SkippingClock, page: bytes, kind: str) -> None:
    office.will(says(200, page, Content_Type=kind))
    caught = failure(office, clock)
    assert (caught.kind, caught.retryable, len(office.requests)) == ("not_data", False, 1)
    assert "a web page" in caught.detail and "check the source's url" in caught.detail


@pytest.mark.parametrize("kind", ["text/html", "text/html; charset=utf-8", "application/octet-stream", ""])
def test_data_counts_whatever_its_content_type(office: HttpServer, clock: SkippingClock, kind: str) -> None:
    office.will(says(200, PAGE, Content_Type=kind))
    assert fetch(client_of(office, clock), office, clock).body == PAGE


@pytest.mark.parametrize(
    ("body", "is_page"),
    [
        (b'<?xml version="1.0"?><rows/>', False),
        (b"<rows><html/></rows>", False),
        (b"<!DOCTYPE rows><rows/>", False),
        (b"<htmlrows/>", False),
        (b"<!DOCTYPE HTML><p>", True),
        (b"<!doctype html PUBLIC '-//W3C'>", True),
        (b" <HTML lang='en'>", True),
        (b"", False),
    ],
)
def test_xml_is_no_web_page(office: HttpServer, clock: SkippingClock, body: bytes, is_page: bool) -> None:
    office.will(says(200, body, Content_Type="text/html"))
    if is_page:
        assert failure(office, clock, payload={"format": "xml"}).kind == "not_data"
    else:
        assert fetch(client_of(office, clock, payload={"format": "xml"}), office, clock).body == body


def test_packed_responses_are_unpacked_wherever_they_are_split(office: HttpServer, clock: SkippingClock) -> None:
    body = json.dumps({"rows": list(range(50_000))}).encode()
    packed = gzip.compress(body)
    pieces = [packed[at : at + 7000] for at in range(0, len(packed), 7000)]
    office.will(
        says(200, packed, Content_Encoding="gzip"),
        says(200, gzip.compress(body[:1000]) + gzip.compress(body[1000:]), Content_Encoding="x-gzip"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", *pieces),
    )
    client = client_of(office, clock)
    for _ in range(3):
        assert fetch(client, office, clock).body == body
    assert office.header("Accept-Encoding") == "gzip"


MEMBER = gzip.compress(PAGE)


@pytest.mark.parametrize("padding", [b"\0", b"\0" * 5000, b"\r\n", b"\x1f", b"\x1f\0", b"trailing", b"\x8b\x1f"])
@pytest.mark.parametrize("size", [1, len(MEMBER), len(MEMBER) + 1, 100_000])
def test_bytes_behind_the_packed_body_are_ignored(padding: bytes, size: int) -> None:
    packed = MEMBER + MEMBER + padding
    gunzip = Gunzip(1000)
    assert b"".join(gunzip.unpack(packed[at : at + size]) for at in range(0, len(packed), size)) == PAGE + PAGE
    assert gunzip.whole and gunzip.unpack(MEMBER) == b""


@pytest.mark.parametrize("end", range(1, len(MEMBER)))
def test_a_member_that_is_cut_off_behind_another_is_noticed(end: int) -> None:
    gunzip = Gunzip(1000)
    assert gunzip.unpack(MEMBER) == PAGE
    rest = MEMBER[:end]
    gunzip.unpack(rest)
    # One byte isn't yet the beginning of a member.
    assert gunzip.whole is (end < 2)


def test_bytes_behind_a_packed_response_are_ignored(office: HttpServer, clock: SkippingClock) -> None:
    office.will(says(200, MEMBER + b"\0" * 100, Content_Encoding="gzip"))
    assert fetch(client_of(office, clock), office, clock).body == PAGE


def test_an_encoding_that_the_request_did_not_allow_is_no_data(office: HttpServer, clock: SkippingClock) -> None:
    office.will(says(Content_Encoding="br"))
    assert failure(office, clock).kind == "not_data"


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_the_unpacked_size_is_bounded(office: HttpServer, clock: SkippingClock, encoding: str) -> None:
    pack = gzip.compress if encoding else bytes
    office.will(says(200, pack(b" " * 2048), Content_Encoding=encoding))
    assert fetch(client_of(office, clock, max_bytes=2048), office, clock).body == b" " * 2048
    office.will(says(200, pack(b" " * 50_000_000), Content_Encoding=encoding))
    tracemalloc.start()
    caught = failure(office, clock, max_bytes=2048)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (caught.kind, len(office.requests)) == ("too_large", 2) and peak < 2_000_000


def test_a_short_body_is_noticed_even_if_the_library_does_not_report_it(
    office: HttpServer, clock: SkippingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HTTPResponse, "stream", lambda *_, **__: iter([PAGE[:-1]]))
    caught = failure(office, clock, attempts=1)
    assert (caught.kind, caught.problem) == ("broken", "the response is cut off")
