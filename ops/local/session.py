"""Talk to a stack on an emulator as its users do: sign in with SRP, call the HTTP API; and as the account's root."""

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

PASSWORD = "Correct-horse-battery-1"  # of every user made here; the emulator forgets them with the stack


@dataclasses.dataclass(frozen=True)
class User:
    """A signed-in user."""

    name: str
    sub: str
    access_token: str
    id_token: str


def use(endpoint: str) -> None:
    """Point this process's boto3 at an emulator, and at nothing else."""
    for key in [key for key in os.environ if key.startswith("AWS_")]:
        del os.environ[key]
    os.environ.update(environment(endpoint))


def root(region: str) -> boto3.session.Session:
    """The account's root in a Region; call use() first."""
    return boto3.session.Session(region_name=region)


def make_managed_keys(regions: Iterable[str]) -> None:
    """Make what every AWS account has and the emulator hasn't: DynamoDB's managed key, which a replica looks up."""
    for region in regions:
        kms = root(region).client("kms")
        if not any(alias.get("AliasName") == "alias/aws/dynamodb" for alias in kms.list_aliases()["Aliases"]):
            key = kms.create_key(Description="AWS managed key for DynamoDB")["KeyMetadata"]["KeyId"]
            kms.create_alias(AliasName="alias/aws/dynamodb", TargetKeyId=key)


def sign_in(outputs: Outputs, name: str, groups: Iterable[str] = (), client_id: str | None = None) -> User:
    """Make the user if need be, confirmed and in the groups, and sign in with SRP, as an app does."""
    cognito = root(outputs.region).client("cognito-idp")
    pool = outputs.user_pool_id
    with contextlib.suppress(cognito.exceptions.UsernameExistsException):  # a second run
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
    """Invoke `poll` as a schedule does, and wait for what it says.

    :raises Failure: when it raised instead of saying something, or there is none
    """
    if not outputs.poll_function:
        raise CommandError("The stack has no sources, so there is nothing to poll.")
    # Once: another try would be another poll.
    config = botocore.config.Config(read_timeout=120, retries={"total_max_attempts": 1})
    functions = root(outputs.region).client("lambda", config=config)
    answer = functions.invoke(FunctionName=outputs.poll_function, Payload=json.dumps(event).encode())
    told: dict[str, Any] = json.load(answer["Payload"])
    if "FunctionError" in answer:
        raise CommandError(f"{outputs.poll_function} failed: {told.get('errorMessage', told)}")
    return told


def claims(token: str) -> dict[str, Any]:
    """What a token says, unverified."""
    payload = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return decoded


class Api:
    """The HTTP API, called with one user's access token, or with none; ``seen`` gets every (method, path, status)."""

    def __init__(
        self,
        api_url: str,
        token: str | None = None,
        *,
        timeout: float = 30,
        seen: set[tuple[str, str, int]] | None = None,
    ) -> None:
        self.base = f"{api_url}/v1"
        self._seen = set() if seen is None else seen
        self._timeout = timeout
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy, no .netrc: only what a test says is sent
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
        """Call a route: `body` is sent as JSON, `data` as it is."""
        answer = self._session.request(
            method,
            self.base + path,
            data=json.dumps(body) if body is not None else data,
            headers={**({"Content-Type": "application/json"} if body is not None else {}), **(headers or {})},
            timeout=self._timeout,
            allow_redirects=False,
        )
        self._seen.add((method, path, answer.status_code))
        return answer

    def raw(
        self, method: str, target: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request target byte for byte (`..` and all, which HTTP libraries tidy up): status, headers, body."""
        parts = urllib.parse.urlsplit(self.base)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.netloc, timeout=self._timeout)
        sent = {**{k: str(v) for k, v in self._session.headers.items() if k == "Authorization"}, **(headers or {})}
        try:
            connection.request(method, parts.path + target, body=body, headers=sent)
            answer = connection.getresponse()
            self._seen.add((method, target, answer.status))
            return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()
