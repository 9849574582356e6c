"""Every route, method and error of the HTTP API, over real HTTP."""

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from ops.local import session
from ops.local.session import Api
from readplane.model.version import stamp
from tests.local.pipeline import items, lines_of, made, now_ms
from tests.local.support import Local, eventually

FRANCE = {"alpha_2": "FR", "alpha_3": "FRA", "name": "France", "numeric": "250"}


def ahead(milliseconds: int) -> str:
    return stamp(time.time_ns() // 1_000_000 + milliseconds, bytes(10))


def is_problem(answer: requests.Response, status: int, **members: str) -> bool:
    """Whether the answer is a problem document of that status with these members."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.headers["Content-Type"] == "application/problem+json", answer.headers
    document = answer.json()
    assert document["status"] == status and document["title"] and document["detail"] and document["request_id"]
    assert {name: document.get(name) for name in members} == members, document
    return True


def put(api: Api, path: str, body: object, **more: Any) -> str:
    answer = api("PUT", path, body, **more)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["change_id"])


def read(api: Api, path: str, at_least: str) -> requests.Response:
    """GET with read-your-writes, until the version is applied."""

    def answered() -> list[requests.Response]:  # in a list, as a Response of a 404 counts as false
        answer = api("GET", path, headers={"Readplane-Min-Version": at_least})
        return [] if answer.status_code == 409 else [answer]

    return eventually(answered)[0]


def test_health_is_open(stack: Local) -> None:
    answer = stack.api()("GET", "/health")
    assert answer.status_code == 200 and answer.json() == {"status": "ok"}
    assert answer.headers["Content-Type"] == "application/json"


def test_a_write_is_accepted_applied_read_and_published(stack: Local) -> None:
    editor, anybody = stack.api(stack.eve), stack.api()
    answer = editor(
        "PUT",
        "/items/countries/FR",
        data=json.dumps(FRANCE)[:-1] + ', "area": 551695.10}',
        headers={"Content-Type": "application/json; charset=utf-8"},
    )
    assert answer.status_code == 202
    accepted = answer.json()
    assert accepted == {"change_id": accepted["change_id"], "item_id": "FR", "status": "accepted"}
    location = answer.headers["Location"]
    assert location == f"/v1/items/countries/FR/changes/{accepted['change_id']}"

    item = read(anybody, "/items/countries/FR", accepted["change_id"])
    assert item.status_code == 200 and '"area": 551695.10' in item.text, "digit for digit"
    shown = item.json()
    assert (shown["id"], shown["collection"], shown["version"]) == ("FR", "countries", accepted["change_id"])
    assert item.headers["ETag"] == f'"{accepted["change_id"]}"'
    assert anybody("GET", location.removeprefix("/v1")).json() == {"status": "applied", "reason": None}

    def document() -> requests.Response | None:
        found = anybody("GET", "/documents/countries/FR")
        return found if found.headers.get("Readplane-Version") == accepted["change_id"] else None

    found = eventually(document)
    assert found.text == item.text and found.headers["Content-Type"] == "application/json"


def test_revalidation(stack: Local) -> None:
    api = stack.api(stack.eve)
    change_id = put(api, "/items/countries/DE", FRANCE | {"alpha_2": "DE"})
    item = read(api, "/items/countries/DE", change_id)
    again = api("GET", "/items/countries/DE", headers={"If-None-Match": item.headers["ETag"]})
    assert again.status_code == 304 and again.text == "" and again.headers["ETag"] == item.headers["ETag"]
    document = eventually(lambda: ok(api("GET", "/documents/countries/DE")))
    again = api("GET", "/documents/countries/DE", headers={"If-None-Match": document.headers["ETag"]})
    assert again.status_code == 304 and again.text == ""
    assert api("GET", "/documents/countries/DE", headers={"If-None-Match": '"other"'}).status_code == 200


def ok(answer: requests.Response) -> requests.Response | None:
    return answer if answer.status_code == 200 else None


def test_a_delete_empties_the_item_the_list_and_the_document(stack: Local) -> None:
    api = stack.api(stack.eve)
    read(api, "/items/countries/ZZ", put(api, "/items/countries/ZZ", FRANCE))
    eventually(lambda: ok(api("GET", "/documents/countries/ZZ")))
    answer = api("DELETE", "/items/countries/ZZ")
    assert answer.status_code == 202
    change_id = answer.json()["change_id"]
    is_problem(read(api, "/items/countries/ZZ", change_id), 404)
    assert api("GET", f"/items/countries/ZZ/changes/{change_id}").json()["status"] == "applied"
    eventually(lambda: api("GET", "/documents/countries/ZZ").status_code == 404)
    is_problem(api("GET", "/documents/countries/ZZ"), 404)
    assert "ZZ" not in {item["id"] for item in walk(api, "/items/countries", 200)}


def test_post_makes_an_item_once_per_idempotency_key(stack: Local) -> None:
    api = stack.api(stack.eve)
    notice = {"title": "Closed on Monday"}
    first, second = (api("POST", "/items/notices", notice, headers={"Idempotency-Key": "k1"}) for _ in range(2))
    assert first.status_code == second.status_code == 202
    assert (
        first.json()["item_id"] == second.json()["item_id"] != api("POST", "/items/notices", notice).json()["item_id"]
    )
    item = read(api, f"/items/notices/{first.json()['item_id']}", second.json()["change_id"])
    assert item.json()["data"] == notice
    is_problem(api("POST", "/items/notices", notice, headers={"Idempotency-Key": "x" * 256}), 400)


def walk(api: Api, path: str, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = api("GET", f"{path}?limit={limit}{cursor}")
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["items"]) <= limit
        found += page["items"]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


def test_a_list_pages_through_every_item_once(stack: Local) -> None:
    api = stack.api(stack.eve)
    last = ""
    for number in range(12):
        last = put(api, f"/items/notices/page-{number}", {"title": f"{number}"})
    read(api, "/items/notices/page-11", last)
    wanted = {f"page-{number}" for number in range(12)}
    eventually(lambda: wanted <= {item["id"] for item in walk(api, "/items/notices", 200)})
    paged = [item["id"] for item in walk(api, "/items/notices", 5)]
    assert len(paged) == len(set(paged)) and wanted <= set(paged)
    for query in ("limit=0", "limit=x", "limit=201", "cursor=%00"):
        is_problem(api("GET", f"/items/notices?{query}"), 400, parameter=query.partition("=")[0])


def test_read_your_writes_and_causality(stack: Local) -> None:
    api = stack.api(stack.eve)
    future = ahead(200_000)
    is_problem(api("GET", "/items/countries/FR", headers={"Readplane-Min-Version": future}), 409)
    assert "Retry-After" in api("GET", "/items/countries/FR", headers={"Readplane-Min-Version": future}).headers
    named = put(api, "/items/countries/CH", FRANCE, headers={"Readplane-Min-Version": future})
    assert named > future
    for method in ("GET", "PUT"):
        for wrong in ("yesterday", ahead(400_000)):
            answer = api(
                method,
                "/items/countries/CH",
                FRANCE if method == "PUT" else None,
                headers={"Readplane-Min-Version": wrong},
            )
            is_problem(answer, 400, parameter="Readplane-Min-Version")


def test_statuses(stack: Local) -> None:
    api = stack.api(stack.eve)
    first = put(api, "/items/notices/status", {"title": "one"})
    second = put(api, "/items/notices/status", {"title": "two"}, headers={"Readplane-Min-Version": first})
    read(api, "/items/notices/status", second)

    def status(change_id: str) -> requests.Response:
        answer = api("GET", f"/items/notices/status/changes/{change_id}")
        assert answer.headers["Cache-Control"] == "no-store"
        return answer

    assert status(first).json() == {"status": "superseded", "reason": None}
    assert status(second).json() == {"status": "applied", "reason": None}
    assert status(ahead(0)).json() == {"status": "pending", "reason": None}
    is_problem(api("GET", f"/items/notices/never/changes/{ahead(-16 * 60_000)}"), 404)
    is_problem(status("not-a-version"), 400, parameter="change_id")


@pytest.mark.parametrize(
    ("data", "content_type", "status", "members"),
    [
        (b"{", "application/json", 400, {"pointer": ""}),
        (b"[]", "application/json", 400, {"pointer": ""}),
        (b"\xff", "application/json", 400, {}),
        (b'{"title": "x", "title": "y"}', "application/json", 400, {"pointer": "/title"}),
        (b'{"title": ""}', "application/json", 400, {"pointer": "/title"}),
        (b'{"title": "x", "priority": 10}', "application/json", 400, {"pointer": "/priority"}),
        (b'{"body": "no title"}', "application/json", 400, {"pointer": ""}),
        (b"", "application/json", 400, {"pointer": ""}),
        (b'{"title":"' + b"x" * 262_144 + b'"}', "application/json", 413, {}),
        (b'{"title": "x"}', "text/plain", 415, {"parameter": "Content-Type"}),
        (b"title=x", "application/x-www-form-urlencoded", 415, {"parameter": "Content-Type"}),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("PUT", "/items/notices/bad"), ("POST", "/items/notices")])
def test_bad_bodies(
    stack: Local, method: str, path: str, data: bytes, content_type: str, status: int, members: dict[str, str]
) -> None:
    answer = stack.api(stack.eve)(method, path, data=data, headers={"Content-Type": content_type})
    is_problem(answer, status, **members)


def test_the_largest_body_goes_all_the_way(stack: Local) -> None:
    api = stack.api(stack.alice)
    text = json.dumps({"preferences": {"blob": ""}})
    filled = text.replace('""', '"' + '\\"' * ((262_144 - len(text)) // 2) + '"')
    answer = api("PUT", "/items/profiles/large", data=filled, headers={"Content-Type": "application/json"})
    assert answer.status_code == 202
    assert read(api, "/items/profiles/large", answer.json()["change_id"]).json()["data"] == json.loads(filled)
    assert len(api("GET", "/items/profiles").json()["items"]) >= 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/items"),
        ("GET", "/items/nowhere"),
        ("GET", "/items/nowhere/x"),
        ("PUT", "/items/nowhere/x"),
        ("GET", "/documents/countries"),
        ("GET", "/documents/nowhere/x"),
        ("PUT", "/documents/countries/FR"),
        ("DELETE", "/documents/countries/FR"),
        ("PATCH", "/items/countries/FR"),
        ("PUT", "/items/countries"),
        ("POST", "/items/countries/FR"),
        ("POST", "/health"),
        ("GET", "/items/countries/FR/changes"),
        ("GET", "/items/countries/FR/changes/x/y"),
        ("PUT", "/items/countries/FR/changes/x"),
        ("PUT", "/items/tariffs/x"),  # nobody writes this collection
        ("POST", "/items/tariffs"),
    ],
)
def test_what_is_no_route_is_a_404_problem(stack: Local, method: str, path: str) -> None:
    is_problem(stack.api(stack.eve)(method, path), 404)


def test_missing_items_are_404(stack: Local) -> None:
    is_problem(stack.api()("GET", "/items/countries/XX"), 404)
    is_problem(stack.api()("GET", "/documents/countries/XX"), 404)


def test_who_may_write(stack: Local) -> None:
    nobody = stack.api(stack.alice)
    for collection, body in (("countries", FRANCE), ("notices", {"title": "x"})):
        is_problem(nobody("PUT", f"/items/{collection}/x", body), 403)
        is_problem(nobody("POST", f"/items/{collection}", body), 403)
        is_problem(nobody("DELETE", f"/items/{collection}/x"), 403)
    assert nobody("GET", "/items/notices").status_code == 200


def test_a_collections_own_throttle_is_a_429_problem(stack: Local) -> None:
    api = stack.api()
    answers = [api("GET", "/items/tariffs/none") for _ in range(12)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused and {answer.status_code for answer in answers} == {404, 429}
    assert is_problem(refused[0], 429) and int(refused[0].headers["Retry-After"]) >= 1
    assert api("GET", "/items/countries/none").status_code == 404, "other collections are not throttled with it"


def test_preflight_and_cors(stack: Local) -> None:
    origin = {"Origin": "http://localhost:8080"}
    for path in ("/items/countries", "/items/countries/FR", "/documents/countries/FR"):
        answer = stack.api()("OPTIONS", path, headers=origin | {"Access-Control-Request-Method": "GET"})
        assert answer.status_code in (200, 204), path
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:8080"
        assert "GET" in answer.headers["Access-Control-Allow-Methods"]
        allowed = answer.headers["Access-Control-Allow-Headers"].lower()
        assert {"authorization", "content-type", "readplane-min-version", "if-none-match"} <= {
            name.strip() for name in allowed.split(",")
        }
    answer = stack.api()("GET", "/items/countries", headers=origin)
    assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:8080"
    assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
    # One origin is listed, so every answer is the same and may be cached for everybody.
    for other in ({"Origin": "https://evil.example.com"}, {}):
        answer = stack.api()("GET", "/items/countries", headers=other)
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:8080"
        assert "Origin" not in answer.headers.get("Vary", "")
    refused = stack.api()("GET", "/items/notices", headers=origin)
    assert refused.status_code == 401 and refused.headers["Access-Control-Allow-Origin"] == "http://localhost:8080"


HOSTILE = ["%2F", "..", "%2E%2E", "..%2F..%2Fx", "..%2f", "%00", "a%00b", "a%2Fb", "%252F", "%5C", "a%5Cb", "%0A"]
HOSTILE += ["-", "~x", "x" * 257, "%C3%A4"]


VALID = {"countries": FRANCE, "notices": {"title": "x"}, "profiles": {"display_name": "x"}}


def hostile_targets(stack: Local, hostile: str) -> Iterator[tuple[str, str]]:
    """Every route that has path parameters, with each of them hostile in turn.

    The collections that aren't in VALID have the others' reads; what back offices get is in test_backends.py.
    """
    valid = {"{item_id}": "x", "{change_id}": ahead(0)}
    for route in stack.outputs.routes:
        method, _, path = route.partition(" ")
        if method == "OPTIONS" or path.count("/") < 2 or path.split("/")[2] not in VALID:
            continue
        for parameter in re.findall(r"\{\w+\}", path):
            filled = path.replace(parameter, hostile)
            for other, value in valid.items():
                filled = filled.replace(other, value)
            yield method, filled


def tried(stack: Local, hostile: str) -> tuple[list[str], list[str]]:
    """Everything with a hostile value once: what was answered wrongly, and the changes that were rightly accepted."""
    wrong: list[str] = []
    accepted: list[str] = []
    apis = {name: stack.api(stack.alice if name == "profiles" else stack.eve) for name in VALID}

    def call(method: str, target: str, *allowed: int, **headers: str) -> bytes:
        collection = target.split("/")[2].partition("?")[0]
        body = json.dumps(VALID[collection]).encode() if method in ("PUT", "POST") else None
        sent = headers | ({"Content-Type": "application/json"} if body else {})
        status, answered, shown = apis[collection].raw(method, target, body, sent)
        fine = status in allowed
        if status >= 400:
            fine = fine and answered["content-type"] == "application/problem+json"
        if status == 202:
            accepted.append(json.loads(shown)["change_id"])
        if not fine:
            wrong.append(f"{method} {target} {headers}: {status} {shown[:200]!r}")
        return shown

    for method, target in hostile_targets(stack, hostile):
        if method == "GET" and target.endswith("/%2F") and target.count("/") == 3 and target.startswith("/items/"):
            # The emulator takes an encoded slash for a slash, so this is the caller's own list; AWS has it as item id.
            shown = call(method, target, 200)
            if b'"next"' not in shown:
                wrong.append(f"{target} is no list")
            continue
        call(method, target, 400, 403, 404)
    for collection in VALID:
        for parameter in ("limit", "cursor"):
            call("GET", f"/items/{collection}?{parameter}={hostile}", 400)
        for method, path in (("GET", "/x"), ("PUT", "/x"), ("DELETE", "/x"), ("POST", "")):
            call(method, f"/items/{collection}{path}", 400, **{"Readplane-Min-Version": hostile})
        for kind in ("items", "documents"):
            # An ETag that nobody has: as without it.
            call("GET", f"/{kind}/{collection}/hostile", 200, **{"If-None-Match": hostile})
        call("POST", f"/items/{collection}", 202 if len(hostile) < 256 else 400, **{"Idempotency-Key": hostile})
    return wrong, accepted


def test_hostile_parameters_reach_nothing(stack: Local) -> None:
    """In every path, query and header parameter of every route: refused, and nothing is written.

    Only an ``Idempotency-Key`` may be any text; the ids that follow from it are as harmless as any.
    """
    for collection, body in VALID.items():
        api = stack.api(stack.alice if collection == "profiles" else stack.eve)
        put(api, f"/items/{collection}/hostile", body)
        eventually(lambda: ok(api("GET", f"/documents/{collection}/hostile")))
        eventually(lambda: ok(api("GET", f"/items/{collection}/hostile")))
    s3 = stack.root().client("s3")
    start = now_ms()
    before = objects(stack)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda hostile: tried(stack, hostile), HOSTILE))
    assert not (wrong := [line for lines, _ in answers for line in lines]), "\n".join(wrong)
    accepted = {change_id for _, change_ids in answers for change_id in change_ids}
    assert len(accepted) == len(VALID) * sum(len(hostile) < 256 for hostile in HOSTILE)

    # What was accepted is in the write log, the items and the documents, and nothing else is.
    derived = re.compile(r"[0-9a-f]{32}")
    stamped = datetime.fromtimestamp(start / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def logged() -> list[dict[str, Any]]:
        new = [key for bucket, key in objects(stack) - before if bucket == stack.outputs.write_log_bucket]
        lines = [json.loads(line) for key in new for line in lines_of(stack, key, s3)]
        return [line for line in lines if line["accepted_at"] >= stamped]

    def held() -> list[dict[str, Any]]:
        pages = stack.root().client("dynamodb").get_paginator("scan").paginate(TableName=stack.outputs.items_table)
        return [item for page in pages for item in page["Items"] if written_at(item) >= stamped]

    eventually(lambda: accepted <= {line["change_id"] for line in logged()})
    lines = logged()
    assert {line["change_id"] for line in lines} == accepted
    assert all(derived.fullmatch(line["item_id"]) for line in lines)
    eventually(lambda: accepted <= {item["version"]["S"] for item in held()})
    keys = {f"item/{line['collection']}/{owned(line)}{line['item_id']}" for line in lines}
    assert {item["pk"]["S"] for item in held()} == keys
    documents = {
        f"{kind}/{line['collection']}/{owned(line)}{line['item_id']}.json"
        for line in lines
        for kind in [{"countries": "public", "notices": "authenticated", "profiles": "owner"}[line["collection"]]]
    }

    def published() -> set[str]:
        return {key for bucket, key in objects(stack) if bucket == stack.outputs.documents_bucket}

    eventually(lambda: documents <= published())
    assert published() <= documents | {key for _, key in before}
    others = {key for bucket, key in objects(stack) - before if bucket != stack.outputs.documents_bucket}
    assert all(key.startswith("log/") for key in others), "nothing is in quarantine"


def written_at(item: dict[str, Any]) -> str:
    return str(item["as_of"]["S"]) if "as_of" in item else ""  # a quarantine marker


def owned(line: dict[str, Any]) -> str:
    return f"{line['owner']}/" if line.get("owner") else ""


def objects(stack: Local) -> set[tuple[str, str]]:
    """(bucket, key) of every object of both buckets."""
    pages = stack.root().client("s3").get_paginator("list_objects_v2")
    return {
        (bucket, entry["Key"])
        for bucket in (stack.outputs.write_log_bucket, stack.outputs.documents_bucket)
        for page in pages.paginate(Bucket=bucket)
        for entry in page.get("Contents", [])
    }


def test_a_repeated_query_parameter_is_no_way_around(stack: Local) -> None:
    """A page has 200 items at most, whichever of the limits counts."""
    user = session.sign_in(stack.outputs, "hoarder@example.com")
    store = items(stack)
    many = [made(f"many-{n}", "{}", collection="profiles", owner=user.sub) for n in range(201)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(store.apply, many))
    api = stack.api(user)
    assert len(api("GET", "/items/profiles?limit=200").json()["items"]) == 200
    for query in ("limit=1&limit=100000", "limit=100000&limit=1", "limit=200&limit=201", "limit=&limit=100000"):
        status, _, body = api.raw("GET", f"/items/profiles?{query}")
        assert status == 400 or (status == 200 and len(json.loads(body)["items"]) <= 200), (query, status)
