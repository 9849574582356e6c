"""The classes for a source's settings, with which an operator describes one back office.

Each class has the fields of the JSON object that Terraform writes, and :mod:`.reader` reads the fields by their
annotations. The rules and the defaults are in ``terraform/modules/settings/variables_sources.tf``.

A field that a later version adds must allow ``None``, because an older version of the settings lacks it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from .expression import Expression
from .template import CURSOR, NOW, PAGE, Value, filled_body, filled_url
from .times import TimeFormat, Zone, parse_time, time_text
from .urls import with_parameter

SourceMode = Literal["changes", "snapshot"]
PagingStyle = Literal["none", "link", "page", "offset", "token"]
Method = Literal["GET", "POST"]
PayloadFormat = Literal["json", "csv", "xml"]
IdEncoding = Literal["tilde"]
ListOrder = Literal["modified"]
Grant = Literal["client_credentials", "refresh_token"]
ClientAuthentication = Literal["basic", "body"]

DEFAULT_REFUSED_PERCENT = 10.0
"""The ``max_refused_percent`` of a source that doesn't set it."""


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
    zone: the time zone of times that have no offset, such as ``Europe/Berlin``; ``None`` means UTC.
    """

    expression: Expression
    format: TimeFormat
    zone: Zone | None


@dataclass(frozen=True)
class RequestSettings:
    """The method and the body of the requests of a list.

    method: the HTTP method.
    body: the template of a JSON body, with the placeholders :data:`CURSOR`, :data:`NOW` and :data:`PAGE`; ``None`` for
        a request without a body.
    """

    method: Method
    body: str | None


@dataclass(frozen=True)
class PayloadSettings:
    """The form of the back office's response bodies.

    format: the format of the bodies.
    charset: the character set of the bodies; ``None`` means the one that the response or the XML declares, else UTF-8.
    delimiter: the character between two fields of a CSV row.
    """

    format: PayloadFormat
    charset: str | None
    delimiter: str | None


@dataclass(frozen=True)
class StoredSecret:
    """A text that is stored as a Secrets Manager secret or an SSM parameter.

    arn: the ARN of the Secrets Manager secret or the SSM parameter.
    field: if the stored text is a JSON object, the name of the field to use; ``None`` uses the whole text.
    """

    arn: str
    field: str | None


@dataclass(frozen=True)
class SecretSettings:
    """The secret, such as an API key, that each request carries to the back office in a header or query parameter.

    arn: the ARN of the Secrets Manager secret or the SSM parameter that holds the secret.
    header: the name of the header that carries the secret; ``None`` if something else does.
    query: the name of the query parameter that carries the secret; ``None`` if something else does.
    basic_username: the user name of HTTP Basic authentication (RFC 7617), whose password is the secret; ``None`` if a
        header or query parameter carries the secret.
    format: a template of the header's or parameter's value, in which ``{secret}`` stands for the secret.
    field: if the secret is a JSON object, the name of the field whose value is sent; ``None`` sends the whole secret.
    """

    arn: str
    header: str | None
    query: str | None
    basic_username: str | None
    format: str
    field: str | None

    def value(self, secret: str) -> str:
        """Return the value of the header or parameter: ``format`` with ``secret`` in place of ``{secret}``."""
        return self.format.replace("{secret}", secret)


@dataclass(frozen=True)
class OAuth2Settings:
    """How `poll` gets the access token that each request carries as a bearer token (RFC 6749).

    token_url: the URL of the authorization server's token endpoint.
    grant: ``client_credentials``: the stored secret is the client's secret. ``refresh_token``: the stored secret is a
        JSON object with the members ``refresh_token`` and, if the client has a secret, ``client_secret``.
    client_id: the client's id.
    client_authentication: whether the client's id and secret are sent by HTTP Basic authentication or in the body.
    scope: the scope to ask for; ``None`` to leave it out.
    parameters: further parameters of the token request, such as ``audience``.
    secret: where the secret is stored.
    """

    token_url: str
    grant: Grant
    client_id: str
    client_authentication: ClientAuthentication
    scope: str | None
    parameters: Mapping[str, str]
    secret: StoredSecret


@dataclass(frozen=True)
class TlsSettings:
    """Which certificates a connection to the back office uses.

    ca_pem: the certificates of the authorities that may have signed the back office's certificate, as PEM text;
        ``None`` means the public authorities.
    client_certificate: where the certificate and the private key of `poll` are stored, as PEM text; ``None`` if the
        back office asks for no certificate.
    """

    ca_pem: str | None
    client_certificate: StoredSecret | None


@dataclass(frozen=True)
class CursorSettings:
    """How the cursor is written in a source's requests. The cursor is the time since which a pass asks for changes.

    format: the format in which the time is written; ``None`` means the format of the records' modification time.
    zone: the time zone in which the time is written; ``None`` means UTC.
    initial: the text that replaces the time if a pass asks for all records, as a source's first pass does; ``None``
        means the start of 1970 in the cursor's format. With ``window_seconds`` it is an RFC 3339 time.
    window_seconds: how many seconds one request may ask for, from :data:`CURSOR` to :data:`NOW`; ``None`` if the back
        office doesn't limit them.
    """

    format: TimeFormat | None
    zone: Zone | None
    initial: str | None
    window_seconds: float | None


@dataclass(frozen=True)
class PagingSettings:
    """How a pass requests the pages of a back office's list, one after another, and how it knows the last page.

    style: the paging style; :mod:`readplane.poll.upstream.paging` has one class for each style.
    next: the JMESPath expression that finds the next page's link or token in a response's body (styles ``link`` and
        ``token``).
    header: the name of the response header that holds the next page's link or token, instead of ``next``.
    rel: the relation type of the next page's link in a ``Link`` header (style ``link``).
    parameter: the name of the query parameter that carries the page number, offset or token; ``None`` if the
        placeholder :data:`PAGE` does.
    first: the number of the first page (style ``page``) or the offset of the first record (style ``offset``).
    size: how many records the back office puts on a full page before it filters them. Style ``offset`` then counts the
        records that the back office scanned instead of the records that it returned.
    more: the JMESPath expression that is true if there is another page, and false on the last page.
    total: the JMESPath expression that finds how many records the list has (style ``offset``).
    end_status: the HTTP statuses with which the back office answers a request past the last page.
    max_empty_pages: how many pages without records in a row end the list; ``None`` means the default of the style.
    delta: the JMESPath expression that finds the link with which the next pass begins (style ``link``).
    """

    style: PagingStyle
    next: Expression | None
    header: str | None
    rel: str | None
    parameter: str | None
    first: int | None
    size: int | None
    more: Expression | None
    total: Expression | None
    end_status: tuple[int, ...] | None
    max_empty_pages: int | None
    delta: Expression | None


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

    schedule: how often the sweep runs: a ``rate(…)`` or ``cron(…)`` expression; ``None`` if every pass of the source is
        a full listing.
    url: the URL of the full listing; ``None`` means the source's own URL and request with the initial cursor.
    request: the method and body of the requests to ``url``; ``None`` means GET without a body.
    max_deletes_percent: the maximum percentage of the collection's items that one sweep may delete. If more items are
        missing from the listing, the sweep deletes nothing.
    """

    schedule: str | None
    url: str | None
    request: RequestSettings | None
    max_deletes_percent: float


@dataclass(frozen=True)
class DeletesSettings:
    """Settings of a list at an address of its own, in which the back office names the records that it has deleted.

    url: the URL of the first page; it may contain :data:`CURSOR` and :data:`NOW`.
    request: the method and body of the requests; ``None`` means GET without a body.
    records: the expression that finds the list of deleted records in a response.
    id: the expression that finds the item id in a deleted record.
    version: how to read the time of the deletion.
    paging: how a pass requests one page after another.
    """

    url: str
    request: RequestSettings | None
    records: Expression
    id: Expression
    version: VersionField
    paging: PagingSettings


def asks_since(url: str, request: RequestSettings | None) -> bool:
    """Return whether a list can be asked for the records since a time, because its URL or body has the cursor.

    :param url: the template of the list's URL.
    :param request: the method and body of the list's requests; ``None`` means GET without a body.
    """
    body = request.body if request else None
    return CURSOR in url or CURSOR in (body or "")


class ListRequest(NamedTuple):
    """What a pass asks the back office for: one list, of which each request reads a page.

    url: the template of the first page's URL.
    request: the method and body of the requests; ``None`` means GET without a body.
    paging: how the pass requests one page after another.
    cursor: the value of the placeholder :data:`CURSOR`.
    now: the value of the placeholder :data:`NOW`.
    by_function: whether the source's translation class finds the link or token of the next page.
    """

    url: str
    request: RequestSettings | None
    paging: PagingSettings
    cursor: Value = None
    now: Value = None
    by_function: bool = False

    @property
    def method(self) -> Method:
        """The HTTP method of the requests."""
        return self.request.method if self.request else "GET"

    def url_of_page(self, page: Value) -> str:
        """Return the URL of a page.

        :param page: the page's number, offset or token, which replaces :data:`PAGE` and becomes the query parameter
            ``paging.parameter``; ``None`` if the page has none of them.
        """
        url = filled_url(self.url, self._values(page))
        parameter = self.paging.parameter
        return url if parameter is None or page is None else with_parameter(url, parameter, str(page))

    def body_of_page(self, page: Value) -> str | None:
        """Return the JSON body of the request for a page; ``None`` if the requests have no body.

        :param page: the page's number, offset or token; ``None`` if the page has none of them.
        """
        body = self.request.body if self.request else None
        return None if body is None else filled_body(body, self._values(page))

    def _values(self, page: Value) -> Mapping[str, Value]:
        return {CURSOR: self.cursor, NOW: self.now, PAGE: page}


@dataclass(frozen=True)
class Source:
    """All settings of one source, with which an operator describes one back office.

    A source of mode ``changes`` has either a ``function`` or the three expressions ``records``, ``id`` and
    ``translation``. A source of mode ``snapshot`` has none of these four, no paging and no sweep.

    name: the source's name, unique in the stack.
    mode: ``changes`` turns each record into a change; ``snapshot`` publishes the whole response as one document.
    collection: the collection that the source feeds.
    url: the URL of the first page; it may contain :data:`CURSOR`, :data:`NOW` and :data:`PAGE`.
    request: the method and body of the requests; ``None`` means GET without a body.
    headers: names and values of the headers that every request sends. The secret's header isn't one of them.
    secret: the secret that every request sends; ``None`` if the back office needs no secret.
    oauth2: how `poll` gets the access token that every request sends; ``None`` if the back office needs none.
    tls: which certificates a connection uses; ``None`` means those of public authorities.
    payload: the form of the response bodies; ``None`` means JSON.
    expect: the JMESPath expression that is true for a usable response and false for any other, such as an error that
        the back office reports with the status 200; ``None`` to check nothing.
    conditional: whether requests may be conditional, so that the back office can answer 304. ``None`` means true.
    records: the expression that finds the list of records in a response.
    id: the expression that finds the item id in a record.
    id_encoding: how ids become item ids: ``tilde`` writes each character that an item id can't hold as a tilde and
        hexadecimal digits; ``None`` leaves ids as they are.
    version: how to read a record's modification time; ``None`` if the records contain none.
    deleted: the expression that is true if a record is deleted.
    owner: the expression that finds the owner in a record (owner collections only).
    translation: the expression that turns a record into an item's data.
    function: an instance of a translation class, which translates records in place of the expressions above.
    cursor: how the time since which a pass asks for changes is written in the URL; ``None`` means the defaults of
        :class:`CursorSettings`.
    paging: how a pass requests one page after another.
    order: ``modified`` if the back office sorts its list by modification time, oldest first. Then the watermark moves
        with every page. ``None`` if the order is unknown.
    deletes: the list of the records that the back office has deleted; ``None`` if there is no such list.
    max_refused_percent: the largest percentage of refused records with which a pass makes the source fresh. ``None``
        means 10.
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
    request: RequestSettings | None
    headers: Mapping[str, str]
    secret: SecretSettings | None
    oauth2: OAuth2Settings | None
    tls: TlsSettings | None
    payload: PayloadSettings | None
    expect: Expression | None
    conditional: bool | None
    records: Expression | None
    id: Expression | None
    id_encoding: IdEncoding | None
    version: VersionField | None
    deleted: Expression | None
    owner: Expression | None
    translation: Expression | None
    function: SourceFunction | None
    cursor: CursorSettings | None
    paging: PagingSettings
    order: ListOrder | None
    deletes: DeletesSettings | None
    max_refused_percent: float | None
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
        return asks_since(self.url, self.request) or self.paging.delta is not None

    @property
    def payload_format(self) -> PayloadFormat:
        """The format of the response bodies."""
        return self.payload.format if self.payload else "json"

    @property
    def refused_percent(self) -> float:
        """The largest percentage of refused records with which a pass makes the source fresh."""
        return DEFAULT_REFUSED_PERCENT if self.max_refused_percent is None else self.max_refused_percent

    @property
    def lag_ms(self) -> int:
        """The setting ``lag_seconds`` in milliseconds."""
        return int(self.lag_seconds * 1000)

    @property
    def window_ms(self) -> int | None:
        """How many milliseconds one request may ask for; ``None`` if the back office doesn't limit them."""
        seconds = self.cursor.window_seconds if self.cursor else None
        return None if seconds is None else int(seconds * 1000)

    @property
    def cursor_lag_ms(self) -> int:
        """How many milliseconds before the watermark an incremental pass begins.

        A lag longer than the window would make the next pass ask for the same window again.
        """
        return self.lag_ms if self.window_ms is None else min(self.lag_ms, self.window_ms // 2)

    @property
    def initial_ms(self) -> int:
        """The time at which the first window of a source with ``cursor.window_seconds`` begins, Unix milliseconds."""
        initial = self.cursor.initial if self.cursor else None
        return 0 if initial is None else parse_time(initial, TimeFormat("rfc3339"))

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
        settings: list[Any] = [
            *(self.mode, self.collection, self.document, self.url),
            str(self._time_value(None, self.version)) if self.incremental else None,
            *(expression.text if expression else None for expression in expressions),
            self.version.format if self.version else None,
            f"{type(self.function).__module__}.{type(self.function).__qualname__}" if self.function else None,
        ]
        # Settings that a later version added count only if they are set, so that the version keeps all fingerprints.
        added = {
            "request": self.request and [self.request.method, self.request.body],
            "payload": self.payload and [self.payload.format, self.payload.charset, self.payload.delimiter],
            "id_encoding": self.id_encoding,
            "version.zone": self.version and self.version.zone,
            "cursor.zone": self.cursor and self.cursor.zone,
            "paging.delta": self.paging.delta and self.paging.delta.text,
        }
        settings += [[name, value] for name, value in added.items() if value]
        return hashlib.blake2b(json.dumps(settings).encode(), digest_size=12).hexdigest()

    def window_after(self, cursor_ms: int | None, now_ms: int) -> tuple[int | None, int]:
        """Return the start and the end of the time window that an incremental pass asks for, Unix milliseconds.

        :param cursor_ms: the time since which the pass reads changes; ``None`` for all records.
        :param now_ms: the current time.
        :returns: the start, which is ``None`` for all records if the back office doesn't limit the window; and the end.
        """
        window_ms = self.window_ms
        if window_ms is None:
            return cursor_ms, now_ms
        start_ms = self.initial_ms if cursor_ms is None else cursor_ms
        return start_ms, min(start_ms + window_ms, now_ms)

    def main_list(self, cursor_ms: int | None, until_ms: int | None = None) -> ListRequest:
        """Return what a main pass asks for: the records that changed since a time.

        :param cursor_ms: a time in Unix milliseconds; ``None`` asks for all records.
        :param until_ms: the end of the time window, Unix milliseconds; ``None`` if nothing asks for it.
        """
        return self._own_list(self.url, self.request, cursor_ms, until_ms)

    def sweep_list(self, cursor_ms: int | None = None, until_ms: int | None = None) -> ListRequest:
        """Return what a sweep asks for: all records.

        A sweep with a URL of its own never sends the source's own body, which was written for another list.

        :param cursor_ms: where the sweep goes on in a list that is sorted by modification time, Unix milliseconds;
            ``None`` for the start of the list.
        :param until_ms: the end of the time window, Unix milliseconds; ``None`` if nothing asks for it.
        """
        if self.sweep and self.sweep.url is not None:
            return self._own_list(self.sweep.url, self.sweep.request, cursor_ms, until_ms)
        return self._own_list(self.url, self.request, cursor_ms, until_ms)

    def delta_list(self, link: str) -> ListRequest:
        """Return what a main pass asks for that begins at the delta link of an earlier pass.

        :param link: the delta link, without a secret. A brace in it isn't a placeholder.
        """
        url = link.replace("{", "%7B").replace("}", "%7D")
        return ListRequest(url, None, self.paging, by_function=self.function is not None)

    def deletes_list(self, cursor_ms: int | None, until_ms: int | None = None) -> ListRequest:
        """Return what a pass through the list of deleted records asks for. The source must have ``deletes``.

        :param cursor_ms: a time in Unix milliseconds, since which the records were deleted; ``None`` for all of them.
        :param until_ms: the end of the time window, Unix milliseconds; ``None`` if nothing asks for it.
        """
        assert self.deletes
        deletes = self.deletes
        cursor, now = self._time_value(cursor_ms, deletes.version), self._now_value(until_ms, deletes.version)
        return ListRequest(deletes.url, deletes.request, deletes.paging, cursor, now)

    def _own_list(
        self, url: str, request: RequestSettings | None, cursor_ms: int | None, until_ms: int | None
    ) -> ListRequest:
        cursor, now = self._time_value(cursor_ms, self.version), self._now_value(until_ms, self.version)
        return ListRequest(url, request, self.paging, cursor, now, by_function=self.function is not None)

    def _now_value(self, ms: int | None, version: VersionField | None) -> Value:
        return None if ms is None else self._time_value(ms, version)

    def _time_value(self, ms: int | None, version: VersionField | None) -> Value:
        """Return the value of a placeholder for a time: a number for Unix times, and a text for other formats.

        :param ms: the time in Unix milliseconds, which is rounded down to the precision of the format; ``None`` for the
            initial cursor.
        :param version: how the list's records write their times, which is the default of the cursor's format.
        """
        cursor = self.cursor
        time_format = (cursor.format if cursor else None) or (version.format if version else None)
        time_format = time_format or TimeFormat("unix_ms")
        is_number = time_format.startswith("unix_")
        if ms is None and cursor and cursor.initial is not None and cursor.window_seconds is None:
            return int(cursor.initial) if is_number and cursor.initial.isdecimal() else cursor.initial
        text = time_text(self.initial_ms if ms is None else ms, time_format, cursor.zone if cursor else None)
        return int(text) if is_number else text
