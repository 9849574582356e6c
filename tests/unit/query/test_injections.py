"""Hostile texts in every parameter: each is refused by the parameter's name, or bound as a value."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readplane.model.query import MAX_SEARCH, Position, QueryParser
from tests.unit.query.database import Database, get, statements
from tests.unit.query.injections import INJECTIONS
from tests.unit.query.support import SETTINGS, QueryService
from tests.unit.support import ALICE, BOB, change

COLLECTIONS = ("orders", "profiles", "products")
"""An uncached collection, one with owners, and a cached one."""


def escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace(",", "\\,")


def token(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def forged(collection: str, query: dict[str, str], *, value: str | None = None, item_id: str = "p-1") -> str:
    """Return a cursor of a list, with its right hash and any other content."""
    parser = QueryParser(collection, SETTINGS.collections[collection].relational)
    version, query_hash, *_ = parser.cursor_of(query, Position(None, "a"))
    return token([version, query_hash, value, item_id])


def attacks(collection: str, text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the parameter in which a hostile text is, and the whole query, for every place that a text can be in."""
    for condition in (
        text,
        f"{text}:eq:1",
        f"price:{text}:1",
        f"price:eq:{text}",
        f"price:ge:1{text}",
        f"colour:eq:{text}",
        f"colour:ne:{escape(text)}",
        f"made:ge:{text}",
        f"active:eq:{text}",
        f"price:eq:1,{text}",
    ):
        yield "filter", {"filter": condition}
    for sort in (text, f"-{text}", f"price{text}", f"price,{text}"):
        yield "sort", {"sort": sort}
    yield "q", {"q": text}
    for limit in (text, f"1{text}"):
        yield "limit", {"sort": "price", "limit": limit}
    for name in ("cursor", "next"):
        yield name, {"sort": "price", name: text}
    for cursor in (
        token(text),
        token([1, text, None, "a"]),
        forged(collection, {"sort": "price"}, value=text),
        forged(collection, {"sort": "price"}, item_id=text),
    ):
        yield "cursor", {"sort": "price", "cursor": cursor}
    for name in ("colour", "made", "active"):
        yield "cursor", {"sort": name, "cursor": forged(collection, {"sort": name}, value=text)}


def benign(collection: str) -> Iterator[dict[str, str]]:
    """Yield queries with every statement that the attacks may lead to."""
    for condition in ("price:eq:1", "price:ge:1", "colour:eq:red", "colour:ne:red", "active:eq:true"):
        yield {"filter": condition}
    yield {"filter": "made:ge:2026-11-28T09:00:00Z"}
    yield {"filter": "price:eq:1,price:eq:2"}
    yield {"q": "blue"}
    for sort in ("price", "-price"):
        yield {"sort": sort}
    values = {"price": "9", "colour": "~", "made": "2026-11-28T09:00:00Z", "active": "true"}
    for name, value in values.items():
        for after in (value, None):
            # A page that isn't full goes on with the items that lack the field.
            yield {"sort": name, "cursor": forged(collection, {"sort": name}, value=after), "limit": "200"}


@pytest.fixture(scope="module")
def service(database: Database) -> QueryService:
    for collection in COLLECTIONS:
        owners = [ALICE, BOB] if collection == "profiles" else [None]
        for owner in owners:
            database.write(
                change(
                    f"p-{number}",
                    data=json.dumps({"price": 1, "colour": text, "of": str(owner)}),
                    collection=collection,
                    owner=owner,
                )
                for number, text in enumerate(INJECTIONS)
                if len(text) <= 3_000
            )
    database.servers.execute("ALTER ROLE query SET log_statement = 'all'")
    database.servers.wait_for_replay()
    return database.service()


def test_there_are_at_least_200_hostile_texts() -> None:
    assert len(INJECTIONS) == len(set(INJECTIONS)) >= 200


def test_a_hostile_text_is_refused_by_its_parameter_or_bound(database: Database, service: QueryService) -> None:
    reader = database.servers._reader()
    service, start = database.service(), reader.log.stat().st_size
    for collection in COLLECTIONS:
        for query in benign(collection):
            assert get(service, collection, query)[0] == 200, query
    expected = statements(reader, start)
    start = reader.log.stat().st_size
    rows = database.servers.execute("SELECT count(*), sum(hashtext(data)) FROM readplane.orders")
    answers = {200: 0, 400: 0}
    for number, text in enumerate(INJECTIONS):
        collection = COLLECTIONS[number % len(COLLECTIONS)]
        for parameter, query in attacks(collection, text):
            status, body = get(service, collection, {"limit": "1"} | query)
            assert status in answers, (status, collection, query)
            answers[status] += 1
            if status == 400:
                assert body["parameter"] == parameter, (body, query)
            elif collection == "profiles":
                assert {item["data"]["of"] for item in body["items"]} <= {ALICE}
    assert answers[200] > 1_000 and answers[400] > 5_000, "most texts are refused, and many are bound"
    sent = statements(reader, start)
    assert sent, "the server logs the statements"
    assert sent <= expected, "no text of a client changes a statement"
    assert database.servers.execute("SELECT count(*), sum(hashtext(data)) FROM readplane.orders") == rows


def test_a_hostile_value_finds_exactly_the_items_that_have_it(service: QueryService) -> None:
    for collection in COLLECTIONS:
        for number, text in enumerate(INJECTIONS):
            status, body = get(service, collection, {"filter": f"colour:eq:{escape(text)}"})
            storable = "\0" not in text and len(text.encode(errors="surrogatepass")) <= 1_024
            if storable and not any("\ud800" <= character <= "\udfff" for character in text):
                assert (status, [item["id"] for item in body["items"]]) == (200, [f"p-{number}"]), text
            else:
                assert (status, body["parameter"]) == (400, "filter"), text


def test_every_search_text_of_a_lawful_length_is_answered(service: QueryService) -> None:
    for text in INJECTIONS:
        status, body = get(service, "orders", {"q": text})
        lawful = len(text) <= MAX_SEARCH and text.strip() and "\0" not in text and text.isprintable()
        assert status == 200 if lawful else status in (200, 400) and body.get("parameter", "q") == "q", text


@pytest.mark.parametrize(
    "text", ["😀", "é", "'", '"', "-", "(", "a\\", "or ", '-"a ', "a:*|", "\u0301", "1.", "a@b.c/"]
)
def test_a_search_text_of_the_greatest_length_is_answered(service: QueryService, text: str) -> None:
    longest = "a" + (text * MAX_SEARCH)[: MAX_SEARCH - 1]
    assert get(service, "orders", {"q": longest})[0] == 200


@given(st.text(st.sampled_from("ab \"'-:*&|!<>()\\é😀\t\n@./_%$"), max_size=60) | st.text(max_size=60))
def test_any_search_text_is_answered_or_refused(service: QueryService, text: str) -> None:
    status, body = get(service, "orders", {"q": text})
    assert status == 200 or (status, body["parameter"]) == (400, "q"), text


def test_a_hostile_name_of_a_parameter_is_refused_by_itself(service: QueryService) -> None:
    for text in INJECTIONS:
        for query in ({text: "1"}, {text: "1", "sort": "price"}):
            status, body = get(service, "orders", query)
            assert (status, body["parameter"]) == (400, text)


def test_a_hostile_owner_in_a_token_is_refused(service: QueryService) -> None:
    for text in INJECTIONS:
        status, body = get(service, "profiles", {"sort": "price"}, sub=text)
        owner_like = (
            text.isascii() and text.replace("-", "").isalnum() and not text.startswith("-") and len(text) <= 128
        )
        assert (status, body.get("items")) == (200, []) if owner_like else status == 403, text
