"""The main pass that reads the records that have changed since an earlier pass."""

from dataclasses import replace

from ..checkpoint import MAX_TIME_MS, ConditionalRequest, PassProgress
from ..errors import BackOfficeError
from ..lease import Lease
from ..records import SentPage
from ..source.settings import ListRequest
from ..upstream.paging.reader import FetchedPage, PageReader
from .base import GONE_STATUSES, MainPass, PassOutcome, advance_watermark, cursor_before, may_be_conditional


class IncrementalPass(MainPass):
    """Reads the records modified since shortly before the watermark, or since the delta link of the last pass.

    **Windows.** If the back office limits the time that one request may ask for, each pass asks for one window. Passes
    follow each other until a window ends now.

    **Order.** If the list is sorted by modification time, the watermark moves with every page. So a pass that always
    fails after a while, such as after 10,000 rows, begins again at the moved watermark and gets further.
    """

    kind = "incremental"
    rule = "incremental"

    def __init__(self, lease: Lease, reader: PageReader) -> None:
        super().__init__(lease, reader)
        self._ends_before_now = False
        self._has_reported_order = False

    def _run(self) -> PassOutcome:
        """Run passes until one of them has read everything up to now, or until this invocation reaches its limits."""
        while True:
            outcome = super()._run()
            if outcome == "unfinished" or not self._ends_before_now:
                return outcome
            if not self._lease.may_read_page:
                return "unfinished"

    def _first_progress(self) -> PassProgress:
        checkpoint = self._lease.checkpoint
        if checkpoint.delta_link is not None:
            return PassProgress(self.kind, self._lease.runtime.now_ms(), from_delta=True)
        cursor_ms = cursor_before(checkpoint.watermark_ms, self._source.cursor_lag_ms)
        overlap_key = checkpoint.watermark_key if self._lag_ms else None
        return replace(self._progress_from(cursor_ms), overlap_key=overlap_key)

    def _progress_from(self, cursor_ms: int | None) -> PassProgress:
        """Return the progress of a pass that begins now and reads the records modified since a time."""
        started_ms = self._lease.runtime.now_ms()
        cursor_ms, until_ms = self._source.window_after(cursor_ms, started_ms)
        first_watermark_ms = self._lease.checkpoint.watermark_ms
        return PassProgress(self.kind, started_ms, cursor_ms, until_ms, first_watermark_ms=first_watermark_ms)

    def _list_request(self, progress: PassProgress) -> ListRequest:
        link = self._lease.checkpoint.delta_link
        if progress.from_delta and link is not None:
            return self._source.delta_list(link)
        return self._source.main_list(progress.cursor_ms, progress.until_ms)

    def _conditional_request(self, progress: PassProgress) -> ConditionalRequest | None:
        checkpoint = self._lease.checkpoint
        if progress.next_page is not None or self._remembered.has_pending:
            return None
        allowed = may_be_conditional(checkpoint, self._source.conditional, progress.started_ms)
        return checkpoint.conditional_request if allowed else None

    def _after_page(self, progress: PassProgress, sent: SentPage) -> PassProgress:  # noqa: ARG002 (an override)
        """Move the watermark to the newest record of a page, if the list is sorted by modification time."""
        if self._source.order is None or progress.from_delta:
            return progress
        if progress.setback_ms > self._lag_ms:
            # Unread records may be older than the watermark that the earlier pages have moved.
            lease = self._lease
            lease.checkpoint = replace(
                lease.checkpoint,
                watermark_ms=progress.first_watermark_ms,
                watermark_key=None,
                reread_until_ms=MAX_TIME_MS,
            )
            self._report_order(progress)
            return progress
        checkpoint = self._lease.checkpoint
        watermark_ms = advance_watermark(checkpoint.watermark_ms, progress.newest_ms, progress.started_ms)
        if watermark_ms != checkpoint.watermark_ms:
            self._lease.checkpoint = replace(checkpoint, watermark_ms=watermark_ms, watermark_key=progress.newest_key)
        return progress

    def _report_order(self, progress: PassProgress) -> None:
        if self._has_reported_order:
            return
        self._has_reported_order = True
        self._lease.telemetry.event(
            "order_broken",
            'The list isn\'t sorted by modification time, although the source has order = "modified". So the watermark '
            "moves only at the end of the pass.",
            level="WARN",
            source=self._source.name,
            pages=progress.pages,
        )

    def _after_refusal(self, progress: PassProgress, error: BackOfficeError) -> PassProgress | None:
        """Return the progress with which the pass goes on at once after a refused request.

        =====================================================  =====================================
        refused request                                        the pass goes on
        =====================================================  =====================================
        the delta link is gone (400, 404, 410)                 at the source's URL, without the link
        a later page of a sorted list                          after the records that it has read
        any other                                              not, it has failed
        =====================================================  =====================================
        """
        lease = self._lease
        if progress.from_delta and error.status in GONE_STATUSES:
            # The earlier passes may have sent the change of any record that is read now.
            lease.checkpoint = replace(lease.checkpoint, delta_link=None, reread_until_ms=MAX_TIME_MS)
            return self._first_progress()
        cursor_ms = self._resumed_cursor(progress) if progress.next_page is not None else None
        if cursor_ms is None:
            return None
        return replace(self._progress_from(cursor_ms), first_watermark_ms=progress.first_watermark_ms)

    def _reread_since_ms(self, progress: PassProgress) -> int | None:
        checkpoint = self._lease.checkpoint
        has_same_cursor = progress.cursor_ms is not None and progress.cursor_ms == checkpoint.last_cursor_ms
        is_read = progress.pages > 0 and not progress.doubtful
        return checkpoint.last_started_ms if has_same_cursor and is_read else None

    def _complete(self, progress: PassProgress, page: FetchedPage) -> None:
        lease = self._lease
        if page.records is not None and not progress.doubtful and progress.overlap_key is not None:
            lease.counts.overlaps_missed += 1
            self._lease.telemetry.event(
                "overlap_missed",
                "A pass didn't read the newest record of an earlier pass again. The record was deleted, or the back "
                "office understands the cursor as a time in another zone.",
                level="WARN",
                source=self._source.name,
            )
            # A record that was deleted is reported once.
            lease.checkpoint = replace(lease.checkpoint, watermark_key=None)
        self._drop_old_records(progress)
        checkpoint = lease.checkpoint.with_pass(self.kind, None)
        fresh_as_of_ms = checkpoint.fresh_as_of_ms
        completed = self._with_completed(checkpoint, progress, page)
        if page.records is not None:
            completed = replace(completed, last_cursor_ms=progress.cursor_ms, last_started_ms=progress.started_ms)
        if page.records is not None and not progress.doubtful and page.delta is not None:
            completed = replace(completed, delta_link=page.delta)
        ends_before_now = self._source.window_ms is not None and (progress.until_ms or 0) < progress.started_ms
        if ends_before_now:
            # The pass has read one window. The source isn't fresh before a window ends now.
            completed = replace(
                completed, fresh_as_of_ms=fresh_as_of_ms, main_completed_ms=checkpoint.main_completed_ms
            )
            if progress.doubtful:
                # Go on with the next window, but hold the watermark. The next pass reads this window again.
                next_progress = replace(self._progress_from(progress.until_ms), doubtful=True)
                completed = completed.with_pass(self.kind, next_progress)
            elif (progress.until_ms or 0) > (completed.watermark_ms or 0):
                completed = replace(completed, watermark_ms=progress.until_ms, watermark_key=None)
        self._ends_before_now = ends_before_now
        lease.checkpoint = completed
