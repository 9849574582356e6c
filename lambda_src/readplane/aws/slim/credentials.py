"""The AWS credentials that sign requests. They come from the environment or from Lambda's credentials endpoint."""

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
"""The slim client fetches new credentials this many seconds before the current ones expire. botocore uses the same
value."""
RETRY_SECONDS = 60
"""The minimum number of seconds between two fetches of credentials, as long as the current ones are still valid."""

_TIMEOUT_SECONDS = 2.0
# The hosts of credentials endpoints that the client may call without TLS, although the request holds an authorization
# token. They are this machine, and the credentials endpoints of ECS and EKS.
_PLAIN_HOSTS = r"localhost|127(\.\d{1,3}){3}|::1|169\.254\.170\.23?|fd00:ec2::23"


class Credentials(NamedTuple):
    """The AWS keys of an IAM role or user.

    :param access_key: the access key id.
    :param secret_key: the secret access key.
    :param token: the role's session token; ``None`` for a user's own keys.
    """

    access_key: str
    secret_key: str
    token: str | None


def current() -> Credentials:
    """Return the current credentials for signing a request.

    The credentials come from the credentials endpoint if the environment names one. Otherwise they come from
    environment variables such as ``AWS_ACCESS_KEY_ID``. With SnapStart, Lambda names an endpoint and sets no keys in
    the environment, because such keys could expire before Lambda restores the SnapStart snapshot. Even if
    the environment also holds keys, the endpoint takes precedence, because its credentials are newer.

    :raises UnansweredError: if there are no credentials.
    """
    if URI in os.environ:
        return _container.current()
    # Read the keys from the environment on each call, which takes only two microseconds. Cached keys could become part
    # of a SnapStart snapshot, and be outdated when Lambda restores that snapshot.
    access_key, secret_key = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if not access_key or not secret_key:
        raise UnansweredError("NoCredentialsError", sent=False)
    return Credentials(access_key, secret_key, os.environ.get("AWS_SESSION_TOKEN"))


def discard(credentials: Credentials) -> bool:
    """Discard credentials that AWS reports as expired. Return ``True`` if the client can fetch new ones."""
    return URI in os.environ and _container.discard(credentials)


class ContainerCredentials:
    """A cache of the credentials that the credentials endpoint returns. Several threads may share the cache."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Make an empty cache, without fetching any credentials.

        :param clock: a function that returns the Unix time in seconds.
        """
        self._clock = clock
        self._lock = allocate_lock()  # the same as threading.Lock, without importing threading
        self._cached: tuple[Credentials, float] | None = None  # the credentials, and the Unix time when they expire
        self._next_fetch = 0.0
        self._failures = 0

    def current(self) -> Credentials:
        """Return valid credentials. If the cached ones expire soon, fetch new ones first.

        Only one thread fetches at a time. Meanwhile the other threads use the cached credentials. If the cached
        credentials have expired, the other threads wait for the fetch, and all raise an error if it fails.

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
                # Don't fetch again, although the fetch that this thread waited for has failed. If each waiting thread
                # fetched again, one after the other, the last thread would wait for all these fetches.
                raise UnansweredError("CredentialRetrievalError", sent=False)
            return self._fetch_or_keep(valid)

    def discard(self, credentials: Credentials) -> bool:
        """Discard the cached credentials if they equal the given ones.

        :returns: always ``True``, because :meth:`current` can fetch new credentials.
        """
        with self._lock:
            if self._cached and self._cached[0] == credentials:
                self._cached = None
        return True

    def _valid(self) -> Credentials | None:
        cached = self._cached
        return cached[0] if cached and self._clock() < cached[1] else None

    def _fetch_or_keep(self, valid: Credentials | None) -> Credentials:
        """Fetch new credentials from the endpoint and return them. If the fetch fails, return ``valid`` instead.

        :param valid: the cached credentials, or ``None`` if there are none or they have expired.
        :raises UnansweredError: if the fetch fails and ``valid`` is ``None``.
        """
        # Set the time of the next fetch before this fetch begins. Until that time, `current` returns cached credentials
        # that are still valid, so the other threads don't wait for this fetch.
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
    """Fetch credentials from the endpoint that the environment names. Return them and the time when they expire."""
    from datetime import datetime  # imported here: the import is slow, and only SnapStart needs it

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
        # Set ``sent`` to false, because the client fetches credentials before it sends the request to the AWS service.
        raise UnansweredError("CredentialRetrievalError", sent=False) from error


def _authorization() -> list[str]:
    # Read the token's file again for each fetch of credentials, because the platform replaces the file from time to
    # time.
    if path := os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 (pathlib is slow to import)
            token = file.read()
    else:
        token = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
    if "\r" in token or "\n" in token:
        raise ValueError("the authorization token holds a line break")
    return [f"authorization: {token}"] if token else []
