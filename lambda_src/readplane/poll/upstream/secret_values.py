"""Reads the back offices' secrets from Secrets Manager or SSM Parameter Store, and caches them for five minutes."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from ...aws.boto import BotoClient
from ...aws.client import Client
from ...aws.faults import AwsError, RefusedError
from ..errors import SecretError
from ..source.settings import SecretHeader

REUSE_SECONDS = 300.0
"""How long a secret is cached before it is read again, in seconds."""


class AwsSecretValues:
    """Reads secrets by their ARN.

    :param clients: makes the client of an AWS service (``secretsmanager`` or ``ssm``). It is called once per service,
        when that service is first needed.
    :param clock: returns monotonic seconds.
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
        """For each ARN, the time when the secret was read, and its whole text."""

    def get_secret(self, secret: SecretHeader) -> str:
        """Return the secret's value, or the field of it that the source names, from the cache if possible.

        :raises SecretError: if the secret can't be read, or has no such field.
        """
        entry = self._texts.get(secret.arn)
        if entry is None or self._clock() - entry[0] >= REUSE_SECONDS:
            return self.refresh_secret(secret)
        return _field(entry[1], secret.field)

    def refresh_secret(self, secret: SecretHeader) -> str:
        """Read the secret from AWS again, and return its value.

        The client calls this method after a 401, because the secret may have been rotated.

        :raises SecretError: if the secret can't be read, or has no such field.
        """
        text = self._read(secret.arn)
        self._texts[secret.arn] = (self._clock(), text)
        return _field(text, secret.field)

    def _read(self, arn: str) -> str:
        service = arn.split(":")[2]
        try:
            if service == "ssm":
                # Read by ARN and not by a name taken from it: the parameters `x` and `/x` have the same ARN. And a
                # parameter that another account shares can only be read by its ARN.
                value = self._client(service).call("GetParameter", Name=arn, WithDecryption=True)["Parameter"]["Value"]
            else:
                value = self._client(service).call("GetSecretValue", SecretId=arn).get("SecretString")
        except AwsError as error:
            reason = error.code if isinstance(error, RefusedError) else "no response"
            raise SecretError(f"{service} doesn't give it ({reason})") from error
        if not isinstance(value, str):
            raise SecretError("it is binary; only text can be sent in a header")
        return value

    def _client(self, service: str) -> Client:
        if service not in self._clients:
            self._clients[service] = self._make_client(service)
        return self._clients[service]


def _short_timeout_client(service: str) -> Client:
    # A poll has a deadline of its own. So allow only two tries of at most 3 s each: 1 s to connect and 2 s to read.
    return BotoClient(service, attempts=2, read_timeout=2)


def _field(text: str, field: str | None) -> str:
    if field is None:
        return text
    try:
        members: Any = json.loads(text)
    except ValueError:
        # Raise without the JSON error as the cause, because that error holds the secret's text.
        raise SecretError("it isn't JSON, so it has no fields") from None
    value = members.get(field) if isinstance(members, Mapping) else None
    if not isinstance(value, str):
        raise SecretError("its JSON has no text in the field that the source names")
    return value
