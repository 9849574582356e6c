"""Back offices that are passed through: who may call them, how often, and where a path may lead."""

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
    gateway = stack.root(replica=replica).client("apigateway")
    (found,) = gateway.get_api_keys(nameQuery=f"{stack.outputs.name}-{backend}", includeValues=True)["items"]
    return str(found["value"])


def problem(answer: requests.Response, status: int) -> dict[str, Any]:
    """The body, which must be a problem document of this status."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status and document["request_id"]
    return document


@pytest.fixture
def by_key(stack: Local) -> dict[str, str]:
    return {"X-Api-Key": key_of(stack, "backoffice")}


def test_a_key_opens_its_back_office(stack: Local, by_key: dict[str, str]) -> None:
    answer = stack.api()("GET", f"/backends/backoffice/{PATH}", headers=by_key)

    assert answer.status_code == 200
    assert [{name: row[name] for name in ROW} for row in answer.json()] == [ROW]
    # The very bytes: nothing here reads or writes what passes.
    assert answer.content == requests.get(f"{stack.office.url}/backoffice/{PATH}", timeout=10).content


def test_a_path_keeps_its_meaning_and_its_query(stack: Local, by_key: dict[str, str]) -> None:
    answer = stack.api()("GET", "/backends/backoffice/languages/de.json?_shape=array", headers=by_key)
    assert answer.status_code == 200 and answer.json()[0]["alpha_3"] == "deu"
    query = urllib.parse.urlencode({"_shape": "array", "name__contains": "Norwegian B"})
    answer = stack.api()("GET", f"/backends/backoffice/languages.json?{query}", headers=by_key)
    assert [row["code"] for row in answer.json()] == ["nb"]


def test_what_the_back_office_refuses_is_its_own_answer(stack: Local, by_key: dict[str, str]) -> None:
    answer = stack.api()("GET", "/backends/backoffice/no-such-table.json", headers=by_key)
    assert answer.status_code == 404 and answer.json()["title"] is None  # Datasette's


@pytest.mark.parametrize(("key", "status"), [(None, 401), ("", 401), ("wrong" * 5, 403)])
def test_nobody_comes_in_without_a_key(stack: Local, key: str | None, status: int) -> None:
    before = stack.office.requests("/languages")
    answer = stack.api(stack.eve)(
        "GET", f"/backends/backoffice/{PATH}", headers={} if key is None else {"X-Api-Key": key}
    )
    problem(answer, status)
    assert not key or key not in answer.text
    assert stack.office.requests("/languages") == before


def test_another_back_office_s_key_opens_nothing(stack: Local, by_key: dict[str, str]) -> None:
    """API Gateway itself would take it: some usage plan of the stage knows it."""
    foreign = {"X-Api-Key": key_of(stack, "staff")}
    problem(stack.api()("GET", f"/backends/backoffice/{PATH}", headers=foreign), 403)
    assert stack.api()("GET", f"/backends/backoffice/{PATH}", headers=by_key).status_code == 200
    problem(stack.api()("GET", f"/backends/backoffice/{PATH}", headers=foreign), 403)  # from the remembered answer


def test_a_key_is_no_token(stack: Local, by_key: dict[str, str]) -> None:
    assert stack.api()("GET", "/items/notices", headers=by_key).status_code == 401


def test_the_key_is_the_same_in_both_regions(stack: Local, by_key: dict[str, str]) -> None:
    """The emulator takes it in one Region only (test_emulator_facts.py); the other asks for it, too."""
    assert key_of(stack, "backoffice", replica=True) == by_key["X-Api-Key"]
    problem(stack.api(replica=True)("GET", f"/backends/backoffice/{PATH}"), 401)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_method_that_is_not_allowed_is_no_route(stack: Local, by_key: dict[str, str], method: str) -> None:
    before = stack.office.requests()
    problem(stack.api()(method, "/backends/backoffice/languages.json", {}, headers=by_key), 404)
    assert stack.office.requests("/languages") <= before


def test_head(stack: Local, by_key: dict[str, str]) -> None:
    answer = stack.api()("HEAD", f"/backends/backoffice/{PATH}", headers=by_key)
    assert answer.status_code == 200 and answer.content == b""


def test_preflight(stack: Local) -> None:
    asking = {"Origin": "http://localhost:8080", "Access-Control-Request-Method": "GET"}
    answer = stack.api()("OPTIONS", f"/backends/backoffice/{PATH}", headers=asking)
    assert answer.status_code == 204
    assert "X-Api-Key" in answer.headers["Access-Control-Allow-Headers"].split(",")
    assert answer.headers["Access-Control-Allow-Methods"] == "GET,HEAD"


# Below the back office's base path there is one database; Datasette's own pages are beside it.
CLIMBING = ["../-/versions.json", "languages/../../-/versions.json", "..%2F-%2Fversions.json", "%2e%2e/-/versions.json"]
CLIMBING += [
    ".%2e/-/versions.json",
    "%252e%252e/-/versions.json",
    "..%252f-%252fversions.json",
    "x/..;/..;/-/versions.json",
]


@pytest.mark.parametrize("climbing", CLIMBING)
def test_no_path_climbs_out_of_the_base_path(stack: Local, by_key: dict[str, str], climbing: str) -> None:
    assert requests.get(f"{stack.office.url}/-/versions.json", timeout=10).status_code == 200, "it is there to be had"
    before = stack.office.requests("versions.json")

    status, headers, body = stack.api().raw("GET", f"/backends/backoffice/{climbing}", headers=by_key)

    assert status == 403 and headers["content-type"] == "application/problem+json"
    assert b"datasette" not in body.lower()
    assert stack.office.requests("versions.json") == before


def test_a_token_opens_what_asks_for_one_and_the_key_only_counts(stack: Local) -> None:
    path, counted = f"/backends/staff/{PATH}", {"X-Api-Key": fresh_key(stack, "staff")}
    problem(stack.api()("GET", path, headers=counted), 401)
    problem(stack.api(token=stack.alice.id_token)("GET", path, headers=counted), 401)
    problem(stack.api(stack.alice)("GET", path), 403)
    answer = eventually(lambda: passed(stack.api(stack.alice), path, counted))
    assert answer.json()[0]["code"] == "de"


def test_throttle_and_quota(stack: Local) -> None:
    """A rate of one request a second, two at once, and three a day: per key, so this one is nobody else's."""
    api, path, counted = stack.api(stack.alice), f"/backends/staff/{PATH}", {"X-Api-Key": fresh_key(stack, "staff")}
    time.sleep(2.1)  # what other tests have used up of the method's own throttle comes back
    asked = [api("GET", path, headers=counted) for _ in range(4)]
    assert [answer.status_code for answer in asked] == [200, 200, 429, 429]
    assert problem(asked[-1], 429) and asked[-1].headers["Retry-After"] == "1"

    time.sleep(1.1)
    assert api("GET", path, headers=counted).status_code == 200
    time.sleep(2.1)
    problem(api("GET", path, headers=counted), 429)  # not the throttle any more
    fresh = {"X-Api-Key": fresh_key(stack, "staff")}
    assert api("GET", path, headers=fresh).status_code == 200


def passed(api: Api, path: str, headers: dict[str, str]) -> requests.Response | None:
    """The answer, unless the throttle that all keys share was used up by another test."""
    answer = api("GET", path, headers=headers)
    return None if answer.status_code == 429 else answer


def fresh_key(stack: Local, backend: str) -> str:
    """A further key of a back office's usage plan, with nothing used up."""
    gateway = stack.root().client("apigateway")
    plans = gateway.get_usage_plans(limit=500)["items"]
    (plan,) = [plan["id"] for plan in plans if plan["name"] == f"{stack.outputs.name}-{backend}"]
    made = gateway.create_api_key(name="test-fresh", enabled=True, value=f"test-{time.time_ns():020d}")
    gateway.create_usage_plan_key(usagePlanId=plan, keyId=made["id"], keyType="API_KEY")
    return str(made["value"])


def test_a_stalled_back_office_holds_up_nobody_else(stack: Local, by_key: dict[str, str]) -> None:
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
        assert sum(thread.is_alive() for thread in stalled) == len(stalled), "they were waiting meanwhile"
        for thread in stalled:
            thread.join()
    assert max(took) < 2


def test_a_back_office_that_is_gone_is_a_problem_of_the_gateway(stack: Local, by_key: dict[str, str]) -> None:
    with stack.office.failing(Fault("refuse", "")):
        answer = stack.api()("GET", f"/backends/backoffice/{PATH}", headers=by_key)
    assert answer.status_code >= 500
    document = problem(answer, answer.status_code)
    assert "localhost" not in json.dumps(document)
