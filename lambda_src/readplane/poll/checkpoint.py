"""Checkpoints: what `poll` knows of a source from one invocation to the next."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Pass:
    """A walk through a listing, begun and not yet through.

    ``started_ms``: the time before its first request. ``cursor_ms``: what it asks from, ``None`` for everything.
    ``place``: where it goes on, in the upstream's own words; ``None`` at its start. ``listed``: all pages are read, and
    only what is missing has yet to be found. ``newest_ms``: the greatest version it met. ``chunks``: parts of the set
    of items that it met. ``unreadable``: records whose item nobody knows, so that nothing can be said to be missing.
    """

    started_ms: int
    cursor_ms: int | None = None
    place: str | None = None
    listed: bool = False
    newest_ms: int | None = None
    chunks: int = 0
    unreadable: int = 0
    pages: int = 0
    records: int = 0
    changes: int = 0


@dataclass(frozen=True)
class MissedItems:
    """The items that the last complete sweep missed for the first time: ``chunks`` parts of a set, under ``name``."""

    name: str
    chunks: int


@dataclass(frozen=True)
class ConditionalRequest:
    """What an answer named itself by; a request that names them back may be answered "not modified" (304)."""

    url: str
    etag: str | None
    last_modified: str | None


@dataclass(frozen=True)
class FailureState:
    """Failed polls in a row; until when (Unix ms) the source is left alone for that, or because it said so."""

    count: int = 0
    open_until_ms: int = 0
    wanted_until_ms: int = 0


BreakerState = Literal["closed", "open", "half_open"]

EVER = (1 << 48) - 1
"""A time (Unix ms) that no version is later than."""


@dataclass(frozen=True)
class Checkpoint:
    """All that is known of a source.

    ``begun_ms``: when it was first polled. ``watermark_ms``: how far it is read, in upstream's time.
    ``fresh_as_of_ms``: what it held at this time of ours is read. ``changed_ms``: when a change of it was last made.
    ``meaning``: what its settings told a record to mean (:attr:`~readplane.poll.source.settings.Source.meaning`).
    ``again_ms``: up to this time of upstream's, records are read that were read before, and aren't remembered.
    ``version``: of its snapshot's document. ``seen``: see :class:`~readplane.poll.remembered.Seen`. ``swept_ms``: the
    request that the last sweep answered. ``sweep_wanted_ms``: until when it wants no sweep to go on.

    ``paused``, ``sweep_asked_ms``, ``owner``, ``lease_until_ms`` and ``generation`` are told by the store, and not
    saved with the rest: ``generation`` counts the leases, ``owner`` holds one until ``lease_until_ms``.
    """

    source: str
    begun_ms: int = 0
    meaning: str | None = None
    again_ms: int = 0
    watermark_ms: int | None = None
    fresh_as_of_ms: int | None = None
    changed_ms: int = 0
    changes: Pass | None = None
    sweep: Pass | None = None
    swept_ms: int = 0
    sweep_wanted_ms: int = 0
    missing: MissedItems | None = None
    validators: ConditionalRequest | None = None
    version: str | None = None
    failures: FailureState = field(default_factory=FailureState)
    seen: bytes = b""
    paused: bool = False
    sweep_asked_ms: int = 0
    owner: str | None = None
    lease_until_ms: int = 0
    generation: int = 0

    @property
    def sweep_due(self) -> bool:
        """Whether a sweep was asked for, and none has answered."""
        return self.sweep_asked_ms > self.swept_ms

    def anew(self) -> "Checkpoint":
        """A checkpoint that has read nothing, but knows that others have been before it."""
        return Checkpoint(
            self.source,
            again_ms=EVER,
            paused=self.paused,
            sweep_asked_ms=self.sweep_asked_ms,
            owner=self.owner,
            lease_until_ms=self.lease_until_ms,
            generation=self.generation,
        )

    def breaker(self, limit: int, now_ms: int) -> BreakerState:
        """The state of its breaker, which opens at ``limit`` failures in a row; half open, one request may probe."""
        if self.failures.count < limit:
            return "closed"
        return "open" if now_ms < self.failures.open_until_ms else "half_open"


TOLD = ("source", "seen", "paused", "sweep_asked_ms", "owner", "lease_until_ms", "generation")
"""Members that don't stand in :func:`state_text`."""

_NESTED: Mapping[str, type] = {
    "changes": Pass,
    "sweep": Pass,
    "missing": MissedItems,
    "validators": ConditionalRequest,
    "failures": FailureState,
}


def state_text(checkpoint: Checkpoint) -> str:
    """What a poll saves, but for ``seen``, as JSON."""
    state = {name: value for name, value in asdict(checkpoint).items() if name not in TOLD}
    return json.dumps(state, separators=(",", ":"))


def checkpoint_of(source: str, text: str, **told: Any) -> Checkpoint:
    """The checkpoint that :func:`state_text` printed; ``told`` are the members of :data:`TOLD`."""
    state = known_members(Checkpoint, json.loads(text))
    for name, kind in _NESTED.items():
        if state.get(name) is not None:
            state[name] = kind(**known_members(kind, state[name]))
    return Checkpoint(source=source, **state, **told)


def known_members(kind: type, members: Mapping[str, Any]) -> dict[str, Any]:
    """The members that ``kind`` has: another version of this code may have saved others."""
    names = kind.__dataclass_fields__  # type: ignore[attr-defined]
    return {name: value for name, value in members.items() if name in names}
