"""A pass through a source's listing: its pages turned into changes, the checkpoint behind them.

Two kinds. One asks what changed since the watermark. The other reads the full listing: it compares every record with
its item, and remembers which items it met, so that a sweep can tell which are missing.
"""

from dataclasses import replace
from typing import Literal

from ..clock import now_ms
from .checkpoint import ConditionalRequest, FailureState, Pass
from .errors import ListMovedError
from .lease import Lease
from .records import SETTLING_MS, Records
from .remembered import Remembered, cursor, watermark
from .source.translate import TranslatedRecord, UntranslatableRecord
from .sweep_rules import CHUNK_HASHES, packed
from .upstream.pages import FetchedPage, Pages

MAX_RESTARTS = 2
_COARSE_MS = 1000
"""Cursors in whole seconds ask from up to so much earlier."""

PassOutcome = Literal["completed", "not_modified", "unfinished"]


class PassRun:
    """One pass.

    :param full: whether it reads the full listing.
    :param sweep: whether that is a sweep beside the passes of a source that tells what changed.
    """

    def __init__(self, session: Lease, pages: Pages, *, full: bool, sweep: bool) -> None:
        self._session = session
        self._source = session.source
        self._pages = pages
        self._full = full
        self._field: Literal["changes", "sweep"] = "sweep" if sweep else "changes"
        self._sweep = sweep
        self._lag_ms = int(session.source.lag_seconds * 1000)
        self._seen = Remembered(session.checkpoint.seen)
        self._records = Records(session, self._seen, full=full)

    @property
    def walk(self) -> Pass | None:
        """The pass as the checkpoint has it."""
        return self._session.checkpoint.sweep if self._sweep else self._session.checkpoint.changes

    def run(self) -> PassOutcome:
        """Read pages until the listing's end or this invocation's.

        :raises Moved: when the list doesn't hold still; the pass is begun anew by the next poll.
        """
        self._session.begin(self._field)
        for restarts in range(MAX_RESTARTS + 1):
            try:
                return self._run()
            except ListMovedError:
                self._session.give_up_place()
                if restarts == MAX_RESTARTS:
                    raise
        raise AssertionError("the last restart returns or raises")

    def _run(self) -> PassOutcome:
        session = self._session
        while True:
            walk = self.walk or self._begun()
            if walk.listed:
                return "completed"
            if not session.may_go_on:
                return "unfinished"
            read = self._pages.read(self._url(walk), walk.place, self._validators(walk))
            session.keep(failures=FailureState())
            session.tally.pages += 1
            if read.records is None:
                self._complete(walk, read.validators)
                session.keep(changes=None)
                return "not_modified"
            self._take(walk, read, read.records)
            if read.place is None:
                return "completed"

    def _begun(self) -> Pass:
        checkpoint = self._session.checkpoint
        since = None if self._full else cursor(checkpoint.watermark_ms, self._lag_ms)
        return Pass(started_ms=now_ms(), cursor_ms=since)

    def _url(self, walk: Pass) -> str:
        return self._source.sweep_url() if self._sweep else self._source.url_at(walk.cursor_ms)

    def _validators(self, walk: Pass) -> ConditionalRequest | None:
        """Those of the last answer, where nothing but a new one could bring work."""
        checkpoint = self._session.checkpoint
        if self._sweep or walk.place is not None or self._seen.pending:
            return None
        # Until `apply` has a change, it can't be told from the item whether that says what the listing does.
        if self._full and (checkpoint.missing or walk.started_ms < checkpoint.changed_ms + SETTLING_MS):
            return None
        return checkpoint.validators

    def _take(self, walk: Pass, read: FetchedPage, records: list[TranslatedRecord | UntranslatableRecord]) -> None:
        """Send what a page brings, then save that it is sent."""
        session = self._session
        taken = self._records.take(records, read.asked_ms)
        session.tally.records += len(records)
        session.tally.changes += taken.sent
        walk = replace(
            walk,
            place=read.place,
            newest_ms=max((ms for ms in (walk.newest_ms, taken.newest_ms) if ms is not None), default=None),
            unreadable=walk.unreadable + taken.unreadable,
            pages=walk.pages + 1,
            records=walk.records + len(records),
            changes=walk.changes + taken.sent,
        )
        if taken.sent:
            session.keep(changed_ms=read.asked_ms)
        if self._full and not session.collection.owned:
            walk = self._remember(walk, taken.met)
        if read.place is None:
            self._complete(walk, read.validators)
        else:
            self._forget(walk)
            session.save(**{self._field: walk, "seen": self._seen.packed()})

    def _remember(self, walk: Pass, met: list[int]) -> Pass:
        """Keep which items a page held."""
        session, chunks = self._session, walk.chunks
        for start in range(0, len(met), CHUNK_HASHES):
            some = packed(met[start : start + CHUNK_HASHES])
            session.stores.checkpoints.put_chunk(session.checkpoint, str(walk.started_ms), chunks, some, now_ms())
            chunks += 1
        return replace(walk, chunks=chunks)

    def _forget(self, walk: Pass) -> int | None:
        """Drop what no later pass will meet; give back the watermark as far as it is known by now."""
        reached = watermark(self._session.checkpoint.watermark_ms, walk.newest_ms, walk.started_ms)
        since = cursor(reached, self._lag_ms) if self._source.versioned else walk.started_ms - SETTLING_MS
        if since is not None:
            self._seen.forget(since - _COARSE_MS)
        return reached

    def _complete(self, walk: Pass, validators: ConditionalRequest | None) -> None:
        """All pages are read. What a full listing is missing has yet to be found."""
        session = self._session
        left = replace(walk, listed=True, place=None) if self._full and not session.collection.owned else None
        if self._sweep:
            session.keep(sweep=left, seen=self._seen.packed())
            return
        reached = self._forget(walk)
        session.keep(
            changes=left,
            watermark_ms=reached,
            again_ms=0,
            fresh_as_of_ms=max(session.checkpoint.fresh_as_of_ms or 0, walk.started_ms),
            validators=validators,
            seen=self._seen.packed(),
        )
