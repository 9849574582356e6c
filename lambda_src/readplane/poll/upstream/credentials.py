"""Builds what identifies `poll` to a back office in each request: a stored secret, an access token, or both."""

import base64
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, quote_plus

from ..errors import BackOfficeError, SecretError
from ..source.settings import SecretSettings, StoredSecret
from .oauth2 import TokenClient
from .secret_values import SecretValues


class Credential(NamedTuple):
    """What one request carries to identify `poll`.

    headers: the headers that carry a secret, by name.
    parameters: the query parameters that carry a secret, by name.
    secret_values: every text in which a secret of the request may come back, such as its percent-encoded form.
    token: the access token among them; ``None`` if there is none.
    """

    headers: Mapping[str, str]
    parameters: Mapping[str, str]
    secret_values: frozenset[str]
    token: str | None

    def __repr__(self) -> str:
        """Return a text without the secrets."""
        return "Credential()"


class SecretReader:
    """Reads a source's stored secrets, and turns a failure into an error of the poll.

    :param values: reads the secrets; ``None`` if the source needs none.
    """

    def __init__(self, values: SecretValues | None) -> None:
        self._values = values

    def read(self, secret: StoredSecret, *, refresh: bool = False) -> str:
        """Return a stored secret's text.

        :param refresh: whether to read the secret again instead of using a cache.
        :raises BackOfficeError: of kind ``secret``, if the secret can't be read.
        """
        if self._values is None:
            raise BackOfficeError("secret", "this client can't read secrets")
        try:
            return (self._values.refresh_secret if refresh else self._values.get_secret)(secret)
        except SecretError as error:
            raise BackOfficeError("secret", str(error)) from error


class Credentials:
    """Builds the credentials of one source's requests.

    :param secret: the secret that each request carries; ``None`` if there is none.
    :param tokens: gets the access tokens; ``None`` if the source needs none.
    """

    def __init__(self, secret: SecretSettings | None, reader: SecretReader, tokens: TokenClient | None) -> None:
        self._secret = secret
        self._reader = reader
        self._tokens = tokens

    def current(self, deadline: float) -> Credential:
        """Return the credential for the next request.

        :param deadline: the time by which a request for an access token must end.
        :raises BackOfficeError: if a secret can't be read or sent, or if the authorization server gives no token.
        """
        return self._credential(self._tokens.token(deadline) if self._tokens else None, refresh=False)

    def renewed(self, rejected: Credential, deadline: float) -> Credential | None:
        """Return a credential to use instead of one that the back office has rejected; ``None`` if there is no other.

        The secret may have been rotated, so it is read again. The access token may have been revoked, so another one is
        requested. The back office would reject an unchanged credential again.

        :raises BackOfficeError: as :meth:`current` does.
        """
        token = self._tokens.renew(rejected.token or "", deadline) if self._tokens else None
        credential = self._credential(token, refresh=True)
        return None if credential == rejected else credential

    def _credential(self, token: str | None, *, refresh: bool) -> Credential:
        headers: dict[str, str] = {}
        parameters: dict[str, str] = {}
        values: set[str] = set()
        if self._secret:
            secret = self._secret
            text = self._reader.read(StoredSecret(secret.arn, secret.field), refresh=refresh).strip()
            value = secret.value(text)
            _check(text, value, ascii_only=secret.header is not None)
            values |= _forms(text) | _forms(value)
            if secret.query is not None:
                parameters[secret.query] = value
            elif secret.basic_username is not None:
                pair = base64.b64encode(f"{secret.basic_username}:{value}".encode()).decode()
                headers["Authorization"] = f"Basic {pair}"
                # Leave out the padding, because a text with the padding contains the text without it.
                values.add(pair.rstrip("="))
            else:
                headers[secret.header or ""] = value
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
            values |= _forms(token)
        return Credential(headers, parameters, frozenset(values), token)


def _forms(secret: str) -> set[str]:
    """Return a secret as it is, and in the forms in which a URL may contain it."""
    return {secret, quote(secret, safe=""), quote_plus(secret)}


def _check(secret: str, value: str, *, ascii_only: bool) -> None:
    """Refuse a secret that the request can't carry.

    :raises BackOfficeError: of kind ``secret``. It doesn't quote the secret.
    """
    if not secret:
        raise BackOfficeError("secret", "the secret is empty", advice="store the back office's secret")
    if not value.isprintable():
        raise BackOfficeError("secret", "the secret holds control characters", advice="store it as one line of text")
    if ascii_only and not value.isascii():
        raise BackOfficeError(
            "secret",
            "the secret isn't ASCII, so no header can hold it",
            advice="store the secret that the back office issued, without further characters",
        )
