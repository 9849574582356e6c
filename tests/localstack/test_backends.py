"""Tests of backends on LocalStack: which parts of a request API Gateway passes on to the back office.

LocalStack leaves out the gateway responses of a document that it imports. So if it refuses a request, its response has
its own status and body: 403 for an unknown route, where AWS responds 404. The tests in tests/local check what the
document says.
"""

import json
import os
import urllib.parse
from typing import Any

import pytest

from tests.localstack.conftest import API_KEY, Applied, BackOffice, Response
from tests.localstack.test_documents import call

KEYED = {"X-Api-Key": API_KEY}
SECRETS = {
    "Authorization": "Bearer a-secret",
    "Cookie": "session=a-secret",
    "Proxy-Authorization": "Basic a-secret",
    "X-Api-Key": API_KEY,
}

pytestmark = pytest.mark.skipif(
    "AWS_ENDPOINT_URL" in os.environ, reason="a LocalStack in a container can't reach the back office on this machine"
)


def echoed_request(response: Response) -> dict[str, Any]:
    """Return the request as the back office received it. The back office describes it in its response."""
    assert response.headers["content-type"] == "application/vnd.echo+json", response.body
    request: dict[str, Any] = json.loads(response.body)
    return request


def echoed_headers(response: Response) -> dict[str, list[str]]:
    """Return the request headers that the back office received: all values of each header, by name in lower case."""
    headers: dict[str, list[str]] = {}
    for name, value in echoed_request(response)["headers"]:
        headers.setdefault(name, []).append(value)
    return headers


@pytest.mark.parametrize("spelling", [str.title, str.lower, str.upper])
def test_no_credential_reaches_a_back_office(applied: Applied, spelling: Any) -> None:
    sent = {spelling(name): value for name, value in SECRETS.items()} | {"X-Tenant": "north", "X-Trace": "1"}

    response = call(applied, "/backends/keyed/orders", sent)

    assert response.status == 200
    received = echoed_headers(response)
    assert {name: received[name.lower()] for name in SECRETS} == {name: ["-"] for name in SECRETS}
    assert b"a-secret" not in response.body and API_KEY.encode() not in response.body
    assert (received["x-tenant"], received["x-trace"]) == (["north"], ["1"])


def test_a_missing_credential_header_is_passed_on_as_a_dash(applied: Applied) -> None:
    received = echoed_headers(call(applied, "/backends/keyed/orders", KEYED))
    assert {received[name.lower()][0] for name in SECRETS} == {"-"}


def test_a_credential_that_the_backend_names_is_passed_on(applied: Applied) -> None:
    received = echoed_headers(call(applied, "/backends/named/orders", SECRETS))
    assert received["authorization"] == ["Bearer a-secret"]
    assert received["cookie"] == ["session=a-secret"]
    assert received["x-api-key"] == [API_KEY]
    assert received["proxy-authorization"] == ["-"]


def test_a_back_office_is_asked_for_uncompressed_bodies(applied: Applied) -> None:
    received = echoed_headers(call(applied, "/backends/keyed/orders", KEYED | {"Accept-Encoding": "gzip, br"}))
    assert received["accept-encoding"] == ["identity"]


def test_a_back_office_gets_its_own_host_header(applied: Applied, back_office: BackOffice) -> None:
    received = echoed_headers(call(applied, "/backends/keyed/orders", KEYED | {"Host": "evil.example.com"}))
    assert received["host"] == [urllib.parse.urlsplit(back_office.url).netloc]


def test_path_query_method_and_response_are_passed_on(applied: Applied) -> None:
    response = call(applied, "/backends/keyed/orders/a%20b/lines?page=2&page=3&%24filter=x%20eq%201", KEYED)
    request = echoed_request(response)
    path, _, query = request["target"].partition("?")
    assert urllib.parse.unquote(path) == "/base/orders/a b/lines"
    assert urllib.parse.parse_qs(query) == {"page": ["2", "3"], "$filter": ["x eq 1"]}
    assert response.headers["x-back-office"] == "yes"

    response = call(
        applied, "/backends/keyed/orders", KEYED | {"Content-Type": "text/csv"}, method="POST", body=b"a;b\n"
    )
    request = echoed_request(response)
    assert (response.status, request["method"], request["target"], request["body"]) == (
        207,
        "POST",
        "/base/orders",
        "a;b\n",
    )
    assert echoed_headers(response)["content-type"] == ["text/csv"]


@pytest.mark.parametrize("key", [{}, {"X-Api-Key": "wrong" * 5}])
def test_a_request_without_a_valid_key_is_refused(applied: Applied, key: dict[str, str]) -> None:
    response = call(applied, "/backends/keyed/orders", key)
    assert response.status == 403
    assert b"wrong" not in response.body


def test_a_method_that_the_backend_does_not_allow_is_no_route(applied: Applied) -> None:
    for response in (
        call(applied, "/backends/keyed/orders", KEYED, method="DELETE"),
        call(applied, "/backends/keyed", KEYED),
    ):
        assert (response.status, json.loads(response.body)) == (403, {"message": "Missing Authentication Token"})


def test_an_unreachable_back_office_is_a_5xx_without_its_address(applied: Applied) -> None:
    response = call(applied, "/backends/gone/orders", KEYED)
    assert response.status >= 500
    assert b"localhost" not in response.body


def test_the_timeout_and_the_policy_are_deployed(applied: Applied) -> None:
    """Check the stored values of a backend's timeout and of the API's policy, because LocalStack applies neither."""
    api = applied.apigateway.get_rest_api(restApiId=applied.api_id)
    policy = json.loads(api["policy"].replace('\\"', '"'))
    assert [statement["Effect"] for statement in policy["Statement"]] == ["Allow", "Deny"]
    resources = applied.apigateway.get_resources(restApiId=applied.api_id, limit=500)["items"]
    (keyed,) = [resource["id"] for resource in resources if resource["path"] == "/backends/keyed/{proxy+}"]
    integration = applied.apigateway.get_integration(restApiId=applied.api_id, resourceId=keyed, httpMethod="GET")
    assert (integration["type"], integration["timeoutInMillis"]) == ("HTTP_PROXY", 1500)
