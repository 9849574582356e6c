"""A source's settings: what an operator declares about one back office."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from urllib.parse import quote

from .expression import Expression
from .times import TimeFormat, time_text
from .urls import with_parameter

SourceMode = Literal["changes", "snapshot"]
PagingStyle = Literal["none", "link", "page", "offset", "token"]

CURSOR = "{cursor}"
"""The placeholder in a source's URL. Each pass replaces it with the time since which it asks for changes."""


class SourceFunction(Protocol):
    """A translation class that an operator writes, for a back office whose responses JMESPath can't translate.

    The setting ``function`` names a class with these members. Readplane makes an instance of it without arguments.
    The methods raise :class:`readplane.poll.errors.TranslationError` if they can't translate a response or record.
    The error's message must not quote the back office's data, because Readplane logs it.
    """

    versioned: bool
    """Whether each record carries its modification time."""

    def page(self, payload: Any) -> tuple[list[Any], str | None]:
        """Split a response into records, and find the link or token of the next page.

        :param payload: the parsed JSON of the response.
        :returns: the records, and the next page's link or token (``None`` on the last page). Each record must contain
            all that :meth:`item` needs, because a quarantined record is later translated again without its page.
        :raises readplane.poll.errors.TranslationError: if the response doesn't have the expected form. The poll then
            fails.
        """

    def item(self, record: Any) -> Mapping[str, Any]:
        """Translate one record.

        :param record: one of the records that :meth:`page` returned.
        :returns: a mapping with ``id`` and ``data``; with ``version``, in Unix milliseconds, if :attr:`versioned` is
            true; and optionally with ``deleted`` and ``owner``.
        :raises readplane.poll.errors.TranslationError: if the record can't be translated. It then goes to quarantine.
        """


@dataclass(frozen=True)
class VersionField:
    """How to read a record's modification time.

    expression: finds the time in a record.
    format: how the back office writes the time.
    """

    expression: Expression
    format: TimeFormat


@dataclass(frozen=True)
class SecretHeader:
    """The header that carries a secret to the back office.

    arn: the ARN of the Secrets Manager secret or the SSM parameter.
    header: the header's name.
    format: a template of the header's value, in which ``{secret}`` stands for the secret.
    field: the field of the secret's JSON that is sent; ``None`` sends the whole secret.
    """

    arn: str
    header: str
    format: str
    field: str | None

    def value(self, secret: str) -> str:
        """Return the header's value, with ``secret`` filled into the template."""
        return self.format.replace("{secret}", secret)


@dataclass(frozen=True)
class CursorSettings:
    """How the URL carries the time since which a pass asks for changes.

    format: how the time is written.
    initial: the text that a pass sends instead of a time if it asks for everything, such as a source's first pass.
    """

    format: TimeFormat
    initial: str

    def text(self, ms: int | None) -> str:
        """Return the cursor for a time in Unix milliseconds, rounded down, or the initial cursor for ``None``."""
        return self.initial if ms is None else time_text(ms, self.format)


@dataclass(frozen=True)
class PagingSettings:
    """How a pass gets from one page to the next.

    style: the paging style; :mod:`readplane.poll.upstream.paging` has one class for each style.
    next: finds the next page's link or token in a response's body (styles ``link`` and ``token``). With style ``link``,
        ``None`` means that the link is in the ``Link`` header.
    parameter: the query parameter that carries the page number, offset or token.
    first: the number of the first page (style ``page``). Offsets start at 0.
    size: how many records a full page contains. This is a note for operators; Readplane reads pages of any size.
    """

    style: PagingStyle
    next: Expression | None
    parameter: str | None
    first: int
    size: int | None


@dataclass(frozen=True)
class BreakerSettings:
    """When Readplane stops polling a failing back office.

    failures: how many polls must fail in a row before Readplane stops.
    cooldown_seconds: how long Readplane then sends no request, in seconds.
    """

    failures: int
    cooldown_seconds: float


@dataclass(frozen=True)
class SweepSettings:
    """The periodic full listing that finds deleted records.

    schedule: a ``rate(…)`` or ``cron(…)`` expression.
    url: the full listing's URL; ``None`` means the source's own URL with the initial cursor.
    max_deletes_percent: the largest share of the collection that one sweep may delete, in percent. If more items are
        missing, the sweep deletes nothing.
    """

    schedule: str
    url: str | None
    max_deletes_percent: float


@dataclass(frozen=True)
class Source:
    """One source: what an operator declares about one back office.

    A source of mode ``changes`` has either a ``function`` or the three expressions ``records``, ``id`` and
    ``translation``. A source of mode ``snapshot`` has none of these four, no paging and no sweep.

    name: the source's name, unique in the stack.
    mode: ``changes`` turns each record into a change; ``snapshot`` publishes the whole response as one document.
    collection: the collection that the source feeds.
    url: the URL of the first page; it may contain :data:`CURSOR`.
    headers: names and values of the headers that every request sends, apart from the secret.
    secret: the header that carries a secret.
    records: finds the list of records in a response.
    id: finds a record's item id.
    version: a record's modification time; ``None`` if the records carry none.
    deleted: tells whether a record is deleted.
    owner: finds a record's owner (owner collections only).
    translation: turns a record into an item's data.
    function: translates records in place of the expressions above.
    cursor: how the URL carries the time since which a pass asks for changes; ``None`` if the URL has no cursor.
    paging: how a pass gets from one page to the next.
    lag_seconds: how far before the watermark the next pass begins, in seconds, to catch changes that the back office
        shows late.
    timeout_seconds: how long one try of a request may take, redirects included, in seconds.
    attempts: how many times a request is tried at most, retries included.
    max_pages: how many pages of a pass one poll reads at most. The next poll continues the pass.
    max_seconds: how long a poll may run before it requests no further page, in seconds. The next poll continues.
    requests_per_second: how many requests are sent per second at most; ``None`` sets no limit.
    max_bytes: the largest response body that is accepted, in bytes, after decompression.
    breaker: when Readplane stops polling a failing back office.
    sweep: the periodic full listing that finds deleted records.
    staleness_budget: how stale the source's items may become, in seconds. Beyond that, reads say so and an alarm fires.
    document: the item id of the snapshot's document.
    schedule: how often the source is polled: a ``rate(…)`` or ``cron(…)`` expression.
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
        """Whether the records carry their modification time."""
        return self.version is not None or (self.function is not None and self.function.versioned)

    @property
    def incremental(self) -> bool:
        """Whether a pass asks only for what has changed since a time. Otherwise, every pass reads the full listing."""
        return self.cursor is not None

    @property
    def fingerprint(self) -> str:
        """A hash of the settings that decide which records are read and how they are translated.

        If the fingerprint changes, ``poll`` reads everything again, for two reasons. A watermark of one back office
        means nothing to another one. And a corrected translation must also be applied to records that were modified
        before the correction. The fingerprint covers a function's name, but not its code.
        """
        expressions = (
            *(self.records, self.id, self.deleted, self.owner, self.translation),
            self.version.expression if self.version else None,
        )
        settings = [
            *(self.mode, self.collection, self.document, self.url, self.cursor.initial if self.cursor else None),
            *(expression.text if expression else None for expression in expressions),
            self.version.format if self.version else None,
            f"{type(self.function).__module__}.{type(self.function).__qualname__}" if self.function else None,
        ]
        return hashlib.blake2b(json.dumps(settings).encode(), digest_size=12).hexdigest()

    def url_at(self, cursor_ms: int | None) -> str:
        """Return the URL of the first page of the records that changed since ``cursor_ms``.

        :param cursor_ms: Unix milliseconds; ``None`` asks for everything.
        """
        return self._with_cursor(self.url, cursor_ms)

    def sweep_url(self) -> str:
        """Return the URL of the first page of a sweep's full listing."""
        return self._with_cursor((self.sweep.url if self.sweep else None) or self.url, None)

    def page_url(self, url: str, value: str | int) -> str:
        """Return ``url`` with the query parameter ``paging.parameter`` set to a page number, offset or token."""
        return with_parameter(url, self.paging.parameter or "", str(value))

    def _with_cursor(self, url: str, cursor_ms: int | None) -> str:
        return url.replace(CURSOR, quote(self.cursor.text(cursor_ms), safe="")) if self.cursor else url
