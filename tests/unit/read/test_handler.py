import json
import time
from typing import Any

import pytest

from readplane.api.request import answer
from readplane.aws.faults import UnansweredError
from readplane.model.change import Change
from readplane.model.freshness import DeclaredSource, Freshness
from readplane.model.timestamp import rfc3339
from readplane.read.handler import Read, ReadSettings
from readplane.read.page import SHARDS
from readplane.telemetry import Telemetry
from tests.unit.support import (
    ALICE,
    BOB,
    CLIENT_ID,
    COLLECTIONS,
    NOW_MS,
    MemoryDocuments,
    MemoryItems,
    api_event,
    change,
    version_at,
)

SETTINGS = ReadSettings(
    name="demo",
    client_ids=frozenset({CLIENT_ID}),
    cors_origins=(),
    items_table="t",
    items_index="i",
    documents_bucket="d",
    pending_ms=900_000,
    horizon_ms=30 * 86_400_000,
    collections=COLLECTIONS,
    sources={
        "shop": DeclaredSource("shop", "products", 60_000),
        "desk": DeclaredSource("desk", "orders", 60_000),
        "people": DeclaredSource("people", "profiles", 60_000),
    },
)


class Service:
    def __init__(self) -> None:
        self.items = MemoryItems()
        self.documents = MemoryDocuments()
        self.read = Read(SETTINGS, self.items, self.documents, Telemetry("read", "demo"))

    def __call__(
        self, resource: str, path: dict[str, str] | None = None, **more: Any
    ) -> tuple[int, Any, dict[str, str]]:
        anonymous = more.pop("anonymous", False)
        made = api_event("GET", resource, path, **more)
        if anonymous:
            del made["requestContext"]["authorizer"]
        answered = answer(made, (), self.read.telemetry, self.read)
        body = json.loads(answered["body"]) if answered["body"] else None
        return answered["statusCode"], body, answered["headers"]


@pytest.fixture
def service() -> Service:
    return Service()


ITEM = "/items/products/{item_id}"


def test_an_item_comes_with_its_version_as_etag(service: Service) -> None:
    held = change(data='{"price":1.10}')
    service.items.apply(held)
    status, body, headers = service(ITEM, {"item_id": "p-1"}, anonymous=True)
    assert status == 200 and body["data"] == {"price": 1.10} and body["version"] == held.version
    assert headers["ETag"] == f'"{held.version}"' and headers["Readplane-Version"] == held.version
    assert headers["Cache-Control"] == "public, max-age=60"
    for tags in (headers["ETag"], f"W/{headers['ETag']}", f'"x", {headers["ETag"]}', "*"):
        status, body, again = service(ITEM, {"item_id": "p-1"}, headers={"If-None-Match": tags})
        assert (status, body, again["ETag"]) == (304, None, headers["ETag"])
    assert service(ITEM, {"item_id": "p-1"}, headers={"If-None-Match": '"other"'})[0] == 200


def test_read_your_writes(service: Service) -> None:
    old, new = change(ms=1_700_000_000_000), change(ms=1_700_000_000_001)
    service.items.apply(old)
    named = {"Readplane-Min-Version": new.version}
    status, _, headers = service(ITEM, {"item_id": "p-1"}, headers=named)
    # as long as API Gateway may keep this answer; a collection that isn't cached asks for a second
    assert status == 409 and headers["Retry-After"] == "60" and headers["Cache-Control"] == "no-store"
    assert service("/items/orders/{item_id}", {"item_id": "a"}, headers=named)[2]["Retry-After"] == "1"
    service.items.apply(new)
    status, _, headers = service(ITEM, {"item_id": "p-1"}, headers=named)
    assert status == 200 and headers["Cache-Control"] == "no-store"
    service.items.apply(change(ms=1_700_000_000_002, data=None))
    assert service(ITEM, {"item_id": "p-1"}, headers=named)[0] == 404
    for wrong in ("x", version_at(4_000_000_000_000)):
        assert service(ITEM, {"item_id": "p-1"}, headers={"Readplane-Min-Version": wrong})[0] == 400


def test_missing_and_deleted_items_are_404(service: Service) -> None:
    service.items.apply(change("gone", data=None))
    for item_id in ("gone", "never"):
        status, body, headers = service(ITEM, {"item_id": item_id})
        assert (status, body["title"]) == (404, "Not Found")
        assert headers["Content-Type"] == "application/problem+json"


def test_owners_see_only_their_own(service: Service) -> None:
    mine = change("me", collection="profiles", owner=ALICE)
    service.items.apply(mine)
    service.documents.put(f"owner/profiles/{ALICE}/me.json", mine.representation(), mine.version, "")
    status_route = "/items/profiles/{item_id}/changes/{change_id}"
    routes: list[tuple[str, dict[str, str] | None]] = [
        ("/items/profiles/{item_id}", {"item_id": "me"}),
        ("/documents/profiles/{item_id}", {"item_id": "me"}),
    ]
    for resource, path in routes:
        assert service(resource, path)[0] == 200
        assert service(resource, path, claims={"sub": BOB})[0] == 404
        assert service(resource, path, anonymous=True)[0] == 401
    assert len(service("/items/profiles")[1]["items"]) == 1
    assert service("/items/profiles", claims={"sub": BOB})[1] == {"items": [], "next": None}
    asked = {"item_id": "me", "change_id": mine.change_id}
    assert service(status_route, asked)[1]["status"] == "applied"
    assert service(status_route, asked, claims={"sub": BOB})[0] == 404
    assert service(status_route, asked, anonymous=True)[0] == 401


def test_only_tokens_of_our_clients_read_what_is_not_public(service: Service) -> None:
    assert service("/items/orders", claims={"client_id": "another"})[0] == 401
    assert service("/items/orders", claims={"token_use": "id"})[0] == 401
    assert service("/items/orders", anonymous=True)[0] == 401
    assert service("/items/orders")[0] == 200
    assert service("/items/products", anonymous=True)[0] == 200


def test_lists_page_through_everything(service: Service) -> None:
    for number in range(23):
        service.items.apply(change(f"p-{number}", data=f'{{"n":{number}.50}}'))
    seen: list[str] = []
    query = {"limit": "5"}
    while True:
        status, body, headers = service("/items/products", query=query)
        assert status == 200 and headers["Cache-Control"] == "public, max-age=60"
        seen += [item["id"] for item in body["items"]]
        if body["next"] is None:
            break
        query["cursor"] = body["next"]
    assert len(seen) == 23 == len(set(seen)) and SHARDS > 1


@pytest.mark.parametrize(
    ("query", "parameter"), [({"limit": "0"}, "limit"), ({"cursor": "../.."}, "cursor"), ({"cursor": "%00"}, "cursor")]
)
def test_bad_parameters_are_named(service: Service, query: dict[str, str], parameter: str) -> None:
    status, body, _ = service("/items/products", query=query)
    assert (status, body["parameter"]) == (400, parameter)


def test_the_status_of_a_change(service: Service) -> None:
    now_ms = time.time_ns() // 1_000_000
    held, on_its_way = change(ms=now_ms - 10), change(ms=now_ms)
    service.items.apply(held)
    route = "/items/products/{item_id}/changes/{change_id}"

    def status_of(change_id: str) -> tuple[int, Any]:
        status, body, headers = service(route, {"item_id": "p-1", "change_id": change_id})
        assert headers["Cache-Control"] == "no-store"
        return status, body

    assert status_of(held.change_id) == (200, {"status": "applied", "reason": None})
    assert status_of(on_its_way.change_id) == (200, {"status": "pending", "reason": None})
    assert status_of(version_at(now_ms - 11))[1]["status"] == "superseded"
    service.items.mark_quarantined(on_its_way, "too_large", now_ms)
    assert status_of(on_its_way.change_id) == (200, {"status": "quarantined", "reason": "too_large"})
    assert service(route, {"item_id": "p-2", "change_id": version_at(now_ms - 901_000)})[0] == 404
    for wrong in ("x", "..", "%2F", held.change_id.upper()):
        status, body = status_of(wrong)
        assert (status, body["parameter"]) == (400, "change_id")


def test_documents_come_as_they_are_stored(service: Service) -> None:
    service.documents.put("public/products/p-1.json", '{"n":1.10}', "v", "")
    status, body, headers = service("/documents/products/{item_id}", {"item_id": "p-1"}, anonymous=True)
    assert (status, body) == (200, {"n": 1.10})
    condition = {"If-None-Match": headers["ETag"]}
    assert service("/documents/products/{item_id}", {"item_id": "p-1"}, headers=condition)[0] == 304
    assert service("/documents/products/{item_id}", {"item_id": "p-2"})[0] == 404


@pytest.mark.parametrize("item_id", ["..", "a/b", "%2F", "%00", "..%2F..%2Fowner", "a\0"])
@pytest.mark.parametrize(
    "resource",
    ["/items/products/{item_id}", "/documents/profiles/{item_id}", "/items/products/{item_id}/changes/{change_id}"],
)
def test_hostile_item_ids_are_refused_by_name(service: Service, resource: str, item_id: str) -> None:
    status, body, _ = service(resource, {"item_id": item_id, "change_id": version_at(0)})
    assert (status, body["parameter"]) == (400, "item_id")


def test_a_store_that_fails_is_a_503_for_as_long_as_the_answer_may_be_cached(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise UnansweredError("EndpointConnectionError", sent=False)

    monkeypatch.setattr(service.items, "get", fail)
    for collection, seconds in (("products", "60"), ("orders", "1")):
        status, body, headers = service(f"/items/{collection}/{{item_id}}", {"item_id": "a"})
        assert (status, headers["Retry-After"], body["title"]) == (503, seconds, "Service Unavailable")
    assert '"EndpointConnectionError"' in capsys.readouterr().out


def test_routes_and_collections_of_another_deployment_are_404(service: Service) -> None:
    assert service("/items/nowhere")[0] == 404
    assert service("/")[0] == 404
    assert service("/other/products/{item_id}", {"item_id": "a"})[0] == 404


# sources


def fresh(age_ms: int, breaker: str = "closed") -> Freshness:
    return Freshness(rfc3339(NOW_MS - age_ms), breaker, rfc3339(NOW_MS))


class Clocked(Service):
    """A service at a time that the test sets, which counts what it reads of sources."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.now_ms = NOW_MS
        self.asked: list[str] = []
        self.fault: UnansweredError | None = None
        monkeypatch.setattr("readplane.read.handler.now_ms", lambda: self.now_ms)
        monkeypatch.setattr(self.items, "freshness", self.freshness)

    def freshness(self, source: str) -> Freshness | None:
        self.asked.append(source)
        if self.fault:
            raise self.fault
        return self.items.sources.get(source)


@pytest.fixture
def clocked(monkeypatch: pytest.MonkeyPatch) -> Clocked:
    return Clocked(monkeypatch)


def test_a_source_tells_how_fresh_it_is(clocked: Clocked) -> None:
    clocked.items.sources["shop"] = fresh(12_345)
    status, body, headers = clocked("/sources/shop", anonymous=True)
    assert (status, headers["Cache-Control"]) == (200, "no-store")
    assert body == {
        "source": "shop",
        "collection": "products",
        "fresh_as_of": rfc3339(NOW_MS - 12_345),
        "staleness": 12.345,
        "staleness_budget": 60,
        "stale": False,
        "breaker": "closed",
    }
    clocked.items.sources["shop"] = fresh(60_001, "open")
    told = clocked("/sources/shop")[1]
    assert (told["staleness"], told["stale"], told["breaker"]) == (60.001, True, "open")


def test_a_source_that_was_never_polled_is_stale(clocked: Clocked) -> None:
    for never in (None, Freshness(None, "open", rfc3339(NOW_MS))):
        if never:
            clocked.items.sources["shop"] = never
        status, body, _ = clocked("/sources/shop")
        assert (status, body["fresh_as_of"], body["staleness"], body["stale"]) == (200, None, None, True)
        assert body["breaker"] == (never.breaker if never else None)


def test_a_source_is_as_open_as_its_collection(clocked: Clocked) -> None:
    for name in ("desk", "people"):
        for route in (f"/sources/{name}", f"/documents/sources/{name}"):
            assert clocked(route, anonymous=True)[0] == 401
            assert clocked(route, claims={"client_id": "another"})[0] == 401
        assert clocked(f"/sources/{name}")[0] == 200


def test_routes_of_no_source_are_not_found(clocked: Clocked) -> None:
    for route in ("/sources/nope", "/documents/sources/nope", "/sources", "/items/sources/shop", "/sources/shop/items"):
        assert clocked(route)[0] == 404
    clocked.fault = UnansweredError("ReadTimeoutError", sent=True)
    status, _, headers = clocked("/sources/shop")
    assert status == 503 and headers["Retry-After"] == "60"


def test_the_document_that_tells_of_a_source(clocked: Clocked) -> None:
    assert clocked("/documents/sources/shop")[0] == 404
    clocked.documents.held = {
        "public/sources/shop.json": '{"source":"shop"}',
        "authenticated/sources/desk.json": '{"source":"desk"}',
        "authenticated/sources/people.json": '{"source":"people"}',
    }
    status, body, headers = clocked("/documents/sources/shop", anonymous=True)
    assert (status, body) == (200, {"source": "shop"})
    assert clocked("/documents/sources/shop", headers={"If-None-Match": headers["ETag"]})[0] == 304
    for name in ("desk", "people"):
        assert clocked(f"/documents/sources/{name}")[1] == {"source": name}
    assert clocked.asked == []


def stale(clocked: Clocked) -> list[bool]:
    """Whether an item, the same item revalidated, and a list each say that they are stale."""
    item = clocked(ITEM, {"item_id": "p-1"})
    again = clocked(ITEM, {"item_id": "p-1"}, headers={"If-None-Match": item[2]["ETag"]})
    listed = clocked("/items/products")
    assert (item[0], again[0], listed[0]) == (200, 304, 200)
    return [answered[2].get("Readplane-Stale") == "true" for answered in (item, again, listed)]


@pytest.mark.parametrize(("age_ms", "expected"), [(None, True), (60_001, True), (60_000, False), (-5_000, False)])
def test_items_and_lists_say_when_their_source_is_behind_its_budget(
    clocked: Clocked, age_ms: int | None, expected: bool
) -> None:
    clocked.items.apply(change())
    if age_ms is not None:
        clocked.items.sources["shop"] = fresh(age_ms)
    assert stale(clocked) == [expected] * 3
    assert clocked.asked == ["shop"], "once, for all of them"


def test_a_collection_that_clients_write_is_never_stale(clocked: Clocked) -> None:
    clocked.items.apply(change())
    clocked.read = Read(SETTINGS._replace(sources={}), clocked.items, clocked.documents, Telemetry("read", "demo"))
    assert stale(clocked) == [False] * 3 and clocked.asked == []


def test_a_watermark_is_read_again_after_five_seconds_and_judged_by_the_present(clocked: Clocked) -> None:
    clocked.items.apply(change())
    clocked.items.sources["shop"] = fresh(58_000)
    assert stale(clocked) == [False] * 3
    clocked.items.sources["shop"] = fresh(0)
    clocked.now_ms += 2_001
    assert stale(clocked) == [True] * 3, "by what is known, which grows older"
    clocked.now_ms += 2_998
    assert stale(clocked) == [True] * 3 and clocked.asked == ["shop"]
    clocked.now_ms += 1
    assert stale(clocked) == [False] * 3 and clocked.asked == ["shop"] * 2
    clocked.now_ms -= 60_000  # a clock that is set back
    stale(clocked)
    assert clocked.asked == ["shop"] * 3


def test_a_watermark_that_cannot_be_read_fails_no_read(clocked: Clocked, capsys: pytest.CaptureFixture[str]) -> None:
    clocked.items.apply(change())
    clocked.fault = UnansweredError("ReadTimeoutError", sent=True)
    assert stale(clocked) == [True] * 3, "nothing vouches for it"
    assert clocked.asked == ["shop"] and "watermark not read" in capsys.readouterr().out
    clocked.fault, clocked.now_ms = None, clocked.now_ms + 5_000
    clocked.items.sources["shop"] = fresh(0)
    assert stale(clocked) == [False] * 3
    clocked.fault, clocked.now_ms = UnansweredError("ReadTimeoutError", sent=True), clocked.now_ms + 50_000
    assert stale(clocked) == [False] * 3, "what was read last still holds"
    clocked.now_ms += 5_001
    assert stale(clocked) == [True] * 3 and len(clocked.asked) == 4


def test_what_is_not_there_asks_for_no_watermark(clocked: Clocked) -> None:
    assert clocked(ITEM, {"item_id": "p-9"})[0] == 404
    assert (
        clocked("/items/products/{item_id}/changes/{change_id}", {"item_id": "a", "change_id": version_at(1)})[0] == 404
    )
    assert clocked.asked == []


def test_the_status_of_a_sourced_change(clocked: Clocked) -> None:
    """Its version is as old as upstream says: it is told once the item, or a marker, knows of it."""
    old, new = (change(ms=NOW_MS - days * 86_400_000, accepted_ms=NOW_MS, source="shop") for days in (900, 400))

    def told(entry: Change) -> Any:
        return clocked(
            "/items/products/{item_id}/changes/{change_id}", {"item_id": entry.item_id, "change_id": entry.change_id}
        )[:2]

    assert told(old)[0] == 404
    clocked.items.apply(new)
    assert told(old) == (200, {"status": "superseded", "reason": None})
    assert told(new) == (200, {"status": "applied", "reason": None})
    clocked.items.mark_quarantined(old, "too_large", NOW_MS)
    assert told(old) == (200, {"status": "quarantined", "reason": "too_large"})
    fresh = change("p-2", ms=NOW_MS - 1, source="shop")
    assert told(fresh) == (200, {"status": "pending", "reason": None})
