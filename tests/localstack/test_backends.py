"""API Gateway's own pass-through: what of a request reaches a back office, and what doesn't.

LocalStack gives refusals their status, but not the bodies that are set for them: tests/local shows those.
"""

import json
import os
import urllib.parse
from typing import Any

import pytest

from tests.localstack.conftest import API_KEY, Answer, Applied, BackOffice
from tests.localstack.test_documents import call

KEYED = {"X-Api-Key": API_KEY}
SECRETS = {
    "Authorization": "Bearer a-secret",
    "Cookie": "session=a-secret",
    "Proxy-Authorization": "Basic a-secret",
    "X-Api-Key": API_KEY,
}

pytestmark = pytest.mark.skipif(
    "AWS_ENDPOINT_URL" in os.environ, reason="the back office is here, where a LocalStack in a container doesn't get"
)


def asked(answer: Answer) -> dict[str, Any]:
    """What the back office was asked."""
    assert answer.headers["content-type"] == "application/vnd.echo+json", answer.body
    told: dict[str, Any] = json.loads(answer.body)
    return told


def headers(answer: Answer) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in asked(answer)["headers"]:
        found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("spelling", [str.title, str.lower, str.upper])
def test_no_credential_reaches_a_back_office(applied: Applied, spelling: Any) -> None:
    sent = {spelling(name): value for name, value in SECRETS.items()} | {"X-Tenant": "north", "X-Trace": "1"}

    answer = call(applied, "/backends/keyed/orders", sent)

    assert answer.status == 200
    got = headers(answer)
    assert {name: got[name.lower()] for name in SECRETS} == {name: ["-"] for name in SECRETS}
    assert b"a-secret" not in answer.body and API_KEY.encode() not in answer.body
    assert (got["x-tenant"], got["x-trace"]) == (["north"], ["1"])


def test_what_was_not_sent_is_not_made_up_to_be_a_credential(applied: Applied) -> None:
    got = headers(call(applied, "/backends/keyed/orders", KEYED))
    assert {got[name.lower()][0] for name in SECRETS} == {"-"}


def test_a_named_credential_reaches_it(applied: Applied) -> None:
    got = headers(call(applied, "/backends/named/orders", SECRETS))
    assert got["authorization"] == ["Bearer a-secret"]
    assert got["cookie"] == ["session=a-secret"]
    assert got["x-api-key"] == [API_KEY]
    assert got["proxy-authorization"] == ["-"]


def test_bodies_come_uncompressed(applied: Applied) -> None:
    got = headers(call(applied, "/backends/keyed/orders", KEYED | {"Accept-Encoding": "gzip, br"}))
    assert got["accept-encoding"] == ["identity"]


def test_it_is_called_by_its_own_name(applied: Applied, back_office: BackOffice) -> None:
    got = headers(call(applied, "/backends/keyed/orders", KEYED | {"Host": "evil.example.com"}))
    assert got["host"] == [urllib.parse.urlsplit(back_office.url).netloc]


def test_path_query_method_and_answer_pass(applied: Applied) -> None:
    answer = call(applied, "/backends/keyed/orders/a%20b/lines?page=2&page=3&%24filter=x%20eq%201", KEYED)
    told = asked(answer)
    path, _, query = told["target"].partition("?")
    assert urllib.parse.unquote(path) == "/base/orders/a b/lines"
    assert urllib.parse.parse_qs(query) == {"page": ["2", "3"], "$filter": ["x eq 1"]}
    assert answer.headers["x-back-office"] == "yes"

    answer = call(applied, "/backends/keyed/orders", KEYED | {"Content-Type": "text/csv"}, method="POST", body=b"a;b\n")
    told = asked(answer)
    assert (answer.status, told["method"], told["target"], told["body"]) == (207, "POST", "/base/orders", "a;b\n")
    assert headers(answer)["content-type"] == ["text/csv"]


@pytest.mark.parametrize("key", [{}, {"X-Api-Key": "wrong" * 5}])
def test_no_key_no_answer(applied: Applied, key: dict[str, str]) -> None:
    answer = call(applied, "/backends/keyed/orders", key)
    assert answer.status == 403
    assert b"wrong" not in answer.body


def test_a_method_that_is_not_allowed_is_no_route(applied: Applied) -> None:
    assert call(applied, "/backends/keyed/orders", KEYED, method="DELETE").status == 404
    assert call(applied, "/backends/keyed", KEYED).status == 404


def test_a_back_office_that_is_gone(applied: Applied) -> None:
    answer = call(applied, "/backends/gone/orders", KEYED)
    assert answer.status >= 500
    assert b"localhost" not in answer.body


def test_time_out_and_policy_as_deployed(applied: Applied) -> None:
    """LocalStack keeps no time-out and no policy; that they are set is all that can be seen."""
    api = applied.apigateway.get_rest_api(restApiId=applied.api_id)
    policy = json.loads(api["policy"].replace('\\"', '"'))
    assert [statement["Effect"] for statement in policy["Statement"]] == ["Allow", "Deny"]
    resources = applied.apigateway.get_resources(restApiId=applied.api_id, limit=500)["items"]
    (keyed,) = [resource["id"] for resource in resources if resource["path"] == "/backends/keyed/{proxy+}"]
    found = applied.apigateway.get_integration(restApiId=applied.api_id, resourceId=keyed, httpMethod="GET")
    assert (found["type"], found["timeoutInMillis"]) == ("HTTP_PROXY", 1500)
