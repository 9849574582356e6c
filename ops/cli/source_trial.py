"""Tries a source from this machine: reads the first pages of its list, translates the records and judges the result.

Nothing is sent to AWS, and nothing is saved. The requests are those of `poll`, because the client, the paging styles
and the translator of `poll` make them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from ops.cli.trial_report import END_TEXTS, Exchange, ListName, Refusal, TrialReport, TriedPage
from readplane.clock import now_ms
from readplane.model.schema import SchemaValidator
from readplane.model.timestamp import rfc3339
from readplane.poll.continuation import Continuation
from readplane.poll.declared_sources import DeclaredSource
from readplane.poll.errors import ReadingError, SecretError
from readplane.poll.passes.base import advance_watermark, cursor_before
from readplane.poll.passes.deletes import first_deletes_cursor
from readplane.poll.source.settings import ListRequest, PagingSettings, Source, StoredSecret
from readplane.poll.source.snapshot_body import check_snapshot
from readplane.poll.source.translate import TranslatedRecord, Translator, UntranslatableRecord
from readplane.poll.upstream.client import BackOfficeClient
from readplane.poll.upstream.paging.ending import ListEnd
from readplane.poll.upstream.paging.reader import FetchedPage, PageReader
from readplane.poll.upstream.request import BackOfficeRequest
from readplane.poll.upstream.response import BackOfficeResponse
from readplane.poll.upstream.secret_values import SecretValues, secret_field

SHOWN_ITEMS = 5
SHOWN_REFUSALS = 10

_LONGEST_TEXT = 300
"""How many characters of a body or a record are shown."""

_FUTURE_MS = 60_000
"""How far ahead of this machine's clock a record's time may be before the trial takes it for local time."""


class LocalSecrets:
    """Secrets that the operator gives to the command, as :class:`SecretValues`.

    :param texts: the text of each secret, by its ARN. It is the whole stored text, or the field that the source names.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def get_secret(self, secret: StoredSecret) -> str:
        """Return the text of a secret.

        :raises SecretError: if the command has no text for it
        """
        text = self._texts.get(secret.arn)
        if text is None:
            raise SecretError("the command got no text for one of the source's secrets")
        try:
            return secret_field(text, secret.field)
        except SecretError:
            # The operator has given the field alone.
            return text

    def refresh_secret(self, secret: StoredSecret) -> str:
        """Return the same text again, because nobody rotates it here."""
        return self.get_secret(secret)


class RecordingClient:
    """The client of a source's back office, which remembers each request and response without secrets."""

    def __init__(self, source: Source, secrets: SecretValues | None) -> None:
        self.exchanges: list[Exchange] = []
        self._client = BackOfficeClient(source, secrets)
        self._secret_values: set[str] = set()

    def fetch(
        self,
        request: BackOfficeRequest,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
        probe: bool = False,
        deadline: float,
    ) -> BackOfficeResponse:
        """Send a request as `poll` does, and remember it."""
        exchange = self.describe(request)
        self.exchanges.append(exchange)
        began = time.monotonic()
        try:
            response = self._client.fetch(
                request, etag=etag, last_modified=last_modified, probe=probe, deadline=deadline
            )
        except ReadingError as error:
            exchange.status = getattr(error, "status", None)
            raise
        finally:
            exchange.seconds = round(time.monotonic() - began, 3)
        self._secret_values |= response.secret_values
        exchange.status, exchange.bytes = response.status, len(response.body or b"")
        return response

    def describe(self, request: BackOfficeRequest) -> Exchange:
        """Return a request as it can be shown."""
        body = None if request.body is None else self.without_secrets(request.body.decode())
        return Exchange(request.method, self.without_secrets(request.url), body)

    def without_secrets(self, text: str) -> str:
        """Return a text in which each secret that this client has sent is replaced by an ellipsis."""
        for value in sorted(self._secret_values, key=len, reverse=True):
            text = text.replace(value, "…") if value else text
        return text

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class Trial:
    """Tries one list of a source.

    :param pages: how many pages to read at most
    :param since_ms: the time from which to ask for changes, in Unix milliseconds; None for all records
    """

    def __init__(
        self,
        declared: DeclaredSource,
        secrets: SecretValues | None,
        *,
        list_name: ListName = "main",
        pages: int = 3,
        since_ms: int | None = None,
    ) -> None:
        self._source = declared.source
        self._validator = declared.validator
        self._pages = pages
        self._since_ms = since_ms
        self._client = RecordingClient(declared.source, secrets)
        self._report = TrialReport(declared.source.name, list_name)
        self._records: list[TranslatedRecord] = []
        self._window_end_ms: int | None = None
        """Where the window ends that the trial reads; None if it ends now, or if the source has no windows."""

    def run(self) -> TrialReport:
        """Read the list, and return what it is like. A failure of the back office is a problem in the report."""
        report = self._report
        report.exchanges = self._client.exchanges
        try:
            if self._source.mode == "snapshot":
                self._read_snapshot()
            else:
                self._read_changes()
        except ReadingError as error:
            report.problems.append(f"The back office can't be read: {error.kind}: {error.detail}.")
        finally:
            self._client.close()
        # The values of the secrets are known only after the first response.
        for exchange in report.exchanges:
            exchange.url = self._client.without_secrets(exchange.url)
            exchange.body = exchange.body and self._client.without_secrets(exchange.body)
        return report

    def _read_snapshot(self) -> None:
        source = self._source
        request = BackOfficeRequest.of_page(source.main_list(None, now_ms()), None)
        response = self._client.fetch(request, deadline=time.monotonic() + source.max_seconds)
        content_type = response.headers.get("Content-Type")
        document = check_snapshot(response.body or b"", content_type, source, self._validator)
        self._report.document = _shortened(document.decode())
        self._report.end, self._report.certain = "one_page", True

    def _read_changes(self) -> None:
        report, source = self._report, self._source
        translator = Translator.for_deletes(source) if report.list_name == "deletes" else self._translator()
        delta = self._read_pages(self._list_request(), translator)
        self._judge_records()
        if report.list_name == "main":
            self._look_at_next_pass(delta)

    def _translator(self) -> Translator:
        validator: SchemaValidator = self._validator
        return Translator(self._source, validator)

    def _list_request(self) -> ListRequest:
        source, list_name, since_ms, started_ms = self._source, self._report.list_name, self._since_ms, now_ms()
        if list_name == "sweep" and source.sweep and source.sweep.url is not None:
            return source.sweep_list(since_ms, started_ms)
        if list_name == "deletes":
            cursor_ms = first_deletes_cursor(started_ms, source.lag_ms) if since_ms is None else since_ms
            return source.deletes_list(cursor_ms, started_ms)
        # A sweep without a URL of its own reads the same list as a main pass, window by window.
        cursor_ms, until_ms = source.window_after(since_ms, started_ms)
        self._window_end_ms = until_ms if until_ms < started_ms else None
        return source.main_list(cursor_ms, until_ms)

    def _pages_of(self, request: ListRequest, translator: Translator) -> Iterator[FetchedPage]:
        """Yield the first pages of a list. The last page of the list has no continuation."""
        seconds = self._source.max_seconds
        reader = PageReader(self._source, self._client.fetch, translator, lambda: seconds, probe=False)
        continuation = None
        for _ in range(self._pages):
            page = reader.read_page(request, continuation)
            yield page
            continuation = page.continuation
            if continuation is None:
                return

    def _read_pages(self, request: ListRequest, translator: Translator) -> str | None:
        """Read the first pages. Return the link with which the next pass begins, if the last page names one."""
        for number, page in enumerate(self._pages_of(request, translator), 1):
            self._add_page(number, page, request.paging)
            if page.continuation is None:
                self._add_end(page.end)
                return page.delta
        return None

    def _add_page(self, number: int, page: FetchedPage, paging: PagingSettings) -> None:
        report, refused = self._report, 0
        for position, record in enumerate(page.records or (), 1):
            if isinstance(record, UntranslatableRecord):
                refused += 1
                if len(report.refusals) < SHOWN_REFUSALS:
                    text = _shortened(record.raw_text)
                    report.refusals.append(Refusal(number, position, record.reason, record.detail, text))
            else:
                self._records.append(record)
        report.pages.append(
            TriedPage(len(page.records or ()), refused, next_page_text(self._source, paging, page.continuation))
        )
        report.refused_count += refused
        report.item_count = len(self._records)

    def _add_end(self, end: ListEnd | None) -> None:
        if end is None:
            return
        self._report.end, self._report.certain = end.reason, end.certain
        if not end.certain:
            self._report.problems.append(
                f"The list ended, but nothing proves that it was read whole: {END_TEXTS[end.reason]}. Poll would delete"
                " nothing and keep its watermark. Set paging.more, paging.size or paging.end_status."
            )

    def _judge_records(self) -> None:
        report, source = self._report, self._source
        report.items = [_item(record) for record in self._records[:SHOWN_ITEMS]]
        total = report.item_count + report.refused_count
        limit = source.refused_percent
        if report.refused_count:
            text = f"{report.refused_count} of {total} records would go to quarantine."
            if 100 * report.refused_count > limit * total:
                text += f" That is more than max_refused_percent ({limit:g}), so the source wouldn't become fresh."
            report.problems.append(text)
            reasons = {refusal.reason for refusal in report.refusals}
            if source.id_encoding is None and "bad_id" in reasons:
                report.hints.append('Set id_encoding = "tilde", so that ids with other characters become item ids.')
            if "bad_version" in reasons:
                report.hints.append("Set version.format and version.zone as the back office writes its times.")
        duplicates = total - report.refused_count - len({(record.owner, record.item_id) for record in self._records})
        if duplicates and not source.versioned:
            report.problems.append(
                f"{duplicates} of the records have the id of an earlier record, and poll would keep only the first one."
                " Choose another id."
            )
        if not total:
            report.hints.append("There are no records. Check records, and whether the back office has any.")
        self._judge_times()
        if report.list_name == "main" and source.incremental and not (source.deleted or source.sweep or source.deletes):
            report.hints.append("Nothing finds deleted records. Set deleted, deletes or sweep.")

    def _judge_times(self) -> None:
        report, source = self._report, self._source
        times = [record.version_ms for record in self._records if record.version_ms is not None]
        if not times:
            return
        report.newest = rfc3339(max(times))
        if max(times) > now_ms() + _FUTURE_MS:
            report.problems.append(
                "A record's time is in the future. Does the back office write local times? Set version.zone."
            )
        ascending = all(earlier <= later for earlier, later in pairwise(times))
        if source.order == "modified" and not ascending:
            report.problems.append("The records aren't sorted by time, oldest first. Remove order, or sort the list.")
        if source.order is None and source.incremental and ascending and len(report.pages) > 1:
            report.hints.append('The records are sorted by time. If they always are, set order = "modified".')

    def _look_at_next_pass(self, delta: str | None) -> None:
        """Find out what the next pass asks for, and whether the back office sends the newest record again.

        If the trial has read a window that ends before now, the next pass begins at the window's end. Then a request of
        its own asks for the newest record.
        """
        source, report = self._source, self._report
        if delta is not None:
            report.next_pass = self._client.describe(BackOfficeRequest.of_page(source.delta_list(delta), None))
            return
        newest = max(
            (record for record in self._records if record.version_ms is not None),
            key=lambda record: record.version_ms or 0,
            default=None,
        )
        if newest is None or newest.version_ms is None or not source.incremental or source.paging.delta:
            return
        watermark_ms = advance_watermark(None, newest.version_ms, now_ms())
        request = self._request_after(watermark_ms)
        sent = len(self._client.exchanges)
        found = self._finds(newest, request)
        report.next_pass = self._client.exchanges[sent]
        if self._window_end_ms is not None:
            request = self._request_after(advance_watermark(watermark_ms, self._window_end_ms, now_ms()))
            report.next_pass = self._client.describe(BackOfficeRequest.of_page(request, None))
        if found is False:
            report.problems.append(
                "The next pass doesn't find the newest record again, although it asks for its time. The back office may"
                " read the cursor as local time, so changes could be lost. Set cursor.zone, or raise lag_seconds."
            )
        elif found is None:
            report.hints.append("The first pages of the next pass don't show whether it finds the newest record again.")

    def _request_after(self, watermark_ms: int | None) -> ListRequest:
        """Return what a main pass asks for, if an earlier pass has moved the watermark to a time."""
        source = self._source
        cursor_ms = cursor_before(watermark_ms, source.cursor_lag_ms)
        return source.main_list(*source.window_after(cursor_ms, now_ms()))

    def _finds(self, newest: TranslatedRecord, request: ListRequest) -> bool | None:
        """Return whether a list has a record; None if the first pages don't show it."""
        for page in self._pages_of(request, self._translator()):
            for record in page.records or ():
                if (record.item_id, getattr(record, "owner", None)) == (newest.item_id, newest.owner):
                    return True
            if page.continuation is None:
                return False
        return None


def next_page_text(source: Source, paging: PagingSettings, continuation: Continuation | None) -> str | None:
    """Return how a pass found the next page of a list; None on the last page."""
    if continuation is None:
        return None
    if paging.header:
        token_source = f"the header {paging.header}"
    elif paging.next:
        token_source = "paging.next"
    elif source.function:
        token_source = "the function"
    else:
        token_source = f"the Link header, rel={paging.rel or 'next'}"
    texts = {
        "link": f"a link from {token_source}",
        "token": f"a token from {token_source}",
        "page": "the next page number",
        "offset": "the next offset",
    }
    return texts[paging.style]


def _item(record: TranslatedRecord) -> dict[str, Any]:
    return {
        "id": record.item_id,
        "version": None if record.version_ms is None else rfc3339(record.version_ms),
        "deleted": record.deleted,
        "owner": record.owner,
        "data": record.data_text,
    }


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + " …"
