"""Tests that docs/openapi.yaml matches the deployed API: its routes, its methods and who may call them."""

import re
from typing import Any

import yaml

from ops.console import ROOT
from tests.local.support import Local

SPEC: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
PUBLIC = ("countries", "tariffs", "subdivisions", "currencies")
METHODS = ("get", "put", "post", "delete")


def documented() -> dict[str, dict[str, Any]]:
    """Return the operations of docs/openapi.yaml by method and path, such as ``GET /health``."""
    return {
        f"{method.upper()} {path}": item[method]
        for path, item in SPEC["paths"].items()
        for method in METHODS
        if method in item
    }


def collections(stack: Local) -> dict[str, bool]:
    """Return the deployed collections by name. The value is whether the API lets clients write to the collection."""
    names = {route.split("/")[2] for route in stack.outputs.routes if " /items/" in route}
    return {name: f"POST /items/{name}" in stack.outputs.routes for name in names}


def sources(stack: Local) -> set[str]:
    """Return the names of the deployed sources."""
    return {route.split("/")[2] for route in stack.outputs.routes if " /sources/" in route}


def test_the_document_and_the_deployed_routes_are_the_same(stack: Local) -> None:
    expected = set()
    for route, operation in documented().items():
        when = operation["x-readplane-when"]
        assert when in ("always", "clients write", "source declared"), route
        if "{source}" in route:
            expected |= {route.replace("{source}", name) for name in sources(stack)}
            continue
        if "{collection}" not in route:
            expected.add(route)
            continue
        for name, written in collections(stack).items():
            if when == "always" or written:
                expected.add(route.replace("{collection}", name))
    # Leave out the routes of backends. docs/openapi.yaml doesn't document these routes, because the back office
    # and not Readplane determines their responses.
    ours = {route for route in stack.outputs.routes if " /backends/" not in route}
    assert ours == expected
    assert set(stack.outputs.routes) - ours == {
        "GET /backends/backoffice/{proxy+}",
        "HEAD /backends/backoffice/{proxy+}",
        "GET /backends/staff/{proxy+}",
    }


def test_every_deployed_method_has_its_authorizer_and_scopes(stack: Local) -> None:
    gateway = stack.root().client("apigateway")
    (api,) = [api for api in gateway.get_rest_apis(limit=500)["items"] if stack.outputs.api_url.endswith(api["id"])]
    pages = gateway.get_paginator("get_resources").paginate(restApiId=api["id"], embed=["methods"])
    deployed = {
        f"{method} {resource['path']}": (resource["id"], method)
        for page in pages
        for resource in page["items"]
        for method in resource.get("resourceMethods", {})
        if method != "OPTIONS"
    }
    assert set(deployed) == {route for route in stack.outputs.routes if not route.startswith("OPTIONS")}
    for route, (resource_id, method) in deployed.items():
        deployed_method = gateway.get_method(restApiId=api["id"], resourceId=resource_id, httpMethod=method)
        is_open = route == "GET /health" or (method == "GET" and any(f"/{name}" in route for name in PUBLIC))
        scopes = set(deployed_method.get("authorizationScopes", []))
        assert deployed_method["apiKeyRequired"] == (" /backends/" in route), route
        if " /backends/backoffice/" in route:
            assert (deployed_method["authorizationType"], scopes) == ("CUSTOM", set()), route
            continue
        assert deployed_method["authorizationType"] == ("NONE" if is_open else "COGNITO_USER_POOLS"), route
        needed = "read" if method == "GET" else "write"
        assert scopes == (set() if is_open else {f"{stack.outputs.name}/{needed}", "aws.cognito.signin.user.admin"}), (
            route
        )


def test_every_reference_in_the_document_resolves() -> None:
    references = set(re.findall(r'"\$ref": "#/([^"]+)"|\$ref: "#/([^"]+)"', (ROOT / "docs/openapi.yaml").read_text()))
    assert references
    for reference in {first or second for first, second in references}:
        place: Any = SPEC
        for step in reference.split("/"):
            assert step in place, reference
            place = place[step]


def test_every_operation_documents_its_errors() -> None:
    for route, operation in documented().items():
        statuses = set(operation["responses"])
        assert "429" in statuses, route
        if "{collection}" in route:
            assert {"401", "403", "503"} <= statuses, route
        if "{item_id}" in route or route.startswith(("POST", "GET /items/{collection}")):
            assert "400" in statuses, route
        if route.startswith(("PUT", "POST")):
            assert {"202", "413", "415"} <= statuses, route
