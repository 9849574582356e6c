"""Whose calls these are: the function's role, from the environment or from Lambda's own endpoint."""

import json
import os
import re
import time
from _thread import allocate_lock
from collections.abc import Callable
from typing import NamedTuple

from ..faults import UnansweredError
from .connection import ConnectionPool
from .endpoint import parse

URI = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
REFRESH_SECONDS = 15 * 60
"""New credentials are fetched this long before the old ones end, as botocore does."""
RETRY_SECONDS = 60
"""While the old ones are good, a fetch is tried no more often."""

_TIMEOUT = 2.0
# Besides https: this machine, and the addresses of ECS and EKS. Elsewhere the token would travel in the clear.
_PLAIN_HOSTS = r"localhost|127(\.\d{1,3}){3}|::1|169\.254\.170\.23?|fd00:ec2::23"


class Credentials(NamedTuple):
    """A role's keys; ``token`` is ``None`` for a user's own."""

    access_key: str
    secret_key: str
    token: str | None


def current() -> Credentials:
    """The credentials to sign with now.

    Lambda SnapStart gives none in the environment, since they would end before the snapshot is used: there they come
    from an endpoint. Where both are set, those in the environment could only be older.

    :raises Unanswered: when there are none.
    """
    if URI in os.environ:
        return _container.current()
    # Read each time, not kept: it costs two microseconds, and a snapshot must not hold what the environment replaced.
    access_key, secret_key = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if not access_key or not secret_key:
        raise UnansweredError("NoCredentialsError", sent=False)
    return Credentials(access_key, secret_key, os.environ.get("AWS_SESSION_TOKEN"))


def expired(credentials: Credentials) -> bool:
    """Drop credentials that AWS calls expired; whether there may be others now."""
    return URI in os.environ and _container.drop(credentials)


class ContainerCredentials:
    """Credentials from the endpoint that the environment names, kept until they have to be fetched anew."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Fetches nothing. ``clock`` gives the time in seconds."""
        self._clock = clock
        self._lock = allocate_lock()  # threading.Lock, without the import of threading
        self._held: tuple[Credentials, float] | None = None  # and when they end
        self._next_fetch = 0.0
        self._failures = 0

    def current(self) -> Credentials:
        """See :func:`current`. One thread fetches; the others go on with the old ones, or wait where there are none.

        Who waited for a fetch that failed has failed, too, and may try again.
        """
        held = self._good()
        if held and self._clock() < self._next_fetch:
            return held
        failures = self._failures
        with self._lock:
            held = self._good()  # which another thread may have fetched while this one waited
            if held and self._clock() < self._next_fetch:
                return held
            if not held and self._failures > failures:
                # The fetch that this thread waited for. If each then made its own, the last would wait for all of them.
                raise UnansweredError("CredentialRetrievalError", sent=False)
            return self._renewed(held)

    def drop(self, credentials: Credentials) -> bool:
        """See :func:`expired`."""
        with self._lock:
            if self._held and self._held[0] == credentials:
                self._held = None
        return True

    def _good(self) -> Credentials | None:
        held = self._held
        return held[0] if held and self._clock() < held[1] else None

    def _renewed(self, old: Credentials | None) -> Credentials:
        self._next_fetch = self._clock() + RETRY_SECONDS  # from now on, so that no other thread comes to wait
        try:
            fresh, ends_at = _fetch()
            if ends_at <= self._clock():
                raise UnansweredError("CredentialRetrievalError", sent=False)
        except UnansweredError:
            self._failures += 1
            if not old:
                raise
            return old
        self._held = (fresh, ends_at)
        self._next_fetch = max(self._next_fetch, ends_at - REFRESH_SECONDS)
        return fresh


_container = ContainerCredentials()


def _fetch() -> tuple[Credentials, float]:
    from datetime import datetime  # only here, and not cheap

    try:
        address = parse(os.environ[URI], URI)
        if not (address.secure or re.fullmatch(_PLAIN_HOSTS, address.host)):
            raise ValueError(f"{URI} must be https, or on this machine")
        pool = ConnectionPool(address.host, address.port, secure=address.secure, read_timeout=_TIMEOUT, connections=0)
        head = [
            f"GET {address.path or '/'} HTTP/1.1",
            f"host: {address.authority}",
            "accept: application/json",
            "connection: close",
            *_authorization(),
        ]
        answer = pool.exchange("\r\n".join([*head, "", ""]).encode(), again=True)
        text = answer.body.rest()
        if answer.status != 200:
            raise ValueError(f"status {answer.status}")
        told = json.loads(text)
        ends_at = datetime.fromisoformat(told["Expiration"]).timestamp()
        return Credentials(told["AccessKeyId"], told["SecretAccessKey"], told["Token"]), ends_at
    except (UnansweredError, OSError, ValueError, KeyError, TypeError) as error:
        # None of the request's own bytes is on its way yet.
        raise UnansweredError("CredentialRetrievalError", sent=False) from error


def _authorization() -> list[str]:
    # Read at each fetch: the file is replaced from time to time.
    if path := os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 (pathlib is costly to import)
            token = file.read()
    else:
        token = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
    if "\r" in token or "\n" in token:
        raise ValueError("the authorization token holds a line break")
    return [f"authorization: {token}"] if token else []
