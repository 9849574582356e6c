"""Tests of the applied edge: what the stand-in for CloudFront serves from the distribution that Terraform made."""

import uuid

import requests

from ops.local.session import User
from tests.local.support import Local, eventually


def get(stack: Local, path: str, user: User | None = None, **headers: str) -> requests.Response:
    """Send a GET to the edge."""
    if user:
        headers["Authorization"] = f"Bearer {user.access_token}"
    return requests.get(f"{stack.outputs.edge_url}{path}", headers=headers, timeout=30)


def published(stack: Local, path: str, user: User | None = None) -> requests.Response:
    """Return the response to a GET of a document at the edge once the document is there."""
    eventually(lambda: get(stack, path, user).status_code == 200)
    return get(stack, path, user)


def test_a_public_document_is_served_from_the_cache_of_the_edge(stack: Local) -> None:
    path = f"/documents/countries/{uuid.uuid4()}"  # a new id, because the edge keeps what an earlier run has read
    assert stack.api(stack.eve)("PUT", path.replace("documents", "items"), country("EA")).status_code == 202
    hit = published(stack, path)
    assert hit.headers["X-Cache"].startswith("Hit")
    assert hit.headers["Cache-Control"] == "public, max-age=0, s-maxage=60"
    assert hit.headers["Readplane-Version"] == hit.json()["version"]
    assert not [name for name in hit.headers if name.lower().startswith("x-amz-") and "cf" not in name.lower()]
    assert hit.json() == stack.api()("GET", path).json()


def test_a_document_for_signed_in_users_is_served_from_the_cache_to_them_alone(stack: Local) -> None:
    assert stack.api(stack.eve)("PUT", "/items/notices/edge-1", {"title": "x"}).status_code == 202
    path = "/documents/notices/edge-1"
    published(stack, path, stack.alice)
    hit = get(stack, path, stack.bob)
    assert (hit.status_code, hit.headers["X-Cache"].split()[0]) == (200, "Hit")
    assert hit.headers["Cache-Control"] == "private, no-cache"
    refused = get(stack, path)
    assert refused.status_code == 401 and "title" not in refused.json()["detail"]
    assert refused.headers["Content-Type"] == "application/problem+json"
    at_the_api = stack.api(stack.alice)("GET", path)
    assert at_the_api.headers["Cache-Control"] == "private, max-age=0", (
        "the API doesn't repeat what is meant for the edge"
    )


def test_an_owner_gets_the_own_document_alone_and_the_edge_keeps_none(stack: Local) -> None:
    path = "/documents/profiles/edge"
    for user, name in ((stack.alice, "Alice"), (stack.bob, "Bob")):
        assert stack.api(user)("PUT", "/items/profiles/edge", {"display_name": name}).status_code == 202
    for user, name in ((stack.alice, "Alice"), (stack.bob, "Bob")):
        for _ in range(2):
            response = published(stack, path, user)
            assert response.json()["data"] == {"display_name": name}
            assert response.headers["X-Cache"].startswith("Miss")
    assert get(stack, path, stack.eve).status_code == 404 and get(stack, path).status_code == 401


def test_what_is_not_declared_or_missing_is_not_open(stack: Local) -> None:
    assert get(stack, "/documents/undeclared/x").status_code == 401
    missing = get(stack, "/documents/countries/missing")
    assert (missing.status_code, missing.headers["Content-Type"]) == (404, "application/problem+json")
    for visibility in ("public", "authenticated", "owner"):
        assert get(stack, f"/{visibility}/documents/countries/DE").status_code in (401, 404)


def test_the_edge_serves_the_api_and_the_site_at_one_address(stack: Local) -> None:
    assert get(stack, "/v1/health").json() == {"status": "ok"}
    page = get(stack, "/")
    assert page.status_code == 200 and page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    missing = get(stack, "/nosuch")
    assert (missing.status_code, missing.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert (
        "nothing at this address" in missing.text and "default-src 'none'" in missing.headers["Content-Security-Policy"]
    )


def test_users_return_to_the_edge_after_sign_in_and_sign_out(stack: Local) -> None:
    client = (
        stack.root()
        .client("cognito-idp")
        .describe_user_pool_client(UserPoolId=stack.outputs.user_pool_id, ClientId=stack.outputs.web_client_id)[
            "UserPoolClient"
        ]
    )
    for urls in (client["CallbackURLs"], client["LogoutURLs"]):
        assert f"{stack.outputs.edge_url}/" in urls


def country(code: str) -> dict[str, str]:
    """Return a country that matches the schema."""
    return {"alpha_2": code, "alpha_3": f"{code}A", "name": "Edge", "numeric": "999"}
