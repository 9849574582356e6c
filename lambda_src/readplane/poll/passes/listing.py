"""The pass that reads all records, and the base of every pass that looks for missing items."""

from dataclasses import replace

from ..checkpoint import ConditionalRequest, PassProgress
from ..decide import MAX_IN_FLIGHT_MS
from ..missing_items import CHUNK_HASHES, pack_hashes
from ..records import SentPage
from ..source.settings import ListRequest
from ..upstream.paging.reader import FetchedPage
from .base import MainPass, PassRun, may_be_conditional


class StoresHashes(PassRun):
    """The part of a full listing that stores the key hashes of the listed items.

    :func:`readplane.poll.sweep.finish` compares them with the collection's items. The items of an owner collection
    can't be listed as a whole, so their hashes aren't stored.
    """

    rule = "listed"
    is_listing = True

    def _with_page(self, progress: PassProgress, page: FetchedPage, sent: SentPage, records: int) -> PassProgress:
        """Store the key hashes of the items on a page, in chunks, and return the pass's progress."""
        progress = super()._with_page(progress, page, sent, records)
        lease, chunks = self._lease, progress.chunks
        if lease.collection.owned:
            return progress
        for start in range(0, len(sent.item_hashes), CHUNK_HASHES):
            content = pack_hashes(sent.item_hashes[start : start + CHUNK_HASHES])
            name, now_ms = str(progress.started_ms), lease.runtime.now_ms()
            lease.stores.checkpoints.put_chunk(lease.checkpoint, name, chunks, content, now_ms)
            chunks += 1
        return replace(progress, chunks=chunks)

    def _end(self, progress: PassProgress) -> PassProgress | None:
        """Return the progress with which missing items are found; ``None`` if there is no such search."""
        if self._lease.collection.owned:
            return None
        return replace(progress, all_read=True, next_page=None)


class ListingPass(StoresHashes, MainPass):
    """Reads every record, compares each record with its item, and keeps the source's items fresh."""

    kind = "listing"

    def _first_progress(self) -> PassProgress:
        started_ms = self._lease.runtime.now_ms()
        return PassProgress(self.kind, started_ms, until_ms=started_ms)

    def _list_request(self, progress: PassProgress) -> ListRequest:
        return self._source.main_list(None, progress.until_ms)

    def _conditional_request(self, progress: PassProgress) -> ConditionalRequest | None:
        checkpoint = self._lease.checkpoint
        if progress.next_page is not None or self._remembered.has_pending:
            return None
        # A recent change may still be on its way from Kinesis to its item, or it may be lost. To find a lost change, a
        # full listing compares its records with their items. A 304 response would have no records to compare. So make
        # the request unconditional.
        may_be_in_flight = progress.started_ms < checkpoint.last_change_ms + MAX_IN_FLIGHT_MS
        if checkpoint.missed_items or may_be_in_flight:
            return None
        allowed = may_be_conditional(checkpoint, self._source.conditional, progress.started_ms)
        return checkpoint.conditional_request if allowed else None

    def _complete(self, progress: PassProgress, page: FetchedPage) -> None:
        lease = self._lease
        next_progress = progress if page.records is None else self._end(progress)
        self._drop_old_records(progress)
        checkpoint = lease.checkpoint.with_pass(self.kind, next_progress)
        lease.checkpoint = self._with_completed(checkpoint, progress, page)
