"""Tests of the response of each route of `read`."""

import time
from typing import Any

import pytest

from readplane.aws.faults import UnansweredError
from readplane.model.change import Change
from readplane.model.freshness import Freshness
from readplane.model.timestamp import rfc3339
from readplane.read.handler import Read
from readplane.stores.items import DynamoItems
from readplane.telemetry import Telemetry
from tests.fakes.dynamodb import MemoryDynamo
from tests.unit.read.support import ITEM, SETTINGS, ClockedService, ReadService, fresh
from tests.unit.support import NOW_MS, change, version_at

NOTICE = "/items/notices/{item_id}"
ORDER = "/items/orders/{item_id}"


@pytest.fixture
def service() -> ReadService:
    return ReadService()


@pytest.fixture
def clocked(monkeypatch: pytest.MonkeyPatch) -> ClockedService:
    return ClockedService(monkeypatch)


def test_an_item_has_its_version_as_its_etag(service: ReadService) -> None:
    for collection, cache_control in (("products", "public, max-age=60"), ("notices", "public, max-age=0")):
        item = change(data='{"price":1.10}', collection=collection)
        service.items.apply(item)
        status, body, headers = service(f"/items/{collection}/{{item_id}}", {"item_id": "p-1"}, anonymous=True)
        assert status == 200 and body["data"] == {"price": 1.10} and body["version"] == item.version
        assert headers["ETag"] == f'"{item.version}"' and headers["Readplane-Version"] == item.version
        assert headers["Cache-Control"] == cache_control


def test_an_uncached_item_is_a_304_if_the_caller_has_its_version(service: ReadService) -> None:
    item = change(collection="notices")
    service.items.apply(item)
    etag = f'"{item.version}"'
    for tags in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        status, body, headers = service(NOTICE, {"item_id": "p-1"}, headers={"If-None-Match": tags})
        assert (status, body, headers["ETag"], headers["Cache-Control"]) == (304, None, etag, "public, max-age=0")
    assert service(NOTICE, {"item_id": "p-1"}, headers={"If-None-Match": '"other"'})[0] == 200


HEADERS = [
    "If-None-Match",
    "if-none-match",
    "IF-NONE-MATCH",
    "Readplane-Min-Version",
    "min_version",
    "If-Modified-Since",
]


@pytest.mark.parametrize("header", [*HEADERS, "Origin", "Range", "X-HTTP-Method-Override", "Accept"])
@pytest.mark.parametrize("resource", [ITEM, "/documents/products/{item_id}", "/items/products"])
def test_a_cached_route_reads_no_header(service: ReadService, resource: str, header: str) -> None:
    """Check this, because API Gateway returns the cached response to all callers, whatever headers they send."""
    service.items.apply(change())
    service.documents.put_document("public/documents/products/p-1", "{}", "v", "")
    plain = service(resource, {"item_id": "p-1"})
    assert plain[0] == 200
    for value in (plain[2].get("ETag", "*"), "*", version_at(NOW_MS + 1), "https://evil.example.com"):
        assert service(resource, {"item_id": "p-1"}, headers={header: value}) == plain


@pytest.mark.parametrize("resource", [ITEM, "/documents/products/{item_id}", "/items/products"])
def test_a_cached_route_responds_with_a_body_whatever_its_method_is_said_to_be(
    service: ReadService, resource: str
) -> None:
    """Check this, because of a GET with X-HTTP-Method-Override: HEAD, API Gateway would cache the empty body."""
    service.items.apply(change())
    service.documents.put_document("public/documents/products/p-1", "{}", "v", "")
    for item_id in ("p-1", "p-2"):
        plain = service(resource, {"item_id": item_id})
        assert plain[1] is not None
        assert service(resource, {"item_id": item_id}, method="HEAD") == plain


@pytest.mark.parametrize("resource", [ITEM, "/documents/products/{item_id}", "/items/products"])
def test_a_cached_route_ignores_unknown_query_parameters(service: ReadService, resource: str) -> None:
    """Check this, because API Gateway would return the cached 400 to all callers of the same route."""
    service.items.apply(change())
    service.documents.put_document("public/documents/products/p-1", "{}", "v", "")
    plain = service(resource, {"item_id": "p-1"})
    assert plain[0] == 200
    assert service(resource, {"item_id": "p-1"}, query={"utm_source": "x", "If-None-Match": "*"}) == plain


@pytest.mark.parametrize("resource", [ITEM, "/documents/products/{item_id}", "/items/products"])
def test_a_cached_route_takes_an_empty_query_parameter_for_a_missing_one(service: ReadService, resource: str) -> None:
    """Check this, because API Gateway's cache key may not tell one from the other."""
    service.items.apply(change())
    service.documents.put_document("public/documents/products/p-1", "{}", "v", "")
    plain = service(resource, {"item_id": "p-1"})
    assert plain[0] == 200
    for query in (dict.fromkeys(("min_version", "limit", "cursor", "next"), ""), {"cursor": ""}, {"min_version": ""}):
        assert service(resource, {"item_id": "p-1"}, query=query) == plain


@pytest.mark.parametrize(
    ("resource", "names"),
    [
        (NOTICE, {"min_version"}),
        ("/items/notices", {"limit", "cursor", "next"}),
        ("/items/products/{item_id}/changes/{change_id}", set()),
        ("/sources/shop", set()),
    ],
)
def test_an_uncached_route_refuses_query_parameters_that_it_does_not_have(
    service: ReadService, resource: str, names: set[str]
) -> None:
    path = {"item_id": "p-1", "change_id": version_at(NOW_MS)}
    for name in sorted({"min_version", "limit", "cursor", "next", "Limit", "utm_source"} - names):
        status, body, _ = service(resource, path, query={name: "1"})
        assert (status, body["parameter"]) == (400, name)


def test_a_document_ignores_query_parameters_as_it_does_without_a_function(service: ReadService) -> None:
    service.documents.put_document("public/documents/notices/p-1", "{}", "v", "")
    service.documents.put_document("public/documents/sources/shop", "{}", "v", "")
    for resource in ("/documents/notices/{item_id}", "/documents/sources/shop"):
        assert service(resource, {"item_id": "p-1"}, query={"min_version": "x", "utm_source": "x"})[0] == 200


def test_a_head_request_gets_the_headers_of_a_get(service: ReadService) -> None:
    item = change(collection="notices")
    service.items.apply(item)
    for item_id, code in (("p-1", 200), ("p-2", 404)):
        status, body, headers = service(NOTICE, {"item_id": item_id}, method="HEAD")
        assert (status, body) == (code, None)
        assert headers == service(NOTICE, {"item_id": item_id})[2]


def test_a_read_that_names_a_version_is_a_409_until_it_is_applied(clocked: ClockedService) -> None:
    old, new = change(ms=NOW_MS - 2), change(ms=NOW_MS - 1)
    clocked.items.apply(old)
    min_version = {"min_version": new.version}
    status, body, headers = clocked(ITEM, {"item_id": "p-1"}, query=min_version)
    # The client must not retry before API Gateway's cache drops this 409. So `Retry-After` is the collection's
    # cache TTL, or one second if the collection isn't cached.
    assert status == 409 and headers["Retry-After"] == "60" and headers["Cache-Control"] == "no-store"
    assert body["parameter"] == "min_version"
    assert clocked(ORDER, {"item_id": "a"}, query=min_version)[2]["Retry-After"] == "1"
    clocked.items.apply(new)
    status, _, headers = clocked(ITEM, {"item_id": "p-1"}, query=min_version)
    assert status == 200 and headers["Cache-Control"] == "no-store"
    clocked.items.apply(change(ms=NOW_MS, data=None))
    assert clocked(ITEM, {"item_id": "p-1"}, query=min_version)[0] == 404
    for resource, wrong in ((ITEM, "x"), (ITEM, version_at(NOW_MS + 3_600_000)), (ORDER, "x"), (ORDER, "")):
        status, body, _ = clocked(resource, {"item_id": "p-1"}, query={"min_version": wrong})
        assert (status, body["parameter"]) == (400, "min_version")


@pytest.mark.parametrize("collection", ["reports", "notices"])
def test_a_version_that_cannot_be_the_items_is_a_400_and_not_a_409_for_ever(
    clocked: ClockedService, collection: str
) -> None:
    route, path = f"/items/{collection}/{{item_id}}", {"item_id": "p-1"}
    pending_ms = SETTINGS.pending_ms
    clocked.items.apply(change(ms=NOW_MS - 2 * pending_ms, collection=collection))

    def status_of(version: str, item_id: str = "p-1") -> int:
        status, body, _ = clocked(route, path | {"item_id": item_id}, query={"min_version": version})
        assert status == 200 or body["parameter"] == "min_version"
        return status

    assert status_of(version_at(NOW_MS - pending_ms - 1)) == 400
    assert status_of(version_at(NOW_MS - pending_ms - 1), "no-item") == 400
    assert status_of(version_at(NOW_MS - pending_ms)) == 409, "this change may be on its way"
    assert status_of(f"{version_at(1)},{version_at(NOW_MS)}") == 409, "the greatest version counts"
    assert status_of(version_at(0, 7), "no-item") == 409, "the version of a keyed POST doesn't say how old it is"
    assert status_of(version_at(NOW_MS - 3 * pending_ms)) == 200


def test_an_old_version_of_a_sourced_item_may_still_be_on_its_way(clocked: ClockedService) -> None:
    """The version of a back office's record is the time of its last modification, which may be years ago."""
    status, _, _ = clocked(ITEM, {"item_id": "p-1"}, query={"min_version": version_at(NOW_MS - 900 * 86_400_000)})
    assert status == 409


def test_missing_and_deleted_items_are_404(service: ReadService) -> None:
    service.items.apply(change("gone", data=None))
    for item_id in ("gone", "never"):
        status, body, headers = service(ITEM, {"item_id": item_id})
        assert (status, body["title"]) == (404, "Not Found")
        assert headers["Content-Type"] == "application/problem+json"


def test_a_malformed_row_is_a_404_and_no_list_shows_it(
    service: ReadService, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = MemoryDynamo("t")
    items = DynamoItems(fake, "t", "i", horizon_ms=0, telemetry=Telemetry("read", "demo"))
    service.read = Read(SETTINGS, items, service.documents, Telemetry("read", "demo"))
    for number in range(5):
        items.apply(change(f"p-{number}", collection="notices"))
    for item_id, name, value in (("p-1", "collection", None), ("p-3", "data", {"S": '{"n":'})):
        row = {**fake.items[f"item/notices/{item_id}"], name: value}
        fake.items[f"item/notices/{item_id}"] = {name: value for name, value in row.items() if value}
        status, body, _ = service(NOTICE, {"item_id": item_id})
        assert (status, body["title"]) == (404, "Not Found")
        assert service(NOTICE, {"item_id": item_id}, query={"min_version": version_at(NOW_MS)})[0] in (400, 409)
    listed: list[str] = []
    query = {"limit": "1"}
    while True:
        status, body, _ = service("/items/notices", query=query)
        assert status == 200
        listed += [item["id"] for item in body["items"]]
        if body["next"] is None:
            break
        query["cursor"] = body["next"]
    assert sorted(listed) == ["p-0", "p-2", "p-4"]
    out = capsys.readouterr().out
    assert out.count('"event":"row_skipped"') == out.count('"RowsSkipped":1') >= 4


def test_the_status_of_a_change(service: ReadService) -> None:
    now_ms = time.time_ns() // 1_000_000
    applied, pending = change(ms=now_ms - 10), change(ms=now_ms)
    service.items.apply(applied)
    route = "/items/products/{item_id}/changes/{change_id}"

    def status_of(change_id: str) -> tuple[int, Any]:
        status, body, headers = service(route, {"item_id": "p-1", "change_id": change_id})
        assert headers["Cache-Control"] == "no-store"
        return status, body

    assert status_of(applied.change_id) == (200, {"status": "applied", "reason": None})
    assert status_of(pending.change_id) == (200, {"status": "pending", "reason": None})
    assert status_of(applied.change_id.replace("-", "%2D")) == (200, {"status": "applied", "reason": None})
    assert status_of(version_at(now_ms - 11))[1]["status"] == "superseded"
    service.items.mark_quarantined(pending, "too_large", now_ms)
    assert status_of(pending.change_id) == (200, {"status": "quarantined", "reason": "too_large"})
    assert service(route, {"item_id": "p-2", "change_id": version_at(now_ms - 901_000)})[0] == 404
    for wrong in ("x", "..", "%2F", applied.change_id.upper()):
        status, body = status_of(wrong)
        assert (status, body["parameter"]) == (400, "change_id")


def test_a_document_is_returned_as_it_is_stored(service: ReadService) -> None:
    service.documents.put_document("public/documents/products/p-1", '{"n":1.10}', "v", "")
    status, body, headers = service("/documents/products/{item_id}", {"item_id": "p-1"}, anonymous=True)
    assert (status, body) == (200, {"n": 1.10})
    assert service("/documents/products/{item_id}", {"item_id": "p-2"})[0] == 404
    service.documents.put_document("public/documents/notices/p-1", '{"n":1.10}', "v", "")
    condition = {"If-None-Match": f'"x", {headers["ETag"]}'}
    status, body, unchanged = service("/documents/notices/{item_id}", {"item_id": "p-1"}, headers=condition)
    assert (status, body, unchanged["ETag"]) == (304, None, headers["ETag"])


def test_the_cache_control_in_s3_of_a_document_for_signed_in_users_is_for_the_edge_alone(service: ReadService) -> None:
    service.documents.put_document("authenticated/documents/reports/a", "{}", "v", "max-age=300")
    status, _, headers = service("/documents/reports/{item_id}", {"item_id": "a"})
    assert (status, headers["Cache-Control"]) == (200, "private, max-age=30")


def test_the_source_route_returns_its_freshness(clocked: ClockedService) -> None:
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
    body = clocked("/sources/shop")[1]
    assert (body["staleness"], body["stale"], body["breaker"]) == (60.001, True, "open")


def test_a_source_that_was_never_polled_is_stale(clocked: ClockedService) -> None:
    for freshness in (None, Freshness(None, "open", rfc3339(NOW_MS))):
        if freshness:
            clocked.items.sources["shop"] = freshness
        status, body, _ = clocked("/sources/shop")
        assert (status, body["fresh_as_of"], body["staleness"], body["stale"]) == (200, None, None, True)
        assert body["breaker"] == (freshness.breaker if freshness else None)


def test_the_document_of_a_source_needs_no_read_of_its_freshness(clocked: ClockedService) -> None:
    assert clocked("/documents/sources/shop")[0] == 404
    clocked.documents.texts = {
        "public/documents/sources/shop": '{"source":"shop"}',
        "authenticated/documents/sources/desk": '{"source":"desk"}',
        "authenticated/documents/sources/people": '{"source":"people"}',
    }
    status, body, headers = clocked("/documents/sources/shop", anonymous=True)
    assert (status, body) == (200, {"source": "shop"})
    assert clocked("/documents/sources/shop", headers={"If-None-Match": headers["ETag"]})[0] == 304
    for name in ("desk", "people"):
        assert clocked(f"/documents/sources/{name}")[1] == {"source": name}
    assert clocked.freshness_reads == []


def staleness_headers(clocked: ClockedService) -> list[bool]:
    """Return whether each of three responses has the header ``Readplane-Stale``.

    The first response holds an item, the second is a 304 for the same item, and the third holds a list.
    """
    item = clocked(ORDER, {"item_id": "p-1"})
    revalidated = clocked(ORDER, {"item_id": "p-1"}, headers={"If-None-Match": item[2]["ETag"]})
    page = clocked("/items/orders")
    assert (item[0], revalidated[0], page[0]) == (200, 304, 200)
    return [response[2].get("Readplane-Stale") == "true" for response in (item, revalidated, page)]


@pytest.mark.parametrize(("age_ms", "expected"), [(None, True), (60_001, True), (60_000, False), (-5_000, False)])
def test_items_and_lists_say_if_their_source_exceeds_its_staleness_budget(
    clocked: ClockedService, age_ms: int | None, expected: bool
) -> None:
    clocked.items.apply(change(collection="orders"))
    if age_ms is not None:
        clocked.items.sources["desk"] = fresh(age_ms)
    assert staleness_headers(clocked) == [expected] * 3
    assert clocked.freshness_reads == ["desk"], "one read serves all three"


def test_a_collection_that_clients_write_is_never_stale(clocked: ClockedService) -> None:
    clocked.items.apply(change(collection="orders"))
    clocked.read = Read(SETTINGS._replace(sources={}), clocked.items, clocked.documents, Telemetry("read", "demo"))
    assert staleness_headers(clocked) == [False] * 3 and clocked.freshness_reads == []


def test_freshness_is_read_every_five_seconds_and_judged_by_the_current_time(clocked: ClockedService) -> None:
    clocked.items.apply(change(collection="orders"))
    clocked.items.sources["desk"] = fresh(58_000)
    assert staleness_headers(clocked) == [False] * 3
    clocked.items.sources["desk"] = fresh(0)
    clocked.now_ms += 2_001
    assert staleness_headers(clocked) == [True] * 3, "the last known freshness grows older"
    clocked.now_ms += 2_998
    assert staleness_headers(clocked) == [True] * 3 and clocked.freshness_reads == ["desk"]
    clocked.now_ms += 1
    assert staleness_headers(clocked) == [False] * 3 and clocked.freshness_reads == ["desk"] * 2
    clocked.now_ms -= 60_000  # set the clock back, after which `read` must read the freshness again
    staleness_headers(clocked)
    assert clocked.freshness_reads == ["desk"] * 3


def test_a_read_succeeds_if_the_freshness_cannot_be_read(
    clocked: ClockedService, capsys: pytest.CaptureFixture[str]
) -> None:
    clocked.items.apply(change(collection="orders"))
    clocked.fault = UnansweredError("ReadTimeoutError", sent=True)
    assert staleness_headers(clocked) == [True] * 3, "without any freshness the items count as stale"
    assert clocked.freshness_reads == ["desk"] and "freshness_not_read" in capsys.readouterr().out
    clocked.fault, clocked.now_ms = None, clocked.now_ms + 5_000
    clocked.items.sources["desk"] = fresh(0)
    assert staleness_headers(clocked) == [False] * 3
    clocked.fault, clocked.now_ms = UnansweredError("ReadTimeoutError", sent=True), clocked.now_ms + 50_000
    assert staleness_headers(clocked) == [False] * 3, "the last known freshness counts"
    clocked.now_ms += 5_001
    assert staleness_headers(clocked) == [True] * 3 and len(clocked.freshness_reads) == 4


def test_a_404_costs_no_read_of_the_freshness(clocked: ClockedService) -> None:
    assert clocked(ITEM, {"item_id": "p-9"})[0] == 404
    assert (
        clocked("/items/products/{item_id}/changes/{change_id}", {"item_id": "a", "change_id": version_at(1)})[0] == 404
    )
    assert clocked.freshness_reads == []


def test_the_status_of_a_sourced_change(clocked: ClockedService) -> None:
    """The ``change_id`` of a source's change may be years old. Such a change is never pending.

    Before `apply` handles the change, `read` responds 404. After that, the status comes from the item's version
    or from the change's quarantine marker.
    """
    old, new = (change(ms=NOW_MS - days * 86_400_000, accepted_ms=NOW_MS, source="shop") for days in (900, 400))

    def status_of(entry: Change) -> Any:
        return clocked(
            "/items/products/{item_id}/changes/{change_id}", {"item_id": entry.item_id, "change_id": entry.change_id}
        )[:2]

    assert status_of(old)[0] == 404
    clocked.items.apply(new)
    assert status_of(old) == (200, {"status": "superseded", "reason": None})
    assert status_of(new) == (200, {"status": "applied", "reason": None})
    clocked.items.mark_quarantined(old, "too_large", NOW_MS)
    assert status_of(old) == (200, {"status": "quarantined", "reason": "too_large"})
    young = change("p-2", ms=NOW_MS - 1, source="shop")
    assert status_of(young) == (200, {"status": "pending", "reason": None})
