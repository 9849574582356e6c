import json
import time
from typing import Any

import pytest

from readplane.domain.listing import SHARDS
from readplane.handlers.read import Read, ReadSettings
from readplane.http import answer
from readplane.stores.aws import Unanswered
from readplane.telemetry import Telemetry
from tests.unit.support import (
    ALICE,
    BOB,
    CLIENT_ID,
    COLLECTIONS,
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
        raise Unanswered("EndpointConnectionError", sent=False)

    monkeypatch.setattr(service.items, "get", fail)
    for collection, seconds in (("products", "60"), ("orders", "1")):
        status, body, headers = service(f"/items/{collection}/{{item_id}}", {"item_id": "a"})
        assert (status, headers["Retry-After"], body["title"]) == (503, seconds, "Service Unavailable")
    assert '"EndpointConnectionError"' in capsys.readouterr().out


def test_routes_and_collections_of_another_deployment_are_404(service: Service) -> None:
    assert service("/items/nowhere")[0] == 404
    assert service("/")[0] == 404
    assert service("/other/products/{item_id}", {"item_id": "a"})[0] == 404
