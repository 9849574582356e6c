"""Tests that the API refuses what it doesn't support, with a problem document that names the refused part.

If the API ignored such a part, it would carry out another request than the client sent.
"""

import json
import time
from typing import Any

import pytest
import requests

from tests.local.calls import VALID, is_problem, published, put, read, version_ahead, writer
from tests.local.support import Local

CONDITIONS = {
    "If-Match": '"1"',
    "If-None-Match": "*",
    "If-Unmodified-Since": "Sun, 06 Nov 1994 08:49:37 GMT",
}
OVERRIDES = dict.fromkeys(("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"), "DELETE")
REFUSED = [(header, value, 501) for header, value in (CONDITIONS | OVERRIDES).items()]
REFUSED += [("Content-Range", "bytes 0-1/100", 400)]
REFUSED += [("Content-Encoding", encoding, 415) for encoding in ("gzip", "br", "identity, gzip", "x")]


@pytest.mark.parametrize("spelling", [str.title, str.lower, str.upper])
@pytest.mark.parametrize(("header", "value", "status"), REFUSED)
def test_a_write_with_a_header_that_changes_its_meaning_is_refused(
    stack: Local, header: str, value: str, status: int, spelling: Any
) -> None:
    api = stack.api(stack.eve)
    item = f"/items/notices/refused-{header.lower()}"
    for method, path, body in (("PUT", item, {"title": "x"}), ("POST", "/items/notices", {"title": "x"})):
        is_problem(api(method, path, body, headers={spelling(header): value}), status, parameter=header)
    is_problem(api("DELETE", item, headers={spelling(header): value}), status, parameter=header)
    assert api("GET", item).status_code == 404, "nothing is written"


def test_a_refused_header_leaves_the_item_as_it_is(stack: Local) -> None:
    api, item = stack.api(stack.eve), "/items/notices/refused"
    version = put(api, item, {"title": "before"})
    read(api, item, version)
    for header, value, status in REFUSED:
        assert api("PUT", item, {"title": "after"}, headers={header: value}).status_code == status
        assert api("DELETE", item, headers={header: value}).status_code == status
    # A later write of another item is applied. So a refused write to this item would be applied by now too.
    other = put(api, "/items/notices/refused-other", {"title": "x"})
    read(api, "/items/notices/refused-other", other)
    assert api("GET", item).json()["version"] == version


def test_a_condition_that_a_write_must_ignore_has_no_effect(stack: Local) -> None:
    headers = {"If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT", "If-Range": '"1"'}
    put(stack.api(stack.eve), "/items/notices/ignored", {"title": "x"}, headers=headers)


def test_a_body_may_say_that_it_is_not_encoded(stack: Local) -> None:
    put(stack.api(stack.eve), "/items/notices/plain", {"title": "x"}, headers={"Content-Encoding": "identity"})


def test_a_browser_lets_scripts_send_the_refused_headers(stack: Local) -> None:
    """Check that preflights allow the refused headers. Otherwise a browser would hide the problem from the script."""
    for path in ("/items/notices", "/items/notices/x"):
        response = preflight(stack, path)
        assert {header.lower() for header, _, _ in REFUSED} <= listed(response, "Access-Control-Allow-Headers")


def preflight(stack: Local, path: str) -> requests.Response:
    headers = {"Origin": "http://localhost:8080", "Access-Control-Request-Method": "PUT"}
    response = stack.api()("OPTIONS", path, headers=headers)
    assert (response.status_code, response.content) == (204, b""), path
    assert response.headers["Access-Control-Allow-Origin"] == "http://localhost:8080"
    return response


def listed(response: requests.Response, header: str) -> set[str]:
    return {name.strip().lower() for name in response.headers[header].split(",")}


# --- Query parameters.


@pytest.mark.parametrize(
    ("method", "path", "parameter"),
    [
        ("GET", "/items/countries?offset=2", "offset"),
        ("GET", "/items/countries?min_version=x", "min_version"),
        ("GET", "/items/countries?limit=1&Limit=2", "Limit"),
        ("GET", "/items/notices/x?limit=1", "limit"),
        ("GET", "/items/notices/x?version=1", "version"),
        ("GET", "/items/notices/x/changes/{version}?wait=1", "wait"),
        ("GET", "/items/notices/x/changes/{version}?min_version={version}", "min_version"),
        ("GET", "/sources/subdivisions?min_version={version}", "min_version"),
        ("GET", "/sources/subdivisions?", ""),
        ("PUT", "/items/notices/x?upsert=false", "upsert"),
        ("POST", "/items/notices?return=minimal", "return"),
        ("DELETE", "/items/notices/x?if_version=1", "if_version"),
    ],
)
def test_an_unknown_query_parameter_is_refused(stack: Local, method: str, path: str, parameter: str) -> None:
    body = {"title": "x"} if method in ("PUT", "POST") else None
    response = stack.api(stack.eve)(method, path.replace("{version}", version_ahead(0)), body)
    if parameter:
        is_problem(response, 400, parameter=parameter)
    else:
        assert response.status_code == 200, "an empty query has no parameter"


def test_a_document_ignores_query_parameters(stack: Local) -> None:
    """API Gateway can't refuse a parameter on a route that S3 serves, so `read` refuses none there either."""
    api = stack.api(stack.eve)
    version = put(api, "/items/notices/documented", {"title": "x"})
    document = published(api, "/documents/notices/documented", version)
    assert api("GET", "/documents/notices/documented?min_version=x&other=1").content == document.content


# --- Versions that a request names.


@pytest.mark.parametrize("collection", VALID)
def test_a_read_waits_for_the_version_that_it_names(stack: Local, collection: str) -> None:
    api, item = writer(stack, collection), f"/items/{collection}/awaited"
    first = put(api, item, VALID[collection])
    read(api, item, first)
    ahead = version_ahead(3_000)
    response = api("GET", f"{item}?min_version={ahead}")
    assert is_problem(response, 409, parameter="min_version") and int(response.headers["Retry-After"]) >= 1
    assert api("GET", f"{item}?min_version={first}").json()["version"] == first
    # Of several versions, the greatest decides.
    is_problem(api("GET", f"{item}?min_version={first},{ahead}"), 409)
    assert api("GET", f"{item}?min_version={first},{first}").status_code == 200


def test_a_write_outranks_every_version_that_it_names(stack: Local) -> None:
    api = stack.api(stack.eve)
    # Name versions that are ahead of the clock of `write`, so that it must raise its own version above them.
    ahead = [version_ahead(3_000), version_ahead(4_000)]
    named = f"?min_version={','.join(ahead)}"
    assert put(api, f"/items/notices/ahead{named}", {"title": "x"}) > max(ahead)
    assert api("DELETE", f"/items/notices/ahead{named}").json()["change_id"] > max(ahead)
    assert api("POST", f"/items/notices{named}", {"title": "x"}).json()["change_id"] > max(ahead)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/items/notices/x"),
        ("PUT", "/items/notices/x"),
        ("DELETE", "/items/notices/x"),
        ("POST", "/items/notices"),
    ],
)
def test_a_version_that_no_write_returned_is_refused(stack: Local, method: str, path: str) -> None:
    api, body = stack.api(stack.eve), {"title": "x"} if method in ("PUT", "POST") else None
    many = ",".join([version_ahead(0)] * 21)
    # A version more than five seconds ahead would let one client lock an item against the writes of all others.
    for named in ("yesterday", "", ",", many, version_ahead(0).upper(), version_ahead(30_000), version_ahead(10**9)):
        is_problem(api(method, f"{path}?min_version={named}", body), 400, parameter="min_version")


def test_a_version_of_another_item_is_refused_once_it_is_too_old_to_be_on_its_way(stack: Local) -> None:
    api = stack.api(stack.eve)
    other = put(api, "/items/notices/other-item", {"title": "x"})
    read(api, "/items/notices/other-item", other)
    # The version may still be on its way to this item.
    is_problem(api("GET", f"/items/notices/this-item?min_version={other}"), 409)
    old = version_ahead(-20 * 60_000)  # older than the time within which a change is applied
    response = api("GET", f"/items/notices/this-item?min_version={old}")
    assert is_problem(response, 400, parameter="min_version") and "item" in response.json()["detail"]
    # The item of a source may get an old version at any time, because the version is the record's modification time.
    is_problem(api("GET", f"/items/subdivisions/absent?min_version={old}"), 409)


# --- Bodies.

BROKEN: list[tuple[bytes, list[tuple[str, str]]]] = [
    (b"", [("", "empty_body")]),
    (b"  \r\n", [("", "empty_body")]),
    (b'\xef\xbb\xbf{"title": "x"}', [("", "byte_order_mark")]),
    # API Gateway replaces bytes that aren't UTF-8 with U+FFFD.
    (b'{"title": "\xff"}', [("", "not_utf8")]),
    (b"{", [("", "not_json")]),
    (b'{"title": "x"} {}', [("", "not_json")]),
    (b'{"title": "x", "hours": NaN}', [("", "not_json")]),
    (b'{"title": "x", "hours": ' + b"9" * 5000 + b"}", [("", "number_too_large")]),
    (b'{"title": ' + b"[" * 200 + b"]" * 200 + b"}", [("", "too_deep")]),
    (b'{"title": "x", "title": "y"}', [("/title", "duplicate_name")]),
    (b"[]", [("", "not_an_object")]),
    (b'"x"', [("", "not_an_object")]),
    (b"{}", [("", "required")]),
    (b'{"title": "", "priority": 10}', [("/title", "min_length"), ("/priority", "maximum")]),
    (b'{"title": 1, "priority": "x", "hours": -1}', [("/title", "type"), ("/priority", "type"), ("/hours", "minimum")]),
    (b'{"title": "x", "until": "2026-02-29"}', [("/until", "format")]),
    (b'{"title": "x", "hours": 0.1}', [("/hours", "multiple_of")]),
    (b'{"title": "x", "other": 1}', [("", "additional_properties")]),
    # A double would round this number to 9007199254740994, which is an integer and a multiple of 0.25.
    (b'{"title": "x", "priority": 9007199254740993.5}', [("/priority", "type")]),
    (b'{"title": "x", "hours": 9007199254740993.1}', [("/hours", "multiple_of")]),
]


@pytest.mark.parametrize(("body", "faults"), BROKEN)
@pytest.mark.parametrize(("method", "path"), [("PUT", "/items/notices/broken"), ("POST", "/items/notices")])
def test_all_faults_of_a_body_are_named_with_their_codes(
    stack: Local, method: str, path: str, body: bytes, faults: list[tuple[str, str]]
) -> None:
    response = stack.api(stack.eve)(method, path, data=body, headers={"Content-Type": "application/json"})
    document = response.json()
    assert is_problem(response, 400, pointer=document["errors"][0]["pointer"], code=document["errors"][0]["code"])
    assert {(error["pointer"], error["code"]) for error in document["errors"]} >= set(faults)
    assert document["detail"] == document["errors"][0]["detail"]
    assert all(error["detail"] for error in document["errors"])


def test_a_number_is_checked_and_kept_digit_for_digit(stack: Local) -> None:
    api = stack.api(stack.eve)
    body = b'{"title": "x", "hours": 9007199254740993.25}'
    response = api("PUT", "/items/notices/exact", data=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 202, response.text
    item = read(api, "/items/notices/exact", response.json()["change_id"])
    assert body.decode() in item.text


def test_at_most_twenty_faults_of_a_body_are_named(stack: Local) -> None:
    body = {"title": "x"} | {f"other-{number}": number for number in range(40)}
    response = stack.api(stack.eve)("PUT", "/items/notices/broken", body)
    assert is_problem(response, 400) and 1 <= len(response.json()["errors"]) <= 20


# --- Methods and paths.

PATHS = {
    "/health": "GET,HEAD",
    "/items/countries": "GET,HEAD,POST",
    "/items/countries/FR": "DELETE,GET,HEAD,PUT",
    "/items/countries/FR/changes/x": "GET,HEAD",
    "/documents/countries/FR": "GET,HEAD",
    "/items/tariffs": "GET,HEAD",  # no client may write the collection `tariffs`
    "/items/tariffs/x": "GET,HEAD",
    "/items/subdivisions/x": "GET,HEAD",  # a source feeds the collection `subdivisions`
    "/sources/subdivisions": "GET,HEAD",
    "/documents/sources/subdivisions": "GET,HEAD",
    "/backends/backoffice/languages.json": "GET,HEAD",
    "/backends/staff/languages.json": "GET",
}
UNKNOWN = ["/", "/items", "/items/nowhere", "/items/nowhere/x", "/documents/countries", "/documents/nowhere/x"]
UNKNOWN += ["/items/countries/FR/changes", "/items/countries/FR/changes/x/y", "/sources/nothing", "/backends/none/x"]


@pytest.mark.parametrize("path", PATHS)
def test_a_method_that_a_path_does_not_have_is_a_405_with_those_that_it_has(stack: Local, path: str) -> None:
    allowed = set(PATHS[path].split(",")) | {"OPTIONS"}
    for method in {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"} - allowed:
        for user in (None, stack.eve):
            response = stack.api(user)(method, path, {} if method in ("PATCH", "POST", "PUT") else None)
            assert response.status_code == 405, (method, response.text)
            assert response.headers["Content-Type"] == "application/problem+json"
            assert set(response.headers["Allow"].split(",")) == allowed, method
            assert response.headers["Access-Control-Allow-Origin"] == "http://localhost:8080"
            if method != "HEAD":
                assert is_problem(response, 405)
                assert response.json()["request_id"] == response.headers["x-amzn-requestid"]


@pytest.mark.parametrize("content_type", [None, "application/merge-patch+json", "text/plain", "multipart/form-data"])
def test_a_405_does_not_depend_on_the_body(stack: Local, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    response = stack.api(stack.eve)("PATCH", "/items/notices/x", data=b'{"statusCode": 200}', headers=headers)
    is_problem(response, 405)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", UNKNOWN)
def test_an_unknown_path_is_a_404_with_or_without_a_token(stack: Local, method: str, path: str) -> None:
    """API Gateway reads a bearer token on an unknown path as an AWS signature, and would respond 403."""
    for user in (None, stack.eve):
        response = stack.api(user)(method, path)
        assert response.status_code == 404, response.text
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.headers["Access-Control-Allow-Origin"] == "http://localhost:8080"
        if method != "HEAD":
            is_problem(response, 404)


@pytest.mark.parametrize("path", [*PATHS, *UNKNOWN])
def test_every_path_answers_its_preflight(stack: Local, path: str) -> None:
    response = preflight(stack, path)
    assert listed(response, "Access-Control-Allow-Methods") == {"delete", "get", "head", "patch", "post", "put"}
    assert {"authorization", "content-type"} <= listed(response, "Access-Control-Allow-Headers")


def test_no_refused_method_carries_anything_out(stack: Local) -> None:
    api = stack.api(stack.eve)
    item = f"/items/notices/patched-{time.time_ns()}"
    version = put(api, item, {"title": "before"})
    read(api, item, version)
    patch = json.dumps({"title": "after"}).encode()
    headers = {"Content-Type": "application/merge-patch+json"}
    is_problem(api("PATCH", item, data=patch, headers=headers), 405)
    is_problem(api("POST", item, {"title": "after"}), 405)
    assert api("GET", item).json()["version"] == version
