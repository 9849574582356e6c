"""A worked example: write a country, read it back, follow the change, list all pages, and delete the country."""

import uuid
from collections.abc import Iterator
from datetime import datetime

from client import problem_of
from readplane_client import ApiClient, CountriesApi, CountriesData, CountriesItem
from readplane_client.exceptions import ApiException


def all_countries(api: CountriesApi) -> Iterator[CountriesItem]:
    """Return every item of the collection, page by page."""
    page = api.list_countries(limit=2)
    yield from page.items
    while page.next:
        page = api.list_countries(limit=2, cursor=page.next)
        yield from page.items


def example(editor: ApiClient, anybody: ApiClient) -> None:
    """Run the example.

    :param editor: a caller who may write countries
    :param anybody: a caller without a token, who may only read
    """
    writer, reader = CountriesApi(editor), CountriesApi(anybody)
    utopia = CountriesData(alpha_2="XU", alpha_3="XUT", numeric="990", name="Utopia")

    # Write the item. The response says that the write is durable. It is applied a moment later.
    written = writer.replace_countries_item("XU", utopia)
    assert written.item_id == "XU"

    # Read your own write. Readplane responds 409 until the item has this version, and the client tries again.
    item = reader.read_countries_item("XU", readplane_min_version=str(written.change_id))
    assert item.version == written.change_id
    assert item.data == utopia
    assert isinstance(item.as_of, datetime)

    # Ask what became of the change.
    change = reader.read_countries_change("XU", written.change_id)
    assert (change.status, change.reason) == ("applied", None)

    # Ask for the item only if it has changed since. The ETag is the version in quotes.
    try:
        reader.read_countries_item("XU", if_none_match=f'"{item.version}"')
        raise AssertionError("The item has changed.")
    except ApiException as error:
        assert error.status == 304

    # Create an item under an id that Readplane chooses. A retry with the same key writes the same item.
    atlantis = CountriesData(alpha_2="XA", alpha_3="XAT", numeric="991", name="Atlantis")
    key = str(uuid.uuid4())
    created = writer.create_countries_item(atlantis, idempotency_key=key)
    repeated = writer.create_countries_item(atlantis, idempotency_key=key)
    assert repeated.item_id == created.item_id

    # Each method has a twin that ends in _with_http_info and also returns the response's headers.
    response = reader.read_countries_item_with_http_info(created.item_id, readplane_min_version=str(repeated.change_id))
    assert response.headers and response.headers["ETag"] == f'"{repeated.change_id}"'

    # Walk over all pages.
    names = {country.id: country.data.name for country in all_countries(reader)}
    assert names["XU"] == "Utopia" and names[created.item_id] == "Atlantis"

    # Delete both items. When the deletion is applied, the item is a 404.
    for item_id in ("XU", created.item_id):
        deletion = str(writer.delete_countries_item(item_id).change_id)
        missing = problem_of(lambda: reader.read_countries_item(item_id, readplane_min_version=deletion))
        assert (missing.status, missing.title) == (404, "Not Found")

    # Data that doesn't fit the collection's schema is a 400. The problem document names the place. The generated class
    # checks the schema too. `model_copy` avoids this check.
    wrong = problem_of(lambda: writer.replace_countries_item("XU", utopia.model_copy(update={"numeric": "X"})))
    assert (wrong.status, wrong.pointer) == (400, "/numeric")

    # Without a token a write is a 401.
    unknown = problem_of(lambda: reader.delete_countries_item("XU"))
    assert unknown.status == 401
