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
"""The placeholder in a source's URL that each poll replaces with its cursor."""


class SourceFunction(Protocol):
    """An operator's own translation, for a back office whose responses JMESPath can't translate.

    The setting ``function`` names a class with these members. Readplane calls the class without arguments.
    Raise :class:`readplane.poll.errors.TranslationError` if a response or record can't be translated.
    Its message must quote nothing of the back office's data, because Readplane logs the message.
    """

    versioned: bool
    """Whether the back office's records carry their modification time."""

    def page(self, payload: Any) -> tuple[list[Any], str | None]:
        """Split a response into records, and return with them what leads to the next page.

        :param payload: the response's JSON, parsed.
        :returns: the records, and the next page's link or token (``None`` on the last page). :meth:`item` must be able
            to translate each record without its page, because a record in quarantine is translated again alone.
        :raises readplane.poll.errors.TranslationError: if the response isn't what it should be. The poll then fails.
        """

    def item(self, record: Any) -> Mapping[str, Any]:
        """Translate one record.

        :param record: one of the records that :meth:`page` returned.
        :returns: ``id`` and ``data``; ``version`` in Unix milliseconds, if the records are ``versioned``; and
            optionally ``deleted`` and ``owner``.
        :raises readplane.poll.errors.TranslationError: if the record can't be translated. It then goes to quarantine.
        """


@dataclass(frozen=True)
class VersionField:
    """A record's modification time.

    expression: finds the time in a record.
    format: how the back office writes the time.
    """

    expression: Expression
    format: TimeFormat


@dataclass(frozen=True)
class SecretHeader:
    """The header that carries a secret to the back office.

    arn: of the Secrets Manager secret or the SSM parameter.
    header: the header's name.
    format: the header's value, with ``{secret}`` in the secret's place.
    field: the field of the secret's JSON to send; ``None`` sends the whole secret.
    """

    arn: str
    header: str
    format: str
    field: str | None

    def value(self, secret: str) -> str:
        """Return the header's value for a secret."""
        return self.format.replace("{secret}", secret)


@dataclass(frozen=True)
class CursorSettings:
    """How the URL says since when the back office is asked for changes.

    format: how the time is written.
    initial: the text that the first pass sends, when there is no time to ask from yet.
    """

    format: TimeFormat
    initial: str

    def text(self, ms: int | None) -> str:
        """Return the cursor for Unix milliseconds, or the initial one for ``None``. It is never later than ``ms``."""
        return self.initial if ms is None else time_text(ms, self.format)


@dataclass(frozen=True)
class PagingSettings:
    """How one page leads to the next.

    style: one of :data:`PagingStyle`; :mod:`readplane.poll.upstream.paging` has a class for each.
    next: finds the next page's link or token in a response's body (styles ``link`` and ``token``). With style ``link``,
        ``None`` means the ``Link`` header.
    parameter: the query parameter that carries the page number, offset or token.
    first: the number of the first page (style ``page``). Offsets start at 0.
    size: how many records a full page holds. It is only documentation: Readplane reads pages of any size.
    """

    style: PagingStyle
    next: Expression | None
    parameter: str | None
    first: int
    size: int | None


@dataclass(frozen=True)
class BreakerSettings:
    """When Readplane stops polling a failing back office.

    failures: how many polls in a row must fail.
    cooldown_seconds: how long Readplane then sends no request.
    """

    failures: int
    cooldown_seconds: float


@dataclass(frozen=True)
class SweepSettings:
    """The periodic full listing that finds deleted records.

    schedule: a ``rate(…)`` or ``cron(…)`` expression.
    url: of the full listing; ``None`` takes the source's own URL with the initial cursor.
    max_deletes_percent: the largest share of the collection that one sweep may delete. A sweep that finds more missing
        deletes nothing.
    """

    schedule: str
    url: str | None
    max_deletes_percent: float


@dataclass(frozen=True)
class Source:
    """One back office, as its operator declares it.

    A source of mode ``changes`` has either a ``function`` or ``records``, ``id`` and ``translation``. A source of mode
    ``snapshot`` has none of these, no paging and no sweep.

    name: the source's name, unique in the stack.
    mode: ``changes`` turns each record into a change; ``snapshot`` publishes the whole response as one document.
    collection: the collection that the source feeds.
    url: the URL of the first page; it may hold :data:`CURSOR`.
    headers: header names and values that every request sends, without secrets.
    secret: the header that carries a secret.
    records: finds the list of records in a response.
    id: finds a record's item id.
    version: a record's modification time; ``None`` if the records carry none.
    deleted: tells whether a record is deleted.
    owner: finds a record's owner (owner collections only).
    translation: makes an item's data out of a record.
    function: translates in place of all these expressions.
    cursor: how the URL carries a time; ``None`` if the URL has no cursor.
    paging: how one page leads to the next.
    lag_seconds: how late the back office may show a change, in seconds. Each pass asks again for this much time.
    timeout_seconds: how long one try of a request may take, redirects included, in seconds.
    attempts: how many times a request is tried at most.
    max_pages: how many pages of a pass one poll reads at most.
    max_seconds: how long one poll starts new pages, in seconds.
    requests_per_second: the most requests a second; ``None`` sets no limit.
    max_bytes: the largest response body, unpacked, in bytes.
    breaker: when Readplane stops polling a failing back office.
    sweep: the periodic full listing that finds deleted records.
    staleness_budget: how stale the source's items may become before reads and alarms say so, in seconds.
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
        """Whether a pass asks only for what changed since a time. Otherwise every pass reads the full listing."""
        return self.cursor is not None

    @property
    def fingerprint(self) -> str:
        """A hash of the settings that say which records there are and what they mean.

        When the fingerprint changes, everything must be read again. Another back office has times of its own, and a
        corrected translation must also reach records that were modified before the correction. The fingerprint covers a
        function's name and not its code.
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
        """Return the URL of the first page of what changed since ``cursor_ms``.

        :param cursor_ms: Unix milliseconds; ``None`` asks for everything.
        """
        return self._with_cursor(self.url, cursor_ms)

    def sweep_url(self) -> str:
        """Return the URL of the full listing's first page."""
        return self._with_cursor((self.sweep.url if self.sweep else None) or self.url, None)

    def page_url(self, url: str, value: str | int) -> str:
        """Return ``url`` with the paging's query parameter set to a page number, offset or token."""
        return with_parameter(url, self.paging.parameter or "", str(value))

    def _with_cursor(self, url: str, cursor_ms: int | None) -> str:
        return url.replace(CURSOR, quote(self.cursor.text(cursor_ms), safe="")) if self.cursor else url
