"""A pass through a source's listing: its pages turned into changes, the checkpoint behind them.

Two kinds. One asks what changed since the watermark. The other reads the full listing: it compares every record with
its item, and remembers which items it met, so that a sweep can tell which are missing.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from ..clock import now_ms
from ..domain.change import Change
from ..domain.checkpoint import Failures, Pass, Validators
from ..domain.collection import item_key
from ..domain.sourcing import (
    MAX_REFUSED,
    Entry,
    Seen,
    bumped,
    cursor,
    key_hash,
    state_hash,
    state_of,
    tie_of,
    watermark,
)
from ..domain.sweeping import CHUNK_HASHES, packed, reconciled
from ..domain.timestamp import rfc3339
from ..domain.translation import BadPage, Record, Untranslatable
from ..domain.version import time_ms
from .pages import Moved, Pages, Read
from .session import Session

SETTLING_MS = 60 * 60 * 1000
"""For this long after a change a full listing is never left out for being unmodified: until `apply` has the change, it
can't be told from the item whether that says what the listing does."""

LARGE_PAGE = 5_000
"""Changes; a shard takes 1,000 a second."""

MAX_RESTARTS = 2
_WORKERS = 8
_FOREVER = 1 << 48
_COARSE_MS = 1000
"""Cursors in whole seconds ask from up to so much earlier."""

Outcome = Literal["completed", "not_modified", "unfinished"]


class _Candidate(NamedTuple):
    """A record's change, what is remembered of it under which hash, and whether nothing was known of the record."""

    change: Change
    hash: int
    entry: Entry
    new: bool

    @property
    def remembered(self) -> tuple[int, Entry]:
        """To be settled."""
        return self.hash, self.entry

    @property
    def ms(self) -> int:
        """The time in its version."""
        return time_ms(self.change.version)


@dataclass
class _Batch:
    """A page's changes by item key, what can't be translated, the hashes of the items that it names, and more."""

    candidates: dict[str, _Candidate]
    refused: list[Untranslatable]
    met: list[int]
    newest_ms: int | None = None
    unreadable: int = 0


class Feed:
    """One pass.

    :param full: whether it reads the full listing.
    :param sweep: whether that is a sweep beside the passes of a source that tells what changed.
    """

    def __init__(self, session: Session, pages: Pages, *, full: bool, sweep: bool) -> None:
        self._session = session
        self._source = session.source
        self._pages = pages
        self._full = full
        self._field: Literal["changes", "sweep"] = "sweep" if sweep else "changes"
        self._sweep = sweep
        self._lag_ms = int(session.source.lag_seconds * 1000)
        self._seen = Seen(session.checkpoint.seen)

    @property
    def walk(self) -> Pass | None:
        """The pass as the checkpoint has it."""
        return self._session.checkpoint.sweep if self._sweep else self._session.checkpoint.changes

    def run(self) -> Outcome:
        """Read pages until the listing's end or this invocation's.

        :raises Moved: when the list doesn't hold still; the pass is begun anew by the next poll.
        """
        self._session.begin(self._field)
        for restarts in range(MAX_RESTARTS + 1):
            try:
                return self._run()
            except Moved:
                self._session.give_up_place()
                if restarts == MAX_RESTARTS:
                    raise
        raise AssertionError("the last restart returns or raises")

    def _run(self) -> Outcome:
        session = self._session
        while True:
            walk = self.walk or self._begun()
            if walk.listed:
                return "completed"
            if not session.may_go_on:
                return "unfinished"
            read = self._pages.read(self._url(walk), walk.place, self._validators(walk))
            session.keep(failures=Failures())
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

    def _validators(self, walk: Pass) -> Validators | None:
        """Those of the last answer, where nothing but a new one could bring work."""
        checkpoint = self._session.checkpoint
        if self._sweep or walk.place is not None or self._seen.pending:
            return None
        if self._full and (checkpoint.missing or walk.started_ms < checkpoint.changed_ms + SETTLING_MS):
            return None
        return checkpoint.validators

    def _take(self, walk: Pass, read: Read, records: list[Record | Untranslatable]) -> None:
        """Send what a page brings, then save that it is sent."""
        session = self._session
        batch = self._sorted(records, read.asked_ms)
        self._quarantine(batch.refused, read.asked_ms)
        sent = self._send(batch.candidates, read.asked_ms)
        session.tally.records += len(records)
        session.tally.changes += sent
        walk = replace(
            walk,
            place=read.place,
            newest_ms=max((ms for ms in (walk.newest_ms, batch.newest_ms) if ms is not None), default=None),
            unreadable=walk.unreadable + batch.unreadable,
            pages=walk.pages + 1,
            records=walk.records + len(records),
            changes=walk.changes + sent,
        )
        if sent:
            session.keep(changed_ms=read.asked_ms)
        if self._full and not session.collection.owned:
            walk = self._remember(walk, batch.met)
        if read.place is None:
            self._complete(walk, read.validators)
        else:
            self._forget(walk)
            session.save(**{self._field: walk, "seen": self._seen.packed()})

    def _sorted(self, records: list[Record | Untranslatable], asked_ms: int) -> _Batch:
        """Tell changes from what was made before and what goes to quarantine."""
        batch = _Batch({}, [], [])
        for record in map(self._fitting, records):
            if isinstance(record, Untranslatable):
                batch.refused.append(record)
                if record.item_id is None:
                    batch.unreadable += 1
                else:
                    batch.met.append(key_hash(self._key(record.item_id, None)))
                continue
            key = self._key(record.item_id, record.owner)
            batch.met.append(key_hash(key))
            if record.version_ms is not None:
                batch.newest_ms = max(batch.newest_ms or 0, record.version_ms)
            candidate = self._judged(record, key, asked_ms)
            known = batch.candidates.get(key)
            if candidate and (known is None or known.change.version < candidate.change.version):
                batch.candidates[key] = candidate
        return batch

    def _fitting(self, record: Record | Untranslatable) -> Record | Untranslatable:
        if isinstance(record, Record) and (record.owner is not None) != self._session.collection.owned:
            return Untranslatable(
                "bad_owner", "owner: is for owner collections, and for all of them", record.raw, record.item_id
            )
        return record

    def _key(self, item_id: str, owner: str | None) -> str:
        return item_key(self._source.collection, item_id, owner)

    def _quarantine(self, refused: list[Untranslatable], asked_ms: int) -> None:
        """Keep what can't be translated, each record once.

        :raises BadPage: when it is too much to be chance: then the settings are wrong, or the back office is, and a
            quarantine that holds it all would have to be redriven.
        """
        session, name = self._session, self._source.name
        news = [record for record in refused if self._seen.refuse(key_hash(f"refused {record.raw_text}"), asked_ms)]
        if len(news) > MAX_REFUSED:
            raise BadPage(f"more than {MAX_REFUSED} records of a page can't be translated, one for {news[0].detail}")
        if len(news) <= _WORKERS:
            for record in news:
                session.stores.quarantine.put(name, record, asked_ms)
        else:
            with ThreadPoolExecutor(_WORKERS) as workers:
                list(workers.map(lambda record: session.stores.quarantine.put(name, record, asked_ms), news))
        session.tally.quarantined += len(news)
        for record in news:
            session.telemetry.event(
                "quarantined", level="WARN", source=name, reason=record.reason, detail=record.detail
            )

    def _judged(self, record: Record, key: str, asked_ms: int) -> _Candidate | None:
        """The change that a record asks for, unless it was made before."""
        state = state_hash(self._source.name, key, record.data_text)
        hashed = key_hash(key)
        if record.version_ms is None:
            young = Entry(asked_ms, state)
            return _Candidate(self._change(record, young.version, asked_ms), hashed, young, new=False)
        known = self._seen.get(hashed)
        entry = self._seen.meet(hashed, record.version_ms, state)
        if entry is None:
            if not self._full or known is None:
                return None
            # What was sent isn't what the item says for ever: a sweep may have deleted it, as a listing lacked it; or
            # this one goes back behind it. The item tells; if it is settled, the listing is right.
            entry = known if known.ms == record.version_ms else Entry(record.version_ms, state)
        return _Candidate(self._change(record, entry.version, asked_ms), hashed, entry, new=known is None)

    def _change(self, record: Record, version: str, asked_ms: int) -> Change:
        return Change(
            change_id=version,
            collection=self._source.collection,
            item_id=record.item_id,
            data=record.data_text,
            actor=f"source/{self._source.name}",
            source=self._source.name,
            accepted_at=rfc3339(asked_ms),
            owner=record.owner,
        )

    def _send(self, candidates: dict[str, _Candidate], asked_ms: int) -> int:
        """Put changes on Kinesis; say how many."""
        chosen = self._reconciled(candidates, asked_ms) if self._full else self._unmade(candidates)
        if not chosen:
            return 0
        session = self._session
        if self._source.versioned and any(one.ms > asked_ms - self._lag_ms for one in chosen):
            # These may yet be modified again within the same timestamp. Which state came first is saved before any of
            # them is sent, so that whoever goes on after a crash can tell.
            session.save(seen=self._seen.packed())
        session.check()
        session.stores.stream.put((one.change for one in chosen), session.seconds_to_send())
        self._seen.settle(one.remembered for one in chosen)
        return len(chosen)

    def _unmade(self, candidates: dict[str, _Candidate]) -> list[_Candidate]:
        """All but those that the items have already.

        A record from before the watermark should be known. It isn't where it was committed late, or there were too many
        to remember, or it was never asked for, or all is read again. And a page may be too large for Kinesis to take it
        in one invocation: what has been applied of it need not be sent again.
        """
        checkpoint = self._session.checkpoint
        read_ms = max(checkpoint.again_ms, checkpoint.watermark_ms or 0)
        if len(candidates) > LARGE_PAGE:
            read_ms = _FOREVER
        doubtful = [key for key, one in candidates.items() if one.new and one.ms <= read_ms]
        held = self._session.stores.items.versions(doubtful) if doubtful else {}
        chosen = []
        for key, one in candidates.items():
            known = held.get(key, "")
            if known:
                one = self._told_apart(one, known)
            if known >= one.change.version:
                self._seen.settle([one.remembered])
            else:
                chosen.append(one)
        return chosen

    def _told_apart(self, one: _Candidate, held: str) -> _Candidate:
        """A record that isn't remembered as the state after its item's, if that is of the same time: its hash alone
        would leave it to chance which of the two stays."""
        version = held if state_of(held) == one.entry.state else bumped(held, one.entry.state)
        if time_ms(version) != one.ms:
            return one
        entry = one.entry._replace(tie=tie_of(version))
        self._seen.put(one.hash, entry)
        return one._replace(change=one.change._replace(change_id=version), entry=entry)

    def _reconciled(self, candidates: dict[str, _Candidate], asked_ms: int) -> list[_Candidate]:
        """Those that the items don't say, each with a version that beats its item's."""
        held = self._session.stores.items.versions(candidates) if candidates else {}
        # A record without a time is stamped with ours, and is as young as its page.
        settled_ms = asked_ms - self._lag_ms if self._source.versioned else _FOREVER
        chosen = []
        for key, one in candidates.items():
            known = held.get(key)
            version = None
            # Without an item there is nothing to delete, unless it is on its way: a record that is known was sent.
            if known is not None or one.change.data is not None or (self._source.versioned and not one.new):
                version = reconciled(one.change.version, known, settled_ms, versioned=self._source.versioned)
            if version is not None:
                chosen.append(one._replace(change=one.change._replace(change_id=version)))
            elif one.new:
                self._seen.drop(one.hash)
            else:
                self._seen.settle([one.remembered])
        return chosen

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
        since = cursor(reached, self._lag_ms)
        if since is not None:
            self._seen.forget(since - _COARSE_MS)
        return reached

    def _complete(self, walk: Pass, validators: Validators | None) -> None:
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
