"""Tests that the contract of the applied stack matches its API, and that docs/openapi.yaml is this contract."""

import json
import re
from typing import Any

import yaml

from ops.console import ROOT
from tests.local.calls import with_head_routes
from tests.local.support import Local

SPEC: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
"""The contract in docs/openapi.yaml. Apart from its servers, it is the contract of the stack under test."""

METHODS = ("get", "head", "put", "post", "delete")
WRITES = ("POST", "PUT", "DELETE")


def documented() -> dict[str, dict[str, Any]]:
    """Return the operations of docs/openapi.yaml by method and path, such as ``GET /health``."""
    return {
        f"{method.upper()} {path}": item[method]
        for path, item in SPEC["paths"].items()
        for method in METHODS
        if method in item
    }


def kind_of(route: str) -> str:
    """Return a route with ``*`` in place of its collection, source or backend.

    For example, ``GET /items/countries/{item_id}`` becomes ``GET /items/*/{item_id}``.
    """
    return re.sub(r" /(documents/sources|items|documents|sources|backends)/[^/]+", r" /\1/*", route)


def contract_of(stack: Local) -> dict[str, Any]:
    """Return the contract at the output ``openapi_uri``."""
    assert stack.outputs.openapi_uri, "this stack was applied before it had a contract"
    bucket, _, key = stack.outputs.openapi_uri.removeprefix("s3://").partition("/")
    storage: Any = stack.root().client("s3")
    contract: dict[str, Any] = json.loads(storage.get_object(Bucket=bucket, Key=key)["Body"].read())
    return contract


def test_docs_openapi_yaml_is_the_contract_of_the_demo(stack: Local) -> None:
    contract = contract_of(stack)
    assert contract | {"servers": None} == SPEC | {"servers": None}, "run `make openapi`"


def test_the_contract_names_the_api_of_each_region(stack: Local) -> None:
    urls = [server["url"] for server in contract_of(stack)["servers"]]
    assert urls == [f"{stack.outputs.api_url}/v1", f"{stack.outputs.replica_api_url}/v1"]


def test_the_document_and_the_deployed_routes_are_the_same(stack: Local) -> None:
    assert {route.replace("{proxy}", "{proxy+}") for route in documented()} == set(stack.outputs.routes)
    assert {kind_of(route) for route in documented()} == {
        "GET /health",
        "GET /items/*",
        "POST /items/*",
        "GET /items/*/{item_id}",
        "PUT /items/*/{item_id}",
        "DELETE /items/*/{item_id}",
        "GET /items/*/{item_id}/changes/{change_id}",
        "GET /documents/*/{item_id}",
        "GET /sources/*",
        "GET /documents/sources/*",
        "GET /backends/*/{proxy}",
        "HEAD /backends/*/{proxy}",
    }


def test_every_deployed_method_has_the_authorizer_and_scopes_of_the_contract(stack: Local) -> None:
    gateway = stack.root().client("apigateway")
    (api,) = [api for api in gateway.get_rest_apis(limit=500)["items"] if stack.outputs.api_url.endswith(api["id"])]
    pages = gateway.get_paginator("get_resources").paginate(restApiId=api["id"], embed=["methods"])
    deployed = {
        f"{method} {resource['path']}": (resource["id"], method)
        for page in pages
        for resource in page["items"]
        for method in resource.get("resourceMethods", {})
        if method not in ("OPTIONS", "ANY")  # preflights, and the 405 of the methods that a path doesn't have
    }
    described = with_head_routes(stack.outputs.routes)
    assert set(deployed) == set(described)
    public = ("countries", "tariffs", "subdivisions", "currencies")
    for route, (resource_id, method) in deployed.items():
        deployed_method = gateway.get_method(restApiId=api["id"], resourceId=resource_id, httpMethod=method)
        is_read = method in ("GET", "HEAD")
        is_open = route.endswith(" /health") or (is_read and any(f"/{name}" in route for name in public))
        is_keyed = " /backends/" in route
        needs_token = not is_open and " /backends/backoffice/" not in route
        operation = documented()[described[route].replace("+}", "}")]
        schemes = {name for entry in operation["security"] for name in entry}
        assert schemes == {name for name, needed in (("cognito", needs_token), ("apiKey", is_keyed)) if needed}, route
        scopes = set(deployed_method.get("authorizationScopes", []))
        assert deployed_method["apiKeyRequired"] == is_keyed, route
        if " /backends/backoffice/" in route:
            assert (deployed_method["authorizationType"], scopes) == ("CUSTOM", set()), route
            continue
        assert deployed_method["authorizationType"] == ("NONE" if is_open else "COGNITO_USER_POOLS"), route
        needed = "read" if is_read else "write"
        assert scopes == (set() if is_open else {f"{stack.outputs.name}/{needed}", "aws.cognito.signin.user.admin"}), (
            route
        )


def test_the_contract_has_the_schemas_with_which_write_checks_bodies(stack: Local) -> None:
    s3 = stack.root().client("s3")
    bucket = stack.outputs.write_log_bucket
    body = s3.get_object(Bucket=bucket, Key="config/schemas.json")["Body"].read()
    deployed: dict[str, Any] = json.loads(body)
    assert set(deployed) == {"countries", "notices", "profiles"}
    for name, schema in deployed.items():
        component = dict(SPEC["components"]["schemas"][f"{name.title()}Data"])
        assert component.pop("description") == f"The data of an item of the collection `{name}`."
        assert component == {keyword: value for keyword, value in schema.items() if keyword != "$schema"}, name


def test_every_reference_in_the_document_resolves() -> None:
    references = set(re.findall(r"\$ref: '#/([^']+)'", (ROOT / "docs/openapi.yaml").read_text()))
    assert len(references) > 50
    for reference in references:
        place: Any = SPEC
        for step in reference.split("/"):
            assert step in place, reference
            place = place[step]


def test_every_operation_has_its_own_id_and_a_declared_tag() -> None:
    ids = [operation["operationId"] for operation in documented().values()]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z][A-Za-z0-9]*", operation_id) for operation_id in ids)
    tags = {tag["name"] for tag in SPEC["tags"]}
    assert {tag for operation in documented().values() for tag in operation["tags"]} == tags


def test_every_operation_documents_its_errors() -> None:
    for route, operation in documented().items():
        method, path = route.split(" ")
        statuses = set(operation["responses"])
        assert "429" in statuses, route
        assert ("401" in statuses) == bool(operation["security"]), route
        if path.startswith(("/items", "/documents", "/sources")):
            assert {"403", "503"} <= statuses, route
        if "{item_id}" in path or (path.count("/") == 2 and path.startswith("/items")):
            assert "400" in statuses, route
        if method in WRITES:
            assert {"202", "400", "401"} <= statuses, route
        if method in ("PUT", "POST"):
            assert {"413", "415"} <= statuses, route
