"""A worked example: write a country, read it back, change it, list all pages, and delete it."""

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
    item = reader.read_countries_item("XU", min_version=[written.change_id])
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

    # Change the item. Name the version that you read, so that your write counts as newer, whatever clock stamps it.
    item.data.name = "New Utopia"
    edited = writer.replace_countries_item("XU", item.data, min_version=[item.version])
    assert edited.change_id > item.version

    # Create an item under an id that Readplane chooses. A retry with the same key is the same change.
    atlantis = CountriesData(alpha_2="XA", alpha_3="XAT", numeric="991", name="Atlantis")
    key = str(uuid.uuid4())
    created = writer.create_countries_item(atlantis, idempotency_key=key)
    repeated = writer.create_countries_item(atlantis, idempotency_key=key)
    assert repeated == created

    # Each method has a twin that ends in _with_http_info and also returns the response's headers.
    response = reader.read_countries_item_with_http_info(created.item_id, min_version=[created.change_id])
    assert response.headers and response.headers["ETag"] == f'"{created.change_id}"'

    # The same key with another body is a 422.
    reused = problem_of(lambda: writer.create_countries_item(utopia, idempotency_key=key))
    assert (reused.status, reused.parameter) == (422, "Idempotency-Key")

    # Walk over all pages.
    reader.read_countries_item("XU", min_version=[edited.change_id])
    names = {country.id: country.data.name for country in all_countries(reader)}
    assert names["XU"] == "New Utopia" and names[created.item_id] == "Atlantis"

    # Delete both items. When the deletion is applied, the item is a 404.
    for item_id in ("XU", created.item_id):
        deletion = writer.delete_countries_item(item_id)
        missing = problem_of(lambda: reader.read_countries_item(item_id, min_version=[deletion.change_id]))
        assert (missing.status, missing.title) == (404, "Not Found")

    # Data that doesn't fit the collection's schema is a 400. The problem document lists every fault with its place and
    # code. The generated class checks the schema too. `model_copy` avoids this check.
    misfit = utopia.model_copy(update={"numeric": "X", "name": ""})
    wrong = problem_of(lambda: writer.replace_countries_item("XU", misfit))
    assert wrong.status == 400 and wrong.errors
    assert {(fault.pointer, fault.code) for fault in wrong.errors} == {("/name", "min_length"), ("/numeric", "pattern")}

    # Without a token a write is a 401.
    unknown = problem_of(lambda: reader.delete_countries_item("XU"))
    assert unknown.status == 401
