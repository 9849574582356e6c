"""Histories of requests and credentials: echoed secrets, OAuth 2, POST bodies, GraphQL, redirects and fault texts.

No secret may ever stand in a checkpoint, a log line or a fault. Each test is named after the right behaviour.
"""

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote, unquote

import pytest

from tests.fakes.apis.server import ApiRequest, ApiResponse, json_response, status_response
from tests.histories.back_office_case import (
    HOUR_MS,
    LINK,
    SWEEP,
    TOKEN,
    Answer,
    Body,
    Case,
    linked_pages,
    same_url,
    split,
)
from tests.unit.poll.source.samples import ARN

SECRET = "s3cr3t-tok/en+value"
"""A secret with characters that a URL must encode."""

HEADER = {"arn": ARN, "header": "Authorization", "format": "Bearer {secret}"}


def _poll_without_leak(case: Case, secret: str, polls: int = 5) -> None:
    """Poll, and check after each poll that no stored text holds the secret in any encoding."""
    encoded = base64.b64encode(f"user:{secret}".encode()).decode()
    for _ in range(polls):
        case.poll()
        text = case.stored_text + case.fault
        readings = [text, unquote(text), unquote(unquote(text)), text.replace("\\/", "/")]
        leaks = [form for form in (secret, encoded) if any(form in reading for reading in readings)]
        case.check(not leaks, "the secret stands in a checkpoint, a log line or a fault")


def _echo(case: Case, next_page: Callable[[int], str]) -> Answer:
    """Return a back office with pages of two rows, whose reference to the next page is ``next_page`` of its number."""

    def answer(request: ApiRequest) -> Body:
        pages = split(case.list_rows(), 2)
        number = int(request.query.get("p", request.query.get("token", "0").split("|")[0]))
        return {"rows": pages[number], "next": next_page(number + 1) if number + 1 < len(pages) else None}

    return answer


# -- secrets that the back office echoes -------------------------------------------------------------------------------

_QUOTED = quote(SECRET, safe="")
_BASIC = quote(base64.b64encode(f"user:{SECRET}".encode()).decode(), safe="")


@pytest.mark.parametrize(
    ("secret", "echo"),
    [
        (HEADER, f"access_token={_QUOTED}"),
        (HEADER, f"authorization={quote('Bearer ' + SECRET)}"),
        (HEADER, f"t={quote(_QUOTED, safe='')}"),
        ({"arn": ARN, "query": "key"}, f"key={_QUOTED}"),
        ({"arn": ARN, "basic_username": "user"}, f"auth={_BASIC}"),
    ],
    ids=["a parameter", "the whole header", "encoded twice", "its own parameter", "Basic"],
)
def test_a_secret_that_a_next_link_echoes_is_removed_from_it(case: Case, secret: dict[str, str], echo: str) -> None:
    case.secrets.text = SECRET
    case.fill(6)
    case.declare_listing(secret=secret, max_pages=1)
    case.answer = _echo(case, lambda number: f"/rows?p={number}&{echo}")
    _poll_without_leak(case, SECRET)
    case.check_equal()


@pytest.mark.parametrize("style", ["link", "token"])
def test_a_secret_that_cannot_be_removed_from_a_reference_is_a_fault(case: Case, style: str) -> None:
    """The secret stands in the path of a link, or within a token."""
    case.secrets.text = SECRET
    case.fill(6)
    case.declare_listing(secret=HEADER, paging=LINK if style == "link" else TOKEN, max_pages=1)
    case.answer = _echo(case, lambda number: f"/rows/{_QUOTED}?p={number}" if style == "link" else f"{number}|{SECRET}")
    _poll_without_leak(case, SECRET)
    case.check_not_fresh()
    assert "secret" in case.fault


def test_a_secret_that_a_redirect_or_a_delta_link_echoes_is_removed(case: Case) -> None:
    case.secrets.text = SECRET
    case.fill(6)
    case.declare(url="/rows", secret=HEADER, paging={**LINK, "delta": "delta"}, max_pages=1)

    def answer(request: ApiRequest) -> Body | ApiResponse:
        if request.path == "/rows" and not request.query:
            return status_response(302, {"Location": f"/rows?k={_QUOTED}&p=0&since=0"})
        pages = split(case.list_rows(int(request.query["since"])), 2)
        number = int(request.query["p"])
        if number + 1 < len(pages):
            return {"rows": pages[number], "next": same_url(request, p=number + 1)}
        return {"rows": pages[number], "delta": f"/rows?k={_QUOTED}&p=0&since={case.world.ms - 1000}"}

    case.answer = answer
    _poll_without_leak(case, SECRET)
    case.put("new")
    _poll_without_leak(case, SECRET, 2)
    case.check_equal()


@pytest.mark.parametrize(
    "response",
    [
        ApiResponse(401, SECRET.encode(), {}),
        json_response({"error": SECRET}),
        ApiResponse(200, b"[]", {"Link": SECRET}),
        status_response(302, {"Location": f"http://other.test/{SECRET}"}),
        ApiResponse(200, b"{}", {"Content-Type": f"text/html; charset={SECRET}"}),
        status_response(429, {"Retry-After": SECRET}),
    ],
    ids=["body of a 401", "body of a 200", "Link", "Location", "charset", "Retry-After"],
)
def test_a_secret_in_an_erroneous_response_is_never_quoted(case: Case, response: ApiResponse) -> None:
    case.secrets.text = SECRET
    case.declare_listing(secret=HEADER)
    case.answer = lambda request: response
    _poll_without_leak(case, SECRET, 2)
    case.check_not_fresh()


@pytest.mark.parametrize("secret", ["1", "rows"])
def test_a_short_secret_changes_no_link_in_which_it_stands_by_chance(case: Case, secret: str) -> None:
    case.secrets.text = secret
    case.fill(8)
    case.declare_listing(secret={"arn": ARN, "header": "X-Key"})
    case.answer = linked_pages(case, 2)
    case.poll_until_complete()
    case.check_equal()


# -- OAuth 2 -----------------------------------------------------------------------------------------------------------


def _declare_oauth2(case: Case, **more: Any) -> None:
    oauth2 = {"token_url": f"{case.origin}/token", "client_id": "client", "secret": {"arn": ARN}, **more}
    case.declare_listing(oauth2=oauth2, attempts=1)


def test_an_access_token_that_expires_within_a_pass_is_renewed_and_never_stored(case: Case) -> None:
    case.fill(8)
    _declare_oauth2(case)
    pages = linked_pages(case, 2)
    tokens = uses = 0

    def answer(request: ApiRequest) -> Body | ApiResponse:
        nonlocal tokens, uses
        if request.path == "/token":
            tokens, uses = tokens + 1, 0
            return {"access_token": f"token-{tokens}-secret", "token_type": "Bearer", "expires_in": 3600}
        uses += 1
        is_valid = request.headers.get("authorization") == f"Bearer token-{tokens}-secret" and uses <= 3
        return pages(request) if is_valid else status_response(401)

    case.answer = answer
    case.poll_until_complete()
    case.check_equal()
    assert tokens <= 4
    assert "-secret" not in case.stored_text


def test_an_api_that_refuses_every_access_token_costs_few_requests(case: Case) -> None:
    _declare_oauth2(case)
    case.answer = lambda request: {"access_token": "token"} if request.path == "/token" else status_response(401)
    case.poll(5)
    assert len(case.requests) <= 20


def test_a_refused_client_is_named_without_its_secret(case: Case) -> None:
    case.secrets.text = SECRET
    _declare_oauth2(case, client_authentication="body")
    case.answer = lambda request: json_response({"error": "invalid_client", "error_description": SECRET}, 401)
    _poll_without_leak(case, SECRET, 2)
    assert "invalid_client" in case.fault


@pytest.mark.parametrize("expires_in", ["3600", 0, -1, None, 59.5, 1e30, "abc"])
def test_an_odd_lifetime_of_an_access_token_stops_no_feed(case: Case, expires_in: object) -> None:
    case.fill(3)
    _declare_oauth2(case, parameters={"audience": "api"})
    case.answer = lambda request: (
        {"access_token": "token", "expires_in": expires_in} if request.path == "/token" else {"rows": case.list_rows()}
    )
    case.poll()
    case.check_equal()


def test_a_refresh_token_that_changes_with_each_use_keeps_working(case: Case) -> None:
    """The back office accepts each refresh token once, and each access token for one request."""
    case.secrets.text = json.dumps({"refresh_token": "refresh-0", "client_secret": "client-secret"})
    case.fill(6)
    _declare_oauth2(case, grant="refresh_token", client_authentication="body")
    refreshes = 0
    valid = None

    def answer(request: ApiRequest) -> Body | ApiResponse:
        nonlocal refreshes, valid
        if request.path != "/token":
            accepted, valid = valid, None
            is_valid = request.headers.get("authorization") == accepted
            return {"rows": case.list_rows()} if is_valid else status_response(401)
        if parse_qs(request.body.decode())["refresh_token"] != [f"refresh-{refreshes}"]:
            return json_response({"error": "invalid_grant"}, 400)
        refreshes += 1
        valid = f"Bearer access-{refreshes}"
        return {"access_token": f"access-{refreshes}", "refresh_token": f"refresh-{refreshes}"}

    case.answer = answer
    case.poll(3)
    assert case.outcomes == ["completed"] * 3
    assert refreshes == 3


def test_an_outage_of_the_token_endpoint_keeps_the_place_in_the_list(case: Case) -> None:
    case.fill(8)
    _declare_oauth2(case)
    case.settings["max_pages"] = 2
    pages = linked_pages(case, 2)
    is_down = False
    numbers = []

    def answer(request: ApiRequest) -> Body | ApiResponse:
        if request.path == "/token":
            return status_response(503, {"Retry-After": "30"}) if is_down else {"access_token": "token"}
        if is_down:
            return status_response(401)
        numbers.append(request.query.get("p", "0"))
        return pages(request)

    case.answer = answer
    case.poll()
    is_down = True
    case.poll(7)
    assert "503" in case.fault
    is_down = False
    case.poll_until_complete(more=0)
    case.check_equal()
    assert numbers == ["0", "1", "2", "3"]


def test_basic_credentials_are_sent_in_utf_8(case: Case) -> None:
    case.secrets.text = "pässwörd"
    case.fill(3)
    case.declare_listing(secret={"arn": ARN, "basic_username": "üser"})
    credentials = base64.b64encode("üser:pässwörd".encode()).decode()
    case.answer = lambda request: (
        {"rows": case.list_rows()}
        if request.headers.get("authorization") == f"Basic {credentials}"
        else status_response(401)
    )
    case.poll()
    case.check_equal()


# -- requests with a body ----------------------------------------------------------------------------------------------


def _declare_graphql(case: Case, **more: Any) -> None:
    body = {
        "query": "query($after: String, $since: String) { things(after: $after) { nodes { id } } }",
        "variables": {"after": "{page}", "since": "{cursor}", "filter": "updated_at:>={cursor}"},
    }
    case.declare(
        url="/graphql",
        expect="!errors",
        records="data.things.nodes",
        request={"method": "POST", "body": json.dumps(body)},
        paging={
            "style": "token",
            "next": "data.things.pageInfo.endCursor",
            "more": "data.things.pageInfo.hasNextPage",
        },
        **more,
    )


def _graphql(case: Case, throttled: Callable[[], bool]) -> Answer:
    def answer(request: ApiRequest) -> Body:
        if throttled():
            return {"data": None, "errors": [{"message": "Throttled"}]}
        variables = request.json()["variables"]
        assert variables["filter"] == f"updated_at:>={variables['since']}"
        pages = split(case.list_rows(int(variables["since"])), 2)
        number = int(variables.get("after") or 0)
        page_info = {"hasNextPage": number + 1 < len(pages), "endCursor": str(number + 1)}
        return {"data": {"things": {"nodes": pages[number], "pageInfo": page_info}}}

    return answer


def test_graphql_is_read_by_cursors_and_its_errors_with_status_200_are_faults(case: Case) -> None:
    case.fill(9)
    _declare_graphql(case)
    is_throttled = False
    case.answer = _graphql(case, lambda: is_throttled)
    case.poll_until_complete()
    case.check_equal()
    case.put("new")
    before = case.fresh
    is_throttled = True
    case.poll(3)
    assert case.fresh == before
    is_throttled = False
    case.poll(3)
    case.check_equal()
    assert {request.method for request in case.requests} == {"POST"}


def test_a_sweep_of_a_graphql_source_deletes_what_is_gone(case: Case) -> None:
    case.fill(9)
    _declare_graphql(case, sweep=SWEEP)
    case.answer = _graphql(case, lambda: False)
    case.poll_until_complete()
    del case.rows["r004"]
    case.world.ms += HOUR_MS
    case.sweep(3)
    case.check_equal()


def test_a_sweep_with_its_own_url_uses_get_although_the_source_uses_post(case: Case) -> None:
    case.fill(6)
    case.declare(
        url="/search",
        request={"method": "POST", "body": '{"since": "{cursor}", "after": "{page}"}'},
        paging={"style": "token", "next": "next"},
        sweep={"schedule": "rate(1 day)", "url": f"{case.origin}/all", "max_deletes_percent": 50},
    )

    def answer(request: ApiRequest) -> Body | ApiResponse:
        if request.path == "/all":
            return {"rows": case.list_rows()} if request.method == "GET" else status_response(405)
        body = request.json()
        pages = split(case.list_rows(int(body["since"])), 2)
        number = int(body.get("after") or 0)
        return {"rows": pages[number], "next": number + 1 if number + 1 < len(pages) else None}

    case.answer = answer
    case.poll_until_complete()
    del case.rows["r002"]
    case.world.ms += HOUR_MS
    case.sweep(3)
    case.check_equal()


def test_only_whole_values_of_a_body_become_numbers_and_only_known_placeholders_are_replaced(case: Case) -> None:
    case.fill(9)
    body = {"{cursor}": "name", "since": "{cursor}", "offset": "{page}", "note": "a{page}b{cursor}", "other": "{other}"}
    case.declare(
        url="/search",
        request={"method": "POST", "body": json.dumps(body)},
        paging={"style": "offset", "size": 4},
    )

    def answer(request: ApiRequest) -> Body:
        sent = request.json()
        since, offset = sent["since"], sent.get("offset", 0)
        assert (type(since), type(offset)) == (int, int)
        assert sent["{cursor}"] == "name"
        assert sent["other"] == "{other}"
        return {"rows": case.list_rows(since)[offset : offset + 4]}

    case.answer = answer
    case.poll_until_complete()
    case.check_equal()


@pytest.mark.parametrize(("status", "is_read"), [(302, False), (307, True)])
def test_a_redirect_of_a_post_is_followed_only_if_it_keeps_the_method(case: Case, status: int, is_read: bool) -> None:
    case.fill(3)
    case.declare(
        url="/old", request={"method": "POST", "body": '{"since": "{cursor}"}'}, paging={"style": "none"}, attempts=1
    )

    def answer(request: ApiRequest) -> Body | ApiResponse:
        if request.path == "/old":
            return status_response(status, {"Location": "/new"})
        return {"rows": case.list_rows(int(request.json()["since"])) if request.method == "POST" else []}

    case.answer = answer
    case.poll()
    assert bool(case.fresh) == is_read
    assert (case.values == case.truth()) == is_read


def test_a_redirect_without_an_end_costs_few_requests_and_says_so(case: Case) -> None:
    case.declare(attempts=1)
    case.answer = lambda request: status_response(307, {"Location": request.target})
    case.poll(3)
    assert len(case.requests) < 60
    assert "redirect" in case.fault


# -- messages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "response",
    [
        status_response(301, {"Location": "http://other.test/x"}),
        status_response(302),
        status_response(401),
        status_response(404),
        ApiResponse(200, b"x", {"Content-Encoding": "br"}),
        ApiResponse(200, b"notgzip", {"Content-Encoding": "gzip"}),
        ApiResponse(200, b"{", {}),
        ApiResponse(200, b"[]", {}),
        status_response(200),
    ],
    ids=["301 to another host", "302 to nowhere", "401", "404", "br", "no gzip", "cut JSON", "a list", "no body"],
)
def test_a_fault_says_what_is_wrong_in_words(case: Case, response: ApiResponse) -> None:
    case.declare(attempts=1)
    case.answer = lambda request: response
    case.poll()
    kind, _, words = case.fault.partition(": ")
    assert kind
    assert len(words.split()) >= 3, case.fault
