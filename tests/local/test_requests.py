"""Tests of encoded paths, HEAD, the pages of lists, locations, and the headers for caches."""

import json
import urllib.parse
from typing import Any

import pytest

from tests.local.calls import FRANCE, VALID, is_problem, published, put, read, walk, writer
from tests.local.support import Local, eventually

# --- Percent-encoded path parameters. A REST API passes them to a function as the client sent them.

SPELLINGS = ["a~b", "a%7Eb", "a%7eb", "%61%7E%62", "a%7E%62"]
"""The same item id in different spellings."""


@pytest.mark.parametrize("collection", VALID)
def test_every_spelling_of_an_item_id_names_the_same_item(stack: Local, collection: str) -> None:
    api = writer(stack, collection)
    for number, spelling in enumerate(SPELLINGS):
        response = api.raw("PUT", f"/items/{collection}/{spelling}", json.dumps(VALID[collection]).encode(), JSON)
        assert response[0] == 202, response
        accepted = json.loads(response[2])
        assert accepted["item_id"] == "a~b"
        for other in SPELLINGS:
            path = f"/items/{collection}/{other}"
            assert eventually(lambda: item_of(api.raw("GET", path), accepted["change_id"]))["id"] == "a~b"
            status, _, body = api.raw("GET", f"{path}/changes/{encode(accepted['change_id'])}")
            assert (status, json.loads(body)["status"]) == (200, "applied")
        if number == 0:
            eventually(lambda: api.raw("GET", f"/documents/{collection}/a~b")[0] == 200)
        for other in SPELLINGS:
            status, _, body = api.raw("GET", f"/documents/{collection}/{other}")
            assert (status, json.loads(body)["id"]) == (200, "a~b"), other
    assert api.raw("DELETE", f"/items/{collection}/a%7Eb")[0] == 202


JSON = {"Content-Type": "application/json"}


def encode(text: str) -> str:
    """Percent-encode every character of an ASCII text."""
    return "".join(f"%{ord(character):02X}" for character in text)


def item_of(response: tuple[int, dict[str, str], bytes], version: str) -> Any:
    status, _, body = response
    item = json.loads(body)
    return item if status == 200 and item["version"] >= version else None


WRONG = ["a%257Eb", "a%252Fb", "a%2Fb", "%2e%2e", "%20", "a%20b", "%zz", "%", "%C3%A4", "%FF"]


@pytest.mark.parametrize("item_id", WRONG)
@pytest.mark.parametrize("collection", VALID)
def test_an_id_is_decoded_only_once_and_then_checked(stack: Local, collection: str, item_id: str) -> None:
    api, body = writer(stack, collection), json.dumps(VALID[collection]).encode()
    for method, path, sent in (
        ("GET", f"/items/{collection}/{item_id}", None),
        ("PUT", f"/items/{collection}/{item_id}", body),
        ("DELETE", f"/items/{collection}/{item_id}", None),
        ("GET", f"/items/{collection}/x/changes/{item_id}", None),
        ("GET", f"/documents/{collection}/{item_id}", None),
    ):
        status, headers, content = api.raw(method, path, sent, JSON if sent else None)
        assert (status, headers["content-type"]) == (400, "application/problem+json"), (method, path, content)
        assert json.loads(content)["parameter"] in ("item_id", "change_id")


# --- HEAD.


def test_head_is_answered_like_get_without_the_body(stack: Local) -> None:
    api = stack.api(stack.eve)
    item = "/items/notices/head"
    version = put(api, item, {"title": "x"})
    etag = read(api, item, version).headers["ETag"]
    published(api, "/documents/notices/head", version)
    paths = ["/health", item, f"{item}?min_version={version}", "/items/notices?limit=1", "/documents/notices/head"]
    paths += [f"{item}/changes/{version}", "/sources/subdivisions", "/items/notices/absent", "/items/notices/-"]
    paths += ["/items/notices?limit=0", f"/items/notices/absent?min_version={version}", "/documents/notices/absent"]
    ours = ["Content-Type", "ETag", "Cache-Control", "Vary", "Readplane-Version", "Retry-After"]
    ours += ["Access-Control-Allow-Origin", "Access-Control-Expose-Headers"]
    for path in paths:
        get, head = api("GET", path), api("HEAD", path)
        assert (head.status_code, head.content) == (get.status_code, b""), path
        assert {name: head.headers.get(name) for name in ours} == {name: get.headers.get(name) for name in ours}, path
    unchanged = api("HEAD", item, headers={"If-None-Match": etag})
    assert (unchanged.status_code, unchanged.headers["ETag"], unchanged.content) == (304, etag, b"")


def test_head_needs_the_same_token_as_get(stack: Local) -> None:
    for path in ("/items/notices", "/items/notices/x", "/documents/notices/x", "/items/profiles", "/sources/languages"):
        assert stack.api()("HEAD", path).status_code == 401, path
        assert stack.api(token=stack.eve.id_token)("HEAD", path).status_code == 401, path
    assert stack.api()("HEAD", "/items/countries").status_code == 200


# --- Lists.


@pytest.mark.parametrize("parameter", ["cursor", "next"])
def test_the_next_of_a_page_is_followed_by_either_name_to_the_end_of_the_list(stack: Local, parameter: str) -> None:
    api = stack.api(stack.eve)
    expected = {f"walked-{number}" for number in range(7)}
    versions = {item: put(api, f"/items/notices/{item}", {"title": "x"}) for item in expected}
    for item, version in versions.items():
        read(api, f"/items/notices/{item}", version)
    eventually(lambda: expected <= {item["id"] for item in walk(api, "/items/notices", 200)})
    walked = [item["id"] for item in walk(api, "/items/notices", 3, parameter)]
    assert len(walked) == len(set(walked)) and expected <= set(walked)


def test_both_names_of_a_cursor_must_agree(stack: Local) -> None:
    api = stack.api(stack.eve)
    for number in range(2):
        put(api, f"/items/notices/agreed-{number}", {"title": "x"})
    following = eventually(lambda: api("GET", "/items/notices?limit=1").json()["next"])
    assert api("GET", f"/items/notices?limit=1&cursor={following}&next={following}").status_code == 200
    is_problem(api("GET", f"/items/notices?limit=1&cursor={following}&next=x"), 400, parameter="next")
    is_problem(api("GET", "/items/notices?next=%00"), 400, parameter="next")


# --- Locations.


def test_a_location_is_relative_and_leads_to_the_status_of_the_change(stack: Local) -> None:
    """Follow the header Location as a client does: resolve it against the URL of the request.

    A relative location is right behind a custom domain, a base path or a proxy too.
    """
    api = stack.api(stack.eve)
    for method, path in (("PUT", "/items/notices/a~b"), ("DELETE", "/items/notices/a~b"), ("POST", "/items/notices")):
        response = api(method, path, None if method == "DELETE" else {"title": "x"})
        accepted = response.json()
        location = response.headers["Location"]
        assert not urllib.parse.urlsplit(location).scheme and not location.startswith("/")
        url = urllib.parse.urljoin(api.base + path, location)
        assert url == f"{api.base}/items/notices/{accepted['item_id']}/changes/{accepted['change_id']}"
        status = api("GET", url.removeprefix(api.base))
        assert status.json()["status"] in ("pending", "applied", "superseded")
        elsewhere = urllib.parse.urljoin(f"https://example.com/shop/api{path}", location)
        assert (
            elsewhere
            == f"https://example.com/shop/api/items/notices/{accepted['item_id']}/changes/{accepted['change_id']}"
        )


# --- Headers for caches.


def test_an_answer_that_needs_a_token_varies_by_it(stack: Local) -> None:
    """Otherwise the browser's cache would return the answer to the next user after a sign-out."""
    api = stack.api(stack.eve)
    version = put(api, "/items/notices/varying", {"title": "x"})
    etag = read(api, "/items/notices/varying", version).headers["ETag"]
    published(api, "/documents/notices/varying", version)
    answers = [
        api("GET", "/items/notices/varying"),
        api("GET", "/items/notices/varying", headers={"If-None-Match": etag}),
        api("GET", "/items/notices/absent"),
        api("GET", "/items/notices?limit=1"),
        api("GET", "/items/notices?limit=0"),
        api("GET", f"/items/notices/varying/changes/{version}"),
        api("GET", "/documents/notices/varying"),
        api("GET", "/documents/notices/absent"),
        api("GET", "/sources/languages"),
        api("PUT", "/items/notices/varying", {"title": "y"}),
        api("PUT", "/items/notices/varying", {}),
        stack.api(stack.alice)("PUT", "/items/notices/varying", {"title": "y"}),
        stack.api(stack.alice)("GET", "/items/profiles"),
    ]
    assert [answer.status_code for answer in answers] == [
        200,
        304,
        404,
        200,
        400,
        200,
        200,
        404,
        200,
        202,
        400,
        403,
        200,
    ]
    assert {answer.headers.get("Vary") for answer in answers} == {"Authorization"}


def test_an_answer_that_needs_no_token_does_not_vary(stack: Local) -> None:
    for path in ("/health", "/items/countries", "/items/countries/absent", "/documents/countries/absent"):
        assert "Authorization" not in stack.api()("GET", path).headers.get("Vary", ""), path


def test_a_304_repeats_a_tag_of_the_request(stack: Local) -> None:
    api = stack.api(stack.eve)
    version = put(api, "/items/countries/TG", FRANCE)
    read(api, "/items/countries/TG", version)
    published(api, "/documents/countries/TG", version)
    for path in ("/items/countries/TG", "/documents/countries/TG"):
        etag = api("GET", path).headers["ETag"]
        for sent in (etag, f'"other", {etag}', f'W/{etag}, "other"'):
            answer = api("GET", path, headers={"If-None-Match": sent})
            assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", etag), sent
        assert api("GET", path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_the_header_names_of_a_client_may_have_any_case(stack: Local) -> None:
    """HTTP/1.1 clients send names in any case, HTTP/2 clients in lower case."""
    version = put(stack.api(stack.eve), "/items/countries/CS", FRANCE)
    etag = read(stack.api(), "/items/countries/CS", version).headers["ETag"]
    for name in ("If-None-Match", "if-none-match", "IF-NONE-MATCH"):
        assert stack.api().raw("GET", "/items/countries/CS", headers={name: etag})[0] == 304, name
