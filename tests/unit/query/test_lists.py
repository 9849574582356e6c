"""Tests of the lists that a client filters, sorts or searches, with a store of pages in memory."""

import json
import os
import subprocess
import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readplane.config import VARIABLE, SettingsError
from readplane.model.query import Condition, Position
from readplane.query.handler import make_query
from readplane.stores.relational.errors import (
    MigrationError,
    NoReaderError,
    NotMigratedError,
    RelationalError,
    TooSlowError,
    UnreachableError,
)
from readplane.stores.relational.lists import RelationalLists
from tests.unit.query.support import SETTINGS, QueryService, parse_settings, settings_of
from tests.unit.read.support import fresh
from tests.unit.support import ALICE, BOB, api_event, change, settings_text

PRODUCTS, ORDERS, PROFILES = "/items/products", "/items/orders", "/items/profiles"
RELATIONAL_QUERIES = ({"filter": "price:ge:1"}, {"sort": "-price"}, {"q": "blue"})


@pytest.fixture
def service() -> QueryService:
    return QueryService()


def test_a_list_is_one_page_of_the_database(service: QueryService) -> None:
    items = [change(f"p-{number}", data=f'{{"price":{number}.50}}') for number in range(2)]
    service.pages.result = items, Position(Decimal("1.50"), "p-1")
    query = {"filter": "price:ge:1,colour:eq:red", "sort": "-price", "q": "blue", "limit": "2"}
    status, body, headers = service(PRODUCTS, query=query, anonymous=True)
    assert status == 200 and body["items"] == [json.loads(item.representation()) for item in items]
    assert headers["Cache-Control"] == "public, max-age=60" and headers["Content-Type"] == "application/json"
    for name in ("cursor", "next"):
        service.pages.result = [], None
        assert service(PRODUCTS, query=query | {name: body["next"]})[1] == {"items": [], "next": None}
    first, *others = service.pages.asked
    conditions = Condition("price", "ge", Decimal(1)), Condition("colour", "eq", "red")
    assert first == ("products", None, (conditions, "price", True, "blue", 2, None))
    after = Position(Decimal("1.50"), "p-1")
    assert others == [("products", None, first[2]._replace(after=after))] * 2


@pytest.mark.parametrize("query", RELATIONAL_QUERIES)
def test_the_owner_comes_from_the_token_and_from_nothing_else(service: QueryService, query: dict[str, str]) -> None:
    assert service(PROFILES, query=query)[0] == service(PROFILES, query=query, claims={"sub": BOB})[0] == 200
    assert [owner for _, owner, _ in service.pages.asked] == [ALICE, BOB]
    assert service(PROFILES, query=query | {"owner": BOB})[1]["parameter"] == "owner"
    for resource in (PROFILES, ORDERS):
        assert service(resource, query=query, anonymous=True)[0] == 403
        assert service(resource, query=query, claims={"client_id": "another"})[0] == 403
        assert service(resource, query=query, claims={"token_use": "id"})[0] == 403
    assert len(service.pages.asked) == 2


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"filter": "nope:eq:1"}, "filter"),
        ({"filter": ""}, "filter"),
        ({"filter": "colour:eq:\0"}, "filter"),
        ({"sort": "nope"}, "sort"),
        ({"q": "\0"}, "q"),
        ({"q": "x", "limit": "0"}, "limit"),
        ({"q": "x", "limit": "1\0"}, "limit"),
        ({"q": "x", "cursor": "\0"}, "cursor"),
        ({"q": "x", "cursor": "WzAsbnVsbF0"}, "cursor"),
        ({"q": "x", "next": "null"}, "next"),
        ({"q": "x", "cursor": "a", "next": "b"}, "next"),
        ({"filter": "price:eq:1", "min_version": "x"}, "min_version"),
        ({"Filter": "price:eq:1"}, "Filter"),
    ],
)
def test_a_bad_parameter_is_refused_by_its_name(service: QueryService, query: dict[str, str], parameter: str) -> None:
    status, body, headers = service(ORDERS, query=query)
    assert (status, body["parameter"], headers["Content-Type"]) == (400, parameter, "application/problem+json")
    assert not service.pages.asked


def test_a_cursor_of_the_plain_list_is_refused_by_the_others_and_theirs_by_it(service: QueryService) -> None:
    for number in range(3):
        service.items.apply(change(f"p-{number}", collection="orders"))
    plain = service(ORDERS, query={"limit": "1"})[1]["next"]
    service.pages.result = [], Position(None, "p-1")
    other = service(ORDERS, query={"q": "x"})[1]["next"]
    assert service(ORDERS, query={"cursor": plain})[0] == service(ORDERS, query={"q": "x", "cursor": other})[0] == 200
    for query in ({"q": "x", "cursor": plain}, {"cursor": other}, {"q": "y", "cursor": other}):
        status, body, _ = service(ORDERS, query=query)
        assert (status, body["parameter"]) == (400, "cursor")


FAULTS = {
    UnreachableError: ("no_reader", 20),
    NoReaderError: ("no_reader", 20),
    NotMigratedError: ("not_migrated", 60),
    TooSlowError: ("too_slow", 5),
    MigrationError: ("database_failed", 5),
    RelationalError: ("database_failed", 5),
}


@pytest.mark.parametrize("error", FAULTS)
def test_a_failing_database_is_a_503_and_plain_lists_go_on(
    service: QueryService, error: type[RelationalError], capsys: pytest.CaptureFixture[str]
) -> None:
    code, seconds = FAULTS[error]
    service.items.apply(change(collection="orders"))
    service.pages.fault = error("SECRET: of the database")
    # API Gateway may cache the response of `products` for 60 seconds, that of `prices` for 30.
    for collection, retry_after in (("orders", seconds), ("prices", max(30, seconds)), ("products", 60)):
        status, body, headers = service(f"/items/{collection}", query={"q": "x"})
        assert (status, body["code"], headers["Retry-After"]) == (503, code, str(retry_after))
        assert headers["Cache-Control"] == "no-store" and "SECRET" not in json.dumps(body)
    assert len(service(ORDERS)[1]["items"]) == 1
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events if event["level"] == "ERROR"] == [code] * 3


def test_a_bug_is_a_503(service: QueryService) -> None:
    service.pages.result = None  # type: ignore[assignment]
    assert service(ORDERS, query={"q": "x"})[0] == 503


def test_a_list_says_if_its_source_exceeds_its_staleness_budget(service: QueryService) -> None:
    assert service(ORDERS, query={"q": "x"})[2]["Readplane-Stale"] == "true"
    service = QueryService()
    service.items.sources["desk"] = fresh(0)._replace(fresh_as_of="2999-01-01T00:00:00.000Z")
    assert "Readplane-Stale" not in service(ORDERS, query={"q": "x"})[2]
    assert "Readplane-Stale" not in service("/items/notices", query={"q": "x"})[2]


@pytest.mark.parametrize("query", RELATIONAL_QUERIES)
def test_a_cached_list_depends_on_its_path_and_declared_parameters_alone(
    service: QueryService, query: dict[str, str]
) -> None:
    """Check this, because API Gateway returns the cached response to all callers, whatever else they send."""
    service.pages.result = [change()], Position(Decimal(1), "p-1")
    plain = service(PRODUCTS, query=query)
    assert plain[0] == 200
    empty = dict.fromkeys({"filter", "sort", "q", "limit", "cursor", "next"} - query.keys(), "")
    for more in ({"utm_source": "x"}, {"Filter": "x"}, {"min_version": "x"}, {"owner": BOB}, empty):
        assert service(PRODUCTS, query=query | more) == plain
    claims: tuple[dict[str, object], ...] = ({"sub": BOB}, {"client_id": "another"}, {"sub": "a/b"})
    for claim in claims:
        assert service(PRODUCTS, query=query, claims=claim) == plain
        assert service("/items/reports", query=query, claims=claim)[0] == 200
    for header in ("If-None-Match", "Readplane-Min-Version", "Origin", "Range", "X-HTTP-Method-Override"):
        assert service(PRODUCTS, query=query, headers={header: "*"}) == plain
    assert service(PRODUCTS, query=query, method="HEAD") == plain
    assert len({asked for asked in service.pages.asked if asked[0] == "products"}) == 1


DECLARED = ("filter", "sort", "q", "limit", "cursor", "next")
_VALUES = {
    "filter": ["price:ge:1", "colour:eq:red", "nope:eq:1", "\0", "price:eq:x"],
    "sort": ["price", "-price", "nope"],
    "q": ["blue", " ", "\0"],
    "limit": ["1", "200", "0", "x"],
    "cursor": ["WzAsbnVsbF0", "x", "\0"],
    "next": ["WzAsbnVsbF0", "x"],
}
_declared = st.fixed_dictionaries({}, optional={name: st.sampled_from(texts) for name, texts in _VALUES.items()})
_undeclared = st.dictionaries(
    st.sampled_from(["Filter", "q ", "utm_source", "min_version", "owner", "sub"]), st.text(max_size=3)
)


@given(
    _declared,
    _undeclared,
    st.sets(st.sampled_from(DECLARED)),
    st.dictionaries(st.sampled_from(["If-None-Match", "Range", "Origin", "Cookie"]), st.just("*")),
    st.sampled_from([{}, {"sub": BOB}, {"client_id": "another"}, {"sub": "a/b"}, {"token_use": "id"}]),
    st.sampled_from(["GET", "HEAD"]),
)
def test_no_undeclared_part_of_a_request_changes_a_cached_response(
    declared: dict[str, str],
    undeclared: dict[str, str],
    empty: set[str],
    headers: dict[str, str],
    claims: dict[str, object],
    method: str,
) -> None:
    """Check this for refusals, too, because API Gateway caches a 400 under the same key."""
    service = QueryService()
    service.pages.result = [change()], Position(Decimal(1), "p-1")
    query = undeclared | dict.fromkeys(empty, "") | declared
    plain = service(PRODUCTS, query=declared)
    assert service(PRODUCTS, query=query, headers=headers, claims=claims, method=method) == plain
    assert len({repr(asked) for asked in service.pages.asked}) <= 1


def test_an_uncached_list_answers_head_without_a_body(service: QueryService) -> None:
    service.pages.result = [change(collection="orders")], None
    status, body, headers = service(ORDERS, query={"q": "x"}, method="HEAD")
    assert (status, body, headers) == (200, None, service(ORDERS, query={"q": "x"})[2])


@pytest.mark.parametrize("resource", ["/", "/items", "/items/nowhere", "/items/products/{item_id}", "/sources/shop"])
def test_every_other_route_is_404(service: QueryService, resource: str) -> None:
    assert service(resource, {"item_id": "a"}, query={"q": "x"})[0] == 404


def test_a_collection_without_sort_or_search_has_none() -> None:
    settings = settings_of()
    plain = {"fields": {"price": {"type": "number", "pointer": "/price"}}, "search": None}
    collections = {name: entry | {"relational": plain} for name, entry in settings["collections"].items()}
    service = QueryService(settings=parse_settings({**settings, "collections": collections}))
    assert service(ORDERS, query={"filter": "price:ge:1"})[0] == 200
    for name, text in (("sort", "price"), ("q", "x"), ("filter", "colour:eq:x")):
        status, body, _ = service(ORDERS, query={name: text})
        assert (status, body["parameter"]) == (400, name)


def test_query_starts_without_a_database_and_says_what_is_wrong_with_its_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv(VARIABLE, settings_text(settings_of()))
    assert callable(make_query())
    monkeypatch.setenv(VARIABLE, settings_text({"collections": {"products": {"relational": {"fields": {"x": {}}}}}}))
    with pytest.raises(SettingsError, match=r"name must be .*database.* must be .*collections.products.read must be"):
        make_query()


def test_a_plain_list_needs_no_database(service: QueryService) -> None:
    service = QueryService(pages=RelationalLists(SETTINGS.database, SETTINGS.relational))
    service.items.apply(change(collection="orders"))
    assert len(service(ORDERS)[1]["items"]) == 1
    assert service(ORDERS, query={"q": "x"})[0] == 503


def test_only_a_list_of_the_database_imports_the_driver() -> None:
    program = f"""
import sys
from readplane.query.handler import handler
handler.start()
assert handler({{"check": True}}, None) == {{"problems": []}}
assert "psycopg" not in sys.modules
event = {api_event("GET", ORDERS, query={"q": "x"})!r}
response = handler(event, None)
assert response["statusCode"] == 503, response
assert "psycopg" in sys.modules
"""
    environment = os.environ | {
        VARIABLE: settings_text(settings_of()),
        "PYTHONPATH": os.pathsep.join(sys.path),
        "AWS_REGION": "eu-central-1",
    }
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60)
