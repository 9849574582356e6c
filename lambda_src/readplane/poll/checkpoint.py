"""A source's checkpoint: what `poll` knows of the source from one invocation to the next."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

MAX_TIME_MS = (1 << 48) - 1
"""The latest time that a version can hold, Unix milliseconds."""

PassKind = Literal["main", "sweep"]
"""``main``: an incremental pass or a full listing that keeps the source fresh.
``sweep``: a further full listing, which finds deleted records."""


@dataclass(frozen=True)
class Pass:
    """One walk through a source's pages, which may take several invocations.

    :param started_ms: the time before its first request, Unix milliseconds.
    :param cursor_ms: it reads what changed since this time of the back office; ``None`` for everything.
    :param continuation: what leads to the next page (:mod:`.upstream.paging`); ``None`` for the first page.
    :param all_read: whether all pages are read, and only the missing items are still to be found.
    :param newest_ms: the latest modification time read so far.
    :param chunks: how many chunks of key hashes of the listed items are stored.
    :param without_id: records without a usable item id. With any, no item can be called missing.
    :param pages: pages read so far.
    :param records: records read so far.
    :param changes: changes sent so far.
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
    """The items that the last full listing missed for the first time.

    :param name: the name of the stored set of their hashes.
    :param chunks: the number of chunks of that set.
    """

    name: str
    chunks: int


@dataclass(frozen=True)
class ConditionalRequest:
    """The validators of a response (RFC 9110, section 8.8), with which the same URL is requested again.

    If nothing has changed, the back office then responds with 304.

    :param url: the URL of the response.
    :param etag: its ``ETag`` header.
    :param last_modified: its ``Last-Modified`` header.
    """

    url: str
    etag: str | None
    last_modified: str | None


@dataclass(frozen=True)
class FailureState:
    """The failed polls of a source.

    :param count: failed polls in a row.
    :param open_until_ms: when the circuit breaker lets the next request through, Unix milliseconds.
    :param retry_after_until_ms: the back office wants no request before this time (``Retry-After``), Unix milliseconds.
    """

    count: int = 0
    open_until_ms: int = 0
    retry_after_until_ms: int = 0


BreakerState = Literal["closed", "open", "half_open"]


@dataclass(frozen=True)
class Checkpoint:
    """A source's saved position and the state of its lease. Times are Unix milliseconds; 0 stands for never.

    :param source: the source's name.
    :param first_polled_ms: when the source was first polled.
    :param fingerprint: the hash of the settings that the source was read with
        (:attr:`~readplane.poll.source.settings.Source.fingerprint`).
    :param reread_until_ms: records modified up to this time, in the back office's time, may have been read before
        without being remembered. It is set when everything is read again.
    :param watermark_ms: everything modified up to this time, in the back office's time, has been read.
    :param fresh_as_of_ms: everything that the source held at this time, in our time, has been read.
    :param last_change_ms: when a change of the source was last sent.
    :param main_pass: the main pass, if it isn't finished.
    :param sweep_pass: the sweep, if it isn't finished.
    :param last_sweep_ms: when the last finished sweep started.
    :param sweep_retry_after_until_ms: the back office wants no request of a sweep before this time (``Retry-After``).
    :param missed_items: the items that the last full listing missed for the first time.
    :param conditional_request: the validators of the last response, if the next request may name them.
    :param snapshot_version: the version of the source's snapshot document.
    :param failures: the failed polls.
    :param remembered: the records that later passes read again (:class:`~readplane.poll.remembered.Remembered`).
    :param paused: whether an operator has paused the source.
    :param sweep_requested_ms: when a sweep was last requested.
    :param lease_holder: the invocation that holds the lease.
    :param lease_until_ms: when the lease ends.
    :param generation: how many leases there have been.
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
        """Whether a sweep was requested after the last finished one started."""
        return self.sweep_requested_ms > self.last_sweep_ms

    def get_pass(self, kind: PassKind) -> Pass | None:
        """Return the unfinished pass of a kind."""
        return self.main_pass if kind == "main" else self.sweep_pass

    def with_pass(self, kind: PassKind, state: Pass | None) -> "Checkpoint":
        """Return a copy with another state of one pass; ``None`` if it is finished or must start again."""
        return replace(self, main_pass=state) if kind == "main" else replace(self, sweep_pass=state)

    def without_progress(self) -> "Checkpoint":
        """Return a checkpoint that has read nothing, under the same lease.

        The items may hold changes of earlier polls, so every record counts as possibly read before.
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

        It opens at ``max_failures`` failed polls in a row. Once it is half open, one request may probe the back office.
        """
        if self.failures.count < max_failures:
            return "closed"
        return "open" if now_ms < self.failures.open_until_ms else "half_open"


_SEPARATE_FIELDS = frozenset(
    ("source", "remembered", "paused", "sweep_requested_ms", "lease_holder", "lease_until_ms", "generation")
)
"""Fields that the store keeps beside the JSON text, because operators and leases change them on their own."""

_NESTED: Mapping[str, type] = {
    "main_pass": Pass,
    "sweep_pass": Pass,
    "missed_items": MissedItems,
    "conditional_request": ConditionalRequest,
    "failures": FailureState,
}


def checkpoint_json(checkpoint: Checkpoint) -> str:
    """Return what a poll saves as JSON: all fields but those that the store keeps beside it."""
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
    """Return the checkpoint of the JSON text that :func:`checkpoint_json` returned, and of the fields beside it."""
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
    """Return the members that are fields of the dataclass ``kind``. Other versions of the code may save others."""
    names = kind.__dataclass_fields__  # type: ignore[attr-defined]
    return {name: value for name, value in members.items() if name in names}
