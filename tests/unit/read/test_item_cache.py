"""Tests of the routes of `read` through the item cache, and the contract between items and documents."""

import hashlib
import io
import json
from typing import Any

import pytest

from ops.local.valkey import Valkey
from readplane.aws.faults import RefusedError
from readplane.model.change import Change
from readplane.model.keys import document_key
from readplane.stores.documents import S3Documents
from tests.unit.read.cache_support import ORDER, CachedService
from tests.unit.read.support import SETTINGS, ReadService
from tests.unit.support import ALICE, BOB, NOW_MS, change, version_at

READS = ["notices", "products", "orders", "reports", "profiles"]
"""A public and an authenticated collection, each with and without a cache at the stage, and an owner collection."""

TEXT = '{"price":1.10,"name":"Käse \\ud800"}'


def item_of(collection: str, data: str | None = TEXT, tail: int = 0) -> Change:
    owner = ALICE if SETTINGS.collections[collection].owned else None
    return change("p-1", collection=collection, owner=owner, data=data, tail=tail)


# The item route


@pytest.mark.parametrize("collection", READS)
def test_an_item_is_the_same_with_and_without_the_cache(
    valkey: Valkey, collection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = item_of(collection)
    plain, cached = ReadService(), CachedService(valkey.port, item)
    plain.items.apply(item)
    for service in (plain, cached):
        service.items.sources.clear()
    etag = f'"{item.version}"'
    for condition in ({}, {"If-None-Match": etag}, {"If-None-Match": f'W/"x", W/{etag}'}, {"If-None-Match": "*"}):
        for item_id in ("p-1", "p-2"):
            expected = plain(f"/items/{collection}/{{item_id}}", {"item_id": item_id}, headers=condition)
            for _ in range(2):  # a miss and a hit, at first
                status, body, headers = cached(
                    f"/items/{collection}/{{item_id}}", {"item_id": item_id}, headers=condition
                )
                assert headers.pop("Cache-Status").startswith("Readplane; ")
                assert (status, body, headers) == expected
    assert cached.items.loads == [True, True]


def test_a_deleted_item_is_a_404_from_the_cache(valkey: Valkey) -> None:
    service = CachedService(valkey.port, item_of("orders", None))
    statuses = [service.order("p-1")[::2] for _ in range(2)]
    assert [status for status, _ in statuses] == [404, 404]
    assert statuses[1][1]["Cache-Status"].startswith("Readplane; hit; ttl=")
    assert service.items.loads == [True]


def test_a_named_version_may_be_answered_by_the_cache(valkey: Valkey) -> None:
    item = item_of("orders")
    service = CachedService(valkey.port, item)
    service.order("p-1")
    status, _, headers = service.order("p-1", query={"min_version": item.version})
    assert (status, headers["Cache-Control"]) == (200, "no-store")
    assert headers["Cache-Status"].startswith("Readplane; hit") and service.items.loads == [True]


def test_a_named_version_that_is_not_applied_yet_is_a_409_until_it_is(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("readplane.read.routes.now_ms", lambda: NOW_MS)
    service = CachedService(valkey.port, item_of("orders"))
    service.order("p-1")
    newer = item_of("orders", tail=9)
    assert service.order("p-1", query={"min_version": newer.version})[0] == 409
    service.items.apply(newer)
    status, body, headers = service.order("p-1", query={"min_version": newer.version})
    assert (status, body["version"]) == (200, newer.version)
    assert headers["Cache-Status"] == "Readplane; fwd=request; stored"
    assert service.order("p-1")[1]["version"] == newer.version


def test_the_owner_of_an_item_is_part_of_its_key(valkey: Valkey) -> None:
    service = CachedService(valkey.port, item_of("profiles"))
    route = "/items/profiles/{item_id}"
    for _ in range(2):
        assert service(route, {"item_id": "p-1"}, claims={"sub": ALICE})[0] == 200
        assert service(route, {"item_id": "p-1"}, claims={"sub": BOB})[0] == 404


def test_a_collection_that_is_not_cached_does_not_touch_the_cache(valkey: Valkey) -> None:
    service = CachedService(valkey.port, item_of("orders"))
    service.cached.collections = frozenset({"products"})
    for route in (ORDER, "/documents/orders/{item_id}"):
        assert "Cache-Status" not in service(route, {"item_id": "p-1"})[2]
    assert service.client.commands == [] and service.items.loads == [False]


def test_lists_and_statuses_do_not_touch_the_cache(valkey: Valkey) -> None:
    item = item_of("orders")
    service = CachedService(valkey.port, item)
    assert service("/items/orders")[1]["items"] == [json.loads(item.representation())]
    path = {"item_id": "p-1", "change_id": item.version}
    assert service("/items/orders/{item_id}/changes/{change_id}", path)[1]["status"] == "applied"
    assert service.client.commands == []


def test_while_dynamodb_fails_a_client_without_an_entry_gets_a_503(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = CachedService(valkey.port, item_of("orders"))
    now = NOW_MS
    monkeypatch.setattr("time.time_ns", lambda: now * 1_000_000)
    assert service.order("p-1")[0] == 200
    service.items.fault = RefusedError("ProvisionedThroughputExceededException", 400)
    now += 31_000
    status, _, headers = service.order("p-1")
    assert (status, headers["Cache-Status"]) == (200, "Readplane; hit; ttl=-1")
    status, _, headers = service.order("p-2")
    assert (status, headers["Retry-After"]) == (503, "1")


def test_a_lost_cache_means_one_load_for_each_item_and_503s_while_dynamodb_throttles(valkey: Valkey) -> None:
    """At 95 % hits, DynamoDB gets 20 times its usual reads when the cache is lost. A throttled read is a 503."""
    orders = [change(f"o-{number}", tail=number, collection="orders") for number in range(20)]
    service = CachedService(valkey.port, *orders)
    for _ in range(20):
        assert [service.order(order.item_id)[0] for order in orders] == [200] * 20
    assert len(service.items.loads) == 20  # 5 % of 400 reads
    valkey.client().flushall()
    service.items.capacity = 8
    statuses = [service.order(order.item_id)[0] for order in orders]
    assert statuses == [200] * 8 + [503] * 12
    service.items.capacity = None
    valkey.client().delete(*[f"g1/{order.key}/lease" for order in orders])
    assert [service.order(order.item_id)[0] for order in orders] == [200] * 20
    assert len(service.items.loads) == 20 + 20 + 12


# The document route


def document(service: ReadService, collection: str, item_id: str, condition: str | None) -> tuple[int, Any, Any]:
    """Read a document. Return its status, its body, and its headers without the values that may differ."""
    headers = {} if condition is None else {"If-None-Match": condition}
    status, body, answered = service(f"/documents/{collection}/{{item_id}}", {"item_id": item_id}, headers=headers)
    if status in (200, 304):
        assert answered["ETag"].startswith('"')
        answered["ETag"] = ""
    answered.pop("Cache-Status", None)
    return status, body, answered


class ConditionalS3:
    """An AWS client of an S3 that follows RFC 9110 (13.1.2) for ``If-None-Match``, which moto doesn't for lists."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[str, Any]] = {}

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        if operation == "PutObject":
            self._objects[parameters["Key"]] = parameters
            return {}
        if parameters["Key"] not in self._objects:
            raise RefusedError("AccessDenied", 403)
        stored = self._objects[parameters["Key"]]
        response = {name: stored[name] for name in ("ContentType", "CacheControl", "Metadata")}
        response |= {"ETag": f'"{hashlib.md5(stored["Body"]).hexdigest()}"', "Body": io.BytesIO(stored["Body"])}
        conditions = [text.strip() for text in parameters.get("IfNoneMatch", "").split(",")]
        if "*" in conditions or response["ETag"] in conditions:
            raise RefusedError("304", 304, {name: response[name] for name in ("ETag", "CacheControl")})
        return response


@pytest.mark.parametrize("collection", READS)
def test_a_document_from_the_cache_is_what_s3_would_return(valkey: Valkey, collection: str) -> None:
    declared = SETTINGS.collections[collection]
    item, deleted = item_of(collection), item_of(collection, None)._replace(item_id="p-2")
    documents = S3Documents(ConditionalS3(), "bucket")
    # As `publish` writes it.
    key = document_key(declared.read, collection, item.item_id, item.owner)
    documents.put_document(key, item.representation(), item.version, declared.document_cache_control)
    in_s3, in_cache = CachedService(valkey.port, documents=documents), CachedService(valkey.port, item, deleted)
    in_s3.cached.collections = frozenset()
    path = {"item_id": "p-1"}
    etags = [service(f"/documents/{collection}/{{item_id}}", path)[2]["ETag"] for service in (in_s3, in_cache)]
    for pattern in (None, "{}", '"x", {}', "*", '"x"'):
        for item_id in ("p-1", "p-2", "p-3"):
            conditions = [pattern and pattern.replace("{}", etag) for etag in etags]
            expected = document(in_s3, collection, item_id, conditions[0])
            assert document(in_cache, collection, item_id, conditions[1]) == expected
    assert len(in_cache.items.loads) == 3
    hit = in_cache(f"/documents/{collection}/{{item_id}}", path)[2]["Cache-Status"]
    assert hit.startswith("Readplane; hit; ttl=")


def test_an_item_and_its_document_come_from_the_same_entry(valkey: Valkey) -> None:
    item = item_of("orders")
    service = CachedService(valkey.port, item)
    first = service.order("p-1")
    second = service("/documents/orders/{item_id}", {"item_id": "p-1"})
    assert first[:2] == second[:2] == (200, json.loads(item.representation()))
    assert second[2]["Cache-Status"].startswith("Readplane; hit") and service.items.loads == [True]
    assert valkey.client().dbsize() == 2  # the entry and its lease


def test_a_document_comes_from_s3_while_dynamodb_fails(valkey: Valkey) -> None:
    item = item_of("orders")
    service = CachedService(valkey.port, item)
    service.documents.put_document("authenticated/documents/orders/p-1", item.representation(), item.version, "")
    service.items.fault = RefusedError("InternalServerError", 500)
    assert service("/documents/orders/{item_id}", {"item_id": "p-1"})[:2] == (200, json.loads(item.representation()))


def test_a_snapshot_stays_in_s3_and_a_deleted_item_does_not(valkey: Valkey) -> None:
    """A snapshot is no item. `publish` removes a deleted item's document a moment after the cache knows the delete."""
    service = CachedService(valkey.port, item_of("orders", None))
    for item_id in ("p-1", "current"):
        service.documents.put_document(f"authenticated/documents/orders/{item_id}", '{"n":1}', version_at(1), "")
    for _ in range(2):
        assert service("/documents/orders/{item_id}", {"item_id": "current"})[:2] == (200, {"n": 1})
        assert service("/documents/orders/{item_id}", {"item_id": "p-1"})[0] == 404


def test_the_document_of_a_source_stays_in_s3(valkey: Valkey) -> None:
    service = CachedService(valkey.port)
    service.documents.put_document("public/documents/sources/shop", '{"source":"shop"}', version_at(1), "")
    assert service("/documents/sources/shop")[1] == {"source": "shop"}
    assert service.client.commands == []
