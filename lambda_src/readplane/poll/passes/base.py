"""One pass: read the pages of a list, send the changes of their records, and advance the checkpoint."""

from dataclasses import replace
from typing import ClassVar, Literal

from ..checkpoint import MAX_TIME_MS, Checkpoint, ConditionalRequest, FailureState, PassKind, PassProgress
from ..decide import MAX_IN_FLIGHT_MS, Rule
from ..errors import BackOfficeError, ChunkMissingError, ListMovedError, ReadingError
from ..lease import Lease
from ..records import RecordSender, SentPage
from ..remembered import Remembered
from ..seen_records import SeenRecords
from ..source.settings import ListRequest
from ..source.translate import PageRecord
from ..upstream.paging.reader import FetchedPage, PageReader

MAX_RESTARTS = 2
"""The maximum number of restarts of a pass in one invocation, if the list changes while the pass reads its pages."""

GONE_STATUSES = frozenset((400, 404, 410))
"""The HTTP statuses with which a back office says that it no longer knows a delta link or an old cursor."""

_CURSOR_ROUNDING_MS = 1000
"""How much older than the pass's cursor a record in a response may be, in milliseconds.

If a back office takes the cursor in whole seconds, `poll` rounds the cursor down. So the back office may also return
records that are up to a second older than the exact cursor.
"""

_ALWAYS_FULL_MS = 60 * 60 * 1000
"""How long `poll` trusts 304 responses, in milliseconds.

After this time it sends an unconditional request. Otherwise a back office whose ETag stays the same although its list
changes would freeze the source for good, while the source counts as fresh.
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


def may_be_conditional(checkpoint: Checkpoint, setting: bool | None, now: int) -> bool:
    """Whether the next request may be conditional, so that the back office can respond 304.

    :param setting: the source's ``conditional``.
    """
    return setting is not False and now < checkpoint.last_full_response_ms + _ALWAYS_FULL_MS


class PassRun:
    """One pass through a list, or the part of it that fits into this invocation.

    There is one subclass per kind of pass. It says what the pass asks for, and what a page and the last page mean for
    the checkpoint.

    :param reader: the reader of the list's pages.
    """

    kind: ClassVar[PassKind]
    rule: ClassVar[Rule]
    """The rule of :func:`~readplane.poll.decide.decide` for records that have a modification time."""

    is_listing: ClassVar[bool] = False
    """Whether the pass lists all records, so that items that are missing from the list can be found."""

    def __init__(self, lease: Lease, reader: PageReader) -> None:
        self._lease = lease
        self._source = lease.source
        self._reader = reader
        self._lag_ms = lease.source.lag_ms
        self._progress: PassProgress | None = None
        self._remembered = Remembered(lease.checkpoint.remembered)
        self._sender = RecordSender(lease, self._remembered, self.rule, is_sweep=self.kind == "sweep")

    def run(self) -> PassOutcome:
        """Read pages until the last page is read, or until this invocation reaches its limits.

        :raises ListMovedError: if the back office's list changed during every attempt to read it. The next poll starts
            the pass again. If the list only seemed to have changed because a response was lost, the error of that
            response is raised.
        :raises ReadingError: if the back office can't be read.
        """
        self._lease.begin_pass(self.kind)
        return self._run()

    def _run(self) -> PassOutcome:
        lease = self._lease
        restarts = 0
        lost: ReadingError | None = None
        pages_lost = 0
        pages_before = lease.counts.pages
        lease.pages_reached = 0
        while True:
            try:
                outcome = self._read_pages()
            except ListMovedError as error:
                lease.restart_pass()
                restarts += 1
                pages_lost = lease.pages_reached
                lost = error.__cause__ if isinstance(error.__cause__, ReadingError) else None
                if restarts > MAX_RESTARTS:
                    if lost is not None:
                        raise lost from None
                    raise
            except BackOfficeError as error:
                # Only a status that no retry changes tells something about the request.
                is_refused = error.kind == "status" and not error.retryable
                next_progress = self._after_refusal(self._progress, error) if self._progress and is_refused else None
                if next_progress is None:
                    raise
                lease.checkpoint = lease.checkpoint.with_pass(self.kind, next_progress)
                lease.pages_reached = 0
            else:
                if lost is not None and outcome == "unfinished" and not self._has_read(pages_lost):
                    # Otherwise a pass whose response is lost again and again would never fail.
                    raise lost
                if lease.counts.pages > pages_before:
                    lease.checkpoint = replace(lease.checkpoint, failures=FailureState())
                return outcome

    def _has_read(self, pages: int) -> bool:
        """Whether the unfinished pass has read more than ``pages`` pages."""
        progress = self._lease.checkpoint.get_pass(self.kind)
        return progress is not None and progress.pages > pages

    # -- what the kinds of passes differ in ----------------------------------------------------------------------------

    def _first_progress(self) -> PassProgress:
        """Return the progress of a pass that begins now."""
        raise NotImplementedError

    def _list_request(self, progress: PassProgress) -> ListRequest:
        """Return what the pass asks for."""
        raise NotImplementedError

    def _conditional_request(self, progress: PassProgress) -> ConditionalRequest | None:  # noqa: ARG002 (overridden)
        """Return the validators for the next request; ``None`` if the next request must be unconditional.

        The back office returns the full page to an unconditional request, even if the page hasn't changed.
        """
        return None

    def _after_page(self, progress: PassProgress, sent: SentPage) -> PassProgress:  # noqa: ARG002 (overridden)
        """Note a page that isn't the last one in the checkpoint, and return the pass's progress."""
        return progress

    def _after_list(self, progress: PassProgress) -> PassProgress | None:  # noqa: ARG002 (overridden)
        """Return the progress with which the pass goes on at the end of a list; ``None`` if the pass is complete."""
        return None

    def _after_refusal(self, progress: PassProgress, error: BackOfficeError) -> PassProgress | None:  # noqa: ARG002
        """Return the progress with which the pass goes on at once after a refused request; ``None`` if it has failed.

        :param error: the back office's response, whose HTTP status no retry changes.
        """
        return None

    def _reread_since_ms(self, progress: PassProgress) -> int | None:  # noqa: ARG002 (overridden)
        """Return the start of the earlier pass whose records this pass has read again; ``None`` if there is none."""
        return None

    def _complete(self, progress: PassProgress, page: FetchedPage) -> None:
        """Note in the checkpoint that the pass has read all pages."""
        raise NotImplementedError

    # -- what all passes have in common --------------------------------------------------------------------------------

    def _read_pages(self) -> PassOutcome:
        lease = self._lease
        progress = lease.checkpoint.get_pass(self.kind) or self._first_progress()
        self._sender.begin_pass(self._seen_records(progress) if self.is_listing else None)
        while True:
            if progress.all_read:
                return "completed"
            if not lease.may_read_page:
                return "unfinished"
            self._progress = progress
            lease.pages_reached = max(lease.pages_reached, progress.pages)
            page = self._reader.read_page(
                self._list_request(progress), progress.next_page, self._conditional_request(progress)
            )
            if progress.pages >= lease.checkpoint.failures.pages:
                lease.checkpoint = replace(lease.checkpoint, failures=FailureState())
            lease.counts.pages += 1
            if page.records is None:
                self._complete(progress, page)
                # Don't search for missing items after a 304 response. An item is deleted only if two full listings in
                # a row lack it. A full listing sends a conditional request only if the previous one lacked no item. So
                # after a 304 response, no item can be missing for the second time.
                lease.checkpoint = lease.checkpoint.with_pass(self.kind, None)
                return "not_modified"
            if progress.next_page is None and self.kind in ("incremental", "listing"):
                lease.checkpoint = replace(lease.checkpoint, last_full_response_ms=page.requested_ms)
            next_progress = self._process_page(progress, page, page.records)
            if next_progress is None:
                return "completed"
            progress = next_progress

    def _seen_records(self, progress: PassProgress) -> SeenRecords:
        """Return the records that a full listing has read so far.

        If some of their hashes have expired, the pass starts again anyway when it looks for missing items.
        """
        if not progress.chunks or self._lease.collection.owned:
            return SeenRecords()
        chunks = self._lease.stores.checkpoints.read_chunks(
            self._source.name, str(progress.started_ms), progress.chunks
        )
        try:
            return SeenRecords(chunks)
        except ChunkMissingError:
            return SeenRecords()

    def _process_page(
        self, progress: PassProgress, page: FetchedPage, records: list[PageRecord]
    ) -> PassProgress | None:
        """Send the changes of a page's records, then note the progress of the pass in the checkpoint.

        :returns: the progress of the pass; ``None`` if the pass is complete.
        """
        lease = self._lease
        sent = self._sender.send_page(records, page.requested_ms, progress.started_ms)
        lease.counts.records += len(records)
        lease.counts.changes += sent.changes
        progress = self._with_page(progress, page, sent, len(records))
        if sent.changes:
            lease.checkpoint = replace(lease.checkpoint, last_change_ms=page.requested_ms)
        if page.continuation is None:
            next_progress = None if progress.doubtful else self._after_list(progress)
            if next_progress is None:
                self._report_end(progress, page)
                self._complete(progress, page)
                return None
            progress = next_progress
        else:
            progress = self._after_page(progress, sent)
        self._drop_old_records(progress)
        lease.save_checkpoint(self._with_remembered(lease.checkpoint.with_pass(self.kind, progress)))
        return progress

    def _with_page(self, progress: PassProgress, page: FetchedPage, sent: SentPage, records: int) -> PassProgress:
        """Return the progress of the pass after a page."""
        setback_ms = max(progress.setback_ms, sent.setback_ms)
        if progress.newest_ms is not None and sent.oldest_ms is not None:
            setback_ms = max(setback_ms, progress.newest_ms - sent.oldest_ms)
        newest_ms, newest_key = progress.newest_ms, progress.newest_key
        if sent.newest_ms is not None and (newest_ms is None or sent.newest_ms >= newest_ms):
            newest_ms, newest_key = sent.newest_ms, sent.newest_key
        return replace(
            progress,
            next_page=page.continuation,
            doubtful=progress.doubtful or (page.end is not None and not page.end.certain),
            newest_ms=newest_ms,
            newest_key=newest_key,
            overlap_key=None if progress.overlap_key in sent.item_hashes else progress.overlap_key,
            setback_ms=setback_ms,
            without_id=progress.without_id + sent.without_id,
            pages=progress.pages + 1,
            records=progress.records + records,
            refused=progress.refused + sent.refused,
            newly_refused=progress.newly_refused + sent.newly_refused,
            duplicates=progress.duplicates + sent.duplicates,
            changes=progress.changes + sent.changes,
        )

    def _with_remembered(self, checkpoint: Checkpoint) -> Checkpoint:
        """Return a copy of the checkpoint with the entries that the pass remembers."""
        return replace(checkpoint, remembered=self._remembered.to_bytes(), refused=self._remembered.quarantined)

    def _with_judgement(self, checkpoint: Checkpoint, progress: PassProgress) -> Checkpoint:
        """Return a copy of the checkpoint after the pass, with what it remembers and how many records it refused."""
        if not progress.pages:
            # After a 304 response nothing was read, so nothing is judged, and no refused record is gone.
            return self._with_remembered(checkpoint).with_limit(checkpoint.refused_limit)
        lists_all = self.is_listing and not progress.doubtful
        self._remembered.drop_quarantined(
            progress.started_ms,
            in_deletes=self.kind == "deletes",
            listed_all=lists_all,
            reread_since_ms=self._reread_since_ms(progress),
        )
        checkpoint = self._with_remembered(checkpoint).with_judgement(progress, self._source.refused_percent)
        if checkpoint.refused_limit is not None:
            self._lease.telemetry.event(
                "pass_refused",
                "Too many records of the latest passes can't be translated, so the source isn't fresh.",
                level="WARN",
                source=self._source.name,
                pass_kind=self.kind,
                records=progress.records,
                refused=progress.refused,
                in_quarantine=checkpoint.refused,
                limit=checkpoint.refused_limit,
            )
        return checkpoint

    def _resumed_cursor(self, progress: PassProgress) -> int | None:
        """Return the cursor with which a pass through a sorted list goes on after the records that it has read.

        The cursor is the time of the newest record minus the lag, because the back office may still commit records with
        a time within the lag. It commits no record with a time before ``started_ms`` minus the lag any more. So the
        cursor may move on to that time, but not past the newest record, and not past a record that the list may have in
        another order.

        :returns: the cursor; ``None`` if it wouldn't bring the pass any further.
        """
        newest_ms = progress.newest_ms
        # Records in another order within the lag do no harm. For example, a list may be sorted by whole seconds.
        is_sorted = self._source.order is not None and progress.setback_ms <= self._lag_ms
        if newest_ms is None or not is_sorted:
            return None
        in_order_ms = newest_ms - max(_CURSOR_ROUNDING_MS, progress.setback_ms)
        settled_ms = min(in_order_ms, progress.started_ms - self._lag_ms)
        cursor_ms = max(0, newest_ms - self._lag_ms, settled_ms)
        return cursor_ms if cursor_ms > (progress.cursor_ms or 0) else None

    def _report_end(self, progress: PassProgress, page: FetchedPage) -> None:
        """Log what is wrong with the list that the pass has read."""
        counts = self._lease.counts
        if page.end is not None and not page.end.certain:
            counts.lists_doubtful += 1
            self._lease.telemetry.event(
                "list_doubtful",
                "The end of a list is doubtful, so the watermark stays and nothing is deleted.",
                level="WARN",
                source=self._source.name,
                pass_kind=self.kind,
                reason=page.end.reason,
            )
        if progress.duplicates:
            counts.duplicates += progress.duplicates
            self._lease.telemetry.event(
                "duplicate_ids",
                "A list has several records with the same id but different content, of which one is taken.",
                level="WARN",
                source=self._source.name,
                pass_kind=self.kind,
                records=progress.duplicates,
            )

    def _drop_old_records(self, progress: PassProgress) -> None:
        """Forget the records that no later pass reads again."""
        if self._source.versioned:
            watermark_ms = advance_watermark(
                self._lease.checkpoint.watermark_ms, progress.newest_ms, progress.started_ms
            )
            since_ms = cursor_before(watermark_ms, self._lag_ms)
        else:
            since_ms = progress.started_ms - MAX_IN_FLIGHT_MS
        if since_ms is not None:
            self._remembered.drop_before(since_ms - _CURSOR_ROUNDING_MS)


class MainPass(PassRun):
    """The base of the two kinds of main passes, which keep the source's items fresh."""

    def _with_completed(self, checkpoint: Checkpoint, progress: PassProgress, page: FetchedPage) -> Checkpoint:
        """Return a copy of the checkpoint after a complete main pass.

        If the back office names its deletes in a list of its own, the source becomes fresh when that list is read too.
        """
        watermark_ms, key = checkpoint.watermark_ms, checkpoint.watermark_key
        if not progress.doubtful:
            watermark_ms = advance_watermark(watermark_ms, progress.newest_ms, progress.started_ms)
            if progress.newest_ms is not None and watermark_ms == min(progress.newest_ms, progress.started_ms):
                key = progress.newest_key
        completed = replace(
            checkpoint,
            watermark_ms=watermark_ms,
            watermark_key=key,
            # The next pass reads the records after the held watermark again, and must not send their changes again.
            reread_until_ms=MAX_TIME_MS if progress.doubtful else 0,
            main_completed_ms=progress.started_ms,
            conditional_request=None if progress.doubtful else page.conditional_request,
        )
        completed = self._with_judgement(completed, progress)
        if self._source.deletes is None:
            completed = completed.with_fresh_as_of(progress.started_ms)
        return completed.settle(self._lease.runtime.now_ms(), MAX_IN_FLIGHT_MS)
