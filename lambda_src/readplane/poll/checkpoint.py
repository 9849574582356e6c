"""A source's checkpoint: what `poll` remembers of the source between invocations."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, NamedTuple

from .continuation import Continuation
from .remembered import MAX_QUARANTINED

MAX_TIME_MS = (1 << 48) - 1
"""The latest time that fits into the 48-bit time of a version (a UUIDv7), Unix milliseconds."""

MIN_JUDGED = 10
"""How many new records incremental passes must have read before the share of refused records is judged."""

PassKind = Literal["incremental", "listing", "sweep", "deletes"]
"""The kind of a pass through a source's pages.

``incremental``: a main pass that reads the records that have changed since an earlier pass.
``listing``: a main pass that reads all records, because the back office can't say which ones have changed.
``sweep``: an additional pass that reads all records, to find those that the back office has deleted.
``deletes``: a pass through the list in which the back office names the records that it has deleted.
"""


@dataclass(frozen=True)
class PassProgress:
    """How far one walk through a source's pages has come. The walk may take several invocations of `poll`.

    :param kind: the kind of the pass.
    :param started_ms: the time just before the pass sent its first request, Unix milliseconds.
    :param cursor_ms: the pass reads the records modified since this time, by the back office's clock, Unix
        milliseconds; ``None`` to read all records.
    :param until_ms: the pass reads the records modified up to this time; ``None`` without an end.
    :param from_delta: whether the pass began at the checkpoint's delta link.
    :param next_page: the position of the next page (:mod:`.upstream.paging`); ``None`` for the first page. An earlier
        version of this code saved it as ``continuation``, in another form.
    :param all_read: whether the pass has read all pages. Then only the search for missing items remains.
    :param doubtful: whether it is doubtful that the list was read as a whole.
    :param newest_ms: the latest modification time of the records read so far, Unix milliseconds.
    :param newest_key: the key hash of a record with this modification time.
    :param overlap_key: the key hash of the record that the pass must read again, because an earlier pass has read it
        last; ``None`` if the pass has read that record, or if there is none.
    :param first_watermark_ms: the watermark when the pass began.
    :param setback_ms: how much earlier a record was than a record before it, at most. It is 0 if the records read so
        far were sorted by their modification times.
    :param chunks: how many chunks of key hashes the pass has stored so far. The chunks of a full listing contain the
        key hash of every listed item.
    :param without_id: how many of the records read so far have no usable item id. If there is even one, the pass
        deletes no missing items, because any of them may belong to that record.
    :param pages: how many pages the pass has read so far.
    :param records: how many records the pass has read so far.
    :param refused: how many of these records can't be translated.
    :param newly_refused: how many of these records weren't in quarantine before.
    :param duplicates: how many of these records were skipped or replaced, because the list has two records with
        the same id.
    :param changes: how many changes the pass has sent so far.
    """

    kind: PassKind
    started_ms: int
    cursor_ms: int | None = None
    until_ms: int | None = None
    from_delta: bool = False
    next_page: Continuation | None = None
    all_read: bool = False
    doubtful: bool = False
    newest_ms: int | None = None
    newest_key: int | None = None
    overlap_key: int | None = None
    first_watermark_ms: int | None = None
    setback_ms: int = 0
    chunks: int = 0
    without_id: int = 0
    pages: int = 0
    records: int = 0
    refused: int = 0
    newly_refused: int = 0
    duplicates: int = 0
    changes: int = 0

    @property
    def reads_all(self) -> bool:
        """Whether the pass reads all records of its list."""
        return self.cursor_ms is None and not self.from_delta


@dataclass(frozen=True)
class MissedItems:
    """The items that were missing from the last full listing, as a reference to a stored set of hashes.

    If one of these items is also missing from the next full listing, `poll` deletes the item.

    :param name: the name of the stored set, which contains one hash for each missing item.
    :param chunks: how many chunks the stored set has.
    """

    name: str
    chunks: int


@dataclass(frozen=True)
class ConditionalRequest:
    """The validators of a response: its headers ``ETag`` and ``Last-Modified`` (RFC 9110, section 8.8).

    `poll` sends them with the next request to the same URL, which makes that request conditional.

    The back office responds to a conditional request with 304 if its response would be the same as before.

    :param url: the URL whose response had the validators.
    :param etag: the ``ETag`` header of that response, if any.
    :param last_modified: the ``Last-Modified`` header of that response, if any.
    """

    url: str
    etag: str | None
    last_modified: str | None


@dataclass(frozen=True)
class FailureState:
    """The recent failures of a source.

    :param count: how many polls of the source in a row have failed.
    :param open_until_ms: the time when the source's open circuit breaker becomes half open, Unix milliseconds; 0 if the
        breaker isn't open.
    :param retry_after_until_ms: the earliest time at which the back office accepts requests again, according to its
        ``Retry-After`` header, Unix milliseconds; 0 without that header.
    :param pages: how many pages a main pass had read when it failed, at most. If the pass starts again, reading these
        pages doesn't reset the failures.
    """

    count: int = 0
    open_until_ms: int = 0
    retry_after_until_ms: int = 0
    pages: int = 0


BreakerState = Literal["closed", "open", "half_open"]


class Position(NamedTuple):
    """Where the polls of a source can go on in another Region. `poll` publishes it in the items table.

    :param watermark_ms: all records modified up to this time, by the back office's clock, were sent so long ago that
        their items have arrived in every Region; ``None`` if everything must be read.
    :param fingerprint: the fingerprint of the settings with which the records were read.
    :param fresh_as_of: the source's ``fresh_as_of`` as text (RFC 3339); ``None`` if no pass was ever complete.
    """

    watermark_ms: int | None
    fingerprint: str | None
    fresh_as_of: str | None


@dataclass(frozen=True)
class Checkpoint:
    """What `poll` remembers of a source, with the state of the source's lease.

    All times are Unix milliseconds. The time 0 means never.

    :param source: the source's name.
    :param first_polled_ms: when the source was first polled.
    :param fingerprint: the fingerprint of the source's settings at the last poll
        (:attr:`~readplane.poll.source.settings.Source.fingerprint`).
    :param reread_until_ms: for any record modified up to this time, by the back office's clock, an earlier poll may
        have sent the change, even if ``remembered`` has no entry for the record. Rewinds, resets and changes of the
        source's settings set this time, because after them `poll` reads old records again.
    :param watermark_ms: `poll` has read all records modified up to this time, by the back office's clock.
    :param watermark_key: the key hash of the record that has set ``watermark_ms``; ``None`` if no record has, or if the
        back office no longer lists it.
    :param delta_link: the link at which the next main pass begins (``paging.delta``); ``None`` without one.
    :param deletes_watermark_ms: `poll` has read all deletes up to this time from the list of deleted records.
    :param living_deletes: how many living items the current pass through the list of deleted records has deleted.
    :param settled_watermark_ms: an earlier ``watermark_ms``, which is so old that the items of all its records have
        arrived in every Region; ``None`` if there is none yet.
    :param settling_watermark_ms: the ``watermark_ms`` that becomes the next ``settled_watermark_ms``.
    :param settling_since_ms: when ``settling_watermark_ms`` was the watermark.
    :param fresh_as_of_ms: `poll` has read everything that the back office held at this time, by the clock of `poll`.
    :param main_completed_ms: the start of the last complete main pass.
    :param last_full_response_ms: when the back office last responded to a first page with content, and not with 304.
    :param last_cursor_ms: the cursor of the last complete incremental pass.
    :param last_started_ms: the start of that pass.
    :param last_change_ms: when `poll` last sent a change of the source.
    :param main_pass: the unfinished main pass, if any.
    :param sweep_pass: the unfinished sweep, if any.
    :param deletes_pass: the unfinished pass through the list of deleted records, if any.
    :param last_sweep_ms: when the last finished sweep started.
    :param sweep_retry_after_until_ms: when the back office accepts requests of a sweep again, according to the
        ``Retry-After`` header of its response to a sweep.
    :param deletes_retry_after_until_ms: the same for the list of deleted records.
    :param missed_items: the items that were missing from the last full listing.
    :param conditional_request: the validators for the next request; ``None`` if the next request must be unconditional.
    :param snapshot_version: the version of the source's snapshot document.
    :param failures: the recent failures of the source.
    :param refused: how many records of the source are in quarantine, because they can't be translated.
    :param new_records: how many new or changed records the latest incremental passes have read, since the share of
        refused records was last found small enough.
    :param newly_refused: how many of these records can't be translated.
    :param refused_before: how many records were in quarantine before the pass in which too many couldn't be translated.
    :param refused_limit: ``fresh_as_of_ms`` stays as it is until at most this many records are in quarantine, because
        too many records of a pass couldn't be translated; ``None`` if there is no such pass.
    :param remembered: the entries of the records that later passes will read again, packed by
        :class:`~readplane.poll.remembered.Remembered`.
    :param redriven: the key hashes of refused records that a redrive has translated since the last poll.
    :param paused: whether an operator has paused the source.
    :param sweep_requested_ms: when a sweep of the source was last requested.
    :param lease_holder: the unique text of the invocation that holds the lease; ``None`` if no invocation holds it.
    :param lease_until_ms: when the lease expires.
    :param generation: a counter that increases with every lease, rewind and reset of the source.
    """

    source: str
    first_polled_ms: int = 0
    fingerprint: str | None = None
    reread_until_ms: int = 0
    watermark_ms: int | None = None
    watermark_key: int | None = None
    delta_link: str | None = None
    deletes_watermark_ms: int | None = None
    living_deletes: int = 0
    settled_watermark_ms: int | None = None
    settling_watermark_ms: int | None = None
    settling_since_ms: int = 0
    fresh_as_of_ms: int | None = None
    main_completed_ms: int = 0
    last_full_response_ms: int = 0
    last_cursor_ms: int | None = None
    last_started_ms: int = 0
    last_change_ms: int = 0
    main_pass: PassProgress | None = None
    sweep_pass: PassProgress | None = None
    deletes_pass: PassProgress | None = None
    last_sweep_ms: int = 0
    sweep_retry_after_until_ms: int = 0
    deletes_retry_after_until_ms: int = 0
    missed_items: MissedItems | None = None
    conditional_request: ConditionalRequest | None = None
    snapshot_version: str | None = None
    failures: FailureState = field(default_factory=FailureState)
    refused: int = 0
    new_records: int = 0
    newly_refused: int = 0
    refused_before: int = 0
    refused_limit: int | None = None
    remembered: bytes = b""
    redriven: frozenset[int] = frozenset()
    paused: bool = False
    sweep_requested_ms: int = 0
    lease_holder: str | None = None
    lease_until_ms: int = 0
    generation: int = 0

    @property
    def sweep_due(self) -> bool:
        """Whether a sweep of the source has been requested since its last finished sweep started."""
        return self.sweep_requested_ms > self.last_sweep_ms

    def get_pass(self, kind: PassKind) -> PassProgress | None:
        """Return the progress of the source's unfinished pass of this kind; ``None`` if there is none."""
        progress = {"sweep": self.sweep_pass, "deletes": self.deletes_pass}.get(kind, self.main_pass)
        return progress if progress and progress.kind == kind else None

    def with_pass(self, kind: PassKind, progress: PassProgress | None) -> "Checkpoint":
        """Return a copy of the checkpoint in which the pass of this kind has a new progress.

        :param progress: the new progress; ``None`` if the pass is finished or must start again.
        """
        if kind == "sweep":
            return replace(self, sweep_pass=progress)
        return replace(self, deletes_pass=progress) if kind == "deletes" else replace(self, main_pass=progress)

    def with_fresh_as_of(self, ms: int) -> "Checkpoint":
        """Return a copy of the checkpoint after a complete pass that has read what the back office held at a time.

        ``fresh_as_of_ms`` never goes back. It stays as it is while too many records can't be translated.
        """
        return (
            self if self.refused_limit is not None else replace(self, fresh_as_of_ms=max(self.fresh_as_of_ms or 0, ms))
        )

    def with_judgement(self, progress: PassProgress, max_percent: float) -> "Checkpoint":
        """Return a copy of the checkpoint after a pass, with a limit if too many of its records can't be translated.

        - A pass that reads all records is judged by the share of refused records among all its records.
        - Any other pass is judged by its new records only, because the records that it reads again say nothing new.
          Fewer than :data:`MIN_JUDGED` new records are judged together with those of later passes, because a single bad
          record must not make a large source stale.
        - While a limit is set, the new records that led to it are judged together with those of later passes.

        If the share is small enough, an earlier limit ends. A pass through the whole list of deleted records never ends
        a limit, because it says nothing about the other records. A limit also ends when few enough records are left in
        quarantine.

        :param progress: the pass, which has read all its pages.
        :param max_percent: the largest percentage of refused records with which a pass makes the source fresh.
        """
        records, refused = progress.records, progress.refused
        if not progress.reads_all:
            records = self.new_records + progress.changes + progress.newly_refused
            refused = self.newly_refused + progress.newly_refused
        checkpoint = replace(self, new_records=records, newly_refused=refused)
        if not progress.reads_all and records < MIN_JUDGED:
            return checkpoint.with_limit(self.refused_limit)
        allowed = int(records * max_percent / 100)
        if refused > allowed:
            if self.refused_limit is None:
                checkpoint = replace(checkpoint, refused_before=max(0, self.refused - refused))
            return checkpoint.with_limit(checkpoint.refused_before + allowed)
        if progress.kind == "deletes" and progress.reads_all:
            return self.with_limit(self.refused_limit)
        return checkpoint.with_limit(None)

    def with_limit(self, limit: int | None) -> "Checkpoint":
        """Return a copy of the checkpoint with a ``refused_limit``, unless few enough records are in quarantine.

        Without a limit, the records that were judged are forgotten.
        """
        # The checkpoint has room for MAX_QUARANTINED refused records, so a greater limit would always be kept.
        if limit is not None and self.refused > min(limit, MAX_QUARANTINED - 1):
            return replace(self, refused_limit=min(limit, MAX_QUARANTINED - 1))
        is_waiting = limit is None and self.refused_limit is None and self.new_records < MIN_JUDGED
        return self if is_waiting else replace(self, refused_limit=None, new_records=0, newly_refused=0)

    def settle(self, now_ms: int, in_flight_ms: int) -> "Checkpoint":
        """Return a copy of the checkpoint after a complete pass, with its settled watermark.

        A change that was sent may still be on its way to its item, in this Region or in the other one. If this Region
        is lost, such a change is missing until the Region is back. So another Region must begin at a watermark whose
        changes were all sent long ago. The time when they were sent counts, and not their modification time, because a
        pass may send changes of old records. The copy has the watermark that a pass left at least ``in_flight_ms`` ago.

        :param now_ms: the time when the pass is complete. All its changes are on the change stream.
        :param in_flight_ms: how long a change may be on its way, in milliseconds.
        """
        if self.settling_since_ms and now_ms < self.settling_since_ms + in_flight_ms:
            return self
        return replace(
            self,
            settled_watermark_ms=self.settling_watermark_ms,
            settling_watermark_ms=self.watermark_ms,
            settling_since_ms=now_ms,
        )

    def without_progress(self) -> "Checkpoint":
        """Return a checkpoint without progress, so that the next pass reads the source from the beginning.

        The new checkpoint keeps only the lease, the requested sweep, and whether the source is paused. Its
        ``reread_until_ms`` is the latest possible time, because earlier polls may have sent the change of any record.
        """
        return Checkpoint(
            self.source,
            reread_until_ms=MAX_TIME_MS,
            paused=self.paused,
            sweep_requested_ms=self.sweep_requested_ms,
            lease_holder=self.lease_holder,
            lease_until_ms=self.lease_until_ms,
            generation=self.generation,
        )

    def breaker(self, max_failures: int, now_ms: int) -> BreakerState:
        """Return the state of the source's circuit breaker.

        The breaker opens after ``max_failures`` failed polls in a row. It becomes half open at ``open_until_ms``. While
        the breaker is half open, a poll sends a single request to probe the back office.
        """
        if self.failures.count < max_failures:
            return "closed"
        return "open" if now_ms < self.failures.open_until_ms else "half_open"


_SEPARATE_FIELDS = frozenset(
    ("source", "remembered", "redriven", "paused", "sweep_requested_ms", "lease_holder", "lease_until_ms", "generation")
)
"""The fields of a checkpoint that the store keeps as separate attributes, outside the checkpoint's JSON text.

Most of these fields can change while the JSON text stays the same. For example, an operator pauses the source, or a
poll takes the lease.
"""

_NESTED: Mapping[str, type] = {
    "missed_items": MissedItems,
    "conditional_request": ConditionalRequest,
    "failures": FailureState,
}


def checkpoint_json(checkpoint: Checkpoint) -> str:
    """Return a checkpoint as JSON text, without the fields that the store keeps as separate attributes."""
    state = {name: value for name, value in asdict(checkpoint).items() if name not in _SEPARATE_FIELDS}
    return json.dumps(state, separators=(",", ":"))


def parse_checkpoint(
    source: str,
    text: str,
    *,
    remembered: bytes = b"",
    redriven: frozenset[int] = frozenset(),
    paused: bool = False,
    sweep_requested_ms: int = 0,
    lease_holder: str | None = None,
    lease_until_ms: int = 0,
    generation: int = 0,
) -> Checkpoint:
    """Return a checkpoint from its JSON text and from the fields that the store keeps as separate attributes.

    :param text: the JSON text that :func:`checkpoint_json` returned.
    """
    state = _fields_of(Checkpoint, json.loads(text))
    for name, kind in _NESTED.items():
        if state.get(name) is not None:
            state[name] = kind(**_fields_of(kind, state[name]))
    for name in ("main_pass", "sweep_pass", "deletes_pass"):
        state[name] = _parse_progress(state.get(name))
    return Checkpoint(
        source=source,
        remembered=remembered,
        redriven=redriven,
        paused=paused,
        sweep_requested_ms=sweep_requested_ms,
        lease_holder=lease_holder,
        lease_until_ms=lease_until_ms,
        generation=generation,
        **state,
    )


def _parse_progress(members: Mapping[str, Any] | None) -> PassProgress | None:
    """Return a pass's progress; ``None`` if an older version of this code saved it, so that the pass starts again."""
    if members is None or "kind" not in members:
        return None
    state = _fields_of(PassProgress, members)
    if state.get("next_page") is not None:
        state["next_page"] = Continuation.from_json(state["next_page"])
    return PassProgress(**state)


def _fields_of(kind: type, members: Mapping[str, Any]) -> dict[str, Any]:
    """Return only those members that are fields of the dataclass ``kind``.

    The other members are ignored, because another version of this code may have saved them.
    """
    names = kind.__dataclass_fields__  # type: ignore[attr-defined]
    return {name: value for name, value in members.items() if name in names}
