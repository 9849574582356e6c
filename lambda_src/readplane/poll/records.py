"""A page's records: which of them are changes, which were made before, which can't be translated."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from ..model.change import Change
from ..model.collection import item_key
from ..model.timestamp import rfc3339
from ..model.version import time_ms
from .errors import PageError
from .lease import Lease
from .remembered import MAX_REFUSED, Remembered, RememberedRecord, bumped, key_hash, state_hash, state_of, tie_of
from .source.translate import TranslatedRecord, UntranslatableRecord
from .sweep_rules import reconciled

LARGE_PAGE = 5_000
"""Changes; a shard takes 1,000 a second."""

SETTLING_MS = 60 * 60 * 1000
"""How long a change may be on its way to its item, at most."""

_WORKERS = 8
_FOREVER = 1 << 48


class TakenPage(NamedTuple):
    """What a page came to.

    ``sent``: changes that Kinesis has. ``met``: hashes of the items that it names. ``newest_ms``: its greatest version.
    ``unreadable``: records whose item nobody knows.
    """

    sent: int
    met: list[int]
    newest_ms: int | None
    unreadable: int


class _Candidate(NamedTuple):
    """A record's change, what is remembered of it under which hash, and whether nothing was known of the record."""

    change: Change
    hash: int
    entry: RememberedRecord
    new: bool

    @property
    def remembered(self) -> tuple[int, RememberedRecord]:
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
    refused: list[UntranslatableRecord]
    met: list[int]
    newest_ms: int | None = None
    unreadable: int = 0


class Records:
    """Turns the records of a pass into changes on Kinesis, and remembers them in ``seen``.

    :param full: whether they are a full listing's, to be compared with their items.
    """

    def __init__(self, session: Lease, seen: Remembered, *, full: bool) -> None:
        self._session = session
        self._source = session.source
        self._seen = seen
        self._full = full
        self._lag_ms = int(session.source.lag_seconds * 1000)

    def take(self, records: list[TranslatedRecord | UntranslatableRecord], asked_ms: int) -> TakenPage:
        """Send what is new, keep in quarantine what can't be translated.

        :param asked_ms: the time before their request.
        :raises BadPage: when more can't be translated than chance would have it.
        """
        batch = self._sorted(records, asked_ms)
        # The good ones first: even a page with too many bad ones brings what it can.
        sent = self._send(batch.candidates, asked_ms)
        self._quarantine(batch.refused, asked_ms)
        return TakenPage(sent, batch.met, batch.newest_ms, batch.unreadable)

    def _sorted(self, records: list[TranslatedRecord | UntranslatableRecord], asked_ms: int) -> _Batch:
        """Tell changes from what was made before and what goes to quarantine."""
        batch = _Batch({}, [], [])
        for record in map(self._fitting, records):
            if isinstance(record, UntranslatableRecord):
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
                # Of a record that stands twice on the page, only the first is unknown.
                batch.candidates[key] = candidate._replace(new=candidate.new or (known is not None and known.new))
        return batch

    def _fitting(self, record: TranslatedRecord | UntranslatableRecord) -> TranslatedRecord | UntranslatableRecord:
        if isinstance(record, TranslatedRecord) and (record.owner is not None) != self._session.collection.owned:
            return UntranslatableRecord(
                "bad_owner", "owner: is for owner collections, and for all of them", record.raw, record.item_id
            )
        return record

    def _key(self, item_id: str, owner: str | None) -> str:
        return item_key(self._source.collection, item_id, owner)

    def _quarantine(self, refused: list[UntranslatableRecord], asked_ms: int) -> None:
        """Keep what can't be translated, each record once.

        :raises BadPage: when it is too much to be chance: then the settings are wrong, or the back office is, and a
            quarantine that holds it all would have to be redriven.
        """
        session, name = self._session, self._source.name
        news = [record for record in refused if self._seen.refuse(key_hash(f"refused {record.raw_text}"), asked_ms)]
        if len(news) > MAX_REFUSED:
            raise PageError(f"more than {MAX_REFUSED} records of a page can't be translated, one for {news[0].detail}")
        if len(news) <= _WORKERS:
            for record in news:
                session.stores.quarantine.put(name, record, asked_ms)
        else:
            with ThreadPoolExecutor(_WORKERS) as workers:
                list(workers.map(lambda record: session.stores.quarantine.put(name, record, asked_ms), news))
        session.tally.quarantined += len(news)
        for record in news:
            session.telemetry.event(
                "quarantined",
                "A change or record is in quarantine.",
                level="WARN",
                source=name,
                reason=record.reason,
                detail=record.detail,
            )

    def _judged(self, record: TranslatedRecord, key: str, asked_ms: int) -> _Candidate | None:
        """The change that a record asks for, unless it was made before."""
        state = state_hash(self._source.name, key, record.data_text)
        hashed = key_hash(key)
        if record.version_ms is None:
            young = RememberedRecord(asked_ms, state)
            return _Candidate(self._change(record, young.version, asked_ms), hashed, young, new=False)
        known = self._seen.get(hashed)
        entry = self._seen.meet(hashed, record.version_ms, state)
        if entry is None:
            if not self._full or known is None:
                return None
            # What was sent isn't what the item says for ever: a sweep may have deleted it, as a listing lacked it; or
            # this one goes back behind it. The item tells; if it is settled, the listing is right.
            entry = known if known.ms == record.version_ms else RememberedRecord(record.version_ms, state)
        return _Candidate(self._change(record, entry.version, asked_ms), hashed, entry, new=known is None)

    def _change(self, record: TranslatedRecord, version: str, asked_ms: int) -> Change:
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
        if any(one.ms > asked_ms - self._lag_ms for one in chosen):
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
        in one invocation: what has been applied of it need not be sent again. Nor need a state that upstream went back
        to, behind one whose sending is in doubt: that stays in doubt for as long as nobody meets it again.
        """
        checkpoint = self._session.checkpoint
        read_ms = max(checkpoint.again_ms, checkpoint.watermark_ms or 0)
        if len(candidates) > LARGE_PAGE:
            read_ms = _FOREVER
        behind = {key for key, one in candidates.items() if self._seen.get(one.hash) != one.entry}
        doubtful = [key for key, one in candidates.items() if key in behind or (one.new and one.ms <= read_ms)]
        held = self._session.stores.items.versions(doubtful) if doubtful else {}
        chosen = []
        for key, one in candidates.items():
            known = held.get(key, "")
            if known and key not in behind:
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
        choose = self._dated if self._source.versioned else self._undated
        return [one for key in candidates if (one := choose(candidates[key], held.get(key), asked_ms))]

    def _dated(self, one: _Candidate, held: str | None, asked_ms: int) -> _Candidate | None:
        """A record that tells its time: the greater version wins, and the listing where its item is settled."""
        version = None
        # Without an item there is nothing to delete, unless it is on its way: a record that is known was sent.
        if held is not None or one.change.data is not None or not one.new:
            version = reconciled(one.change.version, held, asked_ms - self._lag_ms, versioned=True)
        if version is not None:
            return one._replace(change=one.change._replace(change_id=version))
        if one.new:
            self._seen.drop(one.hash)
        else:
            self._seen.settle([one.remembered])
        return None

    def _undated(self, one: _Candidate, held: str | None, asked_ms: int) -> _Candidate | None:
        """A record without a time, stamped with that of its page: it is news by what it says alone.

        What was sent last, and `apply` doesn't have yet, is what its item will say. After an hour it won't any more:
        then it has got lost on the way, and is sent again.
        """
        last = self._seen.get(one.hash)
        if last and ((held or "") >= last.version or last.ms < asked_ms - SETTLING_MS):
            self._seen.drop(one.hash)
            last = None
        if last and last.state == one.entry.state:
            change = one.change._replace(change_id=last.version)
            return one._replace(change=change, entry=last) if last.pending else None
        known = last.version if last else held
        if known is None and one.change.data is None:
            return None
        version = reconciled(one.change.version, known, _FOREVER, versioned=False)
        if version is None:
            return None
        entry = RememberedRecord(time_ms(version), one.entry.state, tie_of(version), pending=True)
        self._seen.put(one.hash, entry)
        return one._replace(change=one.change._replace(change_id=version), entry=entry)
