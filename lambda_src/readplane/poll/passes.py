"""One pass: read a source's pages, send the changes of their records, and advance the checkpoint.

An incremental pass reads the records modified since shortly before the watermark. A full listing reads every record and
compares each record with its item. It also stores the hashes of the listed items, so that :mod:`.sweep` can find the
items that are missing from the listing.
"""

from dataclasses import replace
from typing import Literal

from ..clock import now_ms
from .checkpoint import ConditionalRequest, FailureState, Pass, PassKind
from .decide import MAX_IN_FLIGHT_MS
from .errors import ListMovedError
from .lease import Lease
from .missing_items import CHUNK_HASHES, pack_hashes
from .records import RecordSender
from .remembered import Remembered
from .source.translate import PageRecord
from .upstream.paging.reader import FetchedPage, PageReader

MAX_RESTARTS = 2
"""The maximum number of restarts of a pass in one invocation, if the list changes while the pass reads its pages."""

_CURSOR_ROUNDING_MS = 1000
"""How much older than the pass's cursor a record in a response may be, in milliseconds.

If a back office takes the cursor in whole seconds, `poll` rounds the cursor down. So the back office may also return
records that are up to a second older than the exact cursor.
"""

PassOutcome = Literal["completed", "not_modified", "unfinished"]


def advance_watermark(previous_ms: int | None, newest_ms: int | None, started_ms: int) -> int | None:
    """Return the watermark after a pass, by the back office's clock. The watermark never goes back.

    :param previous_ms: the watermark before the pass.
    :param newest_ms: the latest modification time that the pass read; ``None`` if it read no record.
    :param started_ms: the time just before the pass's first request. The watermark never exceeds this time, because a
        record modified later may belong on a page that the pass had already read.
    """
    if newest_ms is None:
        return previous_ms
    return max(previous_ms or 0, min(newest_ms, started_ms))


def cursor_before(watermark_ms: int | None, lag_ms: int) -> int | None:
    """Return the time from which the next pass reads: the watermark minus the lag, Unix milliseconds.

    The lag lets the next pass find records that the back office committed later than their modification time says.

    :returns: the time; ``None`` if there is no watermark yet, so that the next pass reads everything.
    """
    return None if watermark_ms is None else max(0, watermark_ms - lag_ms)


class PassRun:
    """One pass through a source's pages, or the part of it that fits into this invocation.

    :param full: whether the pass is a full listing.
    :param kind: whether the pass is the source's main pass or a sweep.
    """

    def __init__(self, lease: Lease, reader: PageReader, *, full: bool, kind: PassKind) -> None:
        self._lease = lease
        self._source = lease.source
        self._reader = reader
        self._full = full
        self._kind: PassKind = kind
        self._lag_ms = int(lease.source.lag_seconds * 1000)
        self._remembered = Remembered(lease.checkpoint.remembered)
        self._sender = RecordSender(lease, self._remembered, full=full, is_sweep=kind == "sweep")

    def run(self) -> PassOutcome:
        """Read pages until the last page is read, or until this invocation reaches its limits.

        :raises ListMovedError: if the back office's list changed during every attempt to read it. The next poll starts
            the pass again.
        :raises ReadingError: if the back office can't be read.
        """
        self._lease.begin_pass(self._kind)
        for restarts in range(MAX_RESTARTS + 1):
            try:
                return self._read_pages()
            except ListMovedError:
                self._lease.restart_pass()
                if restarts == MAX_RESTARTS:
                    raise
        raise AssertionError("the last restart returns or raises")

    def _read_pages(self) -> PassOutcome:
        lease = self._lease
        while True:
            state = lease.checkpoint.get_pass(self._kind) or self._first_state()
            if state.all_read:
                return "completed"
            if not lease.may_read_page:
                return "unfinished"
            page = self._reader.read_page(self._first_url(state), state.continuation, self._conditional_request(state))
            lease.checkpoint = replace(lease.checkpoint, failures=FailureState())
            lease.counts.pages += 1
            if page.records is None:
                self._complete(state, page.conditional_request)
                # Don't search for missing items after a 304 response. An item is deleted only if two full listings in
                # a row lack it. A full listing sends a conditional request only if the previous one lacked no item. So
                # after a 304 response, no item can be missing for the second time.
                lease.checkpoint = replace(lease.checkpoint, main_pass=None)
                return "not_modified"
            self._process_page(state, page, page.records)
            if page.continuation is None:
                return "completed"

    def _first_state(self) -> Pass:
        watermark_ms = self._lease.checkpoint.watermark_ms
        return Pass(started_ms=now_ms(), cursor_ms=None if self._full else cursor_before(watermark_ms, self._lag_ms))

    def _first_url(self, state: Pass) -> str:
        return self._source.sweep_url() if self._kind == "sweep" else self._source.url_at(state.cursor_ms)

    def _conditional_request(self, state: Pass) -> ConditionalRequest | None:
        """Return the validators for the next request; ``None`` if the next request must be unconditional.

        The back office returns the full page to an unconditional request, even if the page hasn't changed.
        """
        checkpoint = self._lease.checkpoint
        if self._kind == "sweep" or state.continuation is not None or self._remembered.has_pending:
            return None
        # A recent change may still be on its way from Kinesis to its item, or it may be lost. To find a lost change, a
        # full listing compares its records with their items. A 304 response would have no records to compare. So make
        # the request unconditional.
        may_be_in_flight = state.started_ms < checkpoint.last_change_ms + MAX_IN_FLIGHT_MS
        if self._full and (checkpoint.missed_items or may_be_in_flight):
            return None
        return checkpoint.conditional_request

    def _process_page(self, state: Pass, page: FetchedPage, records: list[PageRecord]) -> None:
        """Send the changes of a page's records, then note the progress of the pass in the checkpoint."""
        lease = self._lease
        sent = self._sender.send_page(records, page.requested_ms, state.started_ms)
        lease.counts.records += len(records)
        lease.counts.changes += sent.changes
        state = replace(
            state,
            continuation=page.continuation,
            newest_ms=max((ms for ms in (state.newest_ms, sent.newest_ms) if ms is not None), default=None),
            without_id=state.without_id + sent.without_id,
            pages=state.pages + 1,
            records=state.records + len(records),
            changes=state.changes + sent.changes,
        )
        if sent.changes:
            lease.checkpoint = replace(lease.checkpoint, last_change_ms=page.requested_ms)
        if self._full and not lease.collection.owned:
            state = self._store_hashes(state, sent.item_hashes)
        if page.continuation is None:
            self._complete(state, page.conditional_request)
        else:
            self._drop_old_records(state)
            checkpoint = lease.checkpoint.with_pass(self._kind, state)
            lease.save_checkpoint(replace(checkpoint, remembered=self._remembered.to_bytes()))

    def _store_hashes(self, state: Pass, item_hashes: list[int]) -> Pass:
        """Store the key hashes of the items on a page, in chunks. Return the pass with the new number of chunks."""
        lease, chunks = self._lease, state.chunks
        for start in range(0, len(item_hashes), CHUNK_HASHES):
            content = pack_hashes(item_hashes[start : start + CHUNK_HASHES])
            lease.stores.checkpoints.put_chunk(lease.checkpoint, str(state.started_ms), chunks, content, now_ms())
            chunks += 1
        return replace(state, chunks=chunks)

    def _drop_old_records(self, state: Pass) -> int | None:
        """Forget the records that no later pass reads again, and return the watermark that this pass has reached."""
        watermark_ms = advance_watermark(self._lease.checkpoint.watermark_ms, state.newest_ms, state.started_ms)
        if self._source.versioned:
            since_ms = cursor_before(watermark_ms, self._lag_ms)
        else:
            since_ms = state.started_ms - MAX_IN_FLIGHT_MS
        if since_ms is not None:
            self._remembered.drop_before(since_ms - _CURSOR_ROUNDING_MS)
        return watermark_ms

    def _complete(self, state: Pass, conditional_request: ConditionalRequest | None) -> None:
        """Note in the checkpoint that the pass has read all pages.

        After a full listing, :func:`.sweep.finish` still has to find the missing items.
        """
        lease = self._lease
        finds_missing = self._full and not lease.collection.owned
        next_state = replace(state, all_read=True, continuation=None) if finds_missing else None
        checkpoint = lease.checkpoint.with_pass(self._kind, next_state)
        if self._kind == "sweep":
            lease.checkpoint = replace(checkpoint, remembered=self._remembered.to_bytes())
            return
        watermark_ms = self._drop_old_records(state)
        completed = replace(
            checkpoint,
            watermark_ms=watermark_ms,
            reread_until_ms=0,
            fresh_as_of_ms=max(checkpoint.fresh_as_of_ms or 0, state.started_ms),
            conditional_request=conditional_request,
            remembered=self._remembered.to_bytes(),
        )
        lease.checkpoint = completed.settle(now_ms(), MAX_IN_FLIGHT_MS)
