"""Tests of reading a response's body that is compressed, too large, cut off, or a web page instead of data."""

import gzip
import json
import tracemalloc

import pytest
from urllib3 import HTTPResponse

from tests.unit.poll.upstream.http_server import PAGE, HttpServer, SkippingClock, client_of, failure, fetch, raw, says


@pytest.mark.parametrize("kind", ["text/html", "text/html; charset=utf-8", "Application/XHTML+xml"])
def test_a_web_page_is_no_data(office: HttpServer, clock: SkippingClock, kind: str) -> None:
    office.will(says(200, b"<html>We are down for maintenance</html>", Content_Type=kind))
    assert failure(office, clock).kind == "not_data"


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
    assert (caught.kind, caught.detail) == ("broken", "the response is cut off")
