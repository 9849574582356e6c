"""Sources: what an operator says about one back office, read and checked, every problem at once.

A source's settings are its schedule's input, so they come with every event; what they say can't all be checked by
Terraform (JMESPath, a Python function's name), hence ``poll`` checks the whole of them, here.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any, Literal, Protocol, cast, get_args
from urllib.parse import quote, unquote_plus, urljoin, urlsplit, urlunsplit

from ...model.collection import Collection, is_item_id
from ...model.timestamp import rfc3339
from ..errors import SourceError
from .expression import Expression, compile_expression

SourceMode = Literal["changes", "snapshot"]
TimeFormat = Literal["rfc3339", "unix_s", "unix_ms"]
PagingStyle = Literal["none", "link", "page", "offset", "token"]

_PORTS = {"http": 80, "https": 443}
_MIB = 1024 * 1024

_MODES = get_args(SourceMode)
_FORMATS = get_args(TimeFormat)
_STYLES = get_args(PagingStyle)
_BY_PARAMETER = ("page", "offset", "token")
_BY_EXPRESSION = ("records", "id", "version", "deleted", "owner", "translation")

_ANY = re.compile(r"(?s).+")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_NAME_RULE = "1 to 63 lower-case letters, digits and hyphens, the first a letter"
_URL_TEXT = re.compile(r"[!-~]{1,2048}")
_PARAMETER = re.compile(r"[!-~]{1,100}")
_SCHEDULE = re.compile(r"(rate|cron)\(.+\)")
_SCHEDULE_RULE = "rate(…) or cron(…)"
_FUNCTION = re.compile(r"(readplane\.poll\.source\.functions(?:\.[a-z_][a-z0-9_]*)+):([A-Za-z][A-Za-z0-9_]*)")
_FUNCTION_RULE = "readplane.poll.source.functions.<module>:<name>"
_SECRET_ARN = re.compile(
    r"arn:aws[a-z-]*:(secretsmanager:[a-z0-9-]+:\d{12}:secret:.+|ssm:[a-z0-9-]+:\d{12}:parameter/.+)"
)
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[!-~]([ -~]{0,2046}[!-~])?")
_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"})
_OUR_HEADERS = frozenset(
    (
        *("accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "range", "te", "trailer"),
        *("if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since"),
        *("transfer-encoding", "upgrade", "user-agent"),
    )
)

CURSOR = "{cursor}"
"""Stands in a source's URL where its cursor goes."""


class SourceFunction(Protocol):
    """What ``function`` names: a class without arguments for a back office that JMESPath can't express."""

    versioned: bool
    """Whether its records tell their modification time."""

    def page(self, payload: Any) -> tuple[list[Any], str | None]:
        """Cut a parsed answer into records and the value that leads to the next page (``None`` on the last).

        Each record must say enough for :meth:`item` alone: it is kept in quarantine and tried again from there.

        :raises CannotTranslate: when the answer isn't what it should be: the poll fails.
        """

    def item(self, record: Any) -> Mapping[str, Any]:
        """Translate one record: ``id`` and ``data``, ``version`` in Unix milliseconds, ``deleted``, ``owner``.

        :raises CannotTranslate: when it can't: the record goes to quarantine.
        """


@dataclass(frozen=True)
class VersionField:
    """Where a record tells its modification time."""

    expression: Expression
    format: TimeFormat


@dataclass(frozen=True)
class SecretHeader:
    """What the back office wants to see: a secret's value, or one ``field`` of its JSON, in a header."""

    arn: str
    header: str
    format: str
    field: str | None

    def value(self, secret: str) -> str:
        """The header's value."""
        return self.format.replace("{secret}", secret)


@dataclass(frozen=True)
class CursorSettings:
    """How a point in time is written into the URL; ``initial`` is what the first pass asks from."""

    format: TimeFormat
    initial: str

    def text(self, ms: int | None) -> str:
        """The cursor for Unix milliseconds; the first one without. Never later than the time asked for."""
        return self.initial if ms is None else time_text(ms, self.format)


@dataclass(frozen=True)
class PagingSettings:
    """How one page leads to the next.

    ``next`` finds the link or token in the answer's body (style ``link`` without it: the ``Link`` header);
    ``parameter`` is the query parameter that carries page number, offset or token; ``first`` is the number of the
    first page (style ``page``; offsets start at 0); ``size`` is how many records a full page holds, where known.
    """

    style: PagingStyle
    next: Expression | None
    parameter: str | None
    first: int
    size: int | None


@dataclass(frozen=True)
class BreakerSettings:
    """After how many ``failures`` in a row a source is left alone, and for how long."""

    failures: int
    cooldown_seconds: float


@dataclass(frozen=True)
class SweepSettings:
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
    mode: SourceMode
    collection: str
    url: str
    headers: Mapping[str, str]
    secret: SecretHeader | None
    records: Expression | None
    id: Expression | None
    version: VersionField | None
    deleted: Expression | None
    owner: Expression | None
    translation: Expression | None
    function: SourceFunction | None
    cursor: CursorSettings | None
    paging: PagingSettings
    lag_seconds: float
    timeout_seconds: float
    attempts: int
    max_pages: int
    max_seconds: float
    requests_per_second: float | None
    max_bytes: int
    breaker: BreakerSettings
    sweep: SweepSettings | None
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

    @property
    def meaning(self) -> str:
        """A hash of the settings that say which records there are, and what they mean.

        Where these change, what was read by them says nothing of what would be read now: another back office has times
        of its own, and a corrected translation has yet to reach what was modified before. A function's own code isn't
        looked at.
        """
        expressions = (
            *(self.records, self.id, self.deleted, self.owner, self.translation),
            self.version.expression if self.version else None,
        )
        told = [
            *(self.mode, self.collection, self.document, self.url, self.cursor.initial if self.cursor else None),
            *(expression.text if expression else None for expression in expressions),
            self.version.format if self.version else None,
            f"{type(self.function).__module__}.{type(self.function).__qualname__}" if self.function else None,
        ]
        return hashlib.blake2b(json.dumps(told).encode(), digest_size=12).hexdigest()

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


_FIELDS = frozenset(field.name for field in fields(Source))


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


def time_text(ms: int, form: TimeFormat) -> str:
    """Unix milliseconds as back offices write them; parts that a form has no room for are cut off."""
    if form == "unix_ms":
        return str(ms)
    if form == "unix_s":
        return str(ms // 1000)
    return rfc3339(ms)


def parse_source(raw: object, collections: Mapping[str, Collection] | None = None) -> Source:
    """Read one source's settings; what is left out or ``null`` takes its default.

    :param raw: the parsed JSON, of any kind.
    :param collections: where given, the declared collections, which the source must fit.
    :raises BadSource: with every problem.
    """
    values = raw if isinstance(raw, dict) else {}
    name = values.get("name")
    given = SourceReader(values, name if isinstance(name, str) and _NAME.fullmatch(name) else "?")
    if not isinstance(raw, dict):
        raise SourceError([f"{given.path} must be an object"])
    source = _read(given)
    given.unknown(_FIELDS)
    _check_whole(given, source)
    if collections is not None:
        _check_collection(given, source, collections)
    if given.problems:
        raise SourceError(given.problems)
    return source


class SourceReader:
    """Settings as they came, at one place; collects a problem for each that can't be used."""

    def __init__(self, values: Mapping[Any, Any], name: str, *path: str, problems: list[str] | None = None) -> None:
        self.values = values
        self.problems: list[str] = [] if problems is None else problems
        self._name = name
        self._path = path
        self.path = ".".join(("sources", name, *path))

    def problem(self, field: str, text: str) -> None:
        """Note that ``field`` can't be used."""
        self.problems.append(f"{self.path}.{field}: {text}")

    def has(self, field: str) -> bool:
        """Whether something is said."""
        return self.values.get(field) is not None

    def part(self, field: str) -> "SourceReader | None":
        """The object at ``field``, where there is one."""
        value = self.values.get(field)
        if value is None:
            return None
        if isinstance(value, dict):
            return SourceReader(value, self._name, *self._path, field, problems=self.problems)
        self.problem(field, "must be an object")
        return None

    def text(self, field: str, default: str = "", pattern: re.Pattern[str] = _ANY, must_be: str = "a text") -> str:
        """A text that fits ``pattern``; with a default, it may be left out."""
        value = self.values.get(field)
        if value is None and default:
            return default
        if isinstance(value, str) and pattern.fullmatch(value):
            return value
        self.problem(field, f"must be {must_be}")
        return default

    def text_or_none(self, field: str, pattern: re.Pattern[str] = _ANY, must_be: str = "a text") -> str | None:
        """A text that fits ``pattern``, or ``None``."""
        return self.text(field, "", pattern, must_be) if self.has(field) else None

    def choice(self, field: str, choices: tuple[str, ...], default: str = "") -> str:
        """One of ``choices``."""
        value = self.values.get(field)
        if value is None and default:
            return default
        if isinstance(value, str) and value in choices:
            return value
        self.problem(field, f"must be one of {', '.join(choices)}")
        return choices[0]

    def number(self, field: str, default: float, least: float, most: float, must_be: str) -> float:
        """A number from ``least`` to ``most``."""
        value = self.values.get(field)
        if value is None:
            return default
        if isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most:
            return value
        self.problem(field, f"must be {must_be}")
        return default

    def whole(self, field: str, default: int, least: int, most: int, must_be: str | None = None) -> int:
        """A whole number from ``least`` to ``most``."""
        must_be = must_be or f"a whole number from {least} to {most}"
        value = self.number(field, default, least, most, must_be)
        if value == int(value):
            return int(value)
        self.problem(field, f"must be {must_be}")
        return default

    def expression(self, field: str) -> Expression | None:
        """A JMESPath expression, or ``None``."""
        text = self.text_or_none(field, must_be="a JMESPath expression")
        if not text:
            return None
        try:
            return compile_expression(text)
        except ValueError as error:
            self.problem(field, f"isn't JMESPath: {error}")
            return None

    def unknown(self, fields: frozenset[str]) -> None:
        """Note every field that isn't one of ours: a slip of the pen would pass for a default."""
        for field in self.values:
            if field not in fields:
                self.problem(str(field)[:60], "no such field")


def _read(given: SourceReader) -> Source:
    """Each field by its own rules; where it breaks them it takes what lets the others be looked at."""
    version = _version(given)
    url = _url(given, "url") or ""
    return Source(
        name=given.text("name", pattern=_NAME, must_be=_NAME_RULE),
        mode=cast(SourceMode, given.choice("mode", _MODES)),
        collection=given.text("collection", pattern=_NAME, must_be=_NAME_RULE),
        url=url,
        headers=_headers(given),
        secret=_secret(given),
        records=given.expression("records"),
        id=given.expression("id"),
        version=version,
        deleted=given.expression("deleted"),
        owner=given.expression("owner"),
        translation=given.expression("translation"),
        function=_function(given),
        cursor=_cursor(given, url, version),
        paging=_paging(given),
        lag_seconds=given.number("lag_seconds", 60, 0, 7 * 86_400, "0 to 604800 seconds"),
        timeout_seconds=given.number("timeout_seconds", 10, 0.1, 120, "0.1 to 120 seconds"),
        attempts=given.whole("attempts", 3, 1, 10),
        max_pages=given.whole("max_pages", 100, 1, 100_000),
        max_seconds=given.number("max_seconds", 45, 1, 840, "1 to 840 seconds"),
        requests_per_second=_rate(given),
        max_bytes=given.whole("max_bytes", 8 * _MIB, 1024, 64 * _MIB),
        breaker=_breaker(given),
        sweep=_sweep(given),
        staleness_budget=given.whole("staleness_budget", 0, 1, 365 * 86_400) if given.has("staleness_budget") else 0,
        document=_document(given),
        schedule=given.text_or_none("schedule", _SCHEDULE, _SCHEDULE_RULE),
    )


def _url(given: SourceReader, field: str) -> str | None:
    value = given.text_or_none(field, must_be="an http(s) URL")
    if not value:
        return None
    bare = value.replace(CURSOR, "")
    parts = urlsplit(value) if origin(bare) is not None else None
    if parts is None or not _URL_TEXT.fullmatch(bare):
        given.problem(field, "must be an http(s) URL of printable ASCII characters without spaces")
    elif "{" in bare or "}" in bare:
        given.problem(field, f"{CURSOR} is the only placeholder; write other braces as %7B and %7D")
    elif CURSOR in parts.netloc:
        given.problem(field, f"{CURSOR} may stand in the path and in the query only")
    elif "@" in parts.netloc:
        given.problem(field, "must not hold a user or password; use `secret`")
    elif parts.fragment or "#" in value:
        given.problem(field, "must not hold a fragment: no server sees it")
    return value


def _headers(given: SourceReader) -> dict[str, str]:
    part = given.part("headers")
    headers: dict[str, str] = {}
    for name, value in part.values.items() if part else ():
        shown = f"headers.{str(name)[:60]}"
        if not isinstance(name, str) or not _HEADER.fullmatch(name):
            given.problem(shown, "isn't the name of a header")
        elif name.lower() in _SECRET_HEADERS:
            given.problem(shown, "would stand in the settings for all to read; use `secret`")
        elif name.lower() in _OUR_HEADERS:
            given.problem(shown, "is set by Readplane")
        elif name.lower() in {known.lower() for known in headers}:
            given.problem(shown, "is there twice")
        elif not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            given.problem(shown, "must be printable ASCII characters, no space first or last")
        else:
            headers[name] = value
    return headers


def _secret(given: SourceReader) -> SecretHeader | None:
    part = given.part("secret")
    if part is None:
        return None
    part.unknown(frozenset({"arn", "header", "format", "field"}))
    secret = SecretHeader(
        arn=part.text("arn", "", _SECRET_ARN, "the ARN of a Secrets Manager secret or of an SSM parameter"),
        header=part.text("header", "", _HEADER, "the name of a header"),
        format=part.text("format", "{secret}", _HEADER_VALUE, "printable ASCII characters"),
        field=part.text_or_none("field", must_be="the name of a field of the secret's JSON"),
    )
    if secret.format.count("{secret}") != 1:
        part.problem("format", "must hold {secret} once")
    if secret.header.lower() in _OUR_HEADERS:
        part.problem("header", "is set by Readplane")
    headers = given.values.get("headers")
    if isinstance(headers, dict) and secret.header.lower() in {str(name).lower() for name in headers}:
        part.problem("header", "is one of `headers`, too")
    return secret


def _version(given: SourceReader) -> VersionField | None:
    part = given.part("version")
    if part is None:
        return None
    part.unknown(frozenset({"expression", "format"}))
    if not part.has("expression"):
        part.problem("expression", "must be a JMESPath expression")
    expression = part.expression("expression")
    form = cast(TimeFormat, part.choice("format", _FORMATS))
    return VersionField(expression, form) if expression else None


def _function(given: SourceReader) -> SourceFunction | None:
    name = given.text_or_none("function", _FUNCTION, _FUNCTION_RULE)
    match = _FUNCTION.fullmatch(name or "")
    if not match:
        return None
    try:
        function: Any = getattr(import_module(match[1]), match[2])()
    except Exception as error:  # an import runs whatever the module says
        given.problem("function", f"can't be imported and called without arguments ({type(error).__name__})")
        return None
    if not (callable(getattr(function, "page", None)) and callable(getattr(function, "item", None))):
        given.problem("function", "must have the methods `page` and `item`")
    if not isinstance(getattr(function, "versioned", None), bool):
        given.problem("function", "must say whether its records are `versioned`")
        return None
    return cast(SourceFunction, function)


def _cursor(given: SourceReader, url: str, version: VersionField | None) -> CursorSettings | None:
    part = given.part("cursor")
    if part:
        part.unknown(frozenset({"format", "initial"}))
    form = part.choice("format", _FORMATS) if part and part.has("format") else version and version.format
    initial = part.text_or_none("initial") if part else None
    if CURSOR not in url:
        if part and (part.has("format") or part.has("initial")):
            part.problem("format" if part.has("format") else "initial", f"means nothing without {CURSOR} in `url`")
        return None
    if form is None and given.has("function"):
        given.problem("cursor.format", f"is needed where a function reads the records and `url` holds {CURSOR}")
    form = cast(TimeFormat, form or "unix_ms")
    return CursorSettings(form, initial or time_text(0, form))


def _paging(given: SourceReader) -> PagingSettings:
    part = given.part("paging")
    if part is None:
        return PagingSettings("none", None, None, 1, None)
    part.unknown(frozenset({"style", "next", "parameter", "first", "size"}))
    style = cast(PagingStyle, part.choice("style", _STYLES, "none"))
    paging = PagingSettings(
        style=style,
        next=part.expression("next"),
        parameter=part.text_or_none("parameter", _PARAMETER, "the name of a query parameter"),
        first=part.whole("first", 1, 0, 1_000_000),
        size=part.whole("size", 1, 1, 1_000_000) if part.has("size") else None,
    )
    if part.values.get("style") not in (None, *_STYLES):
        return paging  # what goes with it can't be told
    if style == "token" and not part.has("next") and not given.has("function"):
        part.problem("next", "must say where the token is")
    if style not in ("link", "token") and part.has("next"):
        part.problem("next", "is for the styles link and token")
    if style in _BY_PARAMETER and not part.has("parameter"):
        part.problem("parameter", f"must name the query parameter of style {style}")
    if style not in _BY_PARAMETER and part.has("parameter"):
        part.problem("parameter", f"is for the styles {', '.join(_BY_PARAMETER)}")
    return paging


def _document(given: SourceReader) -> str:
    document = given.text("document", "current")
    if not is_item_id(document):
        given.problem("document", "must be an item's id: 1 to 256 of A-Z a-z 0-9 . _ ~ -, the first a letter or digit")
    return document


def _rate(given: SourceReader) -> float | None:
    if not given.has("requests_per_second"):
        return None
    return given.number("requests_per_second", 1, 0.01, 1_000, "0.01 to 1000")


def _breaker(given: SourceReader) -> BreakerSettings:
    part = given.part("breaker")
    if part is None:
        return BreakerSettings(5, 30)
    part.unknown(frozenset({"failures", "cooldown_seconds"}))
    return BreakerSettings(
        failures=part.whole("failures", 5, 1, 1_000),
        cooldown_seconds=part.number("cooldown_seconds", 30, 0, 86_400, "0 to 86400 seconds"),
    )


def _sweep(given: SourceReader) -> SweepSettings | None:
    part = given.part("sweep")
    if part is None:
        return None
    part.unknown(frozenset({"schedule", "url", "max_deletes_percent"}))
    url = _url(part, "url")
    if url and CURSOR in url:
        part.problem("url", f"must not hold {CURSOR}: a sweep lists everything")
    if url and origin(url) != (origin(str(given.values.get("url"))) or origin(url)):
        part.problem("url", "must have the scheme, host and port of the source's url")
    return SweepSettings(
        schedule=part.text("schedule", "", _SCHEDULE, _SCHEDULE_RULE),
        url=url,
        max_deletes_percent=part.number("max_deletes_percent", 10, 0, 100, "0 to 100"),
    )


def _check_whole(given: SourceReader, source: Source) -> None:
    """What no field can tell alone."""
    for field in ("url", "staleness_budget"):
        if not given.has(field):
            given.problem(field, "is needed")
    if source.timeout_seconds > source.max_seconds:
        given.problem("timeout_seconds", "must not be longer than max_seconds")
    if source.collection == "sources":
        given.problem("collection", "can't be `sources`: its routes tell the sources' freshness")
    if source.mode == "snapshot":
        _check_snapshot(given, source)
        return
    if given.has("function"):
        for field in _BY_EXPRESSION:
            if given.has(field):
                given.problem(field, "must be left out where a function translates")
        if source.paging.next:
            given.problem("paging.next", "must be left out where a function translates")
    else:
        for field in ("records", "id", "translation"):
            if not given.has(field):
                given.problem(field, "is needed, or a function")
    if source.cursor and not given.has("version") and not (source.function and source.function.versioned):
        given.problem("url", f"holds {CURSOR}, but no `version` says where a record tells its modification time")


def _check_snapshot(given: SourceReader, source: Source) -> None:
    for field in (*_BY_EXPRESSION, "function", "sweep"):
        if given.has(field):
            given.problem(field, "must be left out of a snapshot: its payload stands as it came")
    if source.paging.style != "none":
        given.problem("paging.style", "must be none in a snapshot: one answer is the whole of it")
    if CURSOR in source.url:
        given.problem("url", f"must not hold {CURSOR} in a snapshot")


def _check_collection(given: SourceReader, source: Source, collections: Mapping[str, Collection]) -> None:
    collection = collections.get(source.collection)
    if collection is None:
        if source.collection:
            given.problem("collection", "no such collection is declared")
        return
    if collection.owned and source.mode == "snapshot":
        given.problem("collection", "is an owner collection, and a snapshot has no owner")
    elif collection.owned and not given.has("owner") and not given.has("function"):
        given.problem("owner", "is needed: the collection is an owner collection")
    if not collection.owned and given.has("owner"):
        given.problem("owner", "is for owner collections only")
    if collection.owned and given.has("sweep"):
        given.problem("sweep", "isn't there for owner collections: a listing of all owners can't be told complete")
