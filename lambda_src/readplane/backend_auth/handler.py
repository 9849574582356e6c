"""An API Gateway authorizer that decides which backend a caller with an API key may call.

API Gateway itself checks only that the key belongs to some usage plan of the stage. It caches the policy that this
function returns, and applies it to every request with the same key. So the policy must not depend on the request's
path. It lists all paths that the key gives access to.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..config import load_settings
from ..entrypoint import Entrypoint, Event, Function
from ..telemetry import Telemetry

REFUSED_IN_PATHS = ("..", "%2e", "%2E", "%2f", "%2F", "%25", "%00")
"""The texts that no path of a request to a backend may contain. terraform/modules/api/backends.tf has the same list and
says why each text is refused."""


class BackendAuthSettings(NamedTuple):
    """The settings of `backend_auth`.

    :param name: the stack's name.
    :param keys: one text for each API key: ``<SHA-256 of the key in hex>/<name of the backend that callers with the key
        may call>``.
    """

    name: str
    keys: tuple[str, ...]

    @property
    def backends(self) -> Mapping[str, str]:
        """The name of the backend that each API key gives access to, by the SHA-256 of the key in hex."""
        return dict(key.split("/", 1) for key in self.keys if "/" in key)


class BackendAuth:
    """The function `backend_auth`. It returns the IAM policy that says what a caller with a given API key may call."""

    def __init__(self, settings: BackendAuthSettings, telemetry: Telemetry) -> None:
        self._backends = settings.backends
        self._telemetry = telemetry

    def __call__(self, event: Event) -> dict[str, Any]:
        """Return the IAM policy for a request's API key. The policy for an unknown key denies every request.

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
    """Make `backend_auth` from the settings in its environment.

    :raises SettingsError: if a setting is missing or wrong.
    """
    settings = load_settings(BackendAuthSettings)
    backend_auth = BackendAuth(settings, Telemetry("backend_auth", settings.name))
    return lambda event, _: backend_auth(event)


handler = Entrypoint(make_backend_auth)
