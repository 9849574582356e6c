"""Tests of plain lists, which `read` and `query` serve in the same way."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readplane.api.response import respond
from readplane.aws.faults import UnansweredError
from readplane.model.keys import SHARDS
from readplane.model.timestamp import rfc3339
from tests.unit.query.support import QueryService
from tests.unit.read.support import ReadService, fresh
from tests.unit.support import ALICE, BOB, NOW_MS, MemoryItems, api_event, change

SERVICES = {"read": ReadService, "query": QueryService}
COLLECTIONS = ("products", "orders", "profiles", "prices", "reports", "notices")


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> ReadService:
    return SERVICES[request.param]()


@pytest.mark.parametrize("name", ["cursor", "next"])
def test_the_pages_of_a_list_show_every_item_once(service: ReadService, name: str) -> None:
    for number in range(23):
        service.items.apply(change(f"p-{number}", data=f'{{"n":{number}.50}}'))
    listed: list[str] = []
    query = {"limit": "5"}
    while True:
        status, body, headers = service("/items/products", query=query)
        assert status == 200 and headers["Cache-Control"] == "public, max-age=60"
        listed += [item["id"] for item in body["items"]]
        if body["next"] is None:
            break
        query[name] = body["next"]
    assert len(listed) == 23 == len(set(listed)) and SHARDS > 1


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "1\0"}, "limit"),
        ({"cursor": "../.."}, "cursor"),
        ({"cursor": "%00"}, "cursor"),
        ({"cursor": "\0"}, "cursor"),
        ({"next": "null"}, "next"),
        ({"cursor": "WzAsbnVsbF0", "next": "WzEsbnVsbF0"}, "next"),
    ],
)
def test_a_bad_parameter_is_refused_by_its_name(service: ReadService, query: dict[str, str], parameter: str) -> None:
    status, body, _ = service("/items/products", query=query)
    assert (status, body["parameter"]) == (400, parameter)


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize("failure", [UnansweredError("EndpointConnectionError", sent=False), RuntimeError("a bug")])
def test_a_failing_table_is_a_503_to_retry_once_caches_have_dropped_it(
    name: str, failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise failure

    service = SERVICES[name]()
    monkeypatch.setattr(service.items, "list_items", fail)
    for collection, seconds in (("products", "60"), ("orders", "1")):
        status, body, headers = service(f"/items/{collection}")
        assert (status, headers["Retry-After"], body["title"]) == (503, seconds, "Service Unavailable")


def filled() -> MemoryItems:
    items = MemoryItems()
    for collection in COLLECTIONS:
        owners = [ALICE, BOB] if collection == "profiles" else [None]
        for owner in owners:
            for number in range(9):
                data = None if number == 4 else f'{{"n":{number}.50,"of":"{owner}"}}'
                items.apply(change(f"p-{number}", collection=collection, owner=owner, data=data))
    items.sources = {"market": fresh(0), "desk": fresh(3_600_000)}
    items.sources["market"] = items.sources["market"]._replace(fresh_as_of=rfc3339(2 * NOW_MS))
    return items


ITEMS = filled()
_values = st.sampled_from(["", "1", "3", "200", "0", "x", "WzAsbnVsbF0", "WzUsInAtMSJd", "WzAsInAtMiJd", "%00", "\0"])
_queries = st.dictionaries(st.sampled_from(["limit", "cursor", "next", "utm_source", "Limit", "min_version"]), _values)
_claims = st.sampled_from([{}, {"sub": BOB}, {"client_id": "another"}, {"token_use": "id"}, {"sub": "a/b"}])


@given(st.sampled_from([*COLLECTIONS, "nowhere"]), st.sampled_from(["GET", "HEAD"]), _queries, _claims, st.booleans())
def test_read_and_query_serve_a_plain_list_in_the_same_way(
    collection: str, method: str, query: dict[str, str], claims: dict[str, object], anonymous: bool
) -> None:
    event = api_event(method, f"/items/{collection}", query=query or None, claims=claims)
    event["headers"]["If-None-Match"] = "*"
    if anonymous:
        del event["requestContext"]["authorizer"]
    responses: list[Any] = []
    for make in SERVICES.values():
        service = make()
        service.items.__dict__ |= ITEMS.__dict__
        response = respond(event, {}, service.read.telemetry, service.read, cache_ttl=service.read.cache_ttl)
        if "query parameters of this route are" in response["body"]:
            # Only this sentence may differ, because it lists the parameters, and `query` has more of them.
            response["body"] = {**json.loads(response["body"]), "detail": ""}
        responses.append(response)
    assert responses[0] == responses[1]
