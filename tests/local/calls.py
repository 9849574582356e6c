"""Helpers that call the API over HTTP and check its responses."""

import re
import time
from collections.abc import Mapping
from typing import Any

import requests

from ops.local.session import Api
from readplane.model.version import stamp
from tests.local.support import Local, eventually

FRANCE = {"alpha_2": "FR", "alpha_3": "FRA", "name": "France", "numeric": "250"}
"""A valid item of the collection `countries`."""

VALID: Mapping[str, dict[str, str]] = {
    "countries": FRANCE,
    "notices": {"title": "x"},
    "profiles": {"display_name": "x"},
}
"""A valid item of each collection that clients write: a public one, an authenticated one and an owner collection."""

REQUEST_ID = re.compile(r"[\w+/=-]+")
"""A request's id: AWS's in base64, or an emulator's UUID. A template's variable that isn't set doesn't match."""


def writer(stack: Local, collection: str, *, replica: bool = False) -> Api:
    """Return a client of a user who may read and write the collection."""
    return stack.api(stack.alice if collection == "profiles" else stack.eve, replica=replica)


def with_head_routes(routes: list[str]) -> dict[str, str]:
    """Return the methods that the API has beside preflights and refusals, each with the route that describes it.

    The API answers HEAD where it answers GET. The list of routes and the contract leave these methods out.

    :param routes: every route as "METHOD /path".
    """
    gets = [route for route in routes if route.startswith("GET ") and " /backends/" not in route]
    return {route: route for route in routes} | {route.replace("GET ", "HEAD "): route for route in gets}


def version_ahead(milliseconds: int) -> str:
    """Return a version whose time is this many milliseconds in the future."""
    return stamp(time.time_ns() // 1_000_000 + milliseconds, bytes(10))


def is_problem(response: requests.Response, status: int, **members: object) -> bool:
    """Check that a response has this status and a problem document with these members; return True."""
    assert response.status_code == status, (response.status_code, response.text)
    assert response.headers["Content-Type"] == "application/problem+json", response.headers
    document = response.json()
    assert document["status"] == status and document["title"] and document["detail"]
    assert REQUEST_ID.fullmatch(document["request_id"])
    assert {name: document.get(name) for name in members} == members, document
    return True


def ok(response: requests.Response) -> requests.Response | None:
    """Return a response if its status is 200, otherwise ``None``."""
    return response if response.status_code == 200 else None


def put(api: Api, path: str, body: object, **more: Any) -> str:
    """PUT an item; return the change's id. The API must accept the write.

    :param path: the item's path, with a query if there is one.
    """
    response = api("PUT", path, body, **more)
    assert response.status_code == 202, response.text
    return str(response.json()["change_id"])


def read(api: Api, path: str, at_least: str) -> requests.Response:
    """GET an item again and again until the version ``at_least`` is applied; return the last response."""

    def applied() -> list[requests.Response]:  # returns a list, because a Response with status 404 counts as false
        response = api("GET", f"{path}?min_version={at_least}")
        return [] if response.status_code == 409 else [response]

    return eventually(applied)[0]


def published(api: Api, path: str, at_least: str) -> requests.Response:
    """GET a document again and again until it has the version ``at_least``; return the last response."""

    def has_version() -> requests.Response | None:
        response = ok(api("GET", path))
        return response if response and response.headers["Readplane-Version"] >= at_least else None

    return eventually(has_version)


def walk(api: Api, path: str, limit: int, parameter: str = "cursor") -> list[dict[str, Any]]:
    """Read all pages of a collection's list; return the items.

    :param path: the path of the list.
    :param limit: the greatest number of items in a page.
    :param parameter: the query parameter that names the next page.
    """
    listed: list[dict[str, Any]] = []
    cursor = ""
    while True:
        response = api("GET", f"{path}?limit={limit}{cursor}")
        assert response.status_code == 200, response.text
        page = response.json()
        assert len(page["items"]) <= limit
        listed += page["items"]
        if page["next"] is None:
            return listed
        assert len(listed) < 10_000, "the list must end"
        cursor = f"&{parameter}={page['next']}"
