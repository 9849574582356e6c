"""Handles the records of one page: sends their changes, and quarantines the records that can't be translated."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ..model.change import Change
from ..model.keys import item_key
from ..model.timestamp import rfc3339
from ..model.version import time_ms
from .checkpoint import MAX_TIME_MS
from .decide import (
    Decision,
    decide_incremental,
    decide_listed,
    decide_undated,
    is_older_than_remembered,
    needs_item,
)
from .errors import PageError
from .lease import Lease
from .remembered import MAX_QUARANTINED, Remembered, RememberedRecord
from .source.translate import PageRecord, TranslatedRecord, UntranslatableRecord
from .sourced_version import content_hash, key_hash

LARGE_PAGE = 5_000
"""If more changes than this must be sent for one page, the time of one invocation may be too short to send all of them.

The reason is that a Kinesis shard accepts only 1,000 records a second.
"""

_WORKERS = 8
"""How many threads write records to the quarantine in parallel."""


class SentPage(NamedTuple):
    """The result of sending one page's changes.

    :param changes: how many changes were sent to Kinesis.
    :param item_hashes: the key hashes of the items to which the page's records belong.
    :param newest_ms: the latest modification time on the page, Unix milliseconds; ``None`` if no record has one.
    :param without_id: how many records on the page have no usable item id.
    """

    changes: int
    item_hashes: list[int]
    newest_ms: int | None
    without_id: int


class _Candidate(NamedTuple):
    """A record for which a change may have to be sent.

    :param record: the translated record.
    :param hash: the hash of the item's key.
    :param entry: the entry that the checkpoint will remember for the record, unless the comparison of the record with
        its item leads to another entry.
    :param is_new: whether the checkpoint remembered no entry for the record before this page.
    """

    record: TranslatedRecord
    hash: int
    entry: RememberedRecord
    is_new: bool


class _Chosen(NamedTuple):
    """A change that will be sent to the change stream.

    :param change: the change.
    :param hash: the hash of the item's key.
    :param entry: the entry that the checkpoint remembers for the record of the change.
    """

    change: Change
    hash: int
    entry: RememberedRecord


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
    newest_ms: int | None = None
    without_id: int = 0


class RecordSender:
    """Sends the changes for the records that one pass reads.

    :param remembered: the records that the checkpoint remembers. The sender updates their entries.
    :param full: whether the pass is a full listing. In a full listing, every record is compared with its item.
    :param is_sweep: whether the pass is a sweep. Then main passes read records between two pages of the pass.
    """

    def __init__(self, lease: Lease, remembered: Remembered, *, full: bool, is_sweep: bool) -> None:
        self._lease = lease
        self._source = lease.source
        self._remembered = remembered
        self._full = full
        self._is_sweep = is_sweep
        self._lag_ms = int(lease.source.lag_seconds * 1000)

    def send_page(self, records: list[PageRecord], requested_ms: int, started_ms: int) -> SentPage:
        """Send the changes of a page's records, and quarantine the records that can't be translated.

        A page may show the state of the time when the pass started, however late the page is requested. For example, a
        scroll token continues a listing that the back office made for the first request. So the state that a page shows
        is certain only for records that weren't modified since shortly before the start.

        :param requested_ms: the time just before the page was requested, Unix milliseconds.
        :param started_ms: the time just before the pass sent its first request, Unix milliseconds.
        :raises PageError: if too many records can't be translated. The changes of the other records are sent anyway.
        """
        settled_ms = started_ms - self._lag_ms
        page = self._sort(records, requested_ms, settled_ms)
        # Send the changes before the quarantine is written. If too many records can't be translated, `_quarantine`
        # raises an error, but the changes of the other records have been sent by then.
        changes = self._send(page.candidates, requested_ms, settled_ms)
        self._quarantine(page.untranslatable, requested_ms)
        return SentPage(changes, page.item_hashes, page.newest_ms, page.without_id)

    def _sort(self, records: list[PageRecord], requested_ms: int, settled_ms: int) -> _SortedPage:
        """Separate the records whose change may have to be sent from those that can't be translated.

        A sweep leaves records modified after ``settled_ms`` to the main passes. A main pass may already have read a
        later state of such a record with the same modification time. The page doesn't show which state is the later
        one.
        """
        page = _SortedPage()
        for record in map(self._check_owner, records):
            if isinstance(record, UntranslatableRecord):
                page.untranslatable.append(record)
                if record.item_id is None:
                    page.without_id += 1
                else:
                    page.item_hashes.append(key_hash(self._key(record.item_id, None)))
                continue
            key = self._key(record.item_id, record.owner)
            page.item_hashes.append(key_hash(key))
            if record.version_ms is not None:
                page.newest_ms = max(page.newest_ms or 0, record.version_ms)
                if self._is_sweep and record.version_ms > settled_ms:
                    continue
            candidate = self._candidate(record, key, requested_ms)
            previous = page.candidates.get(key)
            if candidate and (previous is None or previous.entry.version < candidate.entry.version):
                # If a record is on the page twice, its second candidate is never new, because the first one is already
                # remembered. So the record is new if its first candidate was new.
                is_new = candidate.is_new or (previous is not None and previous.is_new)
                page.candidates[key] = candidate._replace(is_new=is_new)
        return page

    def _check_owner(self, record: PageRecord) -> PageRecord:
        if isinstance(record, TranslatedRecord) and (record.owner is not None) != self._lease.collection.owned:
            detail = "owner: must be set in an owner collection, and only there"
            return UntranslatableRecord("bad_owner", detail, record.raw, record.item_id)
        return record

    def _key(self, item_id: str, owner: str | None) -> str:
        return item_key(self._source.collection, item_id, owner)

    def _candidate(self, record: TranslatedRecord, key: str, requested_ms: int) -> _Candidate | None:
        """Return a record as a candidate; ``None`` if an incremental pass needs to send no change for the record."""
        content = content_hash(self._source.name, key, record.data_text)
        hashed = key_hash(key)
        if record.version_ms is None:
            return _Candidate(record, hashed, RememberedRecord(requested_ms, content), is_new=False)
        previous = self._remembered.get_record(hashed)
        entry = self._remembered.add_record(hashed, record.version_ms, content)
        if entry is None:
            if not self._full or previous is None:
                return None
            # The record's change has been sent before, but the record's item may differ from the record. A sweep may
            # have deleted the item while the record was missing from listings. Or the back office may have returned to
            # an older state of the record. So compare the record with the item.
            is_same_time = previous.ms == record.version_ms
            entry = previous if is_same_time else RememberedRecord(record.version_ms, content)
        return _Candidate(record, hashed, entry, is_new=previous is None)

    def _send(self, candidates: dict[str, _Candidate], requested_ms: int, settled_ms: int) -> int:
        """Decide for which candidates a change must be sent, send these changes, and return their number."""
        decisions = (
            self._decide_listed(candidates, requested_ms, settled_ms)
            if self._full
            else self._decide_incremental(candidates)
        )
        chosen = [
            choice
            for key, decision in decisions.items()
            if (choice := self._choose(candidates[key], decision, requested_ms))
        ]
        if not chosen:
            return 0
        lease = self._lease
        if any(time_ms(choice.change.version) > requested_ms - self._lag_ms for choice in chosen):
            # Some of these records are so recent that the back office may modify them again with the same timestamp.
            # The content that was read last must win. So save the contents read so far before sending their changes. If
            # this poll crashes after sending, the next poll can still give a newer content a greater counter.
            lease.save_checkpoint(replace(lease.checkpoint, remembered=self._remembered.to_bytes()))
        lease.check()
        lease.stores.stream.put_changes((choice.change for choice in chosen), lease.seconds_to_send())
        self._remembered.mark_sent((choice.hash, choice.entry) for choice in chosen)
        return len(chosen)

    def _decide_incremental(self, candidates: dict[str, _Candidate]) -> dict[str, Decision]:
        checkpoint = self._lease.checkpoint
        read_until_ms = max(checkpoint.reread_until_ms, checkpoint.watermark_ms or 0)
        if len(candidates) > LARGE_PAGE:
            # Sending so many changes may take several polls. So look up the item of every new record, to skip the
            # changes that earlier polls have sent and `apply` has applied.
            read_until_ms = MAX_TIME_MS
        remembered = {key: self._remembered.get_record(candidate.hash) for key, candidate in candidates.items()}
        lookups = [
            key
            for key, candidate in candidates.items()
            if needs_item(candidate.entry, remembered[key], is_new=candidate.is_new, read_until_ms=read_until_ms)
        ]
        versions = self._item_versions(lookups)
        return {
            key: decide_incremental(
                candidate.entry,
                versions.get(key),
                is_older=is_older_than_remembered(candidate.entry, remembered[key]),
            )
            for key, candidate in candidates.items()
        }

    def _decide_listed(
        self, candidates: dict[str, _Candidate], requested_ms: int, settled_ms: int
    ) -> dict[str, Decision]:
        versions = self._item_versions(list(candidates))
        decisions: dict[str, Decision] = {}
        for key, candidate in candidates.items():
            item_version, is_delete = versions.get(key), candidate.record.data_text is None
            if self._source.versioned:
                decisions[key] = decide_listed(
                    candidate.entry,
                    item_version,
                    is_new=candidate.is_new,
                    is_delete=is_delete,
                    settled_ms=settled_ms,
                )
            else:
                remembered = self._remembered.get_record(candidate.hash)
                decisions[key] = decide_undated(
                    candidate.entry, remembered, item_version, is_delete=is_delete, read_ms=requested_ms
                )
        return decisions

    def _item_versions(self, keys: list[str]) -> dict[str, str]:
        return self._lease.stores.items.get_versions(keys) if keys else {}

    def _choose(self, candidate: _Candidate, decision: Decision, requested_ms: int) -> _Chosen | None:
        """Remember the entry that was decided for a record, and return the record's change if one must be sent."""
        entry = decision.remember
        if entry is None:
            self._remembered.drop_record(candidate.hash)
        elif entry != candidate.entry:
            self._remembered.replace_record(candidate.hash, entry)
        if decision.version is None or entry is None:
            if entry is not None:
                self._remembered.mark_sent([(candidate.hash, entry)])
            return None
        return _Chosen(self._change(candidate.record, decision.version, requested_ms), candidate.hash, entry)

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

    def _quarantine(self, untranslatable: list[UntranslatableRecord], requested_ms: int) -> None:
        """Quarantine the records that can't be translated, unless they are already in quarantine.

        :raises PageError: if there are more than :data:`MAX_QUARANTINED` of these records. In that case an operator
            must correct the source's settings or the back office. Quarantining so many records wouldn't help, because
            the operator would have to redrive all of them.
        """
        lease, name = self._lease, self._source.name
        records = [
            record
            for record in untranslatable
            if self._remembered.add_quarantined(key_hash(f"refused {record.raw_text}"), requested_ms)
        ]
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
