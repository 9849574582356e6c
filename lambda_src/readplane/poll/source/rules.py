"""Checks a source's settings against their rules, and reports every problem at once.

A schedule invokes ``poll`` with an event that contains the source's settings. Terraform can't check all settings,
because it can neither compile JMESPath nor import a Python class. So ``poll`` checks all of them with this module.
"""

import re
from collections.abc import Mapping
from dataclasses import fields
from importlib import import_module
from typing import Any, cast, get_args
from urllib.parse import urlsplit

from ...model.collection import Collection, is_item_id
from ..errors import SourceError
from .expression import Expression, compile_expression
from .settings import (
    CURSOR,
    BreakerSettings,
    CursorSettings,
    PagingSettings,
    PagingStyle,
    SecretHeader,
    Source,
    SourceFunction,
    SourceMode,
    SweepSettings,
    VersionField,
)
from .times import TimeFormat, time_text
from .urls import origin

_MIB = 1024 * 1024

_SOURCE_FIELDS = frozenset(field.name for field in fields(Source))
_MODES = get_args(SourceMode)
_TIME_FORMATS = get_args(TimeFormat)
_PAGING_STYLES = get_args(PagingStyle)
_STYLES_WITH_PARAMETER = ("page", "offset", "token")
_EXPRESSION_FIELDS = ("records", "id", "version", "deleted", "owner", "translation")

_ANY_TEXT = re.compile(r"(?s).+")
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
_RESERVED_HEADERS = frozenset(
    (
        *("accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "range", "te", "trailer"),
        *("if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since"),
        *("transfer-encoding", "upgrade", "user-agent"),
    )
)


def parse_source(raw: object, collections: Mapping[str, Collection] | None = None) -> Source:
    """Check one source's settings and return the source. A setting that is missing or ``null`` gets its default.

    :param raw: the parsed JSON of the settings. It isn't checked yet, so it may be a value of any type.
    :param collections: the declared collections, by name. ``None`` skips the rules that compare the source with its
        collection.
    :raises SourceError: if the settings break a rule. The error lists every problem.
    """
    values = raw if isinstance(raw, dict) else {}
    name = values.get("name")
    reader = SourceReader(values, name if isinstance(name, str) and _NAME.fullmatch(name) else "?")
    if not isinstance(raw, dict):
        raise SourceError([f"{reader.path} must be an object"])
    source = _read_source(reader)
    reader.refuse_unknown(_SOURCE_FIELDS)
    _check_whole(reader, source)
    if collections is not None:
        _check_collection(reader, source, collections)
    if reader.problems:
        raise SourceError(reader.problems)
    return source


class SourceReader:
    """Reads the settings in one JSON object, and collects an error text for each setting that breaks its rule.

    The JSON object holds the settings of a whole source or of a part of it, such as ``paging``. The reader of a part
    adds its error texts to the list of the reader of the whole source.
    """

    def __init__(self, values: Mapping[Any, Any], name: str, *path: str, problems: list[str] | None = None) -> None:
        self.values = values
        self.problems: list[str] = [] if problems is None else problems
        self._name = name
        self._path = path
        self.path = ".".join(("sources", name, *path))

    def add_problem(self, field: str, text: str) -> None:
        """Add an error text to ``problems``: the full path of ``field``, and ``text``, which says what is wrong."""
        self.problems.append(f"{self.path}.{field}: {text}")

    def has(self, field: str) -> bool:
        """Return whether ``field`` is set to a value other than ``null``."""
        return self.values.get(field) is not None

    def part(self, field: str) -> "SourceReader | None":
        """Return a reader of the JSON object in ``field``, or ``None`` if the field isn't set or isn't an object."""
        value = self.values.get(field)
        if value is None:
            return None
        if isinstance(value, dict):
            return SourceReader(value, self._name, *self._path, field, problems=self.problems)
        self.add_problem(field, "must be an object")
        return None

    def text(
        self, field: str, default: str = "", pattern: re.Pattern[str] = _ANY_TEXT, must_be: str = "a string"
    ) -> str:
        """Return the string in ``field``, which must match ``pattern``, or ``default`` if the field isn't set.

        If ``default`` is empty, the field is required. If the field breaks a rule, add an error text to ``problems``.
        """
        value = self.values.get(field)
        if value is None and default:
            return default
        if isinstance(value, str) and pattern.fullmatch(value):
            return value
        self.add_problem(field, f"must be {must_be}")
        return default

    def text_or_none(self, field: str, pattern: re.Pattern[str] = _ANY_TEXT, must_be: str = "a string") -> str | None:
        """Return the string in ``field``, which must match ``pattern``, or ``None`` if the field isn't set."""
        return self.text(field, "", pattern, must_be) if self.has(field) else None

    def choice(self, field: str, choices: tuple[str, ...], default: str = "") -> str:
        """Return the string in ``field``, which must be one of ``choices``, or ``default`` if the field isn't set.

        If ``default`` is empty, the field is required. If the field breaks a rule, add an error text to ``problems``.
        """
        value = self.values.get(field)
        if value is None and default:
            return default
        if isinstance(value, str) and value in choices:
            return value
        self.add_problem(field, f"must be one of {', '.join(choices)}")
        return choices[0]

    def number(self, field: str, default: float, minimum: float, maximum: float, must_be: str) -> float:
        """Return the number in ``field``, or ``default`` if the field isn't set.

        The number must be from ``minimum`` to ``maximum``. If it isn't, add an error text to ``problems``.

        :param must_be: what the error text says the number must be.
        """
        value = self.values.get(field)
        if value is None:
            return default
        if isinstance(value, int | float) and not isinstance(value, bool) and minimum <= value <= maximum:
            return value
        self.add_problem(field, f"must be {must_be}")
        return default

    def whole_number(self, field: str, default: int, minimum: int, maximum: int) -> int:
        """Return the whole number in ``field``, or ``default`` if the field isn't set.

        The number must be from ``minimum`` to ``maximum``. If it isn't, add an error text to ``problems``.
        """
        must_be = f"a whole number from {minimum} to {maximum}"
        value = self.number(field, default, minimum, maximum, must_be)
        if value == int(value):
            return int(value)
        self.add_problem(field, f"must be {must_be}")
        return default

    def expression(self, field: str) -> Expression | None:
        """Return the compiled JMESPath expression in ``field``, or ``None`` if the field isn't set or is invalid."""
        text = self.text_or_none(field, must_be="a JMESPath expression")
        if not text:
            return None
        try:
            return compile_expression(text)
        except ValueError as error:
            self.add_problem(field, f"isn't JMESPath: {error}")
            return None

    def refuse_unknown(self, known_fields: frozenset[str]) -> None:
        """Add a problem for each field that isn't in ``known_fields``.

        Without this check, a misspelt setting would be ignored, and the correct setting would silently get its default.
        """
        for field in self.values:
            if field not in known_fields:
                self.add_problem(str(field)[:60], "no such field")


def _read_source(reader: SourceReader) -> Source:
    """Read and check each field of a source, and return the source.

    A field that breaks its rule gets a placeholder value, so that the remaining fields can be checked as well.
    """
    version = _version(reader)
    url = _url(reader, "url") or ""
    return Source(
        name=reader.text("name", pattern=_NAME, must_be=_NAME_RULE),
        mode=cast(SourceMode, reader.choice("mode", _MODES)),
        collection=reader.text("collection", pattern=_NAME, must_be=_NAME_RULE),
        url=url,
        headers=_headers(reader),
        secret=_secret(reader),
        records=reader.expression("records"),
        id=reader.expression("id"),
        version=version,
        deleted=reader.expression("deleted"),
        owner=reader.expression("owner"),
        translation=reader.expression("translation"),
        function=_function(reader),
        cursor=_cursor(reader, url, version),
        paging=_paging(reader),
        lag_seconds=reader.number("lag_seconds", 60, 0, 7 * 86_400, "0 to 604800 seconds"),
        timeout_seconds=reader.number("timeout_seconds", 10, 0.1, 120, "0.1 to 120 seconds"),
        attempts=reader.whole_number("attempts", 3, 1, 10),
        max_pages=reader.whole_number("max_pages", 100, 1, 100_000),
        max_seconds=reader.number("max_seconds", 45, 1, 840, "1 to 840 seconds"),
        requests_per_second=_requests_per_second(reader),
        max_bytes=reader.whole_number("max_bytes", 8 * _MIB, 1024, 64 * _MIB),
        breaker=_breaker(reader),
        sweep=_sweep(reader),
        staleness_budget=_staleness_budget(reader),
        document=_document(reader),
        schedule=reader.text_or_none("schedule", _SCHEDULE, _SCHEDULE_RULE),
    )


def _url(reader: SourceReader, field: str) -> str | None:
    value = reader.text_or_none(field, must_be="an http(s) URL")
    if not value:
        return None
    without_cursor = value.replace(CURSOR, "")
    parts = urlsplit(value) if origin(without_cursor) is not None else None
    if parts is None or not _URL_TEXT.fullmatch(without_cursor):
        reader.add_problem(field, "must be an http(s) URL of printable ASCII characters without spaces")
    elif "{" in without_cursor or "}" in without_cursor:
        reader.add_problem(field, f"{CURSOR} is the only placeholder; write other braces as %7B and %7D")
    elif CURSOR in parts.netloc:
        reader.add_problem(field, f"{CURSOR} may stand in the path and in the query only")
    elif "@" in parts.netloc:
        reader.add_problem(field, "must not hold a user or password; use `secret`")
    elif parts.fragment or "#" in value:
        reader.add_problem(field, "must not hold a fragment, because no server receives it")
    return value


def _headers(reader: SourceReader) -> dict[str, str]:
    part = reader.part("headers")
    headers: dict[str, str] = {}
    for name, value in part.values.items() if part else ():
        field = f"headers.{str(name)[:60]}"
        if not isinstance(name, str) or not _HEADER.fullmatch(name):
            reader.add_problem(field, "isn't the name of a header")
        elif name.lower() in _SECRET_HEADERS:
            reader.add_problem(field, "would be readable by everybody who sees the settings; use `secret`")
        elif name.lower() in _RESERVED_HEADERS:
            reader.add_problem(field, "is set by Readplane")
        elif name.lower() in {other.lower() for other in headers}:
            reader.add_problem(field, "is set twice; the case of a header's name makes no difference")
        elif not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            reader.add_problem(field, "must be printable ASCII characters, no space first or last")
        else:
            headers[name] = value
    return headers


def _secret(reader: SourceReader) -> SecretHeader | None:
    part = reader.part("secret")
    if part is None:
        return None
    part.refuse_unknown(frozenset({"arn", "header", "format", "field"}))
    secret = SecretHeader(
        arn=part.text("arn", "", _SECRET_ARN, "the ARN of a Secrets Manager secret or of an SSM parameter"),
        header=part.text("header", "", _HEADER, "the name of a header"),
        format=part.text("format", "{secret}", _HEADER_VALUE, "printable ASCII characters"),
        field=part.text_or_none("field", must_be="the name of a field of the secret's JSON"),
    )
    if secret.format.count("{secret}") != 1:
        part.add_problem("format", "must hold {secret} once")
    if secret.header.lower() in _RESERVED_HEADERS:
        part.add_problem("header", "is set by Readplane")
    headers = reader.values.get("headers")
    if isinstance(headers, dict) and secret.header.lower() in {str(name).lower() for name in headers}:
        part.add_problem("header", "is also set in `headers`")
    return secret


def _version(reader: SourceReader) -> VersionField | None:
    part = reader.part("version")
    if part is None:
        return None
    part.refuse_unknown(frozenset({"expression", "format"}))
    if not part.has("expression"):
        part.add_problem("expression", "must be a JMESPath expression")
    expression = part.expression("expression")
    time_format = cast(TimeFormat, part.choice("format", _TIME_FORMATS))
    return VersionField(expression, time_format) if expression else None


def _function(reader: SourceReader) -> SourceFunction | None:
    name = reader.text_or_none("function", _FUNCTION, _FUNCTION_RULE)
    match = _FUNCTION.fullmatch(name or "")
    if not match:
        return None
    try:
        function: Any = getattr(import_module(match[1]), match[2])()
    except Exception as error:  # noqa: BLE001 - an operator's module may raise anything when it is imported
        reader.add_problem("function", f"can't be imported and called without arguments ({type(error).__name__})")
        return None
    if not (callable(getattr(function, "page", None)) and callable(getattr(function, "item", None))):
        reader.add_problem("function", "must have the methods `page` and `item`")
    if not isinstance(getattr(function, "versioned", None), bool):
        reader.add_problem("function", "must have the attribute `versioned`, true or false")
        return None
    return cast(SourceFunction, function)


def _cursor(reader: SourceReader, url: str, version: VersionField | None) -> CursorSettings | None:
    part = reader.part("cursor")
    if part:
        part.refuse_unknown(frozenset({"format", "initial"}))
    time_format = part.choice("format", _TIME_FORMATS) if part and part.has("format") else version and version.format
    initial = part.text_or_none("initial") if part else None
    if CURSOR not in url:
        if part and (part.has("format") or part.has("initial")):
            part.add_problem("format" if part.has("format") else "initial", f"means nothing without {CURSOR} in `url`")
        return None
    if time_format is None and reader.has("function"):
        reader.add_problem("cursor.format", f"is needed when a function reads the records and `url` holds {CURSOR}")
    time_format = cast(TimeFormat, time_format or "unix_ms")
    return CursorSettings(time_format, initial or time_text(0, time_format))


def _paging(reader: SourceReader) -> PagingSettings:
    part = reader.part("paging")
    if part is None:
        return PagingSettings("none", None, None, 1, None)
    part.refuse_unknown(frozenset({"style", "next", "parameter", "first", "size"}))
    style = cast(PagingStyle, part.choice("style", _PAGING_STYLES, "none"))
    paging = PagingSettings(
        style=style,
        next=part.expression("next"),
        parameter=part.text_or_none("parameter", _PARAMETER, "the name of a query parameter"),
        first=part.whole_number("first", 1, 0, 1_000_000),
        size=part.whole_number("size", 1, 1, 1_000_000) if part.has("size") else None,
    )
    if part.values.get("style") not in (None, *_PAGING_STYLES):
        return paging  # The rules for the other fields depend on the style, and this style is unknown.
    if style == "token" and not part.has("next") and not reader.has("function"):
        part.add_problem("next", "must say where the token is")
    if style not in ("link", "token") and part.has("next"):
        part.add_problem("next", "is for the styles link and token")
    if style in _STYLES_WITH_PARAMETER and not part.has("parameter"):
        part.add_problem("parameter", f"must name the query parameter of style {style}")
    if style not in _STYLES_WITH_PARAMETER and part.has("parameter"):
        part.add_problem("parameter", f"is for the styles {', '.join(_STYLES_WITH_PARAMETER)}")
    return paging


def _staleness_budget(reader: SourceReader) -> int:
    """Return the staleness budget in seconds, or 0 if it isn't set. :func:`_check_whole` reports a missing budget."""
    return reader.whole_number("staleness_budget", 0, 1, 365 * 86_400) if reader.has("staleness_budget") else 0


def _document(reader: SourceReader) -> str:
    document = reader.text("document", "current")
    if not is_item_id(document):
        reader.add_problem(
            "document", "must be an item's id: 1 to 256 of A-Z a-z 0-9 . _ ~ -, the first a letter or digit"
        )
    return document


def _requests_per_second(reader: SourceReader) -> float | None:
    if not reader.has("requests_per_second"):
        return None
    return reader.number("requests_per_second", 1, 0.01, 1_000, "0.01 to 1000")


def _breaker(reader: SourceReader) -> BreakerSettings:
    part = reader.part("breaker")
    if part is None:
        return BreakerSettings(5, 30)
    part.refuse_unknown(frozenset({"failures", "cooldown_seconds"}))
    return BreakerSettings(
        failures=part.whole_number("failures", 5, 1, 1_000),
        cooldown_seconds=part.number("cooldown_seconds", 30, 0, 86_400, "0 to 86400 seconds"),
    )


def _sweep(reader: SourceReader) -> SweepSettings | None:
    part = reader.part("sweep")
    if part is None:
        return None
    part.refuse_unknown(frozenset({"schedule", "url", "max_deletes_percent"}))
    url = _url(part, "url")
    if url and CURSOR in url:
        part.add_problem("url", f"must not hold {CURSOR}, because a sweep lists everything")
    if url and origin(url) != (origin(str(reader.values.get("url"))) or origin(url)):
        part.add_problem("url", "must have the scheme, host and port of the source's url")
    return SweepSettings(
        schedule=part.text("schedule", "", _SCHEDULE, _SCHEDULE_RULE),
        url=url,
        max_deletes_percent=part.number("max_deletes_percent", 10, 0, 100, "0 to 100"),
    )


def _check_whole(reader: SourceReader, source: Source) -> None:
    """Check that ``url`` and ``staleness_budget`` are set, and that the source's settings fit together."""
    for field in ("url", "staleness_budget"):
        if not reader.has(field):
            reader.add_problem(field, "is needed")
    if source.timeout_seconds > source.max_seconds:
        reader.add_problem("timeout_seconds", "must not be longer than max_seconds")
    if source.collection == "sources":
        reader.add_problem("collection", "can't be `sources`, because the sources' freshness is published there")
    if source.mode == "snapshot":
        _check_snapshot(reader, source)
    else:
        _check_changes(reader, source)


def _check_changes(reader: SourceReader, source: Source) -> None:
    if reader.has("function"):
        for field in _EXPRESSION_FIELDS:
            if reader.has(field):
                reader.add_problem(field, "must be left out when a function translates")
        if source.paging.next:
            reader.add_problem("paging.next", "must be left out when a function translates")
    else:
        for field in ("records", "id", "translation"):
            if not reader.has(field):
                reader.add_problem(field, "is needed unless `function` is set")
    if source.cursor and not reader.has("version") and not (source.function and source.function.versioned):
        reader.add_problem("url", f"holds {CURSOR}, but no `version` says where a record has its modification time")


def _check_snapshot(reader: SourceReader, source: Source) -> None:
    for field in (*_EXPRESSION_FIELDS, "function", "sweep"):
        if reader.has(field):
            reader.add_problem(field, "must be left out of a snapshot, because its payload is published unchanged")
    if source.paging.style != "none":
        reader.add_problem("paging.style", "must be none in a snapshot, because one response holds all of it")
    if CURSOR in source.url:
        reader.add_problem("url", f"must not hold {CURSOR} in a snapshot")


def _check_collection(reader: SourceReader, source: Source, collections: Mapping[str, Collection]) -> None:
    collection = collections.get(source.collection)
    if collection is None:
        if source.collection:
            reader.add_problem("collection", "no such collection is declared")
        return
    if collection.owned and source.mode == "snapshot":
        reader.add_problem("collection", "is an owner collection, and a snapshot has no owner")
    elif collection.owned and not reader.has("owner") and not reader.has("function"):
        reader.add_problem("owner", "is needed, because the collection is an owner collection")
    if not collection.owned and reader.has("owner"):
        reader.add_problem("owner", "is for owner collections only")
    if collection.owned and reader.has("sweep"):
        reader.add_problem("sweep", "can't be used with an owner collection, whose items can't be listed as a whole")
