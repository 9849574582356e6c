"""Tests that `write` refuses the request headers that ask for something that it doesn't do."""

from typing import Any

import pytest

from tests.unit.write.support import WriteService, delete, post, put

REFUSED = [
    ("If-Match", '"0192"', 501),
    ("If-Match", "*", 501),
    ("If-None-Match", "*", 501),
    ("If-Unmodified-Since", "Sat, 21 Nov 2026 08:00:00 GMT", 501),
    ("X-HTTP-Method-Override", "PATCH", 501),
    ("X-HTTP-Method", "DELETE", 501),
    ("X-Method-Override", "GET", 501),
    ("Content-Range", "bytes 0-41/42", 400),
    ("Content-Encoding", "gzip", 415),
    ("Content-Encoding", "identity, br", 415),
    ("Content-Encoding", "identity\u00a0", 415),  # Only spaces and tabs may surround a header's value.
]


@pytest.fixture
def service() -> WriteService:
    return WriteService()


@pytest.mark.parametrize("spell", [str, str.lower, str.upper])
@pytest.mark.parametrize(("name", "value", "status"), REFUSED)
@pytest.mark.parametrize("make_event", [put, post, delete, lambda **more: post("k", **more)])
def test_the_response_names_the_header_and_nothing_is_written(
    service: WriteService, make_event: Any, name: str, value: str, status: int, spell: Any
) -> None:
    response_status, body, _ = service(make_event(headers={spell(name): value}))
    assert (response_status, body["status"], body["parameter"]) == (status, status, name)
    assert service.log.appended == [] and service.versions.reads == []


@pytest.mark.parametrize("value", ["identity", "Identity", "", " identity\t"])
def test_a_body_that_is_not_encoded_passes(service: WriteService, value: str) -> None:
    assert service(put(headers={"Content-Encoding": value}))[0] == 202


@pytest.mark.parametrize("header", ["If-Modified-Since", "if-modified-since", "If-Range"])
@pytest.mark.parametrize("make_event", [put, post, delete])
def test_a_condition_that_a_write_must_ignore_has_no_effect(
    service: WriteService, make_event: Any, header: str
) -> None:
    """RFC 9110: only GET and HEAD have If-Modified-Since (13.1.3), and If-Range needs Range (13.1.5)."""
    assert service(make_event(headers={header: "Sat, 21 Nov 2026 08:00:00 GMT"}))[0] == 202
    assert len(service.log.appended) == 1


def test_a_content_encoding_that_api_gateway_renames_is_refused(service: WriteService) -> None:
    status, body, headers = service(put(headers={"x-amzn-Remapped-Content-Encoding": "gzip"}))
    assert (status, body["parameter"], headers["Accept-Encoding"]) == (415, "Content-Encoding", "identity")


def test_a_caller_who_may_not_write_learns_only_that(service: WriteService) -> None:
    assert service(put(headers={"If-Match": "*"}, claims={"cognito:groups": "auditors"}))[0] == 403
