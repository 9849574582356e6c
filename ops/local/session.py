"""Call a stack on an emulator.

The tools call the stack's HTTP API as a user who signs in with SRP, and the emulator's AWS services as the account's
root user.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import http.client
import json
import os
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any

import boto3
import botocore.config
import requests
from pycognito.aws_srp import AWSSRP

from ops.console import CommandError
from ops.local.stack import Outputs, environment

PASSWORD = "Correct-horse-battery-1"
"""The password of every user that `sign_in` creates. The users are deleted together with the stack."""


@dataclasses.dataclass(frozen=True)
class User:
    """A signed-in user of a stack.

    name: the sign-in name, an e-mail address
    sub: the user's id in the Cognito user pool
    access_token, id_token: the user's two tokens, each a JWT
    """

    name: str
    sub: str
    access_token: str
    id_token: str


def use(endpoint: str) -> None:
    """Set the AWS_* variables of this process so that boto3 calls an emulator. Delete all other AWS_* variables."""
    for key in [key for key in os.environ if key.startswith("AWS_")]:
        del os.environ[key]
    os.environ.update(environment(endpoint))


def root(region: str) -> boto3.session.Session:
    """Return a boto3 session of the emulator's root user in a Region. Call `use` first, which sets the credentials."""
    return boto3.session.Session(region_name=region)


def make_managed_keys(regions: Iterable[str]) -> None:
    """Create DynamoDB's AWS managed key (alias/aws/dynamodb) in each Region that lacks it.

    The emulator looks this key up when it creates a table's replica. Every AWS account has the key, but a new emulator
    doesn't.
    """
    for region in regions:
        kms = root(region).client("kms")
        if not any(alias.get("AliasName") == "alias/aws/dynamodb" for alias in kms.list_aliases()["Aliases"]):
            key = kms.create_key(Description="AWS managed key for DynamoDB")["KeyMetadata"]["KeyId"]
            kms.create_alias(AliasName="alias/aws/dynamodb", TargetKeyId=key)


def sign_in(outputs: Outputs, name: str, groups: Iterable[str] = (), client_id: str | None = None) -> User:
    """Sign a user in to Cognito with SRP, as an app does.

    A user who doesn't exist is first created as a confirmed user. Every user, new or not, is added to the groups.

    :param client_id: the id of the app's Cognito client; None for the stack's web client
    """
    cognito = root(outputs.region).client("cognito-idp")
    pool = outputs.user_pool_id
    with contextlib.suppress(cognito.exceptions.UsernameExistsException):  # an earlier run created the user
        cognito.admin_create_user(
            UserPoolId=pool,
            Username=name,
            UserAttributes=[{"Name": "email", "Value": name}, {"Name": "email_verified", "Value": "true"}],
            MessageAction="SUPPRESS",
        )
        cognito.admin_set_user_password(UserPoolId=pool, Username=name, Password=PASSWORD, Permanent=True)
    for group in groups:
        cognito.admin_add_user_to_group(UserPoolId=pool, Username=name, GroupName=group)
    srp = AWSSRP(name, PASSWORD, pool, client_id or outputs.web_client_id, client=cognito)
    tokens = srp.authenticate_user()["AuthenticationResult"]
    return User(name, str(claims(tokens["AccessToken"])["sub"]), tokens["AccessToken"], tokens["IdToken"])


def poll(outputs: Outputs, event: Mapping[str, object]) -> dict[str, Any]:
    """Invoke the live version of `poll` with an event, as a schedule does. Return the function's response.

    :raises CommandError: if `poll` raises an error, or the stack has no sources and so no `poll`
    """
    if not outputs.poll_function:
        raise CommandError("The stack has no sources, so there is nothing to poll.")
    return _invoke(outputs.poll_function, outputs.region, event)


def feed(outputs: Outputs, region: str, event: Mapping[str, object]) -> dict[str, Any]:
    """Invoke the live version of `feed` in a Region with a command, as operators do. Return the function's response.

    :raises CommandError: if `feed` raises an error
    """
    return _invoke(f"{outputs.name}-feed", region, event)


def _invoke(function: str, region: str, event: Mapping[str, object]) -> dict[str, Any]:
    # The Lambda client must not retry, because a retry would do the work of the function again.
    config = botocore.config.Config(read_timeout=120, retries={"total_max_attempts": 1})
    functions = root(region).client("lambda", config=config)
    invocation = functions.invoke(FunctionName=f"{function}:live", Payload=json.dumps(event).encode())
    response: dict[str, Any] = json.load(invocation["Payload"])
    if "FunctionError" in invocation:
        raise CommandError(f"{function} failed: {response.get('errorMessage', response)}")
    return response


def claims(token: str) -> dict[str, Any]:
    """Return the claims of a JWT, without verifying the JWT's signature."""
    payload = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return decoded


class Api:
    """A client of a stack's HTTP API, with a user's access token or without one."""

    def __init__(
        self,
        api_url: str,
        token: str | None = None,
        *,
        timeout: float = 30,
        seen: set[tuple[str, str, int]] | None = None,
    ) -> None:
        """Prepare a session for requests to the API. Nothing is sent yet.

        :param api_url: the API's URL, without the stage `v1`
        :param token: the access token that each request sends; None for requests without a token
        :param timeout: seconds to wait for a connection, and for the next bytes of a response
        :param seen: the set to which each request adds its (method, path, status)
        """
        self.base = f"{api_url}/v1"
        self._seen = set() if seen is None else seen
        self._timeout = timeout
        self._session = requests.Session()
        self._session.trust_env = False  # ignore proxy settings and .netrc, so that only the caller sets headers
        self._session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=32))
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        data: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a request to the API and return the response.

        :param path: the path below the stage, such as /items/products
        :param body: the value to send as JSON; None to send `data`
        :param data: the text or bytes to send unchanged if `body` is None
        """
        response = self._session.request(
            method,
            self.base + path,
            data=json.dumps(body) if body is not None else data,
            headers={**({"Content-Type": "application/json"} if body is not None else {}), **(headers or {})},
            timeout=self._timeout,
            allow_redirects=False,
        )
        self._seen.add((method, path, response.status_code))
        return response

    def raw(
        self, method: str, target: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request with exactly the given target (path and query). Return status, headers and body.

        The library `requests` isn't used, because it would normalise `..` and other parts of the target.
        """
        parts = urllib.parse.urlsplit(self.base)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.netloc, timeout=self._timeout)
        authorization = {key: str(value) for key, value in self._session.headers.items() if key == "Authorization"}
        try:
            connection.request(method, parts.path + target, body=body, headers={**authorization, **(headers or {})})
            response = connection.getresponse()
            self._seen.add((method, target, response.status))
            return response.status, {key.lower(): value for key, value in response.getheaders()}, response.read()
        finally:
            connection.close()
