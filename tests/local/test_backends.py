"""Tests of backends on the local stack: who may call a backend, how often, and with which paths.

A backend is a back office to which API Gateway passes requests on directly.
"""

import json
import threading
import time
import urllib.parse
from typing import Any

import pytest
import requests

from ops.local.fault_proxy import Fault
from ops.local.session import Api
from tests.local.calls import REQUEST_ID
from tests.local.support import Local, eventually

PATH = "languages.json?_shape=array&code=de"
ROW = {"code": "de", "alpha_3": "deu", "name": "German"}


def key_of(stack: Local, backend: str, *, replica: bool = False) -> str:
    """Return the value of the first API key of a backend's caller `default`."""
    gateway = stack.root(replica=replica).client("apigateway")
    name = f"{stack.outputs.name}-{backend}"
    keys = gateway.get_api_keys(nameQuery=name, includeValues=True)["items"]
    (value,) = [key["value"] for key in keys if key["name"] == name]
    return str(value)


def problem(response: requests.Response, status: int) -> dict[str, Any]:
    """Check that a response has this status and a problem document; return the document."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["status"] == status and REQUEST_ID.fullmatch(document["request_id"])
    return document


@pytest.fixture
def by_key(stack: Local) -> dict[str, str]:
    return {"X-Api-Key": key_of(stack, "backoffice")}


def test_a_key_opens_its_own_backend(stack: Local, by_key: dict[str, str]) -> None:
    response = stack.api()("GET", f"/backends/backoffice/{PATH}", headers=by_key)

    assert response.status_code == 200
    assert [{name: row[name] for name in ROW} for row in response.json()] == [ROW]
    # The response must have the same bytes as the back office's, because API Gateway passes it on unchanged.
    assert response.content == requests.get(f"{stack.office.url}/backoffice/{PATH}", timeout=10).content


def test_a_path_and_its_query_reach_the_back_office_unchanged(stack: Local, by_key: dict[str, str]) -> None:
    response = stack.api()("GET", "/backends/backoffice/languages/de.json?_shape=array", headers=by_key)
    assert response.status_code == 200 and response.json()[0]["alpha_3"] == "deu"
    query = urllib.parse.urlencode({"_shape": "array", "name__contains": "Norwegian B"})
    response = stack.api()("GET", f"/backends/backoffice/languages.json?{query}", headers=by_key)
    assert [row["code"] for row in response.json()] == ["nb"]


def test_a_refusal_of_the_back_office_reaches_the_client(stack: Local, by_key: dict[str, str]) -> None:
    response = stack.api()("GET", "/backends/backoffice/no-such-table.json", headers=by_key)
    # The body must be Datasette's own, in which `title` is null. In a problem document of the API, `title` is a text.
    assert response.status_code == 404 and response.json()["title"] is None


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
    """Call one backend with the API key of another backend.

    API Gateway alone would accept this key, because the key belongs to a usage plan of the same stage. The authorizer
    function must refuse it.
    """
    foreign = {"X-Api-Key": key_of(stack, "staff")}
    problem(stack.api()("GET", f"/backends/backoffice/{PATH}", headers=foreign), 403)
    assert stack.api()("GET", f"/backends/backoffice/{PATH}", headers=by_key).status_code == 200
    # Try the other backend's key again. API Gateway has now cached the authorizer's result for the right key, and must
    # not use that result for a wrong key.
    problem(stack.api()("GET", f"/backends/backoffice/{PATH}", headers=foreign), 403)


def test_a_key_does_not_replace_a_token(stack: Local, by_key: dict[str, str]) -> None:
    assert stack.api()("GET", "/items/notices", headers=by_key).status_code == 401


def test_the_key_is_the_same_in_both_regions(stack: Local, by_key: dict[str, str]) -> None:
    """Compare the API keys of both Regions, and check that the replica Region's API requires a key.

    The test doesn't call the replica Region with its key, because the emulator accepts a key's value in one Region only
    (see test_emulator_facts.py).
    """
    assert key_of(stack, "backoffice", replica=True) == by_key["X-Api-Key"]
    problem(stack.api(replica=True)("GET", f"/backends/backoffice/{PATH}"), 401)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_method_that_the_backend_does_not_allow_is_a_405(stack: Local, by_key: dict[str, str], method: str) -> None:
    before = stack.office.requests("/languages")
    response = stack.api()(method, "/backends/backoffice/languages.json", {}, headers=by_key)
    assert problem(response, 405) and response.headers["Allow"] == "GET,HEAD,OPTIONS"
    assert stack.office.requests("/languages") == before


def test_head_returns_no_body(stack: Local, by_key: dict[str, str]) -> None:
    response = stack.api()("HEAD", f"/backends/backoffice/{PATH}", headers=by_key)
    assert response.status_code == 200 and response.content == b""


def test_a_preflight_allows_the_key(stack: Local) -> None:
    headers = {"Origin": "http://localhost:8080", "Access-Control-Request-Method": "GET"}
    response = stack.api()("OPTIONS", f"/backends/backoffice/{PATH}", headers=headers)
    assert response.status_code == 204
    assert "X-Api-Key" in response.headers["Access-Control-Allow-Headers"].split(",")


# Paths that try to leave the backend's base path. Below the base path, Datasette serves one database. Each of the
# paths tries to reach Datasette's page /-/versions.json, which is outside the base path.
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
    """Check the throttle and the daily quota of an API key with new keys, which no other test has used.

    The usage plan allows each key one request a second, a burst of two requests, and three requests a day.
    """
    api, path, counted = stack.api(stack.alice), f"/backends/staff/{PATH}", {"X-Api-Key": fresh_key(stack, "staff")}
    time.sleep(2.1)  # wait until the throttle of the API's method has recovered from the other tests
    responses = [api("GET", path, headers=counted) for _ in range(4)]
    assert [response.status_code for response in responses] == [200, 200, 429, 429]
    assert problem(responses[-1], 429) and responses[-1].headers["Retry-After"] == "1"

    time.sleep(1.1)
    assert api("GET", path, headers=counted).status_code == 200
    time.sleep(2.1)
    # The throttle has recovered, so only the daily quota can cause this 429.
    problem(api("GET", path, headers=counted), 429)
    fresh = {"X-Api-Key": fresh_key(stack, "staff")}
    assert api("GET", path, headers=fresh).status_code == 200


def unthrottled(api: Api, path: str, headers: dict[str, str]) -> requests.Response | None:
    """GET a path; return the response, or ``None`` if the status is 429.

    All keys share the throttle of the API's method, so the requests of other tests can cause a 429.
    """
    response = api("GET", path, headers=headers)
    return None if response.status_code == 429 else response


def fresh_key(stack: Local, backend: str) -> str:
    """Add a new API key to a backend's usage plan; return the key's value. The key's daily quota is unused."""
    gateway = stack.root().client("apigateway")
    plans = gateway.get_usage_plans(limit=500)["items"]
    (plan,) = [plan["id"] for plan in plans if plan["name"] == f"{stack.outputs.name}-{backend}"]
    key = gateway.create_api_key(name="test-fresh", enabled=True, value=f"test-{time.time_ns():020d}")
    gateway.create_usage_plan_key(usagePlanId=plan, keyId=key["id"], keyType="API_KEY")
    return str(key["value"])


def test_every_key_of_every_caller_opens_the_backend(stack: Local) -> None:
    """The caller `default` is in the middle of a rotation, and the caller `partner` has a key of its own."""
    keys = stack.outputs.backend_api_keys or {}
    ids = {"backoffice", "backoffice/default/second", "backoffice/partner/first"}
    assert ids == {name for name in keys if name.startswith("backoffice")}
    for name in ids:
        response = stack.api()("GET", f"/backends/backoffice/{PATH}", headers={"X-Api-Key": keys[name]})
        assert response.status_code == 200, (name, response.text)


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
