"""A source's checkpoint: what `poll` remembers of the source between invocations."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

MAX_TIME_MS = (1 << 48) - 1
"""The latest time that fits into a version, Unix milliseconds."""

PassKind = Literal["main", "sweep"]
"""``main``: the pass that keeps the source fresh. It is either incremental or a full listing.
``sweep``: an additional full listing, which finds deleted records."""


@dataclass(frozen=True)
class Pass:
    """One walk through a source's pages, which may take several invocations.

    :param started_ms: the time just before the pass's first request, Unix milliseconds.
    :param cursor_ms: the pass reads records modified since this time, in the back office's time, Unix milliseconds;
        ``None`` to read all records.
    :param continuation: the position of the next page, as text (:mod:`.upstream.paging`); ``None`` for the first page.
    :param all_read: whether all pages have been read, so that only the search for missing items remains.
    :param newest_ms: the latest modification time read so far, Unix milliseconds.
    :param chunks: how many chunks with the key hashes of listed items have been stored so far.
    :param without_id: how many records so far have no usable item id. If there is even one, a sweep deletes nothing,
        because any missing item may be that record.
    :param pages: how many pages have been read so far.
    :param records: how many records have been read so far.
    :param changes: how many changes have been sent so far.
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
    """The items missing from the last full listing. An item that is also missing from the next one is deleted.

    :param name: the name of the stored set that holds the items' hashes.
    :param chunks: how many chunks that set has.
    """

    name: str
    chunks: int


@dataclass(frozen=True)
class ConditionalRequest:
    """The validators of a response (RFC 9110, section 8.8). They make the next request for the same URL conditional.

    If nothing has changed since, the back office answers a conditional request with 304.

    :param url: the URL that was requested.
    :param etag: the response's ``ETag`` header.
    :param last_modified: the response's ``Last-Modified`` header.
    """

    url: str
    etag: str | None
    last_modified: str | None


@dataclass(frozen=True)
class FailureState:
    """The recent failures of a source.

    :param count: how many polls in a row have failed.
    :param open_until_ms: when an open circuit breaker becomes half open, Unix milliseconds.
    :param retry_after_until_ms: when the back office accepts requests again, according to its ``Retry-After`` header,
        Unix milliseconds.
    """

    count: int = 0
    open_until_ms: int = 0
    retry_after_until_ms: int = 0


BreakerState = Literal["closed", "open", "half_open"]


@dataclass(frozen=True)
class Checkpoint:
    """A source's saved position and the state of its lease. Times are Unix milliseconds; 0 means never.

    :param source: the source's name.
    :param first_polled_ms: when the source was first polled.
    :param fingerprint: the fingerprint of the source's settings at the last poll
        (:attr:`~readplane.poll.source.settings.Source.fingerprint`).
    :param reread_until_ms: records modified up to this time, by the back office's clock, may have been sent before even
        if ``remembered`` doesn't contain them. A rewind, a reset or changed settings set this time.
    :param watermark_ms: all records modified up to this time, by the back office's clock, have been read.
    :param fresh_as_of_ms: everything that the back office held at this time, by our clock, has been read.
    :param last_change_ms: when the last change of the source was sent.
    :param main_pass: the unfinished main pass, if any.
    :param sweep_pass: the unfinished sweep, if any.
    :param last_sweep_ms: when the last finished sweep started.
    :param sweep_retry_after_until_ms: when the back office accepts requests of a sweep again, according to its
        ``Retry-After`` header.
    :param missed_items: the items missing from the last full listing.
    :param conditional_request: the validators for the next request; ``None`` if it must be unconditional.
    :param snapshot_version: the version of the source's snapshot document.
    :param failures: the recent failures of the source.
    :param remembered: the records that later passes read again, packed by
        :class:`~readplane.poll.remembered.Remembered`.
    :param paused: whether an operator has paused the source.
    :param sweep_requested_ms: when a sweep was last requested.
    :param lease_holder: the invocation that holds the lease; ``None`` if there is no lease.
    :param lease_until_ms: when the lease expires.
    :param generation: a counter that increases with every lease, rewind and reset.
    """

    source: str
    first_polled_ms: int = 0
    fingerprint: str | None = None
    reread_until_ms: int = 0
    watermark_ms: int | None = None
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
        """Whether a sweep was requested after the start of the last finished sweep."""
        return self.sweep_requested_ms > self.last_sweep_ms

    def get_pass(self, kind: PassKind) -> Pass | None:
        """Return the unfinished pass of this kind, if any."""
        return self.main_pass if kind == "main" else self.sweep_pass

    def with_pass(self, kind: PassKind, state: Pass | None) -> "Checkpoint":
        """Return a copy with a new state of one pass.

        :param state: the new state; ``None`` if the pass is finished or must start again.
        """
        return replace(self, main_pass=state) if kind == "main" else replace(self, sweep_pass=state)

    def without_progress(self) -> "Checkpoint":
        """Return a checkpoint that starts from the beginning. It keeps the lease, the pause and the requested sweep.

        Earlier polls may have sent any of the records already, so ``reread_until_ms`` covers all times.
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
        """Return the state of the circuit breaker.

        The breaker opens after ``max_failures`` failed polls in a row. It becomes half open at ``open_until_ms``. Then
        one request may probe the back office.
        """
        if self.failures.count < max_failures:
            return "closed"
        return "open" if now_ms < self.failures.open_until_ms else "half_open"


_SEPARATE_FIELDS = frozenset(
    ("source", "remembered", "paused", "sweep_requested_ms", "lease_holder", "lease_until_ms", "generation")
)
"""Fields that the store keeps separately and not in the JSON text.

Operators and leases change most of them without rewriting the text.
"""

_NESTED: Mapping[str, type] = {
    "main_pass": Pass,
    "sweep_pass": Pass,
    "missed_items": MissedItems,
    "conditional_request": ConditionalRequest,
    "failures": FailureState,
}


def checkpoint_json(checkpoint: Checkpoint) -> str:
    """Return a checkpoint as JSON text, without the fields that the store keeps separately."""
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
    """Return the checkpoint that consists of the text from :func:`checkpoint_json` and the separately kept fields."""
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
    """Return the members that are fields of the dataclass ``kind``.

    Another version of this code may have saved other members, which are ignored.
    """
    names = kind.__dataclass_fields__  # type: ignore[attr-defined]
    return {name: value for name, value in members.items() if name in names}
