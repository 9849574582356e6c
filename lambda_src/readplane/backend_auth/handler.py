"""Says which back office an API key opens: API Gateway's authorizer for the backends that take keys.

API Gateway itself only checks that some usage plan of the stage knows the key. It remembers this function's answer per
key and holds it against each request, so the answer names paths and is the same for every request with that key.
"""

import hashlib
import os
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from ..config import load
from ..telemetry import Telemetry

# As in terraform/modules/api/backends.tf, where it says why.
REFUSED_IN_PATHS = ("..", "%2e", "%2E", "%2f", "%2F", "%25", "%00")

Event = dict[str, Any]


class BackendAuthSettings(NamedTuple):
    """What Terraform tells the function."""

    name: str
    backends: Mapping[str, str]  # SHA-256 of a key, in hexadecimal -> the back office that the key opens


def backend_auth_settings() -> BackendAuthSettings:
    """:raises BadSettings: with every problem."""
    return load(
        lambda given: BackendAuthSettings(
            name=given.text("name"), backends=dict(key.split("/", 1) for key in given.texts("keys") if "/" in key)
        )
    )


class BackendAuth:
    """The function, with what it needs handed in."""

    def __init__(self, settings: BackendAuthSettings, telemetry: Telemetry) -> None:
        self._settings = settings
        self._telemetry = telemetry

    def __call__(self, event: Event) -> Event:
        """The policy for the key of a request: what it opens, or that it opens nothing.

        :param event: API Gateway's, for an authorizer of type REQUEST.
        """
        key = next((value for name, value in event["headers"].items() if name.lower() == "x-api-key"), "")
        backend = self._settings.backends.get(hashlib.sha256(key.encode()).hexdigest())
        stage = "/".join(event["methodArn"].split("/")[:2])
        if backend is None:
            self._telemetry.event("api_key_refused", "No backend has this API key.", level="WARN")
            return _answer("nobody", [_statement("Deny", [f"{stage}/*"])])
        base = f"{stage}/*/backends/{backend}/"
        refused = [f"{base}*{text}*" for text in REFUSED_IN_PATHS]
        return _answer(backend, [_statement("Allow", [f"{base}*"]), _statement("Deny", refused)])


def _answer(principal: str, statements: list[dict[str, Any]]) -> Event:
    return {"principalId": principal, "policyDocument": {"Version": "2012-10-17", "Statement": statements}}


def _statement(effect: str, resources: list[str]) -> dict[str, Any]:
    return {"Effect": effect, "Action": "execute-api:Invoke", "Resource": resources}


@cache
def function() -> BackendAuth:
    """Make the function from its environment, once per sandbox.

    :raises BadSettings: with every problem.
    """
    settings = backend_auth_settings()
    return BackendAuth(settings, Telemetry("backend_auth", settings.name))


def handler(event: Event, context: object) -> Event:
    """Lambda entry point."""
    return function()(event)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    function()  # during init
