"""A source's checkpoint: what `poll` remembers of the source between invocations."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, NamedTuple

MAX_TIME_MS = (1 << 48) - 1
"""The latest time that fits into the 48-bit time of a version (a UUIDv7), Unix milliseconds."""

PassKind = Literal["main", "sweep"]
"""The kind of a pass through a source's pages.

``main``: the pass that keeps the source's items fresh. It is either incremental or a full listing.
``sweep``: an additional full listing, which finds the records that the back office has deleted.
"""


@dataclass(frozen=True)
class Pass:
    """One walk through a source's pages, which may take several invocations of `poll`.

    :param started_ms: the time just before the pass sent its first request, Unix milliseconds.
    :param cursor_ms: the pass reads the records modified since this time, by the back office's clock, Unix
        milliseconds; ``None`` to read all records.
    :param continuation: the position of the next page, as text (:mod:`.upstream.paging`); ``None`` for the first page.
    :param all_read: whether the pass has read all pages. Then only the search for missing items remains.
    :param newest_ms: the latest modification time of the records read so far, Unix milliseconds.
    :param chunks: how many chunks of key hashes the pass has stored so far. The chunks of a full listing contain the
        key hash of every listed item.
    :param without_id: how many of the records read so far have no usable item id. If there is even one, the pass
        deletes no missing items, because any of them may belong to that record.
    :param pages: how many pages the pass has read so far.
    :param records: how many records the pass has read so far.
    :param changes: how many changes the pass has sent so far.
    """

    started_ms: int
    cursor_ms: int | None = None
    continuation: str | None = None
    all_read: bool = False
    newest_ms: int | None = None
    chunks: int = 0
    without_id: int = 0
    pages: int = 0
    records: int = 0
    changes: int = 0


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
    """

    count: int = 0
    open_until_ms: int = 0
    retry_after_until_ms: int = 0


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
    :param settled_watermark_ms: an earlier ``watermark_ms``, which is so old that the items of all its records have
        arrived in every Region; ``None`` if there is none yet.
    :param settling_watermark_ms: the ``watermark_ms`` that becomes the next ``settled_watermark_ms``.
    :param settling_since_ms: when ``settling_watermark_ms`` was the watermark.
    :param fresh_as_of_ms: `poll` has read everything that the back office held at this time, by the clock of `poll`.
    :param last_change_ms: when `poll` last sent a change of the source.
    :param main_pass: the unfinished main pass, if any.
    :param sweep_pass: the unfinished sweep, if any.
    :param last_sweep_ms: when the last finished sweep started.
    :param sweep_retry_after_until_ms: when the back office accepts requests of a sweep again, according to the
        ``Retry-After`` header of its response to a sweep.
    :param missed_items: the items that were missing from the last full listing.
    :param conditional_request: the validators for the next request; ``None`` if the next request must be unconditional.
    :param snapshot_version: the version of the source's snapshot document.
    :param failures: the recent failures of the source.
    :param remembered: the entries of the records that later passes will read again, packed by
        :class:`~readplane.poll.remembered.Remembered`.
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
    settled_watermark_ms: int | None = None
    settling_watermark_ms: int | None = None
    settling_since_ms: int = 0
    fresh_as_of_ms: int | None = None
    last_change_ms: int = 0
    main_pass: Pass | None = None
    sweep_pass: Pass | None = None
    last_sweep_ms: int = 0
    sweep_retry_after_until_ms: int = 0
    missed_items: MissedItems | None = None
    conditional_request: ConditionalRequest | None = None
    snapshot_version: str | None = None
    failures: FailureState = field(default_factory=FailureState)
    remembered: bytes = b""
    paused: bool = False
    sweep_requested_ms: int = 0
    lease_holder: str | None = None
    lease_until_ms: int = 0
    generation: int = 0

    @property
    def sweep_due(self) -> bool:
        """Whether a sweep of the source has been requested since its last finished sweep started."""
        return self.sweep_requested_ms > self.last_sweep_ms

    def get_pass(self, kind: PassKind) -> Pass | None:
        """Return the source's unfinished pass of this kind; ``None`` if there is none."""
        return self.main_pass if kind == "main" else self.sweep_pass

    def with_pass(self, kind: PassKind, state: Pass | None) -> "Checkpoint":
        """Return a copy of the checkpoint in which the pass of this kind has a new state.

        :param state: the new state; ``None`` if the pass is finished or must start again.
        """
        return replace(self, main_pass=state) if kind == "main" else replace(self, sweep_pass=state)

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
    ("source", "remembered", "paused", "sweep_requested_ms", "lease_holder", "lease_until_ms", "generation")
)
"""The fields of a checkpoint that the store keeps as separate attributes, outside the checkpoint's JSON text.

Most of these fields can change while the JSON text stays the same. For example, an operator pauses the source, or a
poll takes the lease.
"""

_NESTED: Mapping[str, type] = {
    "main_pass": Pass,
    "sweep_pass": Pass,
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
    return Checkpoint(
        source=source,
        remembered=remembered,
        paused=paused,
        sweep_requested_ms=sweep_requested_ms,
        lease_holder=lease_holder,
        lease_until_ms=lease_until_ms,
        generation=generation,
        **state,
    )


def _fields_of(kind: type, members: Mapping[str, Any]) -> dict[str, Any]:
    """Return only those members that are fields of the dataclass ``kind``.

    The other members are ignored, because another version of this code may have saved them.
    """
    names = kind.__dataclass_fields__  # type: ignore[attr-defined]
    return {name: value for name, value in members.items() if name in names}
