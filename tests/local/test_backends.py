"""Backends (back offices that API Gateway passes through): who may call them, how often, and by which paths."""

import json
import threading
import time
import urllib.parse
from typing import Any

import pytest
import requests

from ops.local.fault_proxy import Fault
from ops.local.session import Api
from tests.local.support import Local, eventually

PATH = "languages.json?_shape=array&code=de"
ROW = {"code": "de", "alpha_3": "deu", "name": "German"}


def key_of(stack: Local, backend: str, *, replica: bool = False) -> str:
    """Return the declared API key of a backend in one Region."""
    gateway = stack.root(replica=replica).client("apigateway")
    (key,) = gateway.get_api_keys(nameQuery=f"{stack.outputs.name}-{backend}", includeValues=True)["items"]
    return str(key["value"])


def problem(response: requests.Response, status: int) -> dict[str, Any]:
    """Check that a response is a problem document of this status; return the document."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["status"] == status and document["request_id"]
    return document


@pytest.fixture
def by_key(stack: Local) -> dict[str, str]:
    return {"X-Api-Key": key_of(stack, "backoffice")}


def test_a_key_opens_its_own_backend(stack: Local, by_key: dict[str, str]) -> None:
    response = stack.api()("GET", f"/backends/backoffice/{PATH}", headers=by_key)

    assert response.status_code == 200
    assert [{name: row[name] for name in ROW} for row in response.json()] == [ROW]
    # The response passes byte for byte, because no code of ours parses it.
    assert response.content == requests.get(f"{stack.office.url}/backoffice/{PATH}", timeout=10).content


def test_a_path_and_its_query_reach_the_back_office_unchanged(stack: Local, by_key: dict[str, str]) -> None:
    response = stack.api()("GET", "/backends/backoffice/languages/de.json?_shape=array", headers=by_key)
    assert response.status_code == 200 and response.json()[0]["alpha_3"] == "deu"
    query = urllib.parse.urlencode({"_shape": "array", "name__contains": "Norwegian B"})
    response = stack.api()("GET", f"/backends/backoffice/languages.json?{query}", headers=by_key)
    assert [row["code"] for row in response.json()] == ["nb"]


def test_a_refusal_of_the_back_office_reaches_the_client(stack: Local, by_key: dict[str, str]) -> None:
    response = stack.api()("GET", "/backends/backoffice/no-such-table.json", headers=by_key)
    assert response.status_code == 404 and response.json()["title"] is None  # the body comes from Datasette


@pytest.mark.parametrize(("key", "status"), [(None, 401), ("", 401), ("wrong" * 5, 403)])
def test_a_request_without_a_valid_key_is_not_passed_on(stack: Local, key: str | None, status: int) -> None:
    before = stack.office.requests("/languages")
    response = stack.api(stack.eve)(
        "GET", f"/backends/backoffice/{PATH}", headers={} if key is None else {"X-Api-Key": key}
    )
    problem(response, status)
    assert not key or key not in response.text
    assert stack.office.requests("/languages") == before


def test_the_key_of_another_backend_is_refused(stack: Local, by_key: dict[str, str]) -> None:
    """API Gateway alone would accept the key, because it belongs to a usage plan of the same stage."""
    foreign = {"X-Api-Key": key_of(stack, "staff")}
    problem(stack.api()("GET", f"/backends/backoffice/{PATH}", headers=foreign), 403)
    assert stack.api()("GET", f"/backends/backoffice/{PATH}", headers=by_key).status_code == 200
    # The authorizer's cached result for the right key must not open the backend to the wrong one.
    problem(stack.api()("GET", f"/backends/backoffice/{PATH}", headers=foreign), 403)


def test_a_key_does_not_replace_a_token(stack: Local, by_key: dict[str, str]) -> None:
    assert stack.api()("GET", "/items/notices", headers=by_key).status_code == 401


def test_the_key_is_the_same_in_both_regions(stack: Local, by_key: dict[str, str]) -> None:
    """Compare the two keys, and check that the replica's API requires one.

    The test doesn't call the replica with the key, because the emulator accepts it in one Region only (see
    test_emulator_facts.py).
    """
    assert key_of(stack, "backoffice", replica=True) == by_key["X-Api-Key"]
    problem(stack.api(replica=True)("GET", f"/backends/backoffice/{PATH}"), 401)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_method_that_the_backend_does_not_allow_is_a_404(stack: Local, by_key: dict[str, str], method: str) -> None:
    before = stack.office.requests()
    problem(stack.api()(method, "/backends/backoffice/languages.json", {}, headers=by_key), 404)
    assert stack.office.requests("/languages") <= before


def test_head_returns_no_body(stack: Local, by_key: dict[str, str]) -> None:
    response = stack.api()("HEAD", f"/backends/backoffice/{PATH}", headers=by_key)
    assert response.status_code == 200 and response.content == b""


def test_a_preflight_allows_the_key_and_the_methods_of_the_backend(stack: Local) -> None:
    headers = {"Origin": "http://localhost:8080", "Access-Control-Request-Method": "GET"}
    response = stack.api()("OPTIONS", f"/backends/backoffice/{PATH}", headers=headers)
    assert response.status_code == 204
    assert "X-Api-Key" in response.headers["Access-Control-Allow-Headers"].split(",")
    assert response.headers["Access-Control-Allow-Methods"] == "GET,HEAD"


# The backend's base path holds one database. Datasette's own pages are outside it, and these paths try to reach them.
CLIMBING = ["../-/versions.json", "languages/../../-/versions.json", "..%2F-%2Fversions.json", "%2e%2e/-/versions.json"]
CLIMBING += [
    ".%2e/-/versions.json",
    "%252e%252e/-/versions.json",
    "..%252f-%252fversions.json",
    "x/..;/..;/-/versions.json",
]


@pytest.mark.parametrize("climbing", CLIMBING)
def test_no_path_leaves_the_base_path(stack: Local, by_key: dict[str, str], climbing: str) -> None:
    assert requests.get(f"{stack.office.url}/-/versions.json", timeout=10).status_code == 200, "the page must exist"
    before = stack.office.requests("versions.json")

    status, headers, body = stack.api().raw("GET", f"/backends/backoffice/{climbing}", headers=by_key)

    assert status == 403 and headers["content-type"] == "application/problem+json"
    assert b"datasette" not in body.lower()
    assert stack.office.requests("versions.json") == before


def test_a_backend_behind_tokens_needs_a_token_and_a_key_for_its_quota(stack: Local) -> None:
    path, counted = f"/backends/staff/{PATH}", {"X-Api-Key": fresh_key(stack, "staff")}
    problem(stack.api()("GET", path, headers=counted), 401)
    problem(stack.api(token=stack.alice.id_token)("GET", path, headers=counted), 401)
    problem(stack.api(stack.alice)("GET", path), 403)
    response = eventually(lambda: unthrottled(stack.api(stack.alice), path, counted))
    assert response.json()[0]["code"] == "de"


def test_a_key_has_its_throttle_and_its_daily_quota(stack: Local) -> None:
    """The usage plan allows one request a second, a burst of two, and three requests a day per key.

    So the test needs keys that no other test has used.
    """
    api, path, counted = stack.api(stack.alice), f"/backends/staff/{PATH}", {"X-Api-Key": fresh_key(stack, "staff")}
    time.sleep(2.1)  # the method's own throttle recovers from the other tests
    responses = [api("GET", path, headers=counted) for _ in range(4)]
    assert [response.status_code for response in responses] == [200, 200, 429, 429]
    assert problem(responses[-1], 429) and responses[-1].headers["Retry-After"] == "1"

    time.sleep(1.1)
    assert api("GET", path, headers=counted).status_code == 200
    time.sleep(2.1)
    problem(api("GET", path, headers=counted), 429)  # the quota refuses it, because the throttle has recovered
    fresh = {"X-Api-Key": fresh_key(stack, "staff")}
    assert api("GET", path, headers=fresh).status_code == 200


def unthrottled(api: Api, path: str, headers: dict[str, str]) -> requests.Response | None:
    """Return the response; ``None`` if other tests have used up the throttle that all keys share."""
    response = api("GET", path, headers=headers)
    return None if response.status_code == 429 else response


def fresh_key(stack: Local, backend: str) -> str:
    """Return a new key of a backend's usage plan, whose quota is unused."""
    gateway = stack.root().client("apigateway")
    plans = gateway.get_usage_plans(limit=500)["items"]
    (plan,) = [plan["id"] for plan in plans if plan["name"] == f"{stack.outputs.name}-{backend}"]
    key = gateway.create_api_key(name="test-fresh", enabled=True, value=f"test-{time.time_ns():020d}")
    gateway.create_usage_plan_key(usagePlanId=plan, keyId=key["id"], keyType="API_KEY")
    return str(key["value"])


def test_a_stalled_backend_delays_no_other_request(stack: Local, by_key: dict[str, str]) -> None:
    item = f"stall-{time.time_ns()}"
    assert stack.api(stack.eve)("PUT", f"/items/notices/{item}", {"title": "x"}).status_code == 202
    read = stack.api(stack.alice)
    eventually(lambda: read("GET", f"/items/notices/{item}").status_code == 200)
    stalled = [
        threading.Thread(target=stack.api(), args=("GET", f"/backends/backoffice/{PATH}"), kwargs={"headers": by_key})
        for _ in range(8)
    ]
    with stack.office.failing(Fault("delay", "/languages.json?_shape=array&code=de", seconds=3)):
        for thread in stalled:
            thread.start()
        took = []
        for _ in range(10):
            start = time.monotonic()
            assert read("GET", f"/items/notices/{item}").status_code == 200
            took.append(time.monotonic() - start)
        assert sum(thread.is_alive() for thread in stalled) == len(stalled), "the backend must stall meanwhile"
        for thread in stalled:
            thread.join()
    assert max(took) < 2


def test_an_unreachable_backend_is_a_problem_document_without_its_address(stack: Local, by_key: dict[str, str]) -> None:
    with stack.office.failing(Fault("refuse", "")):
        response = stack.api()("GET", f"/backends/backoffice/{PATH}", headers=by_key)
    assert response.status_code >= 500
    document = problem(response, response.status_code)
    assert "localhost" not in json.dumps(document)
