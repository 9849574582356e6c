"""Tests of a response: which headers a later conditional request may send, and that its secrets stay hidden."""

from typing import Any

import pytest

from readplane.poll.upstream.request import BackOfficeRequest
from readplane.poll.upstream.response import BackOfficeResponse, conditional_request_of

URL = "https://office.test/rows"
MODIFIED = "Tue, 17 Nov 2026 08:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"ETag": '"1"'}, ('"1"', None)),
        ({"Last-Modified": MODIFIED, "Date": "Tue, 17 Nov 2026 08:01:00 GMT"}, (None, MODIFIED)),
        ({"Last-Modified": MODIFIED, "Date": "Tue, 17 Nov 2026 08:00:59 GMT"}, None),
        ({"Last-Modified": MODIFIED}, None),
        ({"Last-Modified": "yesterday", "Date": MODIFIED}, None),
        ({"Last-Modified": "Tue, 17 Nov 2026 08:00:00 -0000", "Date": "Tue, 17 Nov 2026 08:01:00 GMT"}, None),
    ],
)
def test_a_header_that_could_hide_a_change_is_no_condition(headers: dict[str, str], expected: Any) -> None:
    condition = conditional_request_of(BackOfficeRequest(URL), BackOfficeResponse(200, b"", headers, URL))
    assert (condition and (condition.etag, condition.last_modified)) == expected


def test_an_etag_that_no_header_can_carry_is_no_condition() -> None:
    request = BackOfficeRequest("u")
    assert conditional_request_of(request, BackOfficeResponse(200, b"", {"ETag": '"a\r\n b"'}, "u")) is None
    assert conditional_request_of(request, BackOfficeResponse(200, b"", {"ETag": 'W/"é"'}, "u"))


def test_a_response_shows_neither_its_body_nor_a_secret() -> None:
    response = BackOfficeResponse(
        200, b"private", {"Set-Cookie": "private"}, f"{URL}?q=private", frozenset(["private"])
    )
    assert "private" not in repr(response) and "private" not in str(response)
