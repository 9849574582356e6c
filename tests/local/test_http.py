"""Tests that call every route and method of the API over HTTP and provoke every error."""

import json
import re
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from ops.local import session
from tests.local.calls import FRANCE, VALID, is_problem, ok, published, put, read, version_ahead, walk, writer
from tests.local.pipeline import items, lines_of, new_change, now_ms
from tests.local.support import Local, eventually


def test_health_is_open(stack: Local) -> None:
    response = stack.api()("GET", "/health")
    assert response.status_code == 200 and response.json() == {"status": "ok"}
    assert response.headers["Content-Type"] == "application/json"


def test_a_write_is_accepted_applied_read_and_published(stack: Local) -> None:
    editor, anybody = stack.api(stack.eve), stack.api()
    response = editor(
        "PUT",
        "/items/countries/FR",
        data=json.dumps(FRANCE)[:-1] + ', "area": 551695.10}',
        headers={"Content-Type": "application/json; charset=utf-8"},
    )
    assert response.status_code == 202
    accepted = response.json()
    assert accepted == {"change_id": accepted["change_id"], "item_id": "FR", "status": "accepted"}
    location = response.headers["Location"]
    assert location == f"FR/changes/{accepted['change_id']}"

    item = read(anybody, "/items/countries/FR", accepted["change_id"])
    assert item.status_code == 200 and '"area": 551695.10' in item.text, "the number keeps its digits"
    representation = item.json()
    names = ("id", "collection", "version")
    assert [representation[name] for name in names] == ["FR", "countries", accepted["change_id"]]
    assert item.headers["ETag"] == f'"{accepted["change_id"]}"'
    assert anybody("GET", f"/items/countries/{location}").json() == {"status": "applied", "reason": None}

    document = published(anybody, "/documents/countries/FR", accepted["change_id"])
    assert document.text == item.text and document.headers["Content-Type"] == "application/json"


def test_an_unchanged_item_or_document_is_a_304(stack: Local) -> None:
    api = stack.api(stack.eve)
    change_id = put(api, "/items/countries/DE", FRANCE | {"alpha_2": "DE"})
    item = read(api, "/items/countries/DE", change_id)
    again = api("GET", "/items/countries/DE", headers={"If-None-Match": item.headers["ETag"]})
    assert again.status_code == 304 and again.text == "" and again.headers["ETag"] == item.headers["ETag"]
    document = published(api, "/documents/countries/DE", change_id)
    again = api("GET", "/documents/countries/DE", headers={"If-None-Match": document.headers["ETag"]})
    assert again.status_code == 304 and again.text == ""
    assert api("GET", "/documents/countries/DE", headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_delete_empties_the_item_the_list_and_the_document(stack: Local) -> None:
    api = stack.api(stack.eve)
    read(api, "/items/countries/ZZ", put(api, "/items/countries/ZZ", FRANCE))
    eventually(lambda: ok(api("GET", "/documents/countries/ZZ")))
    response = api("DELETE", "/items/countries/ZZ")
    assert response.status_code == 202
    change_id = response.json()["change_id"]
    is_problem(read(api, "/items/countries/ZZ", change_id), 404)
    assert api("GET", f"/items/countries/ZZ/changes/{change_id}").json()["status"] == "applied"
    eventually(lambda: api("GET", "/documents/countries/ZZ").status_code == 404)
    is_problem(api("GET", "/documents/countries/ZZ"), 404)
    assert "ZZ" not in {item["id"] for item in walk(api, "/items/countries", 200)}


def test_each_post_without_a_key_creates_an_item(stack: Local) -> None:
    api = stack.api(stack.eve)
    notice = {"title": "Closed on Monday"}
    first, second = (api("POST", "/items/notices", notice) for _ in range(2))
    assert first.status_code == second.status_code == 202
    assert first.json()["item_id"] != second.json()["item_id"]
    for accepted in (first.json(), second.json()):
        item = read(api, f"/items/notices/{accepted['item_id']}", accepted["change_id"])
        assert item.json()["data"] == notice


def test_a_list_pages_through_every_item_once(stack: Local) -> None:
    api = stack.api(stack.eve)
    last = ""
    for number in range(12):
        last = put(api, f"/items/notices/page-{number}", {"title": f"{number}"})
    read(api, "/items/notices/page-11", last)
    expected = {f"page-{number}" for number in range(12)}
    eventually(lambda: expected <= {item["id"] for item in walk(api, "/items/notices", 200)})
    paged = [item["id"] for item in walk(api, "/items/notices", 5)]
    assert len(paged) == len(set(paged)) and expected <= set(paged)
    for query in ("limit=0", "limit=x", "limit=201", "cursor=%00"):
        is_problem(api("GET", f"/items/notices?{query}"), 400, parameter=query.partition("=")[0])


def test_the_status_of_a_change_is_superseded_applied_or_pending(stack: Local) -> None:
    api = stack.api(stack.eve)
    first = put(api, "/items/notices/status", {"title": "one"})
    second = put(api, f"/items/notices/status?min_version={first}", {"title": "two"})
    read(api, "/items/notices/status", second)

    def status(change_id: str) -> requests.Response:
        response = api("GET", f"/items/notices/status/changes/{change_id}")
        assert response.headers["Cache-Control"] == "no-store"
        return response

    assert status(first).json() == {"status": "superseded", "reason": None}
    assert status(second).json() == {"status": "applied", "reason": None}
    assert status(version_ahead(0)).json() == {"status": "pending", "reason": None}
    is_problem(api("GET", f"/items/notices/never/changes/{version_ahead(-16 * 60_000)}"), 404)
    is_problem(status("not-a-version"), 400, parameter="change_id")


@pytest.mark.parametrize(
    ("data", "content_type", "status", "members"),
    [
        (b'{"title": "x", "priority": 10}', "application/json", 400, {"pointer": "/priority", "code": "maximum"}),
        (b'{"title":"' + b"x" * 262_144 + b'"}', "application/json", 413, {}),
        (b'{"title": "x"}', "text/plain", 415, {"parameter": "Content-Type"}),
        (b"title=x", "application/x-www-form-urlencoded", 415, {"parameter": "Content-Type"}),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("PUT", "/items/notices/bad"), ("POST", "/items/notices")])
def test_a_bad_body_is_refused_with_a_problem_that_points_at_it(
    stack: Local, method: str, path: str, data: bytes, content_type: str, status: int, members: dict[str, str]
) -> None:
    response = stack.api(stack.eve)(method, path, data=data, headers={"Content-Type": content_type})
    is_problem(response, status, **members)


def test_the_largest_body_becomes_an_item(stack: Local) -> None:
    api = stack.api(stack.alice)
    text = json.dumps({"preferences": {"blob": ""}})
    filled = text.replace('""', '"' + '\\"' * ((262_144 - len(text)) // 2) + '"')
    response = api("PUT", "/items/profiles/large", data=filled, headers={"Content-Type": "application/json"})
    assert response.status_code == 202
    assert read(api, "/items/profiles/large", response.json()["change_id"]).json()["data"] == json.loads(filled)
    assert len(api("GET", "/items/profiles").json()["items"]) >= 1


def test_a_missing_item_or_document_is_a_404_problem(stack: Local) -> None:
    is_problem(stack.api()("GET", "/items/countries/XX"), 404)
    is_problem(stack.api()("GET", "/documents/countries/XX"), 404)


def test_only_members_of_the_write_groups_may_write(stack: Local) -> None:
    outsider = stack.api(stack.alice)
    for collection, body in (("countries", FRANCE), ("notices", {"title": "x"})):
        is_problem(outsider("PUT", f"/items/{collection}/x", body), 403)
        is_problem(outsider("POST", f"/items/{collection}", body), 403)
        is_problem(outsider("DELETE", f"/items/{collection}/x"), 403)
    assert outsider("GET", "/items/notices").status_code == 200


def test_a_collections_own_throttle_is_a_429_problem(stack: Local) -> None:
    api = stack.api()
    responses = [api("GET", "/items/tariffs/none") for _ in range(12)]
    refused = [response for response in responses if response.status_code == 429]
    assert refused and {response.status_code for response in responses} == {404, 429}
    assert is_problem(refused[0], 429) and int(refused[0].headers["Retry-After"]) >= 1
    assert api("GET", "/items/countries/none").status_code == 404, "the throttle must not hit other collections"


def test_responses_have_the_same_cors_headers_for_every_origin(stack: Local) -> None:
    """Check that a cache can serve one response to callers of all origins, so that it needs no `Vary: Origin`.

    The stack allows one origin, so every response names this origin. test_refusals.py tests the preflights.
    """
    for origin in ({"Origin": "http://localhost:8080"}, {"Origin": "https://evil.example.com"}, {}):
        response = stack.api()("GET", "/items/countries", headers=origin)
        assert response.headers["Access-Control-Allow-Origin"] == "http://localhost:8080"
        assert {"ETag", "Location"} <= set(
            response.headers["Access-Control-Expose-Headers"].replace(" ", "").split(",")
        )
        assert "Origin" not in response.headers.get("Vary", "")
    refused = stack.api()("GET", "/items/notices", headers={"Origin": "http://localhost:8080"})
    assert refused.status_code == 401 and refused.headers["Access-Control-Allow-Origin"] == "http://localhost:8080"


HOSTILE = ["%2F", "..", "%2E%2E", "..%2F..%2Fx", "..%2f", "%00", "a%00b", "a%2Fb", "%252F", "%5C", "a%5Cb", "%0A"]
HOSTILE += ["-", "~x", "x" * 257, "%C3%A4"]

RUN = uuid.uuid4().hex
"""A part of each Idempotency-Key, so that a second run on the same stack makes new changes."""


def hostile_targets(stack: Local, hostile: str) -> Iterator[tuple[str, str]]:
    """Yield requests in which one path parameter has a hostile value: one request for each parameter of each route.

    The other path parameters have valid values. Collections that aren't in VALID are left out, because they have the
    same read routes as the collections in VALID. Backends are left out, because test_backends.py tests their paths.

    :returns: the method and the target of each request.
    """
    valid = {"{item_id}": "x", "{change_id}": version_ahead(0)}
    for route in stack.outputs.routes:
        method, _, path = route.partition(" ")
        if method == "OPTIONS" or path.count("/") < 2 or path.split("/")[2] not in VALID:
            continue
        for parameter in re.findall(r"\{\w+\}", path):
            filled = path.replace(parameter, hostile)
            for other, value in valid.items():
                filled = filled.replace(other, value)
            yield method, filled


def try_everywhere(stack: Local, hostile: str) -> tuple[list[str], list[str]]:
    """Send the hostile value in each path, query and header parameter of each route, one parameter in each request.

    :returns: a description of each wrong response, and the change ids that the API returned for accepted writes.
    """
    wrong: list[str] = []
    accepted: list[str] = []
    apis = {name: writer(stack, name) for name in VALID}

    def call(method: str, target: str, *allowed: int, **headers: str) -> bytes:
        collection = target.split("/")[2].partition("?")[0]
        body = json.dumps(VALID[collection]).encode() if method in ("PUT", "POST") else None
        sent = headers | ({"Content-Type": "application/json"} if body else {})
        status, response_headers, content = apis[collection].raw(method, target, body, sent)
        right = status in allowed
        if status >= 400:
            right = right and response_headers["content-type"] == "application/problem+json"
        if status == 202:
            accepted.append(json.loads(content)["change_id"])
        if not right:
            wrong.append(f"{method} {target} {headers}: {status} {content[:200]!r}")
        return content

    for method, target in hostile_targets(stack, hostile):
        call(method, target, 400, 403, 404)
    for collection in VALID:
        for parameter in ("limit", "cursor", "next", "other"):
            call("GET", f"/items/{collection}?{parameter}={hostile}", 400)
        for method, path in (("GET", "/x"), ("PUT", "/x"), ("DELETE", "/x"), ("POST", "")):
            for parameter in ("min_version", "other"):
                call(method, f"/items/{collection}{path}?{parameter}={hostile}", 400)
        for kind in ("items", "documents"):
            # Expect a 200 and not a 304, because no item or document has this ETag.
            call("GET", f"/{kind}/{collection}/hostile", 200, **{"If-None-Match": hostile})
        key = f"{hostile} {RUN}"
        call("POST", f"/items/{collection}", 202 if len(key) < 256 else 400, **{"Idempotency-Key": key})
    return wrong, accepted


def test_a_hostile_parameter_is_refused_and_nothing_is_written(stack: Local) -> None:
    """Send hostile values in every path, query and header parameter of every route.

    The API must refuse them, except in two headers. An ``Idempotency-Key`` can be any text of 1 to 255 printable
    ASCII characters, because the API derives the item id from a hash of the key. An unknown ETag in ``If-None-Match``
    has no effect.
    """
    for collection, body in VALID.items():
        api = writer(stack, collection)
        put(api, f"/items/{collection}/hostile", body)
        eventually(lambda: ok(api("GET", f"/documents/{collection}/hostile")))
        eventually(lambda: ok(api("GET", f"/items/{collection}/hostile")))
    s3 = stack.root().client("s3")
    start = now_ms()
    before = objects(stack)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda hostile: try_everywhere(stack, hostile), HOSTILE))
    assert not (wrong := [line for lines, _ in results for line in lines]), "\n".join(wrong)
    accepted = {change_id for _, change_ids in results for change_id in change_ids}
    assert len(accepted) == len(VALID) * sum(len(hostile) < 256 for hostile in HOSTILE)

    # Check that the write log, the items and the documents hold the accepted changes and no others. The schedules poll
    # the sources while this test runs, so leave out what `poll` feeds. No client can write there.
    polled = {"sources"} | {source["collection"] for source in (stack.outputs.sources or {}).values()}

    def is_polled(key: str) -> bool:
        # The key of an item and the key of a document both have the collection's name in second place.
        return not polled.isdisjoint(key.split("/")[1:2])

    derived = re.compile(r"[0-9a-f]{32}")
    stamped = datetime.fromtimestamp(start / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def logged() -> list[dict[str, Any]]:
        new = [key for bucket, key in objects(stack) - before if bucket == stack.outputs.write_log_bucket]
        lines = [json.loads(line) for key in new for line in lines_of(stack, key, s3)]
        return [line for line in lines if line["accepted_at"] >= stamped and line["collection"] not in polled]

    def recent_items() -> list[dict[str, Any]]:
        pages = stack.root().client("dynamodb").get_paginator("scan").paginate(TableName=stack.outputs.items_table)
        items = [item for page in pages for item in page["Items"] if written_at(item) >= stamped]
        return [item for item in items if not is_polled(item["pk"]["S"])]

    eventually(lambda: accepted <= {line["change_id"] for line in logged()})
    lines = logged()
    assert {line["change_id"] for line in lines} == accepted
    assert all(derived.fullmatch(line["item_id"]) for line in lines)
    eventually(lambda: accepted <= {item["version"]["S"] for item in recent_items()})
    keys = {f"item/{line['collection']}/{owner_part(line)}{line['item_id']}" for line in lines}
    assert {item["pk"]["S"] for item in recent_items()} == keys
    documents = {
        f"{kind}/documents/{line['collection']}/{owner_part(line)}{line['item_id']}"
        for line in lines
        for kind in [{"countries": "public", "notices": "authenticated", "profiles": "owner"}[line["collection"]]]
    }

    def document_keys() -> set[str]:
        return {key for bucket, key in objects(stack) if bucket == stack.outputs.documents_bucket}

    eventually(lambda: documents <= document_keys())
    new = document_keys() - {key for _, key in before}
    assert {key for key in new if not is_polled(key)} <= documents
    others = {key for bucket, key in objects(stack) - before if bucket != stack.outputs.documents_bucket}
    assert all(key.startswith("log/") for key in others), "the quarantine must be empty"


def written_at(item: dict[str, Any]) -> str:
    # Return an empty text for a marker, which has no `as_of`. The items table holds a marker for a quarantined change.
    return str(item["as_of"]["S"]) if "as_of" in item else ""


def owner_part(line: dict[str, Any]) -> str:
    """Return the part of an item's key that names the owner, with a slash; empty if the item has no owner.

    :param line: the item's change, as the write log holds it.
    """
    return f"{line['owner']}/" if line.get("owner") else ""


def objects(stack: Local) -> set[tuple[str, str]]:
    """Return the bucket and the key of every object in the write log bucket and in the documents bucket."""
    pages = stack.root().client("s3").get_paginator("list_objects_v2")
    return {
        (bucket, entry["Key"])
        for bucket in (stack.outputs.write_log_bucket, stack.outputs.documents_bucket)
        for page in pages.paginate(Bucket=bucket)
        for entry in page.get("Contents", [])
    }


def test_a_repeated_limit_returns_no_more_than_200_items(stack: Local) -> None:
    user = session.sign_in(stack.outputs, "hoarder@example.com")
    store = items(stack)
    many = [new_change(f"many-{n}", "{}", collection="profiles", owner=user.sub) for n in range(201)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(store.apply, many))
    api = stack.api(user)
    assert len(api("GET", "/items/profiles?limit=200").json()["items"]) == 200
    for query in ("limit=1&limit=100000", "limit=100000&limit=1", "limit=200&limit=201", "limit=&limit=100000"):
        status, _, body = api.raw("GET", f"/items/profiles?{query}")
        assert status == 400 or (status == 200 and len(json.loads(body)["items"]) <= 200), (query, status)
