"""The pass through the list in which the back office names the records that it has deleted."""

from dataclasses import replace

from ..checkpoint import PassProgress
from ..errors import BackOfficeError
from ..source.settings import ListRequest
from ..upstream.paging.reader import FetchedPage
from .base import GONE_STATUSES, PassRun, advance_watermark, cursor_before

_QUIET_MS = 24 * 60 * 60 * 1000
"""How old the watermark of this list may be after a complete pass, in milliseconds.

Without this limit, the watermark of a back office that deletes nothing would grow old, until the back office no longer
remembers deletes from so long ago. A day is much more than a back office's clock may be slow, and much less than the
time for which a back office remembers deletes.
"""

_OLD_CURSOR_MS = 60 * 60 * 1000
"""How much older than :data:`_QUIET_MS` a refused cursor must be, in ms, so that its age explains the refusal.

A pass with such a cursor goes on at a newer time, because the back office may have forgotten deletes from so long ago.
"""


def first_deletes_cursor(main_ms: int, lag_ms: int) -> int | None:
    """Return the time since which the first pass asks for deletes, in Unix milliseconds.

    The first pass needs no older deletes, because the first main pass has read only records that weren't deleted. Many
    back offices forget deletes after some weeks, and refuse an older cursor.

    :param main_ms: when the last complete main pass started, in Unix milliseconds.
    :param lag_ms: how much earlier than a watermark a pass asks, in milliseconds.
    """
    return cursor_before(max(0, main_ms - _QUIET_MS), lag_ms)


class DeletesPass(PassRun):
    """Reads the deletes since shortly before the last one that was read, after each complete main pass.

    The source becomes fresh when this pass is complete, as of the start of the main pass.
    """

    kind = "deletes"
    rule = "deleted"

    def _first_progress(self) -> PassProgress:
        started_ms = self._lease.runtime.now_ms()
        checkpoint = self._lease.checkpoint
        if checkpoint.deletes_watermark_ms is None:
            cursor_ms = first_deletes_cursor(checkpoint.main_completed_ms, self._lag_ms)
        else:
            cursor_ms = cursor_before(checkpoint.deletes_watermark_ms, self._lag_ms)
        return PassProgress(self.kind, started_ms, cursor_ms, started_ms)

    def _list_request(self, progress: PassProgress) -> ListRequest:
        return self._source.deletes_list(progress.cursor_ms, progress.until_ms)

    def _after_refusal(self, progress: PassProgress, error: BackOfficeError) -> PassProgress | None:
        """Ask for the deletes of the last day, if the back office refuses an older cursor.

        The back office may have forgotten the older deletes.
        """
        lease = self._lease
        watermark_ms = progress.started_ms - _QUIET_MS
        is_old = (progress.cursor_ms or 0) + self._lag_ms < watermark_ms - _OLD_CURSOR_MS
        if not is_old or error.status not in GONE_STATUSES or progress.next_page is not None:
            return None
        lease.telemetry.event(
            "deletes_gap",
            "The back office no longer knows the deletes since the last pass, so some are missed. A sweep finds them.",
            level="WARN",
            source=self._source.name,
        )
        lease.checkpoint = replace(lease.checkpoint, deletes_watermark_ms=watermark_ms)
        return self._first_progress()

    def _drop_old_records(self, progress: PassProgress) -> None:
        """Keep all entries. The main passes forget those that no pass reads again."""

    def _complete(self, progress: PassProgress, page: FetchedPage) -> None:  # noqa: ARG002 (an override)
        counts = self._lease.counts
        if counts.tied_deletes:
            self._lease.telemetry.event(
                "deletes_tied",
                "The list of deleted records has entries whose time equals the time of a living item. poll skips these "
                "deletes. Check that deletes.url asks for deleted records only.",
                level="WARN",
                source=self._source.name,
                records=counts.tied_deletes,
            )
        checkpoint = replace(self._lease.checkpoint.with_pass(self.kind, None), living_deletes=0)
        if not progress.doubtful:
            newest_ms = max(progress.newest_ms or 0, progress.started_ms - _QUIET_MS)
            watermark_ms = advance_watermark(checkpoint.deletes_watermark_ms, newest_ms, progress.started_ms)
            checkpoint = replace(checkpoint, deletes_watermark_ms=watermark_ms)
        checkpoint = self._with_judgement(checkpoint, progress)
        if checkpoint.main_completed_ms:
            checkpoint = checkpoint.with_fresh_as_of(min(checkpoint.main_completed_ms, progress.started_ms))
        self._lease.checkpoint = checkpoint
