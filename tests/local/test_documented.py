"""Last of all: every status that any of these tests was answered is in docs/openapi.yaml."""

import re
import urllib.parse

import pytest

from tests.local.support import Local
from tests.local.test_openapi import collections, documented


def operation(stack: Local, method: str, path: str) -> str | None:
    """The documented operation that a real path leads to, if any does.

    The emulator takes an encoded slash for a slash, and so does this, as far as it leads elsewhere than on AWS.
    """
    plain = urllib.parse.unquote(path.partition("?")[0], errors="replace")
    written = collections(stack)
    for route, found in documented().items():
        documented_method, _, pattern = route.partition(" ")
        shape = re.sub(r"\\{(item_id|change_id|source)\\}", "([^/]+)", re.escape(pattern))
        matched = re.fullmatch(shape.replace(r"\{collection\}", "(?P<collection>[^/]+)"), plain, re.DOTALL)
        if method != documented_method or not matched or {".", ".."} & set(plain.split("/")):
            continue
        name = matched.groupdict().get("collection")
        if name is None or (name in written and (written[name] or found["x-readplane-when"] == "always")):
            return route
    return None


def test_every_status_that_was_seen_is_documented(stack: Local, request: pytest.FixtureRequest) -> None:
    if not any(item.path.name == "test_http.py" for item in request.session.items):
        pytest.skip("it judges what the other tests saw")
    seen: dict[str, set[int]] = {}
    for method, path, status in stack.seen:
        if route := operation(stack, method, path):
            seen.setdefault(route, set()).add(status)
    assert set(seen) == set(documented()), "every operation was called"
    undocumented = {
        route: sorted(status for status in statuses if str(status) not in documented()[route]["responses"])
        for route, statuses in seen.items()
    }
    assert not {route: statuses for route, statuses in undocumented.items() if statuses}
