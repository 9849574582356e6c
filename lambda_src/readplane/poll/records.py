"""Handles the records of one page: sends their changes, and quarantines the records that can't be translated."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ..model.change import Change
from ..model.keys import item_key
from ..model.timestamp import rfc3339
from ..model.version import time_ms
from .checkpoint import MAX_TIME_MS
from .decide import NEEDS_EVERY_ITEM, Decision, PassView, ReadItem, ReadRecord, Rule, Send, Skip, StoredVersion, decide
from .deletes_limit import DeletesLimit
from .errors import PageError
from .lease import Lease
from .remembered import MAX_QUARANTINED, Remembered, RememberedRecord
from .seen_records import UNKNOWN, SeenRecords
from .source.translate import PageRecord, TranslatedRecord, UntranslatableRecord
from .sourced_version import content_hash, content_of, key_hash

LARGE_PAGE = 5_000
"""If more changes than this must be sent for one page, the time of one invocation may be too short to send all of them.

The reason is that a Kinesis shard accepts only 1,000 records a second.
"""

_WORKERS = 8
"""How many threads write records to the quarantine in parallel."""

_MARK_BITS = 16
"""How many bits of a record's content the mark of a record with a modification time has."""


def refused_key(raw_text: str) -> int:
    """Return the hash under which a checkpoint remembers that the record with this text is in quarantine."""
    return key_hash(f"refused {raw_text}")


class SentPage(NamedTuple):
    """The result of sending one page's changes.

    :param changes: how many changes were sent to Kinesis.
    :param item_hashes: the key hashes of the items to which the page's records belong.
    :param oldest_ms: the earliest modification time on the page, Unix milliseconds; ``None`` if no record has one.
    :param newest_ms: the latest modification time on the page.
    :param newest_key: the key hash of a record with this time.
    :param setback_ms: how much earlier a record on the page is than a record before it, at most; 0 if the page is
        sorted by modification time.
    :param without_id: how many records on the page have no usable item id.
    :param refused: how many records on the page can't be translated.
    :param newly_refused: how many of these records weren't in quarantine before.
    :param duplicates: how many records on the page have the id of another record of the list but another content.
    """

    changes: int
    item_hashes: list[int]
    oldest_ms: int | None
    newest_ms: int | None
    newest_key: int | None
    setback_ms: int
    without_id: int
    refused: int
    newly_refused: int
    duplicates: int


class _Candidate(NamedTuple):
    """A record for which a change may have to be sent.

    :param record: the translated record.
    :param hash: the hash of the item's key.
    :param read: what the decision needs to know about the record.
    :param remembered: the entry that the checkpoint remembered for the record before its page was read.
    """

    record: TranslatedRecord
    hash: int
    read: ReadRecord
    remembered: RememberedRecord | None


@dataclass
class _SortedPage:
    """A page's records, separated into those whose change may have to be sent and those that can't be translated.

    :param candidates: the records whose change may have to be sent, by the key of their item.
    :param untranslatable: the records that can't be translated.

    The other fields have the same meaning as in :class:`SentPage`.
    """

    candidates: dict[str, _Candidate] = field(default_factory=dict)
    untranslatable: list[UntranslatableRecord] = field(default_factory=list)
    item_hashes: list[int] = field(default_factory=list)
    oldest_ms: int | None = None
    newest_ms: int | None = None
    newest_key: int | None = None
    setback_ms: int = 0
    without_id: int = 0
    duplicates: int = 0

    def note_time(self, ms: int, key: int) -> None:
        """Note the modification time of the page's next record."""
        if self.newest_ms is None or ms >= self.newest_ms:
            self.newest_ms, self.newest_key = ms, key
        self.oldest_ms = ms if self.oldest_ms is None else min(ms, self.oldest_ms)
        self.setback_ms = max(self.setback_ms, self.newest_ms - ms)


class RecordSender:
    """Sends the changes for the records that one pass reads.

    :param remembered: the records that the checkpoint remembers. The sender updates their entries.
    :param rule: the rule for the pass's records that have a modification time.
    :param is_sweep: whether the pass is a sweep. Then main passes read records between two pages of the pass.
    """

    def __init__(self, lease: Lease, remembered: Remembered, rule: Rule, *, is_sweep: bool = False) -> None:
        self._lease = lease
        self._source = lease.source
        self._remembered = remembered
        self._rule = rule
        self._is_sweep = is_sweep
        self._lag_ms = lease.source.lag_ms
        self._deletes_limit = DeletesLimit(lease) if rule == "deleted" else None
        self._seen: SeenRecords | None = None
        self._read: set[int] = set()
        self._superseded_keys: set[int] = set()

    def begin_pass(self, seen: SeenRecords | None = None) -> None:
        """Begin or continue a pass.

        :param seen: the records that the pass has read so far, if the pass is a full listing.
        """
        self._seen = seen
        self._read.clear()
        self._superseded_keys.clear()

    def send_page(self, records: list[PageRecord], requested_ms: int, started_ms: int) -> SentPage:
        """Send the changes of a page's records, and quarantine the records that can't be translated.

        A page may show the state of the time when the pass started, however late the page is requested. For example, a
        scroll token continues a listing that the back office made for the first request. So the state that a page shows
        is certain only for records that weren't modified since shortly before the start.

        :param requested_ms: the time just before the page was requested, Unix milliseconds.
        :param started_ms: the time just before the pass sent its first request, Unix milliseconds.
        :raises PageError: if too many records can't be translated. The changes of the other records are sent anyway.
            Also if a page of the list of deleted records would delete too many items. Then no change is sent.
        """
        settled_ms = started_ms - self._lag_ms
        page = self._sort(records, requested_ms, settled_ms)
        # Send the changes before the quarantine is written. If too many records can't be translated, `_quarantine`
        # raises an error, but the changes of the other records have been sent by then.
        changes = self._send(page.candidates, requested_ms, settled_ms)
        newly_refused = self._quarantine(page.untranslatable, requested_ms)
        return SentPage(
            changes,
            page.item_hashes,
            page.oldest_ms,
            page.newest_ms,
            page.newest_key,
            page.setback_ms,
            page.without_id,
            len(page.untranslatable),
            newly_refused,
            page.duplicates,
        )

    def _sort(self, records: list[PageRecord], requested_ms: int, settled_ms: int) -> _SortedPage:
        """Separate the records whose change may have to be sent from those that can't be translated.

        A sweep leaves records modified after ``settled_ms`` to the main passes. A main pass may already have read a
        later state of such a record with the same modification time. The page doesn't show which state is the later
        one.
        """
        page = _SortedPage()
        quarantined = self._remembered.quarantined_by_id()
        for record in map(self._check_owner, records):
            if isinstance(record, UntranslatableRecord):
                page.untranslatable.append(record)
                if record.item_id is None:
                    page.without_id += 1
                else:
                    page.item_hashes.append(key_hash(self._key(record.item_id, None)))
                continue
            key = self._key(record.item_id, record.owner)
            hashed = key_hash(key)
            page.item_hashes.append(hashed)
            if quarantined:
                self._remembered.mark_replaced(quarantined.get(key_hash(record.item_id), ()))
            if record.version_ms is not None:
                page.note_time(record.version_ms, hashed)
                if self._is_sweep and record.version_ms > settled_ms:
                    continue
            self._add_candidate(page, record, key, hashed, requested_ms, settled_ms)
        return page

    def _check_owner(self, record: PageRecord) -> PageRecord:
        if isinstance(record, TranslatedRecord) and (record.owner is not None) != self._lease.collection.owned:
            detail = "owner: must be set in an owner collection, and only there"
            return UntranslatableRecord("bad_owner", detail, record.raw, record.item_id)
        return record

    def _key(self, item_id: str, owner: str | None) -> str:
        return item_key(self._source.collection, item_id, owner)

    def _add_candidate(
        self, page: _SortedPage, record: TranslatedRecord, key: str, hashed: int, requested_ms: int, settled_ms: int
    ) -> None:
        """Add a record to the candidates of its page, unless the list has a record with the same id that wins."""
        content = content_hash(self._source.name, key, record.data_text)
        ms = requested_ms if record.version_ms is None else record.version_ms
        read = ReadRecord(ms, content, is_delete=record.data_text is None)
        if self._seen is not None:
            if record.version_ms is not None and self._is_superseded(read, hashed):
                page.duplicates += 1
                return
            if not self._is_first(page, self._seen, read, hashed, record.version_ms, settled_ms):
                return
        elif record.version_ms is not None and not self._is_last(page, read, hashed, key):
            return
        page.candidates[key] = _Candidate(record, hashed, read, self._remembered.get_record(hashed))

    def _is_first(
        self,
        page: _SortedPage,
        seen: SeenRecords,
        read: ReadRecord,
        hashed: int,
        version_ms: int | None,
        settled_ms: int,
    ) -> bool:
        """Whether a record of a full listing wins against the records with the same id that the listing had before.

        A record with a later modification time wins, because it was modified during the listing. Otherwise the first
        record wins. If the last one did, each listing would send the change of every one of them.
        """
        mark = read.content
        if version_ms is not None:
            mark = version_ms << _MARK_BITS | read.content & ((1 << _MARK_BITS) - 1)
        first = seen.get_mark(hashed)
        if first is None:
            seen.add_record(hashed, mark)
            return True
        if version_ms is not None:
            is_later = version_ms > settled_ms if first == UNKNOWN else version_ms > first >> _MARK_BITS
            if is_later:
                seen.add_record(hashed, mark)
                return True
        page.duplicates += first not in (mark, UNKNOWN)
        return False

    def _is_last(self, page: _SortedPage, read: ReadRecord, hashed: int, key: str) -> bool:
        """Whether a record of an incremental pass wins against the records with the same id that the pass read before.

        The record with the latest modification time wins. Of several with this time, the last one wins, because a list
        of modifications has the latest state last. The checkpoint remembers the superseded contents. If it didn't,
        the next pass would read them again as new contents, and each pass would send the change of every one of them.
        """
        earlier = page.candidates.get(key)
        competing_record = earlier.read if earlier else self._remembered.get_record(hashed)
        if competing_record is not None and competing_record.ms == read.ms and competing_record.content != read.content:
            if self._is_superseded(read, hashed):
                page.duplicates += 1
                return False
            if hashed in self._read:
                page.duplicates += 1
                superseded_key = _superseded_key(hashed, competing_record.content)
                self._superseded_keys.add(superseded_key)
                superseded = RememberedRecord(competing_record.ms, competing_record.content, replaced=True)
                self._remembered.replace_record(superseded_key, superseded)
                self._remembered.drop_record(_superseded_key(hashed, read.content))
        self._read.add(hashed)
        if len(self._read) > 2 * LARGE_PAGE:
            self._read = {hashed for hashed in self._read if self._remembered.get_record(hashed)}
        return earlier is None or read.ms >= earlier.read.ms

    def _is_superseded(self, read: ReadRecord, hashed: int) -> bool:
        """Whether an earlier pass has read this content before another one with the same modification time."""
        winner = self._remembered.get_record(hashed)
        if winner is None or winner.ms != read.ms or winner.content == read.content:
            return False
        key = _superseded_key(hashed, read.content)
        entry = self._remembered.get_record(key)
        return entry is not None and entry.ms == read.ms and key not in self._superseded_keys

    def _send(self, candidates: dict[str, _Candidate], requested_ms: int, settled_ms: int) -> int:
        """Decide for which candidates a change must be sent, send these changes, and return their number."""
        decisions = self._decide(candidates, requested_ms, settled_ms)
        chosen: list[tuple[_Candidate, Send]] = []
        for key, decision in decisions.items():
            candidate = candidates[key]
            if isinstance(decision, Send):
                chosen.append((candidate, decision))
                self._remembered.replace_record(candidate.hash, decision.remember.as_pending)
            elif isinstance(decision, Skip):
                self._skip(candidate, decision)
        if not chosen:
            return 0
        lease = self._lease
        if any(time_ms(decision.version) > requested_ms - self._lag_ms for _, decision in chosen):
            # Some of these records are so recent that the back office may modify them again with the same timestamp.
            # The content that was read last must win. So save the contents read so far before sending their changes. If
            # this poll crashes after sending, the next poll can still give a newer content a greater counter.
            lease.save_checkpoint(replace(lease.checkpoint, remembered=self._remembered.to_bytes()))
        lease.check()
        changes = (self._change(candidate.record, decision.version, requested_ms) for candidate, decision in chosen)
        lease.stores.stream.put_changes(changes, lease.seconds_to_send())
        self._remembered.mark_sent((candidate.hash, decision.remember) for candidate, decision in chosen)
        return len(chosen)

    def _skip(self, candidate: _Candidate, decision: Skip) -> None:
        self._lease.counts.tied_deletes += decision.is_tied
        if decision.remember == candidate.remembered:
            return
        if decision.remember is None:
            self._remembered.drop_record(candidate.hash)
        else:
            self._remembered.replace_record(candidate.hash, decision.remember)

    def _decide(self, candidates: dict[str, _Candidate], requested_ms: int, settled_ms: int) -> dict[str, Decision]:
        """Decide about each candidate, and read the items of those for which the decision needs them.

        :raises PageError: if a page of the list of deleted records would delete too many items.
        """
        checkpoint = self._lease.checkpoint
        read_until_ms = max(checkpoint.reread_until_ms, checkpoint.watermark_ms or 0)
        if len(candidates) > LARGE_PAGE:
            # Sending so many changes may take several polls. So look up the item of every new record, to skip the
            # changes that earlier polls have sent and `apply` has applied.
            read_until_ms = MAX_TIME_MS
        dated = PassView(self._rule, requested_ms, settled_ms, read_until_ms)
        undated = dated._replace(rule="undated")

        def decide_about(candidate: _Candidate, item: StoredVersion | None) -> Decision:
            view = undated if candidate.record.version_ms is None else dated
            return decide(candidate.read, candidate.remembered, item, view)

        decisions: dict[str, Decision] = {}
        lookups = list(candidates)
        if self._rule not in NEEDS_EVERY_ITEM and self._source.versioned:
            decisions = {key: decide_about(candidate, None) for key, candidate in candidates.items()}
            lookups = [key for key, decision in decisions.items() if isinstance(decision, ReadItem)]
        versions = self._lease.stores.items.get_versions(lookups) if lookups else {}
        for key in lookups:
            decisions[key] = decide_about(candidates[key], StoredVersion(versions.get(key)))
        if self._deletes_limit is not None:
            sent = [key for key, decision in decisions.items() if isinstance(decision, Send)]
            self._deletes_limit.add(sum(_is_living(candidates[key], versions.get(key)) for key in sent))
        return decisions

    def _change(self, record: TranslatedRecord, version: str, requested_ms: int) -> Change:
        return Change(
            change_id=version,
            collection=self._source.collection,
            item_id=record.item_id,
            data=record.data_text,
            actor=f"source/{self._source.name}",
            source=self._source.name,
            accepted_at=rfc3339(requested_ms),
            owner=record.owner,
        )

    def _quarantine(self, untranslatable: list[UntranslatableRecord], requested_ms: int) -> int:
        """Quarantine the records that can't be translated, unless they are already in quarantine.

        :returns: how many records weren't in quarantine before.
        :raises PageError: if there are more than :data:`MAX_QUARANTINED` of these records. In that case an operator
            must correct the source's settings or the back office. Quarantining so many records wouldn't help, because
            the operator would have to redrive all of them.
        """
        lease, name = self._lease, self._source.name
        quarantined = self._remembered.quarantined_by_id() if untranslatable else {}
        records = [record for record in untranslatable if self._is_new_in_quarantine(record, quarantined, requested_ms)]
        if len(records) > MAX_QUARANTINED:
            first = records[0].detail
            raise PageError(f"more than {MAX_QUARANTINED} records of a page can't be translated; the first: {first}")

        def put(record: UntranslatableRecord) -> None:
            lease.stores.quarantine.put_record(name, record, requested_ms)

        if len(records) <= _WORKERS:
            for record in records:
                put(record)
        else:
            with ThreadPoolExecutor(_WORKERS) as workers:
                list(workers.map(put, records))
        lease.counts.quarantined += len(records)
        for record in records:
            lease.telemetry.event(
                "quarantined",
                "A record can't be translated, so it is in quarantine.",
                level="WARN",
                source=name,
                reason=record.reason,
                detail=record.detail,
            )
        return len(records)

    def _is_new_in_quarantine(
        self, record: UntranslatableRecord, quarantined: dict[int, list[int]], requested_ms: int
    ) -> bool:
        id_hash = None if record.item_id is None else key_hash(record.item_id)
        if id_hash is not None:
            # If the record was quarantined with another text, that text is no longer the record's state.
            self._remembered.mark_replaced(quarantined.get(id_hash, ()))
        in_deletes = self._rule == "deleted"
        return self._remembered.add_quarantined(
            refused_key(record.raw_text), id_hash, requested_ms, in_deletes=in_deletes
        )


def _is_living(candidate: _Candidate, item_version: str | None) -> bool:
    """Whether the item of a delete's record isn't deleted yet, as far as is known."""
    if candidate.remembered is not None:
        return candidate.remembered.content != candidate.read.content
    return item_version is not None and content_of(item_version) != candidate.read.content


def _superseded_key(hashed: int, content: int) -> int:
    """Return the hash under which the checkpoint remembers a superseded content of a record.

    The same pass has read another content of the record afterwards, with the same modification time.
    """
    return key_hash(f"replaced {hashed} {content}")
