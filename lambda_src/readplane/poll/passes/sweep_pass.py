"""The sweep: an additional pass that reads all records, to find those that the back office has deleted."""

from dataclasses import replace

from ..checkpoint import PassProgress
from ..errors import BackOfficeError
from ..source.settings import ListRequest, asks_since
from ..upstream.paging.reader import FetchedPage
from .listing import StoresHashes


class SweepPass(StoresHashes):
    """Reads every record of a source whose main passes are incremental.

    **Windows.** A sweep of a source with ``cursor.window_seconds`` asks for one window after another, from the first
    one on.

    **Order.** In a list that is sorted by modification time, a sweep that fails after a while, such as after 10,000
    rows, goes on at the time of the last record that it read.
    """

    kind = "sweep"

    def _first_progress(self) -> PassProgress:
        started_ms, window_ms = self._lease.runtime.now_ms(), self._window_ms
        if window_ms is None:
            return PassProgress(self.kind, started_ms, until_ms=started_ms)
        initial_ms = self._source.initial_ms
        return PassProgress(self.kind, started_ms, initial_ms, min(initial_ms + window_ms, started_ms))

    @property
    def _window_ms(self) -> int | None:
        sweep = self._source.sweep
        has_own_url = sweep is not None and sweep.url is not None
        return None if has_own_url else self._source.window_ms

    @property
    def _has_cursor(self) -> bool:
        """Whether the list can be read from a time on."""
        sweep = self._source.sweep
        if sweep is None or sweep.url is None:
            return self._source.incremental
        return asks_since(sweep.url, sweep.request)

    def _list_request(self, progress: PassProgress) -> ListRequest:
        return self._source.sweep_list(progress.cursor_ms, progress.until_ms)

    def _after_list(self, progress: PassProgress) -> PassProgress | None:
        window_ms, until_ms = self._window_ms, progress.until_ms
        if window_ms is None or until_ms is None or until_ms >= progress.started_ms:
            return None
        next_until_ms = min(until_ms + window_ms, progress.started_ms)
        return replace(progress, cursor_ms=until_ms, until_ms=next_until_ms, next_page=None)

    def _after_refusal(self, progress: PassProgress, error: BackOfficeError) -> PassProgress | None:  # noqa: ARG002
        is_later_page = progress.next_page is not None
        cursor_ms = self._resumed_cursor(progress) if is_later_page and self._has_cursor else None
        if cursor_ms is None:
            return None
        # The records of the overlap are read again, so the times go back once.
        return replace(progress, cursor_ms=cursor_ms, next_page=None, newest_ms=None, newest_key=None)

    def _complete(self, progress: PassProgress, page: FetchedPage) -> None:  # noqa: ARG002 (an override)
        checkpoint = self._lease.checkpoint.with_pass(self.kind, self._end(progress))
        checkpoint = self._with_judgement(checkpoint, progress)
        if self._source.deletes is None and checkpoint.main_completed_ms:
            # The sweep may have shown that few enough records can't be translated.
            checkpoint = checkpoint.with_fresh_as_of(checkpoint.main_completed_ms)
        self._lease.checkpoint = checkpoint
