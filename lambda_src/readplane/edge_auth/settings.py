"""The settings of `edge_auth`: one SSM parameter in us-east-1, checked, read again every 5 minutes.

Lambda@Edge allows no environment variables. The settings can't be in the zip either, because they name the user pool's
clients, which depend on the distribution, which depends on the function.

The parameter is a String with compact JSON::

    {"v": 1,
     "pools": [{"issuer": "https://cognito-idp.…/…", "jwks_uri": "https://…/jwks.json", "client_ids": ["…"]}],
     "scopes": ["…/read", "aws.cognito.signin.user.admin"],
     "owner": ["profiles"], "shared": ["orders"], "sources": ["erp"], "origins": ["https://app.example.com"],
     "headers": ["Authorization"], "hsts": "max-age=31536000"}
"""

import os
import re
from collections.abc import Callable, Iterator
from json import loads
from typing import Any, NamedTuple

from ..aws.faults import AwsError, back_off
from ..aws.slim.client import SlimClient
from ..config import SettingsError, read_settings
from ..telemetry import Telemetry
from .keys import key_set_address
from .logs import log_failure

REGION = "us-east-1"
"""The Region of the parameter and of the function itself. Lambda sets AWS_REGION to the Region in which a replica of
the function runs, so the client must not use it."""

PREFIX = "/readplane/edge-auth/"
"""What comes before the function's name in the parameter's name."""

VERSION = 1

REFRESH_SECONDS = 5 * 60
"""The greatest age of settings before they are read again."""

RETRY_SECONDS, COLD_RETRY_SECONDS = 30.0, 1.0
"""The mean pause after a failed read: with last good settings, and without any."""

INIT_ATTEMPTS = 3
"""How often init reads the parameter. SSM allows an account 40 reads a second in a Region, so a burst of cold starts
may be throttled."""

INIT_SECONDS = 2.5
"""Init starts no further attempt after this time. An attempt may take 2 seconds, the key sets follow, and Lambda allows
init 10 seconds."""

_INIT_BACKOFF_SECONDS = 0.4
"""The greatest pause before the second attempt of init. It doubles with each further attempt."""

_ISSUER = re.compile(r"https://[A-Za-z0-9._:/-]+[A-Za-z0-9_-]")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_PATTERNS = {
    "scopes": re.compile(r"[A-Za-z0-9._:/-]+"),
    "owner": _NAME,
    "shared": _NAME,
    "sources": _NAME,
    "origins": re.compile(r"\*|https?://[A-Za-z0-9._:\[\]-]+"),
    "headers": re.compile(r"[A-Za-z0-9._-]+"),  # what Terraform's variable cors_headers accepts
}
"""What each text in these lists must match. Scopes and origins become parts of headers, and names parts of paths."""

_HSTS = re.compile(r"(?:max-age=[0-9]+(?:; (?:includeSubDomains|preload))*)?")
"""What ``hsts`` must match, because it becomes a header."""


class PoolSettings(NamedTuple):
    """A Cognito user pool whose access tokens are accepted.

    :param issuer: the whole claim ``iss`` of the pool's tokens.
    :param jwks_uri: the address of the pool's key set. It is never derived from a token.
    :param client_ids: the app clients whose tokens are accepted.
    """

    issuer: str
    jwks_uri: str
    client_ids: frozenset[str]


class EdgeAuthSettings(NamedTuple):
    """The settings of `edge_auth`.

    :param v: the version of this format.
    :param pools: the accepted user pools.
    :param scopes: the scopes of which a token must have at least one.
    :param owner: the owner collections. Their documents lie under the caller's own prefix.
    :param shared: the collections that every signed-in user may read.
    :param sources: the sources whose freshness every signed-in user may read.
    :param origins: the web origins whose scripts may read responses; none means no CORS.
    :param headers: the request headers that these scripts may send.
    :param hsts: the header ``Strict-Transport-Security`` of the function's own responses; empty means none.
    """

    v: int
    pools: tuple[PoolSettings, ...]
    scopes: frozenset[str]
    owner: frozenset[str]
    shared: frozenset[str]
    sources: frozenset[str]
    origins: tuple[str, ...]
    headers: tuple[str, ...] = ()
    hsts: str = ""


class NoSettingsError(Exception):
    """The function has never had valid settings. The request must get a 503."""


def parameter_name(function_name: str) -> str:
    """Return the name of the SSM parameter of a function.

    :param function_name: the function's name as Lambda sets it. In a replica it begins with ``us-east-1.``.
    """
    return PREFIX + function_name.removeprefix(f"{REGION}.")


def parse_edge_settings(text: str) -> EdgeAuthSettings:
    """Return the settings in the parameter's text.

    :raises SettingsError: if the text isn't JSON, or if a setting is missing or wrong. The message lists every problem.
    """
    try:
        values = loads(text)
    except ValueError as error:
        raise SettingsError("The parameter must be jsonencode(…) of the function's settings") from error
    settings, problems = read_settings(EdgeAuthSettings, values)
    # Check the meaning only if each value has its type, because a placeholder would cause misleading problems.
    problems = problems or list(_problems(settings))
    if problems:
        raise SettingsError("; ".join(problems))
    return settings


def _problems(settings: EdgeAuthSettings) -> Iterator[str]:
    if settings.v != VERSION:
        yield f"v must be {VERSION}"
    yield from (f"{name} must not be empty" for name in ("pools", "scopes") if not getattr(settings, name))
    if len({pool.issuer for pool in settings.pools}) < len(settings.pools):
        yield "pools must name each issuer once"
    for place, pool in enumerate(settings.pools):
        yield from _pool_problems(f"pools.{place}", pool)
    for name, pattern in _PATTERNS.items():
        if not all(map(pattern.fullmatch, getattr(settings, name))):
            yield f"{name} must match {pattern.pattern}"
    if not _HSTS.fullmatch(settings.hsts):
        yield f"hsts must match {_HSTS.pattern}"
    if settings.owner & settings.shared:
        yield "owner and shared must not name the same collection"
    if "sources" in settings.owner | settings.shared:
        yield "owner and shared must not name a collection `sources`"


def _pool_problems(path: str, pool: PoolSettings) -> Iterator[str]:
    if not _ISSUER.fullmatch(pool.issuer):
        yield f"{path}.issuer must be an https URL without a slash at its end"
    if not pool.client_ids or "" in pool.client_ids:
        yield f"{path}.client_ids must name at least one client"
    try:
        key_set_address(pool.jwks_uri)
    except ValueError:
        yield f"{path}.jwks_uri must be an https URL"


def make_parameter_reader(function_name: str) -> Callable[[], str]:
    """Return a function that reads the parameter's text from SSM. It makes one attempt, of at most 2 seconds."""
    client = SlimClient("ssm", attempts=1, read_timeout=1, connections=1, region_name=REGION)
    name = parameter_name(function_name)

    def read() -> str:
        text: str = client.call("GetParameter", Name=name)["Parameter"]["Value"]
        return text

    return read


def random_share() -> float:
    """Return a random number from 0 to 1 from the operating system. Importing `random` would slow down a cold start."""
    return int.from_bytes(os.urandom(4), "big") / 2**32


class SettingsSource:
    """Reads the settings, and keeps the last good ones as long as newer ones can't be read."""

    def __init__(
        self,
        read: Callable[[], str],
        telemetry: Telemetry,
        clock: Callable[[], float],
        random: Callable[[], float] = random_share,
    ) -> None:
        """Make a source without reading anything.

        :param read: returns the text of the parameter.
        :param clock: returns the current time in Unix seconds.
        :param random: returns a random number from 0 to 1. The jitter keeps the sandboxes of a burst from reading the
            parameter at the same time again.
        """
        self._read = read
        self._telemetry = telemetry
        self._clock = clock
        self._random = random
        self._settings: EdgeAuthSettings | None = None
        self._pause: tuple[float, float] | None = None  # when the last read ended, and the seconds until the next one

    def load(self, pause: Callable[[float], Any] = back_off) -> None:
        """Read the settings at init. Retry after a failing call, because init is the one time that nobody waits for.

        :param pause: waits for a random time of at most so many seconds.
        """
        start = self._clock()
        for attempt in range(INIT_ATTEMPTS):
            if attempt:
                pause(_INIT_BACKOFF_SECONDS * 2 ** (attempt - 1))
            if self._refresh() or self._clock() - start > INIT_SECONDS:
                return

    def current(self) -> EdgeAuthSettings:
        """Return the settings, which are at most 5 minutes old unless newer ones can't be read.

        :raises NoSettingsError: if the function has never had valid settings.
        """
        now = self._clock()
        if self._pause is None or not 0 <= now - self._pause[0] < self._pause[1]:
            self._refresh()
        if self._settings is None:
            raise NoSettingsError
        return self._settings

    def _refresh(self) -> bool:
        """Read the settings. Return whether to stop trying: they are good, or a retry wouldn't make them better."""
        try:
            self._settings = parse_edge_settings(self._read())
        except (AwsError, SettingsError) as error:
            mean = RETRY_SECONDS if self._settings else COLD_RETRY_SECONDS
            self._pause = self._clock(), mean * (0.5 + self._random())
            log_failure(
                self._telemetry,
                "settings_not_read",
                "The settings were not read. The last good ones go on; without any, private documents get a 503.",
                error,
                self._clock(),
                # The text of a SettingsError names settings, and no token or body.
                reason=str(error),
            )
            return isinstance(error, SettingsError)
        self._pause = self._clock(), REFRESH_SECONDS * (0.8 + 0.2 * self._random())
        return True
