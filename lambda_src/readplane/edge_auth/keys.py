"""The public keys of a Cognito user pool: reads its key set, and keeps it when Cognito can't be reached.

=================================  =====================================================================================
when                               what happens
=================================  =====================================================================================
init of the sandbox                the key set is read
the set is an hour old             the next token causes a read; if it fails, the last good set goes on
a token names an unknown ``kid``   one read, but at most one a minute: the unknown ``kid`` is in the penalty box
a read fails                       the next one comes after a minute, or after 5 seconds if there is no set at all
no read has succeeded for 24 h     every token of the pool gets a 503
=================================  =====================================================================================

Lambda gives a sandbox one request at a time. So two requests never read the same key set at once.
"""

import re
from collections.abc import Callable
from typing import Any

from ..aws.faults import AwsError
from ..aws.slim.connection import ConnectionPool
from ..aws.slim.endpoint import Endpoint, parse
from ..telemetry import Telemetry
from .logs import log_failure
from .token import MalformedError, RsaKey, make_key, parse_object

REFRESH_SECONDS = 60 * 60
"""The age at which a key set is read again, so that a key that Cognito withdraws stops working."""

MAX_AGE_SECONDS = 24 * 60 * 60
"""The greatest age of the last good key set."""

PAUSE_SECONDS = 60
"""The least time between two reads, which bounds what tokens with made-up key ids can cause."""

COLD_PAUSE_SECONDS = 5
"""The least time between two reads while there is no key set."""

MAX_BYTES = 65_536
"""The greatest size of a key set. Cognito's has two keys in less than 1 KB."""

_TIMEOUT_SECONDS = 1.0
_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")


class KeySetError(Exception):
    """A key set can't be used: another status than 200, too large, no JSON, or without a usable key."""


class NoKeysError(Exception):
    """The pool's keys are unknown, because its key set couldn't be read. The request must get a 503."""


def key_set_address(uri: str) -> Endpoint:
    """Return the address of a key set.

    :raises ValueError: if the URI isn't ``https://host[:port]/path``. Plain ``http`` is allowed on this machine only,
        for an emulator.
    """
    address = parse(uri, "jwks_uri")
    if not (address.secure or _LOOPBACK.fullmatch(address.host)):
        raise ValueError("jwks_uri must be https")
    return address


def read_key_set(uri: str) -> bytes:
    """Read a key set. The connection may take 1 second, and so may the whole response.

    A redirect isn't followed, because the key set's place decides who can sign tokens.

    :raises KeySetError: if the response has another status than 200 or is too large.
    :raises AwsError: for every network fault.
    """
    address = key_set_address(uri)
    head = [
        f"GET {address.path or '/'} HTTP/1.1",
        f"host: {address.authority}",
        "accept: application/json",
        "accept-encoding: identity",
        "user-agent: readplane",
        "connection: close",
    ]
    pool = ConnectionPool(
        address.host, address.port, secure=address.secure, read_timeout=_TIMEOUT_SECONDS, connections=0
    )
    response = pool.exchange("\r\n".join([*head, "", ""]).encode(), resend=False)
    if response.status != 200:
        response.body.close()
        raise KeySetError(f"status {response.status}")
    body = response.body.read(MAX_BYTES + 1)
    response.body.close()
    if len(body) > MAX_BYTES:
        raise KeySetError("too large")
    return body


def parse_key_set(body: bytes) -> dict[str, RsaKey]:
    """Return the usable keys of a JSON Web Key Set, by ``kid``.

    Other keys are left out: those of another type, use or algorithm, weak ones, and all keys that share their ``kid``.

    :raises KeySetError: if the body isn't a key set or has no usable key.
    """
    try:
        entries = parse_object(body).get("keys")
    except MalformedError as error:
        raise KeySetError("no JSON") from error
    if not isinstance(entries, list):
        raise KeySetError("no list of keys")
    kids = [entry.get("kid") for entry in entries if isinstance(entry, dict)]
    keys = {}
    for entry in entries:
        key = _usable_key(entry)
        if key and kids.count(entry["kid"]) == 1:
            keys[entry["kid"]] = key
    if not keys:
        raise KeySetError("no usable key")
    return keys


def _usable_key(entry: Any) -> RsaKey | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("kid"), str):
        return None
    if entry.get("kty") != "RSA" or entry.get("use") != "sig" or entry.get("alg", "RS256") != "RS256":
        return None
    operations = entry.get("key_ops", ["verify"])
    modulus, exponent = entry.get("n"), entry.get("e")
    if not isinstance(operations, list) or "verify" not in operations or "d" in entry:  # `d` is the private exponent
        return None
    if not isinstance(modulus, str) or not isinstance(exponent, str):
        return None
    try:
        return make_key(modulus, exponent)
    except MalformedError:
        return None


class KeySet:
    """The keys of one pool."""

    def __init__(
        self, uri: str, telemetry: Telemetry, clock: Callable[[], float], read: Callable[[str], bytes] = read_key_set
    ) -> None:
        """Make a key set without reading it.

        :param uri: the address of the pool's key set.
        :param clock: returns the current time in Unix seconds. It is the wall clock, because the monotonic clock may
            stand still while Lambda freezes the sandbox.
        :param read: reads a key set.
        """
        self._uri = uri
        self._telemetry = telemetry
        self._clock = clock
        self._read = read
        self._keys: dict[str, RsaKey] = {}
        self._read_at: float | None = None
        self._tried_at: float | None = None
        self._failed = False

    def find(self, kid: str) -> RsaKey | None:
        """Return the key with a ``kid``, or ``None`` if the pool has no such key.

        :raises NoKeysError: if the pool's keys are unknown.
        """
        now = self._clock()
        if (kid not in self._keys or not _is_within(now, self._read_at, REFRESH_SECONDS)) and self._may_read(now):
            self.refresh()
            now = self._clock()  # because the read took time, and a time before the read would count as set back
        if not _is_within(now, self._read_at, MAX_AGE_SECONDS):
            self._keys, self._read_at = {}, None  # so that there is a 503 and not a 401 until the next read
            raise NoKeysError
        key = self._keys.get(kid)
        if key is None and self._failed:
            raise NoKeysError  # the key may be a new one, in the set that couldn't be read
        return key

    def refresh(self) -> None:
        """Read the key set now. If that fails, keep the last good one and log why."""
        now = self._tried_at = self._clock()
        try:
            self._keys = parse_key_set(self._read(self._uri))
        except (AwsError, KeySetError) as error:
            self._failed = True
            log_failure(
                self._telemetry,
                "key_set_not_read",
                "A pool's key set was not read. The last good one goes on for at most 24 hours.",
                error,
                self._clock(),
                reason=str(error),
            )
            return
        self._failed = False
        self._read_at = now

    def _may_read(self, now: float) -> bool:
        return not _is_within(now, self._tried_at, PAUSE_SECONDS if self._keys else COLD_PAUSE_SECONDS)


def _is_within(now: float, since: float | None, seconds: float) -> bool:
    """Return whether less than so many seconds have passed. If the clock has been set back, nobody knows: ``False``."""
    return since is not None and 0 <= now - since < seconds
