"""Tests of the API on LocalStack: API Gateway's fixed responses, and how its routes for documents map to S3 keys."""

import json
from typing import Any

import pytest

from tests.localstack.conftest import Applied
from tests.localstack.test_documents import call


def test_health_is_open_and_never_cached(applied: Applied) -> None:
    response = call(applied, "/health")

    assert response.status == 200
    assert json.loads(response.body) == {"status": "ok"}
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"


def test_health_answers_head_without_a_body(applied: Applied) -> None:
    response = call(applied, "/health", method="HEAD")

    assert (response.status, response.body) == (200, b"")


# The last three paths don't exist. Without a preflight's response, a script couldn't read that they don't.
@pytest.mark.parametrize("path", ["/health", "/documents/products/apple", "/", "/nothing", "/documents/products/a/b"])
def test_a_preflight_gets_the_cors_headers(applied: Applied, path: str) -> None:
    headers = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "GET"}

    response = call(applied, path, headers, method="OPTIONS")

    assert (response.status, response.body) == (204, b"")
    assert response.headers["access-control-allow-origin"] == "https://app.example.com"
    assert response.headers["access-control-allow-methods"] == "DELETE,GET,HEAD,PATCH,POST,PUT"
    allowed = response.headers["access-control-allow-headers"].split(",")
    assert {"Authorization", "Content-Type", "If-Match", "traceparent"} <= set(allowed)


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/health", "GET,HEAD,OPTIONS"),
        ("/documents/products/apple", "GET,HEAD,OPTIONS"),
        ("/documents/sources/shop", "GET,HEAD,OPTIONS"),
        ("/backends/keyed/orders", "GET,OPTIONS,POST"),
        ("/backends/cached/orders", "GET,OPTIONS"),  # a cached route has no HEAD
    ],
)
def test_a_method_that_a_path_does_not_have_is_a_405(applied: Applied, path: str, allow: str) -> None:
    for content_type in ("application/json", "application/merge-patch+json", "text/plain"):
        response = call(applied, path, {"Content-Type": content_type}, method="PATCH", body=b"{}")

        assert response.status == 405
        assert response.problem()["title"] == "Method Not Allowed"
        assert response.headers["allow"] == allow
        assert response.headers["access-control-allow-origin"] == "https://app.example.com"


@pytest.fixture(scope="module")
def integrations(applied: Applied) -> dict[str, Any]:
    """Return the deployed API Gateway integration of each GET route, by the route's path."""
    resources = applied.apigateway.get_resources(restApiId=applied.api_id, limit=500, embed=["methods"])["items"]
    return {
        item["path"]: applied.apigateway.get_integration(
            restApiId=applied.api_id, resourceId=item["id"], httpMethod="GET"
        )
        for item in resources
        if "GET" in item.get("resourceMethods", {})
    }


def test_no_part_of_a_request_is_mapped_straight_into_a_key(integrations: dict[str, Any]) -> None:
    documents = {path: i for path, i in integrations.items() if i["type"] == "AWS"}
    fixed = documents.pop("/documents/sources/shop")
    assert fixed["uri"].endswith("/public/documents/sources/shop")
    assert set(fixed["requestParameters"].values()) == {"method.request.header.If-None-Match"}

    assert len(documents) == 3
    for path, integration in documents.items():
        mapped = integration["requestParameters"]
        assert mapped["integration.request.path.item_id"] == "'-'", path
        assert {source for source in mapped.values() if source.startswith("method.")} == {
            "method.request.header.If-None-Match"
        }, path
        assert integration["passthroughBehavior"] == "NEVER", path
        assert list(integration["requestTemplates"]) == ["application/json"], path


def test_the_key_of_an_owner_document_takes_the_subject_from_the_token_alone(integrations: dict[str, Any]) -> None:
    owner = integrations["/documents/profiles/{item_id}"]

    assert owner["uri"].endswith("/owner/documents/profiles/{sub}/{item_id}")
    assert owner["requestParameters"]["integration.request.path.sub"] == "'-'"
    template = owner["requestTemplates"]["application/json"]
    assert '#set($sub = "$context.authorizer.claims.sub")' in template
    assert template.count("requestOverride.path.sub") == 1
    assert template.index("$sub.matches(") < template.index("requestOverride.path.sub")
