"""What back offices want to see: secrets from Secrets Manager or SSM Parameter Store, kept for minutes."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from ...aws.boto import BotoClient
from ...aws.client import Client
from ...aws.faults import AwsError, RefusedError
from ..errors import SecretError
from ..source.settings import SecretHeader

KEPT_SECONDS = 300.0
"""How long a secret is used without being read again."""


class AwsSecretValues:
    """Reads secrets by their ARN."""

    def __init__(
        self,
        clients: Callable[[str], Client] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what makes a client of a service (``secretsmanager``, ``ssm``), asked once, when it is needed."""
        self._make = clients or _impatient
        self._clients: dict[str, Client] = {}
        self._clock = clock
        self._known: dict[str, tuple[float, str]] = {}

    def get(self, secret: SecretHeader) -> str:
        """The secret's value, or its field's; read at most once in five minutes.

        :raises SecretFault: when it can't be read, or has no such field.
        """
        known = self._known.get(secret.arn)
        if known is None or self._clock() - known[0] >= KEPT_SECONDS:
            return self.refresh(secret)
        return _field(known[1], secret.field)

    def refresh(self, secret: SecretHeader) -> str:
        """The same, read now: after a 401, which a rotated secret gets.

        :raises SecretFault: as above.
        """
        text = self._read(secret.arn)
        self._known[secret.arn] = (self._clock(), text)
        return _field(text, secret.field)

    def _read(self, arn: str) -> str:
        service = arn.split(":")[2]
        try:
            if service == "ssm":
                # By its ARN: of `x` and `/x` it is the same, and one that another account shares has no name here.
                value = self._client(service).call("GetParameter", Name=arn, WithDecryption=True)["Parameter"]["Value"]
            else:
                value = self._client(service).call("GetSecretValue", SecretId=arn).get("SecretString")
        except AwsError as fault:
            said = fault.code if isinstance(fault, RefusedError) else "no answer"
            raise SecretError(f"{service} doesn't give it ({said})") from fault
        if not isinstance(value, str):
            raise SecretError("it is binary; only text can be sent in a header")
        return value

    def _client(self, service: str) -> Client:
        if service not in self._clients:
            self._clients[service] = self._make(service)
        return self._clients[service]


def _impatient(service: str) -> Client:
    # Two tries of 3 s and the pause between them: a poll has its own time to keep.
    return BotoClient(service, attempts=2, read_timeout=2)


def _field(text: str, field: str | None) -> str:
    if field is None:
        return text
    try:
        members: Any = json.loads(text)
    except ValueError:
        # Not `from`: the error holds the text.
        raise SecretError("it isn't JSON, so it has no fields") from None
    value = members.get(field) if isinstance(members, Mapping) else None
    if not isinstance(value, str):
        raise SecretError("its JSON has no text in the field that the source names")
    return value
