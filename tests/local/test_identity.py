"""Tests of authorisation over HTTP: the API refuses every wrong token, and no owner sees another owner's items."""

import base64
import json
import time
from typing import Any

import boto3
import pytest
import requests

from ops.local import session
from tests.local.support import Local, eventually

PROTECTED = [
    ("GET", "/items/notices"),
    ("GET", "/items/notices/x"),
    ("GET", "/items/notices/x/changes/01890000-0000-7000-8000-000000000000"),
    ("GET", "/documents/notices/x"),
    ("GET", "/items/profiles"),
    ("GET", "/items/profiles/x"),
    ("GET", "/items/profiles/x/changes/01890000-0000-7000-8000-000000000000"),
    ("GET", "/documents/profiles/x"),
    ("POST", "/items/profiles"),
    ("PUT", "/items/profiles/x"),
    ("DELETE", "/items/profiles/x"),
    ("PUT", "/items/countries/x"),
    ("DELETE", "/items/countries/x"),
    ("POST", "/items/countries"),
    ("GET", "/items/languages"),
    ("GET", "/items/languages/x"),
    ("GET", "/items/languages/x/changes/01890000-0000-7000-8000-000000000000"),
    ("GET", "/documents/languages/x"),
    ("GET", "/sources/languages"),
    ("GET", "/documents/sources/languages"),
]
NO_FUNCTION = [("GET", "/backends/staff/x")]
"""The protected route of the backend `staff`.

API Gateway passes requests on this route directly to the back office, without a function.
"""


def all_refused(stack: Local, token: str | None, *, by_gateway: bool = True) -> None:
    """Check that every protected route refuses a token, for HEAD as for GET.

    :param by_gateway: whether API Gateway must refuse the token, with a 401 and the header WWW-Authenticate. Otherwise
        the functions must refuse it with a 403, because API Gateway renames this header of a function's response.
    """
    heads = [("HEAD", path) for method, path in PROTECTED if method == "GET"]
    for method, path in PROTECTED + heads + (NO_FUNCTION if by_gateway else []):
        response = stack.api(token=token)(method, path, {} if method in ("POST", "PUT") else None)
        status = 401 if by_gateway else 403
        assert response.status_code == status, (method, path, response.status_code, response.text)
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.headers.get("WWW-Authenticate") == ("Bearer" if by_gateway else None)
        assert method == "HEAD" or response.json()["status"] == status
        assert not token or token not in response.text + str(response.headers), "a response must not echo a token"


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def test_the_list_of_protected_routes_is_complete(stack: Local) -> None:
    open_routes = {
        "GET /health",
        *(
            f"GET /{path}/{name}"
            for name in ("subdivisions", "currencies")
            for path in ("sources", "documents/sources")
        ),
        # The backend `backoffice` requires an API key and no token. test_backends.py tests it.
        *(f"{method} /backends/backoffice/{{proxy+}}" for method in ("GET", "HEAD")),
    } | {
        f"GET /{path}"
        for name in ("countries", "tariffs", "subdivisions", "currencies")
        for path in (
            f"items/{name}",
            f"items/{name}/{{item_id}}",
            f"items/{name}/{{item_id}}/changes/{{change_id}}",
            f"documents/{name}/{{item_id}}",
        )
    }
    ours = {
        (route.partition(" ")[0], route.partition(" ")[2])
        for route in stack.outputs.routes
        if not route.startswith("OPTIONS") and route not in open_routes
    }
    listed = {(method, shape(path)) for method, path in PROTECTED + NO_FUNCTION}
    # Ignore the collection `notices`. PROTECTED needn't list the write routes of `notices`, because it already lists
    # the write routes of another collection, `countries`.
    missing = {entry for entry in ours if entry not in listed and "/notices" not in entry[1]}
    assert not missing


def shape(path: str) -> str:
    """Return the route of a path: for ``/items/notices/x`` the result is ``/items/notices/{item_id}``."""
    parts = path.split("/")
    if parts[1] == "backends":
        return "/".join([*parts[:3], "{proxy+}"])
    if len(parts) > 3 and parts[2] != "sources":
        parts[3] = "{item_id}"
    if len(parts) > 5:
        parts[5] = "{change_id}"
    return "/".join(parts)


def test_a_request_without_a_token_is_refused(stack: Local) -> None:
    all_refused(stack, None)


def test_an_id_token_is_refused(stack: Local) -> None:
    all_refused(stack, stack.eve.id_token)


def test_a_tampered_token_is_refused(stack: Local) -> None:
    head, body, signature = stack.alice.access_token.split(".")
    claims = session.claims(stack.alice.access_token) | {"cognito:groups": ["editors"], "sub": stack.bob.sub}
    all_refused(stack, f"{head}.{encoded(claims)}.{signature}")
    flipped = ("A" if signature[5] != "A" else "B").join((signature[:5], signature[6:]))
    assert stack.api(token=f"{head}.{body}.{flipped}")("GET", "/items/notices").status_code == 401


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256"])
def test_an_unsigned_token_is_refused(stack: Local, algorithm: str) -> None:
    head, body, _ = stack.eve.access_token.split(".")
    kid = json.loads(base64.urlsafe_b64decode(head + "=="))["kid"]
    all_refused(stack, f"{encoded({'alg': algorithm, 'kid': kid, 'typ': 'JWT'})}.{body}.")


def foreign_client(stack: Local, pool: str, **settings: Any) -> str:
    response = (
        stack.root()
        .client("cognito-idp")
        .create_user_pool_client(
            UserPoolId=pool,
            ClientName="foreign",
            ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
            **settings,
        )
    )
    return str(response["UserPoolClient"]["ClientId"])


def admin_token(stack: Local, pool: str, client: str, name: str) -> str:
    response = (
        stack.root()
        .client("cognito-idp")
        .admin_initiate_auth(
            UserPoolId=pool,
            ClientId=client,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": name, "PASSWORD": session.PASSWORD},
        )
    )
    return str(response["AuthenticationResult"]["AccessToken"])


def test_an_expired_token_is_refused(stack: Local) -> None:
    """Wait until a token with a lifetime of two seconds has expired, and then use it.

    AWS allows no token lifetime below 5 minutes. The emulator allows shorter ones, so the test needn't wait long.
    """
    pool = stack.outputs.user_pool_id
    cognito = stack.root().client("cognito-idp")
    client = foreign_client(stack, pool, AccessTokenValidity=2, TokenValidityUnits={"AccessToken": "seconds"})
    try:
        token = admin_token(stack, pool, client, stack.eve.name)
        left = session.claims(token)["exp"] - time.time()
        assert left < 10, "the emulator no longer allows short lifetimes, so this test needs another way to expire"
        time.sleep(max(0, left) + 1.5)
        all_refused(stack, token)
    finally:
        cognito.delete_user_pool_client(UserPoolId=pool, ClientId=client)


def test_a_token_of_another_client_of_the_pool_is_refused(stack: Local) -> None:
    """Use a token that the user pool issued to an app client that isn't one of the stack's own.

    API Gateway accepts the token, because it doesn't check the token's app client. Readplane's functions check the app
    client and respond 403. No function runs on the route to the back office. That route responds 403 too, because it
    also requires an API key, which the request lacks.
    """
    pool = stack.outputs.user_pool_id
    client = foreign_client(stack, pool)
    try:
        token = admin_token(stack, pool, client, stack.eve.name)
        all_refused(stack, token, by_gateway=False)
        assert {stack.api(token=token)(method, path).status_code for method, path in NO_FUNCTION} == {403}
    finally:
        stack.root().client("cognito-idp").delete_user_pool_client(UserPoolId=pool, ClientId=client)


def test_a_token_of_another_pool_is_refused(stack: Local) -> None:
    cognito: Any = stack.root().client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="another")["UserPool"]["Id"]
    try:
        client = foreign_client(stack, pool)
        cognito.admin_create_user(UserPoolId=pool, Username="mallory", MessageAction="SUPPRESS")
        cognito.admin_set_user_password(UserPoolId=pool, Username="mallory", Password=session.PASSWORD, Permanent=True)
        all_refused(stack, admin_token(stack, pool, client, "mallory"))
    finally:
        cognito.delete_user_pool(UserPoolId=pool)


def test_a_token_is_accepted_with_and_without_the_word_bearer(stack: Local) -> None:
    for value in (stack.alice.access_token, f"Bearer {stack.alice.access_token}"):
        response = stack.api()("GET", "/items/notices", headers={"Authorization": value})
        assert response.status_code == 200


def test_a_user_can_sign_in_through_the_mobile_client(stack: Local) -> None:
    user = session.sign_in(stack.outputs, "mona@example.com", client_id=stack.outputs.mobile_client_id)
    assert stack.api(user)("GET", "/items/profiles").status_code == 200


def test_the_pools_clients_have_no_secret_and_no_implicit_flow(stack: Local) -> None:
    cognito = stack.root().client("cognito-idp")
    for client_id in (stack.outputs.web_client_id, stack.outputs.mobile_client_id):
        client = cognito.describe_user_pool_client(UserPoolId=stack.outputs.user_pool_id, ClientId=client_id)
        settings = client["UserPoolClient"]
        assert "ClientSecret" not in settings and settings["AllowedOAuthFlows"] == ["code"]
        assert "ALLOW_USER_SRP_AUTH" in settings["ExplicitAuthFlows"]
        assert not {"ALLOW_USER_PASSWORD_AUTH", "ALLOW_ADMIN_USER_PASSWORD_AUTH"} & set(settings["ExplicitAuthFlows"])


def test_owners_never_see_each_other(stack: Local) -> None:
    """Let two owners use the same item ids. Check the routes of items, lists, statuses, documents and writes."""
    alice, bob = stack.api(stack.alice), stack.api(stack.bob)
    mine = alice("PUT", "/items/profiles/me", {"display_name": "Alice"}).json()["change_id"]
    secret = alice("PUT", "/items/profiles/only-alices", {"display_name": "secret"}).json()["change_id"]
    theirs = bob("PUT", "/items/profiles/me", {"display_name": "Bob"}).json()["change_id"]
    for api, change_id, name in ((alice, mine, "Alice"), (bob, theirs, "Bob")):
        item = eventually(lambda: applied(api, "/items/profiles/me", change_id))
        assert item["data"] == {"display_name": name}
    for api, name in ((alice, "Alice"), (bob, "Bob")):
        document = eventually(lambda: ok(api("GET", "/documents/profiles/me")))
        assert document.json()["data"] == {"display_name": name}

    eventually(lambda: applied(alice, "/items/profiles/only-alices", secret))
    for path in ("/items/profiles/only-alices", "/documents/profiles/only-alices"):
        assert bob("GET", path).status_code == 404
    eventually(lambda: "only-alices" in ids(alice) and "me" in ids(bob))
    assert "only-alices" not in ids(bob)
    assert alice("GET", f"/items/profiles/only-alices/changes/{secret}").json()["status"] == "applied"
    for other in (secret, mine):
        response = bob("GET", f"/items/profiles/only-alices/changes/{other}")
        # The response must be the same as for a change id that Bob makes up, so that he learns nothing about Alice's
        # changes.
        assert response.status_code == 404 or response.json() == {"status": "pending", "reason": None}
    assert bob("GET", f"/items/profiles/me/changes/{mine}").json()["status"] != "applied"

    gone = bob("DELETE", "/items/profiles/only-alices").json()["change_id"]
    eventually(lambda: bob("GET", f"/items/profiles/only-alices/changes/{gone}").json()["status"] == "applied")
    assert alice("GET", "/items/profiles/only-alices").status_code == 200
    keys = document_keys(stack)
    assert (
        f"owner/documents/profiles/{stack.alice.sub}/me" in keys
        and f"owner/documents/profiles/{stack.bob.sub}/me" in keys
    )
    assert not [key for key in keys if key.startswith("owner/") and key.count("/") != 4]


def test_no_path_of_one_owner_leads_to_another_owners_items(stack: Local) -> None:
    alice = stack.api(stack.alice)
    for item_id in (f"..%2F{stack.bob.sub}%2Fme", f"..%2f..%2f{stack.bob.sub}%2fme", f"{stack.bob.sub}%2Fme"):
        for route in ("/items/profiles/", "/documents/profiles/"):
            status, _, body = alice.raw("GET", route + item_id)
            assert status in (400, 403, 404) and b"Bob" not in body
    cursor = base64.urlsafe_b64encode(json.dumps([0, f"../{stack.bob.sub}/me"]).encode()).decode()
    assert alice("GET", f"/items/profiles?cursor={cursor}").status_code == 400


def applied(api: session.Api, path: str, change_id: str) -> Any:
    """Return the item if its version is ``change_id`` or a greater one; otherwise ``None``."""
    response = api("GET", path)
    return response.json() if response.status_code == 200 and response.json()["version"] >= change_id else None


def ok(response: requests.Response) -> requests.Response | None:
    return response if response.status_code == 200 else None


def ids(api: session.Api) -> set[str]:
    return {item["id"] for item in api("GET", "/items/profiles?limit=200").json()["items"]}


def document_keys(stack: Local) -> set[str]:
    s3: boto3.session.Session = stack.root()
    pages = s3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=stack.outputs.documents_bucket)
    return {entry["Key"] for page in pages for entry in page.get("Contents", [])}
