"""Checks that docs/openapi.yaml documents every status that the local tests received from the API.

This test runs after all other local tests.
"""

import re
import urllib.parse

import pytest

from tests.local.support import Local
from tests.local.test_openapi import documented, kind_of


def find_operation(method: str, path: str) -> str | None:
    """Return the operation of docs/openapi.yaml that serves a request; ``None`` if no operation serves it.

    This function decodes an encoded slash in the path, because the emulator also does so before it routes a request.

    :returns: the operation's method and path, such as ``GET /items/countries``.
    """
    plain = urllib.parse.unquote(path.partition("?")[0], errors="replace")
    for route in documented():
        documented_method, _, pattern = route.partition(" ")
        shape = re.sub(r"\\{(item_id|change_id)\\}", "[^/]+", re.escape(pattern)).replace(r"\{proxy\}", ".+")
        matched = re.fullmatch(shape, plain, re.DOTALL)
        if method == documented_method and matched and not {".", ".."} & set(plain.split("/")):
            return route
    return None


@pytest.mark.runs_last
def test_every_status_that_a_test_got_is_documented(stack: Local, request: pytest.FixtureRequest) -> None:
    if not any(item.path.name == "test_http.py" for item in request.session.items):
        pytest.skip("this test needs the calls of the other tests")
    assert request.session.items[-1] is request.node, "this test must see the calls of all the others"
    statuses_by_route: dict[str, set[int]] = {}
    for method, path, status in stack.seen:
        if route := find_operation(method, path):
            statuses_by_route.setdefault(route, set()).add(status)
    kinds = {kind_of(route) for route in documented()}
    assert set(map(kind_of, statuses_by_route)) == kinds, "an operation was called in no collection"
    # A back office may respond with any status, so the document has the entry `default` there.
    responses = {route: documented()[route]["responses"].keys() for route in statuses_by_route}
    undocumented = {
        route: sorted(status for status in statuses if not {str(status), "default"} & responses[route])
        for route, statuses in statuses_by_route.items()
    }
    assert not {route: statuses for route, statuses in undocumented.items() if statuses}
