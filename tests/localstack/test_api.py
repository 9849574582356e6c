"""What API Gateway answers by itself, and what the deployed integrations say."""

import json
from typing import Any

import pytest

from tests.localstack.conftest import Applied
from tests.localstack.test_documents import call


def test_health(applied: Applied) -> None:
    answer = call(applied, "/health")

    assert answer.status == 200
    assert json.loads(answer.body) == {"status": "ok"}
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/health", "/documents/products/apple"])
def test_preflight(applied: Applied, path: str) -> None:
    asking = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "GET"}

    answer = call(applied, path, asking, method="OPTIONS")

    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "https://app.example.com"
    assert answer.headers["access-control-allow-methods"] == "GET"
    assert "Authorization" in answer.headers["access-control-allow-headers"].split(",")


@pytest.fixture(scope="module")
def integrations(applied: Applied) -> dict[str, Any]:
    """Path -> the integration of its GET, as deployed."""
    resources = applied.apigateway.get_resources(restApiId=applied.api_id, limit=500, embed=["methods"])["items"]
    return {
        item["path"]: applied.apigateway.get_integration(
            restApiId=applied.api_id, resourceId=item["id"], httpMethod="GET"
        )
        for item in resources
        if "GET" in item.get("resourceMethods", {})
    }


def test_no_part_of_the_request_goes_straight_into_a_key(integrations: dict[str, Any]) -> None:
    documents = {path: i for path, i in integrations.items() if i["type"] == "AWS"}
    fixed = documents.pop("/documents/sources/shop")
    assert fixed["uri"].endswith("/public/sources/shop.json")
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


def test_owner_documents_take_the_subject_from_the_token_alone(integrations: dict[str, Any]) -> None:
    owner = integrations["/documents/profiles/{item_id}"]

    assert owner["uri"].endswith("/owner/profiles/{sub}/{item_id}.json")
    assert owner["requestParameters"]["integration.request.path.sub"] == "'-'"
    template = owner["requestTemplates"]["application/json"]
    assert '#set($sub = "$context.authorizer.claims.sub")' in template
    assert template.count("requestOverride.path.sub") == 1
    assert template.index("$sub.matches(") < template.index("requestOverride.path.sub")
