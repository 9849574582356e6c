"""Tests of `read`: who may read which items, and what the response is if DynamoDB or S3 fails."""

import pytest

from readplane.aws.faults import UnansweredError
from tests.unit.read.support import ClockedService, ReadService
from tests.unit.support import ALICE, BOB, change, version_at


@pytest.fixture
def service() -> ReadService:
    return ReadService()


@pytest.fixture
def clocked(monkeypatch: pytest.MonkeyPatch) -> ClockedService:
    return ClockedService(monkeypatch)


def test_owners_see_only_their_own_items(service: ReadService) -> None:
    mine = change("me", collection="profiles", owner=ALICE)
    service.items.apply(mine)
    service.documents.put_document(f"owner/documents/profiles/{ALICE}/me", mine.representation(), mine.version, "")
    status_route = "/items/profiles/{item_id}/changes/{change_id}"
    routes: list[tuple[str, dict[str, str] | None]] = [
        ("/items/profiles/{item_id}", {"item_id": "me"}),
        ("/documents/profiles/{item_id}", {"item_id": "me"}),
    ]
    for resource, item_path in routes:
        assert service(resource, item_path)[0] == 200
        assert service(resource, item_path, claims={"sub": BOB})[0] == 404
        assert service(resource, item_path, anonymous=True)[0] == 403
    assert len(service("/items/profiles")[1]["items"]) == 1
    assert service("/items/profiles", claims={"sub": BOB})[1] == {"items": [], "next": None}
    path = {"item_id": "me", "change_id": mine.change_id}
    assert service(status_route, path)[1]["status"] == "applied"
    assert service(status_route, path, claims={"sub": BOB})[0] == 404
    assert service(status_route, path, anonymous=True)[0] == 403


def test_whatever_is_not_public_needs_a_token_of_our_clients(service: ReadService) -> None:
    assert service("/items/orders", claims={"client_id": "another"})[0] == 403
    assert service("/items/orders", claims={"token_use": "id"})[0] == 403
    assert service("/items/orders", anonymous=True)[0] == 403
    assert service("/items/orders")[0] == 200
    assert service("/items/products", anonymous=True)[0] == 200


def test_a_cached_route_examines_no_claim(service: ReadService) -> None:
    """Check this, because API Gateway would return the cached 403 to all callers."""
    service.items.apply(change("a", collection="reports"))
    service.documents.put_document("authenticated/documents/reports/a", "{}", "v", "")
    status_route, path = "/items/reports/{item_id}/changes/{change_id}", {"item_id": "a", "change_id": version_at(1)}
    wrong_claims: tuple[dict[str, object], ...] = ({"client_id": "another"}, {"token_use": "id"}, {"sub": "a/b"})
    for claims in wrong_claims:
        for resource in ("/items/reports", "/items/reports/{item_id}", "/documents/reports/{item_id}"):
            assert service(resource, {"item_id": "a"}, claims=claims)[0] == 200
        for resource in (status_route, "/sources/market", "/documents/sources/market"):
            assert service(resource, path, claims=claims)[0] == 403, "these routes are never cached"


@pytest.mark.parametrize("item_id", ["..", "a/b", "%2F", "%00", "..%2F..%2Fowner", "a\0"])
@pytest.mark.parametrize(
    "resource",
    ["/items/products/{item_id}", "/documents/profiles/{item_id}", "/items/products/{item_id}/changes/{change_id}"],
)
def test_a_hostile_item_id_is_refused_by_its_name(service: ReadService, resource: str, item_id: str) -> None:
    status, body, _ = service(resource, {"item_id": item_id, "change_id": version_at(0)})
    assert (status, body["parameter"]) == (400, "item_id")


def test_a_failing_store_is_a_503_to_retry_once_caches_have_dropped_it(
    service: ReadService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failures: list[Exception] = [UnansweredError("EndpointConnectionError", sent=False), RuntimeError("a bug")]

    def fail(*_: object, **__: object) -> None:
        raise failures[-1]

    monkeypatch.setattr(service.items, "get_item", fail)
    while failures:
        for collection, seconds in (("products", "60"), ("orders", "1")):
            status, body, headers = service(f"/items/{collection}/{{item_id}}", {"item_id": "a"})
            assert (status, headers["Retry-After"], body["title"]) == (503, seconds, "Service Unavailable")
        failures.pop()
    assert '"EndpointConnectionError"' in capsys.readouterr().out


def test_routes_and_collections_of_another_deployment_are_404(service: ReadService) -> None:
    assert service("/items/nowhere")[0] == 404
    assert service("/")[0] == 404
    assert service("/other/products/{item_id}", {"item_id": "a"})[0] == 404


def test_a_source_is_as_public_as_its_collection(clocked: ClockedService) -> None:
    for name in ("desk", "people"):
        for route in (f"/sources/{name}", f"/documents/sources/{name}"):
            assert clocked(route, anonymous=True)[0] == 403
            assert clocked(route, claims={"client_id": "another"})[0] == 403
        assert clocked(f"/sources/{name}")[0] == 200


def test_a_route_of_an_unknown_source_is_404(clocked: ClockedService) -> None:
    for route in ("/sources/nope", "/documents/sources/nope", "/sources", "/items/sources/shop", "/sources/shop/items"):
        assert clocked(route)[0] == 404
    clocked.fault = UnansweredError("ReadTimeoutError", sent=True)
    status, _, headers = clocked("/sources/shop")
    assert status == 503 and headers["Retry-After"] == "1", "the freshness of a source is never cached"
