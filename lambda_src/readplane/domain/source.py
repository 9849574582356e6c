"""Sources: what an operator says about one back office, read and checked, every problem at once.

A source's settings are its schedule's input, so they come with every event; what they say can't all be checked by
Terraform (JMESPath, a Python function's name), hence ``poll`` checks the whole of them, here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol
from urllib.parse import quote, unquote_plus, urljoin, urlsplit, urlunsplit

from .expression import Expression

Mode = Literal["changes", "snapshot"]
Format = Literal["rfc3339", "unix_s", "unix_ms"]
Style = Literal["none", "link", "page", "offset", "token"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PORTS = {"http": 80, "https": 443}

CURSOR = "{cursor}"
"""Stands in a source's URL where its cursor goes."""


class SourceFunction(Protocol):
    """What ``function`` names: a class without arguments for a back office that JMESPath can't express."""

    versioned: bool
    """Whether its records tell their modification time."""

    def page(self, payload: Any) -> tuple[list[Any], str | None]:
        """Cut a parsed answer into records and the value that leads to the next page (``None`` on the last).

        Each record must say enough for :meth:`item` alone: it is kept in quarantine and tried again from there.

        :raises ValueError: when the answer isn't what it should be; says why, quotes nothing.
        """

    def item(self, record: Any) -> Mapping[str, Any]:
        """Translate one record: ``id`` and ``data``, ``version`` in Unix milliseconds, ``deleted``, ``owner``.

        :raises ValueError: when it can't; says why, quotes nothing. The record goes to quarantine.
        """


@dataclass(frozen=True)
class Version:
    """Where a record tells its modification time."""

    expression: Expression
    format: Format


@dataclass(frozen=True)
class Secret:
    """What the back office wants to see: a secret's value, or one ``field`` of its JSON, in a header."""

    arn: str
    header: str
    format: str
    field: str | None

    def value(self, secret: str) -> str:
        """The header's value."""
        return self.format.replace("{secret}", secret)


@dataclass(frozen=True)
class Cursor:
    """How a point in time is written into the URL; ``initial`` is what the first pass asks from."""

    format: Format
    initial: str

    def text(self, ms: int | None) -> str:
        """The cursor for Unix milliseconds; the first one without. Never later than the time asked for."""
        return self.initial if ms is None else time_text(ms, self.format)


@dataclass(frozen=True)
class Paging:
    """How one page leads to the next.

    ``next`` finds the link or token in the answer's body (style ``link`` without it: the ``Link`` header);
    ``parameter`` is the query parameter that carries page number, offset or token; ``first`` is the number of the
    first page (style ``page``; offsets start at 0); ``size`` is how many records a full page holds, where known.
    """

    style: Style
    next: Expression | None
    parameter: str | None
    first: int
    size: int | None


@dataclass(frozen=True)
class Breaker:
    """After how many ``failures`` in a row a source is left alone, and for how long."""

    failures: int
    cooldown_seconds: float


@dataclass(frozen=True)
class Sweep:
    """The periodic full listing that finds deletes; refused where more of the collection would vanish than allowed."""

    schedule: str
    url: str | None
    max_deletes_percent: float


@dataclass(frozen=True)
class Source:
    """One back office, as its operator declares it. Times are in seconds unless a name says otherwise.

    In mode ``changes`` there are either ``records``, ``id`` and ``translation`` or a ``function``; in mode
    ``snapshot`` there is none of them, nor paging, nor a sweep.
    """

    name: str
    mode: Mode
    collection: str
    url: str
    headers: Mapping[str, str]
    secret: Secret | None
    records: Expression | None
    id: Expression | None
    version: Version | None
    deleted: Expression | None
    owner: Expression | None
    translation: Expression | None
    function: SourceFunction | None
    cursor: Cursor | None
    paging: Paging
    lag_seconds: float
    timeout_seconds: float
    attempts: int
    max_pages: int
    max_seconds: float
    requests_per_second: float | None
    max_bytes: int
    breaker: Breaker
    sweep: Sweep | None
    staleness_budget: int
    document: str
    schedule: str | None

    @property
    def versioned(self) -> bool:
        """Whether its records tell their modification time."""
        return self.version is not None or (self.function is not None and self.function.versioned)

    @property
    def incremental(self) -> bool:
        """Whether a pass asks for what changed since; otherwise every pass is a full listing."""
        return self.cursor is not None

    def url_at(self, cursor_ms: int | None) -> str:
        """The URL of a pass' first page: what changed since ``cursor_ms`` (Unix milliseconds; ``None``: all)."""
        return self._filled(self.url, cursor_ms)

    def sweep_url(self) -> str:
        """The URL of a full listing's first page."""
        return self._filled((self.sweep.url if self.sweep else None) or self.url, None)

    def page_url(self, url: str, value: str | int) -> str:
        """``url`` with the paging's query parameter set to a page number, offset or token."""
        return with_parameter(url, self.paging.parameter or "", str(value))

    def _filled(self, url: str, cursor_ms: int | None) -> str:
        return url.replace(CURSOR, quote(self.cursor.text(cursor_ms), safe="")) if self.cursor else url


class BadSource(Exception):
    """Settings that can't be used: ``problems`` names every one, each beginning with ``sources.<name>.<field>``."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def origin(url: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port of an ``http(s)`` URL, the port as it is implied; ``None`` for anything else."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    return parts.scheme, parts.hostname.lower(), port


def with_parameter(url: str, name: str, value: str) -> str:
    """``url`` with one query parameter set; the others stay as they are, to the letter."""
    parts = urlsplit(url)
    kept = [pair for pair in parts.query.split("&") if pair and unquote_plus(pair.partition("=")[0]) != name]
    return urlunsplit(parts._replace(query="&".join([*kept, f"{quote(name, safe='')}={quote(value, safe='')}"])))


def next_url(page_url: str, link: str) -> str | None:
    """Where a next link leads, relative ones included; ``None`` when it leaves the page's origin."""
    try:
        url = urljoin(page_url, link)
    except ValueError:
        return None
    return url if origin(url) is not None and origin(url) == origin(page_url) else None


def time_text(ms: int, form: Format) -> str:
    """Unix milliseconds as back offices write them; parts that a form has no room for are cut off."""
    if form == "unix_ms":
        return str(ms)
    if form == "unix_s":
        return str(ms // 1000)
    moment = _EPOCH + timedelta(milliseconds=ms)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"
