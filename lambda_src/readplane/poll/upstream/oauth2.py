"""Gets access tokens from an authorization server by OAuth 2 (RFC 6749), and caches them until they nearly expire.

No token and no secret appears in an error, and none is stored outside this process's memory.
"""

import base64
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote_plus, urlencode

from ..errors import BackOfficeError
from ..source.settings import OAuth2Settings
from ..source.urls import is_encodable
from .deadline import HttpRequest, HttpResponse
from .retry_after import RETRYABLE_STATUSES, is_retryable, retry_after_seconds

_DEFAULT_LIFETIME_SECONDS = 300.0
"""How long a token is used if the authorization server doesn't say when it expires."""

_MARGIN_SECONDS = 60.0
_MARGIN_SHARE = 0.1
"""The share of a short lifetime that is left unused, so that a token doesn't expire on its way to the back office."""

_ADVICE: Mapping[str, str] = {
    "invalid_request": "check oauth2.grant, oauth2.scope and oauth2.parameters",
    "invalid_client": "check oauth2.client_id, oauth2.client_authentication and the client secret in the stored secret",
    "invalid_grant": "the refresh token is wrong, expired or revoked; store a new one in the secret",
    "unauthorized_client": "allow this client to use the grant at the authorization server",
    "unsupported_grant_type": "set oauth2.grant to one that the authorization server supports",
    "invalid_scope": "check oauth2.scope",
}
"""What an operator does about an error, by the error codes of RFC 6749, section 5.2. No other code is quoted."""

_CREDENTIAL_CODES = frozenset({"invalid_client", "invalid_grant", "unauthorized_client"})
"""The codes with which a server refuses the secret. The secret may have been rotated, so it is read again."""


@dataclass(frozen=True, repr=False)
class _CachedToken:
    settings: OAuth2Settings
    token: str
    expires_at: float


@dataclass(frozen=True, repr=False)
class _Replacement:
    stored_text: str
    refresh_token: str


class AccessTokens:
    """The access tokens of all sources. It outlives the clients, so that not every poll asks for a token.

    :param on_rotation: a function that is called with a source's name if the authorization server has replaced the
        stored refresh token with another one. The new one is in this object only, so it is lost with the process. If
        the server doesn't accept the stored one again, an operator must store a new one.
    """

    def __init__(self, on_rotation: Callable[[str], None] | None = None) -> None:
        self._on_rotation = on_rotation
        self._tokens: dict[str, _CachedToken] = {}
        self._replacements: dict[str, _Replacement] = {}

    def find(self, source: str, settings: OAuth2Settings, now: float) -> str | None:
        """Return the source's token; ``None`` if there is none that is valid and was issued for these settings."""
        entry = self._tokens.get(source)
        return entry.token if entry and entry.settings == settings and now < entry.expires_at else None

    def put(self, source: str, settings: OAuth2Settings, token: str, expires_at: float) -> None:
        """Store the source's token until ``expires_at``."""
        self._tokens[source] = _CachedToken(settings, token, expires_at)

    def find_refresh_token(self, source: str, stored_text: str) -> str | None:
        """Return the refresh token that replaces the one in the stored secret, whose text is ``stored_text``."""
        entry = self._replacements.get(source)
        return entry.refresh_token if entry and entry.stored_text == stored_text else None

    def put_refresh_token(self, source: str, stored_text: str, refresh_token: str) -> None:
        """Store the refresh token that replaces the one in the stored secret, and report the replacement."""
        self._replacements[source] = _Replacement(stored_text, refresh_token)
        if self._on_rotation:
            self._on_rotation(source)


@dataclass(frozen=True, repr=False)
class _Grant:
    """The credentials of a token request.

    client_secret: the client's secret; ``None`` for a client without one.
    refresh_token: the refresh token; ``None`` for the grant ``client_credentials``.
    """

    client_secret: str | None
    refresh_token: str | None


class _Refusal(NamedTuple):
    """The authorization server doesn't accept the secret or the refresh token."""

    error: BackOfficeError


class TokenClient:
    """Gets the access tokens of one source.

    :param source: the source's name.
    :param read_secret: a function that returns the text of the stored secret. Its argument says whether to read the
        secret again instead of using a cache.
    :param send: a function that sends a request to the authorization server, and takes the deadline as second argument.
    :param clock: a function that returns monotonic seconds.
    :param wall: a function that returns Unix seconds.
    """

    def __init__(
        self,
        source: str,
        settings: OAuth2Settings,
        tokens: AccessTokens,
        *,
        read_secret: Callable[[bool], str],
        send: Callable[[HttpRequest, float], HttpResponse],
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._source = source
        self._settings = settings
        self._tokens = tokens
        self._read_secret = read_secret
        self._send = send
        self._clock = clock
        self._wall = wall

    def token(self, deadline: float) -> str:
        """Return a valid access token, from the cache if possible.

        :raises BackOfficeError: if there is no token. Its kind is ``token``, ``secret`` or ``deadline``.
        """
        return self._tokens.find(self._source, self._settings, self._clock()) or self._request(deadline)

    def renew(self, rejected: str, deadline: float) -> str:
        """Return a token to use instead of ``rejected``, which the back office has rejected.

        The authorization server may issue the same token again.

        :raises BackOfficeError: if there is no token. Its kind is ``token``, ``secret`` or ``deadline``.
        """
        token = self._tokens.find(self._source, self._settings, self._clock())
        return token if token and token != rejected else self._request(deadline)

    def _request(self, deadline: float) -> str:
        text = self._read_secret(False)
        replacement = self._tokens.find_refresh_token(self._source, text)
        response = self._ask(text, replacement, deadline)
        if isinstance(response, _Refusal):
            # Read the stored secret again, because it may have been rotated. If it is unchanged, ask again only if the
            # first request didn't use it.
            fresh_text = self._read_secret(True)
            if fresh_text == text and replacement is None:
                raise response.error
            response = self._ask(fresh_text, None, deadline)
        if isinstance(response, _Refusal):
            raise response.error
        return response

    def _ask(self, secret_text: str, replacement: str | None, deadline: float) -> str | _Refusal:
        """Ask the authorization server for a token, and store the token in the cache.

        :param secret_text: the text of the stored secret.
        :param replacement: the refresh token to use instead of the stored one; ``None`` to use the stored one.
        """
        grant = self._grant(secret_text, replacement)
        requested_at = self._clock()
        response = self._send(self._token_request(grant), deadline)
        members = _json_object(response.body)
        # Some servers report an error with the status 200.
        if response.status not in (200, 201) or _error_code(members):
            return self._refused(response, members)
        token, lifetime = _read_token(members)
        self._tokens.put(self._source, self._settings, token, requested_at + lifetime)
        refresh_token = members.get("refresh_token")
        is_rotated = isinstance(refresh_token, str) and refresh_token not in ("", grant.refresh_token)
        # Ignore a token that no request can carry, because every later request for a token would fail.
        if grant.refresh_token is not None and is_rotated and is_encodable(str(refresh_token)):
            self._tokens.put_refresh_token(self._source, secret_text, str(refresh_token))
        return token

    def _grant(self, secret_text: str, replacement: str | None) -> _Grant:
        advice = 'store a JSON object with "refresh_token" and, if the client has a secret, "client_secret"'
        if self._settings.grant == "client_credentials":
            if not is_encodable(secret_text):
                advice = "store the client's secret as the authorization server issued it"
                raise BackOfficeError("secret", "the secret isn't text that a request can carry", advice=advice)
            return _Grant(secret_text.strip(), None)
        members = _json_object(secret_text)
        refresh_token, client_secret = members.get("refresh_token"), members.get("client_secret")
        if not isinstance(refresh_token, str) or not refresh_token:
            raise BackOfficeError("secret", "the secret holds no refresh token", advice=advice)
        if client_secret is not None and not isinstance(client_secret, str):
            raise BackOfficeError("secret", "the secret's client_secret isn't text", advice=advice)
        if not is_encodable(refresh_token + (client_secret or "")):
            raise BackOfficeError("secret", "the secret isn't text that a request can carry", advice=advice)
        return _Grant(client_secret or None, replacement or refresh_token)

    def _token_request(self, grant: _Grant) -> HttpRequest:
        settings = self._settings
        form = {**settings.parameters, "grant_type": settings.grant}
        if settings.scope is not None:
            form["scope"] = settings.scope
        if grant.refresh_token is not None:
            form["refresh_token"] = grant.refresh_token
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        if grant.client_secret is not None and settings.client_authentication == "basic":
            # RFC 6749, section 2.3.1: the id and the secret are form-encoded before they are joined.
            pair = f"{quote_plus(settings.client_id)}:{quote_plus(grant.client_secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form["client_id"] = settings.client_id
            if grant.client_secret is not None:
                form["client_secret"] = grant.client_secret
        return HttpRequest("POST", settings.token_url, headers, urlencode(form).encode())

    def _refused(self, response: HttpResponse, members: Mapping[str, Any]) -> _Refusal:
        """Return the refusal of the secret.

        :raises BackOfficeError: if the server refuses for another reason.
        """
        status = response.status
        if 300 <= status < 400:
            advice = "set oauth2.token_url to the address to which it redirects"
            raise BackOfficeError("token", "the authorization server redirects the token request", advice=advice)
        code = _error_code(members)
        # The status says that the cause is temporary, so the code can't be the whole truth.
        if code and status not in RETRYABLE_STATUSES:
            problem = f"the authorization server refuses the request with the status {status} and the error {code}"
            error = BackOfficeError("token", problem, advice=_ADVICE[code])
            if code in _CREDENTIAL_CODES:
                return _Refusal(error)
            raise error
        error = BackOfficeError(
            "token",
            f"the authorization server answers the token request with the status {status}",
            retry_after=retry_after_seconds(status, response.headers, self._wall()),
            retryable=is_retryable(status, response.headers),
        )
        if status == 401:
            return _Refusal(error)
        raise error


def _error_code(members: Mapping[str, Any]) -> str | None:
    """Return the error code of a response; ``None`` for a response without one, or with one that RFC 6749 lacks."""
    code = members.get("error")
    return code if isinstance(code, str) and code in _ADVICE else None


def _read_token(members: Mapping[str, Any]) -> tuple[str, float]:
    """Return the access token of a token response, and for how many seconds the token is used."""
    token, kind = members.get("access_token"), members.get("token_type", "bearer")
    if not isinstance(token, str) or not token:
        advice = "check that oauth2.token_url is the token endpoint, which answers with JSON"
        raise BackOfficeError("token", "the authorization server's response holds no access token", advice=advice)
    if not isinstance(kind, str) or kind.lower() != "bearer":
        advice = "have the authorization server issue bearer tokens; poll sends no others"
        raise BackOfficeError("token", "the access token isn't a bearer token", advice=advice)
    if not token.isascii() or not token.isprintable():
        advice = "ask the authorization server's operator"
        problem = "the access token holds characters that no header can hold"
        raise BackOfficeError("token", problem, advice=advice)
    return token, _lifetime(members.get("expires_in"))


def _lifetime(expires_in: Any) -> float:
    """Return for how many seconds a token is used, if it expires ``expires_in`` seconds after its request."""
    try:
        # Some servers write the number as a string.
        seconds = math.nan if isinstance(expires_in, bool) else float(expires_in)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    # Some servers write 0 or a negative number for "never". Don't ask for a token before each request then.
    if not (math.isfinite(seconds) and seconds > 0):
        return _DEFAULT_LIFETIME_SECONDS
    return seconds - min(_MARGIN_SECONDS, seconds * _MARGIN_SHARE)


def _json_object(body: str | bytes | None) -> Mapping[str, Any]:
    """Return the members of a JSON object; none if the text is anything else."""
    try:
        members = json.loads(body or b"")
    except (ValueError, RecursionError):
        return {}
    return members if isinstance(members, Mapping) else {}
