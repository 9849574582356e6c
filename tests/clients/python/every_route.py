"""Call every route of the local stack with the generated client. `make test-clients` runs this program."""

import os
import time
import uuid
from collections.abc import Callable
from datetime import date
from typing import Any, TypeVar
from urllib.parse import urljoin

from client import connect, problem_of
from countries import example
from readplane_client import (
    Accepted,
    ApiResponse,
    BackofficeApi,
    CountriesApi,
    CountriesData,
    CurrenciesApi,
    Freshness,
    FreshnessDocument,
    HealthApi,
    LanguagesApi,
    NoticesApi,
    NoticesData,
    ProfilesApi,
    ProfilesData,
    StaffApi,
    SubdivisionsApi,
    TariffsApi,
)
from readplane_client.exceptions import NotFoundException

Value = TypeVar("Value")

URL = os.environ["READPLANE_URL"]
anybody = connect(URL)
user = connect(URL, token=os.environ["USER_TOKEN"])
editor = connect(URL, token=os.environ["EDITOR_TOKEN"])
backoffice_caller = connect(URL, api_key=os.environ["BACKOFFICE_KEY"])
staff_caller = connect(URL, token=os.environ["USER_TOKEN"], api_key=os.environ["STAFF_KEY"])


def published(call: Callable[[], Value]) -> Value:
    """Repeat a call until it finds its document, because S3 gets a document a moment after the item is applied.

    The moment is longer while the stack publishes all items of a source's first poll.
    """
    for _ in range(600):
        try:
            return call()
        except NotFoundException:
            time.sleep(0.1)
    return call()


def check_location(path: str, response: ApiResponse[Accepted]) -> None:
    """Check that the Location of a write leads from the request's URL to the status of the change."""
    change = response.data
    location = urljoin(URL + path, (response.headers or {})["Location"])
    collection = path.split("/")[2]
    assert location == f"{URL}/items/{collection}/{change.item_id}/changes/{change.change_id}"


def health() -> None:
    """Check that the API responds."""
    assert HealthApi(anybody).health().status == "ok"


def countries() -> None:
    """Countries: anybody reads them, editors write them. The example has called all other routes."""
    example(editor, anybody)
    api = CountriesApi(editor)
    data = CountriesData(alpha_2="XD", alpha_3="XDD", numeric="992", name="Documented", flag="🏳")
    item_id = f"XD-{uuid.uuid4()}"  # an id that no earlier run has published
    response = api.replace_countries_item_with_http_info(item_id, data)
    check_location(f"/items/countries/{item_id}", response)
    version = response.data.change_id
    document = published(lambda: api.read_countries_document(item_id))
    assert document.version == version and document.data == data

    # A write with a condition is refused, and the item stays.
    condition = {"If-Match": f'"{version}"'}
    refused = problem_of(lambda: api.delete_countries_item(item_id, _headers=condition))
    assert (refused.status, refused.parameter) == (501, "If-Match")
    assert api.read_countries_item(item_id, min_version=[version]).version == version
    api.delete_countries_item(item_id, min_version=[version])


def notices() -> None:
    """Notices: signed-in users read them, editors write them."""
    writer, reader = NoticesApi(editor), NoticesApi(user)
    until = date(2030, 1, 31)
    hello = NoticesData(title="Hello", until=until, hours=1.25)
    response = writer.create_notices_item_with_http_info(hello)
    check_location("/items/notices", response)
    created = response.data
    item_id = created.item_id
    changed = writer.replace_notices_item(
        item_id,
        NoticesData(title="Changed", until=until, priority=9),
        min_version=[created.change_id],
    )
    item = reader.read_notices_item(item_id, min_version=[created.change_id, changed.change_id])
    assert item.data == NoticesData(title="Changed", until=until, priority=9)
    assert reader.read_notices_change(item_id, created.change_id).status == "superseded"
    assert published(lambda: reader.read_notices_document(item_id)).collection == "notices"
    assert item_id in [listed.id for listed in reader.list_notices(limit=200).items]

    # A POST takes a key or min_version. The version of a POST with a key depends on nothing but the key and the body.
    both = problem_of(lambda: writer.create_notices_item(hello, idempotency_key="x", min_version=[changed.change_id]))
    assert (both.status, both.parameter) == (400, "min_version")

    assert problem_of(lambda: reader.delete_notices_item(item_id)).status == 403
    assert problem_of(lambda: NoticesApi(anybody).read_notices_item(item_id)).status == 401
    assert writer.delete_notices_item(item_id).status == "accepted"


def profiles() -> None:
    """Profiles: each user reads and writes only their own."""
    api = ProfilesApi(user)
    profile = ProfilesData(display_name="Alice", language="en-GB", preferences={"theme": {"dark": True}})
    created = api.create_profiles_item(profile)
    written = api.replace_profiles_item("me", profile)
    assert api.read_profiles_item("me", min_version=[written.change_id]).data == profile
    assert published(lambda: api.read_profiles_document("me")).data.preferences == {"theme": {"dark": True}}
    assert api.read_profiles_change("me", written.change_id).status == "applied"
    assert problem_of(lambda: ProfilesApi(editor).read_profiles_item("me")).status == 404
    for item_id in ("me", created.item_id):
        deletion = api.delete_profiles_item(item_id)
        missing = problem_of(lambda: api.read_profiles_item(item_id, min_version=[deletion.change_id]))
        assert missing.status == 404
    page = api.list_profiles()
    assert (page.items, page.next) == ([], None)


def check_freshness(freshness: Freshness, document: FreshnessDocument) -> None:
    """Check the two representations of a source's freshness."""
    assert freshness.stale is False and freshness.breaker == "closed"
    assert document.source == freshness.source and document.checked_at and freshness.fresh_as_of
    assert freshness.staleness is not None and freshness.staleness < freshness.staleness_budget


def subdivisions() -> None:
    """Subdivisions: anybody reads them. The source of the same name feeds them."""
    api = SubdivisionsApi(anybody)
    (first,) = api.list_subdivisions(limit=1).items
    item = api.read_subdivisions_item(first.id)
    assert item == first and item.data.code == item.id
    assert published(lambda: api.read_subdivisions_document(first.id)) == first
    assert api.read_subdivisions_change(first.id, first.version).status == "applied"
    check_freshness(api.read_subdivisions_source(), api.read_subdivisions_source_document())


def languages() -> None:
    """Languages: signed-in users read them. The source of the same name feeds them."""
    api = LanguagesApi(user)
    item = api.read_languages_item("de")
    assert (item.data.code, item.data.name) == ("de", "German")
    # The client keeps the members that the schema allows but doesn't name.
    assert item.data.additional_properties == {"scope": "I", "type": "L"}
    assert published(lambda: api.read_languages_document("de")).data == item.data
    assert api.read_languages_change("de", item.version).status == "applied"
    page = api.list_languages(limit=3)
    assert len(page.items) == 3 and page.next
    check_freshness(api.read_languages_source(), api.read_languages_source_document())


def currencies() -> None:
    """Currencies: the source publishes a snapshot, which is one document and no items."""
    api = CurrenciesApi(anybody)
    document = published(lambda: api.read_currencies_document("current"))
    assert "CHF" in [currency.code for currency in document.data]
    page = api.list_currencies()
    assert (page.items, page.next) == ([], None)
    assert problem_of(lambda: api.read_currencies_item("current")).status == 404
    assert api.read_currencies_change("current", document.version).status
    check_freshness(api.read_currencies_source(), api.read_currencies_source_document())


def tariffs() -> None:
    """Tariffs: anybody reads them, and the local stack has none. Their throttle is low, so the client has to wait."""
    api = TariffsApi(anybody)
    page = api.list_tariffs()
    assert (page.items, page.next) == ([], None)
    assert problem_of(lambda: api.read_tariffs_item("standard")).detail == "There is no such item."
    assert problem_of(lambda: api.read_tariffs_document("standard")).detail == "There is no such document."
    old = uuid.UUID("01941f29-7c00-7000-8000-000000000000")
    assert problem_of(lambda: api.read_tariffs_change("standard", old)).status == 404


def backends() -> None:
    """Backends: API Gateway passes the requests on to the back office."""
    api = BackofficeApi(backoffice_caller)
    table: Any = api.get_backoffice_backend("languages.json")
    assert table["rows"]
    api.head_backoffice_backend("languages.json")
    refused = problem_of(lambda: BackofficeApi(anybody).get_backoffice_backend("languages.json"))
    assert refused.status == 401

    colleagues: Any = StaffApi(staff_caller).get_staff_backend("languages.json")
    assert colleagues["rows"] == table["rows"]


for part in (health, countries, notices, profiles, subdivisions, languages, currencies, tariffs, backends):
    part()
    print(f"{part.__name__} passed")
