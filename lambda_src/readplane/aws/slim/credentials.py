"""The credentials that sign requests, from the environment or from Lambda's credentials endpoint."""

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
"""New credentials are fetched this many seconds before the current ones expire. botocore has the same value."""
RETRY_SECONDS = 60
"""The minimum number of seconds between two fetches while the current credentials are valid."""

_TIMEOUT_SECONDS = 2.0
# The hosts that may receive the authorization token without TLS: this machine, and the
# credentials endpoints of ECS and EKS.
_PLAIN_HOSTS = r"localhost|127(\.\d{1,3}){3}|::1|169\.254\.170\.23?|fd00:ec2::23"


class Credentials(NamedTuple):
    """The keys of a role or user.

    :param access_key: the access key id.
    :param secret_key: the secret access key.
    :param token: the role's session token; ``None`` for a user's own keys.
    """

    access_key: str
    secret_key: str
    token: str | None


def current() -> Credentials:
    """Return the credentials to sign a request with now.

    They come from the credentials endpoint if the environment names one, and from the environment if not. Lambda
    SnapStart names an endpoint and sets no keys in the environment, because such keys would expire before the snapshot
    is restored. If the environment holds both, the endpoint's credentials are newer.

    :raises UnansweredError: if there are no credentials.
    """
    if URI in os.environ:
        return _container.current()
    # Read the keys from the environment on each call, which takes two microseconds. If we kept them, a snapshot might
    # hold keys that the environment has replaced in the meantime.
    access_key, secret_key = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if not access_key or not secret_key:
        raise UnansweredError("NoCredentialsError", sent=False)
    return Credentials(access_key, secret_key, os.environ.get("AWS_SESSION_TOKEN"))


def discard(credentials: Credentials) -> bool:
    """Discard credentials that AWS reports as expired. Return ``True`` if new ones may be available."""
    return URI in os.environ and _container.discard(credentials)


class ContainerCredentials:
    """A cache of the credentials from the endpoint that the environment names. Threads may share it."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Make an empty cache, without fetching anything.

        :param clock: a function that returns the Unix time in seconds.
        """
        self._clock = clock
        self._lock = allocate_lock()  # the same as threading.Lock, without importing threading
        self._cached: tuple[Credentials, float] | None = None  # and the Unix time of their expiry
        self._next_fetch = 0.0
        self._failures = 0

    def current(self) -> Credentials:
        """Return valid credentials. Fetch new ones before, if they are due.

        Only one thread fetches at a time. Meanwhile the others use the cached credentials, or wait if those have
        expired. If the fetch fails, every thread that waited for it raises an error, too.

        :raises UnansweredError: if there are no valid credentials.
        """
        valid = self._valid()
        if valid and self._clock() < self._next_fetch:
            return valid
        failures = self._failures
        with self._lock:
            valid = self._valid()  # another thread may have fetched new ones while this thread waited for the lock
            if valid and self._clock() < self._next_fetch:
                return valid
            if not valid and self._failures > failures:
                # The fetch that this thread waited for has failed. If each waiting thread now fetched on its own, the
                # last thread would wait for all these fetches.
                raise UnansweredError("CredentialRetrievalError", sent=False)
            return self._fetch_or_keep(valid)

    def discard(self, credentials: Credentials) -> bool:
        """Discard the cached credentials if they equal the given ones.

        :returns: always ``True``, because :meth:`current` can get new credentials.
        """
        with self._lock:
            if self._cached and self._cached[0] == credentials:
                self._cached = None
        return True

    def _valid(self) -> Credentials | None:
        cached = self._cached
        return cached[0] if cached and self._clock() < cached[1] else None

    def _fetch_or_keep(self, valid: Credentials | None) -> Credentials:
        """Return new credentials from the endpoint, or the valid ones if the fetch fails.

        :param valid: the cached credentials, or ``None`` if there are none or they have expired.
        """
        # Set this before the fetch, so that the other threads use the valid credentials instead of waiting.
        self._next_fetch = self._clock() + RETRY_SECONDS
        try:
            fetched, expires_at = _fetch()
            if expires_at <= self._clock():
                raise UnansweredError("CredentialRetrievalError", sent=False)
        except UnansweredError:
            self._failures += 1
            if not valid:
                raise
            return valid
        self._cached = (fetched, expires_at)
        self._next_fetch = max(self._next_fetch, expires_at - REFRESH_SECONDS)
        return fetched


_container = ContainerCredentials()


def _fetch() -> tuple[Credentials, float]:
    """Fetch credentials from the endpoint in the environment. Return them with the Unix time of their expiry."""
    from datetime import datetime  # here, because the import is slow and only SnapStart needs it

    try:
        address = parse(os.environ[URI], URI)
        if not (address.secure or re.fullmatch(_PLAIN_HOSTS, address.host)):
            raise ValueError(f"{URI} must be https, or on this machine")
        pool = ConnectionPool(
            address.host, address.port, secure=address.secure, read_timeout=_TIMEOUT_SECONDS, connections=0
        )
        head = [
            f"GET {address.path or '/'} HTTP/1.1",
            f"host: {address.authority}",
            "accept: application/json",
            "connection: close",
            *_authorization(),
        ]
        response = pool.exchange("\r\n".join([*head, "", ""]).encode(), resend=True)
        text = response.body.read_rest()
        if response.status != 200:
            raise ValueError(f"status {response.status}")
        role = json.loads(text)
        expires_at = datetime.fromisoformat(role["Expiration"]).timestamp()
        return Credentials(role["AccessKeyId"], role["SecretAccessKey"], role["Token"]), expires_at
    except (UnansweredError, OSError, ValueError, KeyError, TypeError) as error:
        # ``sent`` tells whether the request to AWS may have been sent. The client fetches credentials before it sends.
        raise UnansweredError("CredentialRetrievalError", sent=False) from error


def _authorization() -> list[str]:
    # Read the token again for each fetch, because the platform replaces the file from time to time.
    if path := os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 (pathlib is slow to import)
            token = file.read()
    else:
        token = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
    if "\r" in token or "\n" in token:
        raise ValueError("the authorization token holds a line break")
    return [f"authorization: {token}"] if token else []
