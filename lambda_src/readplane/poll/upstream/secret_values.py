"""Reads back offices' secrets from Secrets Manager or SSM Parameter Store, and caches the secrets for five minutes."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ...aws.boto import BotoClient
from ...aws.client import Client
from ...aws.faults import AwsError, RefusedError
from ..errors import SecretError
from ..source.settings import StoredSecret

REUSE_SECONDS = 300.0
"""How long a cached secret is used before it is read from AWS again, in seconds."""


_SERVICE_NAMES = {"secretsmanager": "Secrets Manager", "ssm": "SSM Parameter Store"}


class SecretValues(Protocol):
    """The interface through which the client of a back office reads stored secrets."""

    def get_secret(self, secret: StoredSecret) -> str:
        """Return the secret's text. It may come from a cache and be some minutes old.

        :raises SecretError: if the secret can't be read.
        """

    def refresh_secret(self, secret: StoredSecret) -> str:
        """Return the secret's text, read again without the cache.

        :raises SecretError: if the secret can't be read.
        """


class AwsSecretValues:
    """Reads secrets from AWS by their ARN, and caches them.

    :param clients: a function that returns a client for the AWS service with the given name (``secretsmanager`` or
        ``ssm``). It is called once for each service, when a secret is first read from that service.
    :param clock: a function that returns monotonic seconds.
    """

    def __init__(
        self,
        clients: Callable[[str], Client] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make_client = clients or _short_timeout_client
        self._clients: dict[str, Client] = {}
        self._clock = clock
        self._texts: dict[str, tuple[float, str]] = {}
        """The cache. For each secret's ARN, it holds the time when the secret was read, and the secret's whole text."""

    def get_secret(self, secret: StoredSecret) -> str:
        """Return the secret's text. If the secret was read in the last five minutes, the text comes from the cache.

        If ``secret`` names a field of the secret's JSON, only the value of this field is returned.

        :raises SecretError: if the secret can't be read, or has no such field.
        """
        entry = self._texts.get(secret.arn)
        if entry is None or self._clock() - entry[0] >= REUSE_SECONDS:
            return self.refresh_secret(secret)
        return secret_field(entry[1], secret.field)

    def refresh_secret(self, secret: StoredSecret) -> str:
        """Read the secret from AWS again, even if it is in the cache, and return its text.

        ``BackOfficeClient`` calls this method if the back office responds 401, because the secret may have been
        rotated.

        :raises SecretError: if the secret can't be read, or has no such field.
        """
        text = self._read(secret.arn)
        self._texts[secret.arn] = (self._clock(), text)
        return secret_field(text, secret.field)

    def _read(self, arn: str) -> str:
        service = arn.split(":")[2]
        try:
            if service == "ssm":
                # Name the parameter by its ARN, for two reasons. The parameter's name can't be derived from the ARN,
                # because the parameters `x` and `/x` have the same ARN. And a parameter that another account shares
                # can be read only by its ARN.
                value = self._client(service).call("GetParameter", Name=arn, WithDecryption=True)["Parameter"]["Value"]
            else:
                value = self._client(service).call("GetSecretValue", SecretId=arn).get("SecretString")
        except AwsError as error:
            reason = error.code if isinstance(error, RefusedError) else "no response"
            name = _SERVICE_NAMES.get(service, service)
            raise SecretError(f"{name} doesn't return the secret ({reason})") from error
        if not isinstance(value, str):
            raise SecretError("the secret is binary; store it as text")
        return value

    def _client(self, service: str) -> Client:
        if service not in self._clients:
            self._clients[service] = self._make_client(service)
        return self._clients[service]


def _short_timeout_client(service: str) -> Client:
    # Allow only two tries of at most 3 s each (1 s to connect and 2 s to read), because a poll waits for the secret,
    # and the poll has a deadline.
    return BotoClient(service, attempts=2, read_timeout=2)


def secret_field(text: str, field: str | None) -> str:
    """Return a field of a secret whose text is a JSON object; the whole text if ``field`` is ``None``.

    :raises SecretError: if the text isn't a JSON object with a text in this field.
    """
    if field is None:
        return text
    try:
        members: Any = json.loads(text)
    except ValueError:
        # Use `from None`, because the JSON error contains the secret's text and must not become this error's cause.
        raise SecretError("the secret isn't JSON, so it has no fields") from None
    value = members.get(field) if isinstance(members, Mapping) else None
    if not isinstance(value, str):
        raise SecretError("the secret's JSON has no text in the field that the source names")
    return value
