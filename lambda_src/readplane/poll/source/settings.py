"""The classes for a source's settings, with which an operator describes one back office.

Each class has the fields of the JSON object that Terraform writes, and :mod:`.reader` reads the fields by their
annotations. The rules and the defaults are in ``terraform/modules/settings/variables_sources.tf``.

A field that a later version adds must allow ``None``, because an older version of the settings lacks it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from urllib.parse import quote

from .expression import Expression
from .times import TimeFormat, time_text
from .urls import with_parameter, without_parameter

SourceMode = Literal["changes", "snapshot"]
PagingStyle = Literal["none", "link", "page", "offset", "token"]

CURSOR = "{cursor}"
"""The placeholder for the cursor in a source's URL.

A pass replaces the placeholder with a time. The back office then returns the records that changed since that time.
"""


class SourceFunction(Protocol):
    """A translation class that an operator writes, for a back office whose responses JMESPath can't translate.

    A source's ``function`` setting names the class. Readplane creates an instance of the class without arguments.
    The methods raise :class:`readplane.poll.errors.TranslationError` if they can't translate a response or a record.
    The error's message must not quote the back office's data, because Readplane logs the message.
    """

    versioned: bool
    """Whether each record of the back office contains its modification time."""

    def page(self, payload: Any) -> tuple[list[Any], str | None]:
        """Split a response into records, and find the link or token of the next page.

        :param payload: the parsed JSON of the response.
        :returns: the records, and the next page's link or token (``None`` on the last page). Each record must contain
            everything that :meth:`item` needs. A redrive passes a quarantined record to :meth:`item` again, when the
            rest of the record's page is no longer known.
        :raises readplane.poll.errors.TranslationError: if the response doesn't have the form that this class can
            translate. The poll then fails.
        """

    def item(self, record: Any) -> Mapping[str, Any]:
        """Translate one record into the fields of an item.

        :param record: one of the records that :meth:`page` returned.
        :returns: the item's fields by name. ``id`` and ``data`` are required. ``version``, in Unix milliseconds, is
            required if :attr:`versioned` is true. ``deleted`` and ``owner`` are optional.
        :raises readplane.poll.errors.TranslationError: if the record can't be translated. Readplane then quarantines
            the record.
        """


@dataclass(frozen=True)
class VersionField:
    """How to find and parse a record's modification time.

    expression: the JMESPath expression that finds the time in a record.
    format: the format in which the back office writes the time.
    """

    expression: Expression
    format: TimeFormat


@dataclass(frozen=True)
class SecretSettings:
    """The secret, such as an API key, that each request carries to the back office in a header or query parameter.

    arn: the ARN of the Secrets Manager secret or the SSM parameter that holds the secret.
    header: the name of the header that carries the secret; ``None`` if a query parameter does.
    query: the name of the query parameter that carries the secret; ``None`` if a header does.
    format: a template of the header's or parameter's value, in which ``{secret}`` stands for the secret.
    field: if the secret is a JSON object, the name of the field whose value is sent; ``None`` sends the whole secret.
    """

    arn: str
    header: str | None
    query: str | None
    format: str
    field: str | None

    def value(self, secret: str) -> str:
        """Return the value of the header or parameter: ``format`` with ``secret`` in place of ``{secret}``."""
        return self.format.replace("{secret}", secret)


@dataclass(frozen=True)
class CursorSettings:
    """How the cursor is written in a source's URL. The cursor is the time since which a pass asks for changes.

    format: the format in which the time is written; ``None`` means the format of the records' modification time.
    initial: the text that replaces the time if a pass asks for all records, as a source's first pass does; ``None``
        means the start of 1970 in the cursor's format.
    """

    format: TimeFormat | None
    initial: str | None


@dataclass(frozen=True)
class PagingSettings:
    """How a pass requests the pages of a back office's list, one after another.

    style: the paging style; :mod:`readplane.poll.upstream.paging` has one class for each style.
    next: the JMESPath expression that finds the next page's link or token in a response's body (styles ``link`` and
        ``token``). With style ``link``, ``None`` means that the link is in the ``Link`` header.
    parameter: the name of the query parameter that carries the page number, offset or token.
    first: the number of the first page (style ``page``). Style ``offset`` always starts at offset 0.
    size: how many records a full page contains. This is only a note for operators, because Readplane reads pages of any
        size.
    """

    style: PagingStyle
    next: Expression | None
    parameter: str | None
    first: int
    size: int | None


@dataclass(frozen=True)
class BreakerSettings:
    """When Readplane stops polling a failing back office, and for how long.

    failures: how many polls must fail in a row before Readplane stops polling.
    cooldown_seconds: how many seconds pass before Readplane sends the back office a request again.
    """

    failures: int
    cooldown_seconds: float


@dataclass(frozen=True)
class SweepSettings:
    """Settings of a source's sweep, the periodic full listing that finds deleted records.

    schedule: how often the sweep runs: a ``rate(…)`` or ``cron(…)`` expression.
    url: the URL of the full listing; ``None`` means the source's own URL with the initial cursor.
    max_deletes_percent: the maximum percentage of the collection's items that one sweep may delete. If more items are
        missing from the listing, the sweep deletes nothing.
    """

    schedule: str
    url: str | None
    max_deletes_percent: float


@dataclass(frozen=True)
class Source:
    """All settings of one source, with which an operator describes one back office.

    A source of mode ``changes`` has either a ``function`` or the three expressions ``records``, ``id`` and
    ``translation``. A source of mode ``snapshot`` has none of these four, no paging and no sweep.

    name: the source's name, unique in the stack.
    mode: ``changes`` turns each record into a change; ``snapshot`` publishes the whole response as one document.
    collection: the collection that the source feeds.
    url: the URL of the first page; it may contain :data:`CURSOR`.
    headers: names and values of the headers that every request sends. The secret's header isn't one of them.
    secret: the secret that every request sends; ``None`` if the back office needs no secret.
    records: the expression that finds the list of records in a response.
    id: the expression that finds the item id in a record.
    version: how to read a record's modification time; ``None`` if the records contain none.
    deleted: the expression that is true if a record is deleted.
    owner: the expression that finds the owner in a record (owner collections only).
    translation: the expression that turns a record into an item's data.
    function: an instance of a translation class, which translates records in place of the expressions above.
    cursor: how the time since which a pass asks for changes is written in the URL; ``None`` means the defaults of
        :class:`CursorSettings`.
    paging: how a pass requests one page after another.
    lag_seconds: the next pass reads the records modified since this many seconds before the watermark, so that it also
        finds records that the back office committed late.
    timeout_seconds: how many seconds one try of a request may take, redirects included.
    attempts: the maximum number of times that a request is sent, the first try included.
    max_pages: the maximum number of pages of a pass that one poll reads. The next poll continues the pass.
    max_seconds: for how many seconds a poll requests further pages of a pass. The next poll continues the pass.
    requests_per_second: the maximum number of requests to the back office per second; ``None`` for no limit.
    max_bytes: the largest response body that Readplane accepts, in bytes, after decompression.
    breaker: when Readplane stops polling a failing back office, and for how long.
    sweep: the periodic full listing that finds deleted records; ``None`` for no sweeps.
    staleness_budget: how many seconds of staleness the operator accepts. Beyond it, reads carry
        ``Readplane-Stale: true`` and an alarm fires.
    document: the item id under which a snapshot is published as a document.
    schedule: how often the source is polled: a ``rate(…)`` or ``cron(…)`` expression.
    """

    name: str
    mode: SourceMode
    collection: str
    url: str
    headers: Mapping[str, str]
    secret: SecretSettings | None
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
    schedule: str

    @property
    def versioned(self) -> bool:
        """Whether the source's records contain their modification time."""
        return self.version is not None or (self.function is not None and self.function.versioned)

    @property
    def incremental(self) -> bool:
        """Whether a main pass asks only for the records changed since its cursor, instead of for all records."""
        return CURSOR in self.url

    @property
    def fingerprint(self) -> str:
        """A hash of the settings that decide which records are read and how they are translated.

        If the fingerprint changes, ``poll`` reads all records again, for two reasons. After a change of the URL, the
        watermark of the old back office means nothing to the new one. After a change of the translation, records that
        ``poll`` has already read must be translated again. The fingerprint covers the name of a translation class, but
        not its code.
        """
        expressions = (
            *(self.records, self.id, self.deleted, self.owner, self.translation),
            self.version.expression if self.version else None,
        )
        settings = [
            *(self.mode, self.collection, self.document, self.url),
            self._cursor_text(None) if self.incremental else None,
            *(expression.text if expression else None for expression in expressions),
            self.version.format if self.version else None,
            f"{type(self.function).__module__}.{type(self.function).__qualname__}" if self.function else None,
        ]
        return hashlib.blake2b(json.dumps(settings).encode(), digest_size=12).hexdigest()

    def url_at(self, cursor_ms: int | None) -> str:
        """Return the URL of the first page of the records that changed since ``cursor_ms``.

        :param cursor_ms: a time in Unix milliseconds; ``None`` asks for all records.
        """
        return self._with_cursor(self.url, cursor_ms)

    def sweep_url(self) -> str:
        """Return the URL of the first page of a sweep, which lists all records."""
        return self._with_cursor((self.sweep.url if self.sweep else None) or self.url, None)

    def page_url(self, url: str, value: str | int) -> str:
        """Return ``url`` with the query parameter ``paging.parameter`` set to a page number, offset or token."""
        return with_parameter(url, self.paging.parameter or "", str(value))

    def without_secret(self, url: str) -> str:
        """Return ``url`` without the query parameter that carries the secret.

        A back office may repeat that parameter in the link to its next page. `poll` must not save or log it.
        """
        parameter = self.secret.query if self.secret else None
        return without_parameter(url, parameter) if parameter else url

    def _with_cursor(self, url: str, cursor_ms: int | None) -> str:
        return url.replace(CURSOR, quote(self._cursor_text(cursor_ms), safe=""))

    def _cursor_text(self, ms: int | None) -> str:
        """Return the text of a cursor, as it is put into the URL.

        :param ms: the cursor's time in Unix milliseconds, which is rounded down to the precision of the format;
            ``None`` for the initial cursor.
        """
        initial = self.cursor.initial if self.cursor else None
        if ms is None and initial is not None:
            return initial
        time_format = (self.cursor.format if self.cursor else None) or (self.version.format if self.version else None)
        return time_text(ms or 0, time_format or "unix_ms")
