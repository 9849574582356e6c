"""Tests of a page in Chromium that calls the stack's API from another origin, as a web application does.

The page signs users in with the two libraries that AWS offers for this. The page's scenarios are in browser/.
"""

import uuid
from pathlib import Path
from typing import Any

import pytest

from ops.local.session import PASSWORD
from tests.clients import tools
from tests.clients.recorder import Recorder, recording
from tests.local.support import Local, eventually

ORIGIN = "http://localhost:8080"
"""The web origin in `cors_origins` of terraform/environments/local.tfvars."""


def browse(stack: Local, page: Path, scenario: str, *, origin: str = ORIGIN, **more: object) -> Any:
    """Run a scenario of the page in Chromium, and return its result.

    :param more: the settings that only this scenario needs
    """
    outputs = stack.outputs
    settings = {
        "url": f"{outputs.api_url}/v1",
        "pool": {
            "endpoint": f"{stack.stack.endpoint}/",
            "userPoolId": outputs.user_pool_id,
            "clientId": outputs.web_client_id,
        },
        "editor": {"name": stack.eve.name, "password": PASSWORD},
        "tokens": {
            "editor": stack.eve.access_token,
            "alice": stack.alice.access_token,
            "bob": stack.bob.access_token,
        },
    }
    return tools.browse(page, scenario, settings | more, origin)


@pytest.mark.parametrize(
    "scenario",
    [pytest.param("identityJs", id="amazon-cognito-identity-js"), pytest.param("amplify", id="aws-amplify")],
)
def test_a_user_signs_in_edits_an_item_and_signs_out(stack: Local, page: Path, scenario: str) -> None:
    browse(stack, page, scenario)


def test_a_script_reads_why_the_api_refuses_a_request(stack: Local, page: Path) -> None:
    browse(stack, page, "problems")


def test_a_script_may_send_the_declared_headers_and_no_others(stack: Local, page: Path) -> None:
    browse(stack, page, "headers")


@pytest.mark.parametrize(
    ("origin", "outcomes"), [(ORIGIN, [200, 404, 202]), ("http://localhost:8081", ["TypeError"] * 3)]
)
def test_only_a_page_of_a_declared_origin_reads_and_writes(
    stack: Local, page: Path, origin: str, outcomes: list[object]
) -> None:
    path = f"/items/notices/{uuid.uuid4()}"
    assert browse(stack, page, "outcomes", origin=origin, path=path) == outcomes
    if 202 not in outcomes:
        assert stack.api(stack.eve)("GET", path).status_code == 404


# --- The browser's own cache. `cache_ttl` of the collection `bulletins` is 60 seconds.

CACHED_PATHS = pytest.mark.parametrize(
    "path",
    [
        pytest.param("/items/bulletins/{item_id}", id="item"),
        pytest.param("/items/bulletins?limit=200", id="list"),
        pytest.param("/documents/bulletins/{item_id}", id="document"),
    ],
)


@pytest.fixture(scope="session")
def bulletin(stack: Local) -> str:
    """Write a bulletin, wait until its document is published, and return its id."""
    api, item_id = stack.api(stack.eve), str(uuid.uuid4())
    assert api("PUT", f"/items/bulletins/{item_id}", {"title": "Cached"}).status_code == 202
    for path in (f"/items/bulletins/{item_id}", f"/documents/bulletins/{item_id}"):
        eventually(lambda: api("GET", path).status_code == 200)
    return item_id


def sign_out(stack: Local, page: Path, path: str, **options: Any) -> tuple[list[dict[str, Any]], list[int]]:
    """Read a path in Chromium twice as Alice, then without a token, then as Bob.

    :param options: options of the proxy between Chromium and the API
    :returns: what the page read, and the statuses of the reads that reached the API
    """
    with recording(f"{stack.outputs.api_url}/v1", **options) as recorder:
        reads = browse(stack, page, "signOut", proxyUrl=recorder.url, path=path)
    return reads, statuses(recorder)


def statuses(recorder: Recorder) -> list[int]:
    """Return the statuses of the reads that reached the API. Preflights aren't reads."""
    return [call.status for call in recorder.calls if call.method == "GET"]


@CACHED_PATHS
def test_after_sign_out_the_browser_returns_no_cached_response(
    stack: Local, page: Path, bulletin: str, path: str
) -> None:
    reads, reached_api = sign_out(stack, page, path.format(item_id=bulletin))
    assert [read["status"] for read in reads] == [200, 200, 401, 200]
    assert reached_api == [200, 401, 200], "only Alice's second read comes from the browser's cache"
    assert "Cached" in str(reads[0]["body"])
    assert reads[0]["body"] == reads[1]["body"]


@CACHED_PATHS
def test_without_the_header_vary_the_browser_would_return_it(
    stack: Local, page: Path, bulletin: str, path: str
) -> None:
    """Check that the test above can fail. The proxy removes the header, and everybody gets the cached response."""
    reads, reached_api = sign_out(stack, page, path.format(item_id=bulletin), drop_header="Vary")
    assert [read["status"] for read in reads] == [200, 200, 200, 200]
    assert reached_api == [200]


def test_each_user_reads_their_own_profile_under_the_same_path(stack: Local, page: Path) -> None:
    for user, name in ((stack.alice, "Alice"), (stack.bob, "Bob")):
        api = stack.api(user)
        written = api("PUT", "/items/profiles/me", {"display_name": name}).json()["change_id"]
        eventually(lambda: api("GET", f"/items/profiles/me?min_version={written}").status_code == 200)
    reads, _ = sign_out(stack, page, "/items/profiles/me")
    names = [read["body"]["data"]["display_name"] if read["status"] == 200 else read["status"] for read in reads]
    assert names == ["Alice", "Alice", 401, "Bob"]


def test_a_read_that_names_its_write_sees_it_while_the_browser_has_the_old_item(stack: Local, page: Path) -> None:
    with recording(f"{stack.outputs.api_url}/v1") as recorder:
        reads = browse(stack, page, "readYourWrites", proxyUrl=recorder.url)
    assert reads == [
        {"status": 200, "body": {"title": "First"}},
        {"status": 200, "body": {"title": "First"}},
        {"status": 200, "body": {"title": "Second"}},
    ]
    assert statuses(recorder) == [200, 200], "the second read comes from the browser's cache"
