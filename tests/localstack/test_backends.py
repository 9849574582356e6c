"""Tests of backends on LocalStack: which parts of a request API Gateway passes on to the back office.

LocalStack leaves out the gateway responses of a document that it imports. So if it refuses a request, its response has
its own status and body. The tests in tests/local check what the document says.
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


def test_a_method_that_the_backend_does_not_allow_is_not_passed_on(applied: Applied) -> None:
    for method, path in (("DELETE", "/backends/keyed/orders"), ("POST", "/backends/named/orders")):
        response = call(applied, path, KEYED, method=method)
        assert (response.status, response.problem()["title"]) == (405, "Method Not Allowed")
    assert call(applied, "/backends/keyed", KEYED).status == 403, "AWS responds 404, because the document says so"


def test_a_cached_backend_gets_its_path_and_declared_parameters_and_nothing_else(applied: Applied) -> None:
    """A response that depended on anything else would go to other callers too."""
    sent = SECRETS | {"X-Tenant": "north", "Accept": "text/html", "Accept-Language": "de", "If-None-Match": '"1"'}
    sent |= {
        "Origin": "https://evil.example.com",
        "Range": "bytes=0-1",
        "Accept-Encoding": "gzip",
        "User-Agent": "mine",
    }

    response = call(applied, "/backends/cached/orders/a%20b?page=2&other=3&page=4", sent, body=b'{"body": 1}')

    request = echoed_request(response)
    path, _, query = request["target"].partition("?")
    assert urllib.parse.unquote(path) == "/base/orders/a b"
    assert urllib.parse.parse_qs(query) == {"page": ["4"]}
    assert (request["method"], request["body"]) == ("GET", "")
    received = echoed_headers(response)
    assert (received["accept"], received["accept-encoding"]) == (["*/*"], ["identity"])
    assert b"evil" not in response.body and b"secret" not in response.body and b"mine" not in response.body
    named = {"x-tenant", "accept-language", "if-none-match", "origin", "range", *map(str.lower, SECRETS)}
    assert not named & set(received)


def test_a_cached_backend_passes_on_useful_statuses_and_headers(applied: Applied) -> None:
    response = call(applied, "/backends/cached/status/200")
    assert (response.headers["etag"], response.headers["vary"]) == ('"1"', "Authorization")
    assert response.headers["access-control-allow-origin"] == "https://app.example.com"
    assert not {"set-cookie", "x-back-office"} & set(response.headers)
    # The tests leave redirections out, because LocalStack follows them. API Gateway passes them on.
    for status, passed in ((200, 200), (204, 204), (404, 404), (503, 503), (207, 502), (418, 502)):
        response = call(applied, f"/backends/cached/status/{status}")
        assert response.status == passed, status
        if passed == 502:
            assert response.problem()["title"] == "Bad Gateway"


def test_a_cached_backend_refuses_bodies_of_other_types(applied: Applied) -> None:
    response = call(applied, "/backends/cached/orders", {"Content-Type": "text/plain"}, body=b"x")
    assert response.status == 415


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
