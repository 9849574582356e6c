"""An OAuth 2 token endpoint (RFC 6749) for the servers that expect an access token."""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from tests.fakes.apis.server import ApiRequest, ApiResponse, json_response


class TokenEndpoint:
    """Issues access tokens to one client, and forgets them when a test says that they have expired.

    :param client_id: the client's id.
    :param client_secret: the client's secret.
    :param expected: further parameters that a token request must have, such as the scope.
    :param extra: further members of the response, such as ``expires_in``.
    """

    def __init__(
        self, client_id: str, client_secret: str, expected: Mapping[str, str], extra: Mapping[str, Any] | None = None
    ) -> None:
        self._client = (client_id, client_secret)
        self._expected = dict(expected)
        self._extra = dict(extra or {})
        self._valid: str | None = None
        self.issued = 0

    def respond(self, request: ApiRequest) -> ApiResponse:
        """Return the response to a token request."""
        assert request.method == "POST"
        assert request.headers["content-type"].startswith("application/x-www-form-urlencoded")
        form = dict(parse_qsl(request.body.decode()))
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        client = form.pop("client_id", ""), form.pop("client_secret", "")
        if scheme == "Basic":
            user, _, password = base64.b64decode(encoded).decode().partition(":")
            client = unquote_plus(user), unquote_plus(password)
        if client != self._client:
            return json_response({"error": "invalid_client", "error_description": "invalid client credentials"}, 401)
        if form != self._expected:
            return json_response({"error": "invalid_grant", "error_description": "authentication failure"}, 400)
        self.issued += 1
        self._valid = f"access-token-{self.issued}"
        answer = {"access_token": self._valid, "token_type": "Bearer", **self._extra}
        return json_response(answer, headers={"Cache-Control": "no-store"})

    def accepts(self, request: ApiRequest) -> bool:
        """Return whether a request carries the newest access token."""
        return self._valid is not None and request.headers.get("authorization") == f"Bearer {self._valid}"

    def expire(self) -> None:
        """Refuse the access token from now on, without a word to its client."""
        self._valid = None
