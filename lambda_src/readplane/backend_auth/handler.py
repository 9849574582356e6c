"""Decides which backend an API key opens: API Gateway's authorizer for the backends that take keys.

API Gateway checks only that some usage plan of the stage knows the key. It caches this function's policy by key and
applies it to every request with that key. So the policy names paths and is the same for all of these requests.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..config import load_settings
from ..entrypoint import Entrypoint, Event, Function
from ..telemetry import Telemetry

REFUSED_IN_PATHS = ("..", "%2e", "%2E", "%2f", "%2F", "%25", "%00")
"""Texts that no path to a backend may contain. terraform/modules/api/backends.tf has the same list and the reasons."""


class BackendAuthSettings(NamedTuple):
    """The settings of `backend_auth`.

    :param name: the stack's name.
    :param keys: for each API key ``<SHA-256 of the key in hex>/<the backend that it opens>``.
    """

    name: str
    keys: tuple[str, ...]

    @property
    def backends(self) -> Mapping[str, str]:
        """The backend that a key opens, by the SHA-256 of the key in hex."""
        return dict(key.split("/", 1) for key in self.keys if "/" in key)


class BackendAuth:
    """The function `backend_auth`."""

    def __init__(self, settings: BackendAuthSettings, telemetry: Telemetry) -> None:
        self._backends = settings.backends
        self._telemetry = telemetry

    def __call__(self, event: Event) -> dict[str, Any]:
        """Return the IAM policy for a request's key. An unknown key opens nothing.

        :param event: API Gateway's event for an authorizer of type REQUEST.
        """
        key = next((value for name, value in event["headers"].items() if name.lower() == "x-api-key"), "")
        backend = self._backends.get(hashlib.sha256(key.encode()).hexdigest())
        stage = "/".join(event["methodArn"].split("/")[:2])
        if backend is None:
            self._telemetry.event("api_key_refused", "The request's API key opens no backend.", level="WARN")
            return _policy("nobody", [_statement("Deny", [f"{stage}/*"])])
        base = f"{stage}/*/backends/{backend}/"
        refused = [f"{base}*{text}*" for text in REFUSED_IN_PATHS]
        return _policy(backend, [_statement("Allow", [f"{base}*"]), _statement("Deny", refused)])


def _policy(principal: str, statements: list[dict[str, Any]]) -> dict[str, Any]:
    return {"principalId": principal, "policyDocument": {"Version": "2012-10-17", "Statement": statements}}


def _statement(effect: str, resources: list[str]) -> dict[str, Any]:
    return {"Effect": effect, "Action": "execute-api:Invoke", "Resource": resources}


def make_backend_auth() -> Function:
    """Make `backend_auth` from its environment.

    :raises SettingsError: if a setting is missing or wrong.
    """
    settings = load_settings(BackendAuthSettings)
    backend_auth = BackendAuth(settings, Telemetry("backend_auth", settings.name))
    return lambda event, _: backend_auth(event)


handler = Entrypoint(make_backend_auth)
