"""A poll of one source, once its lease is held: what is due, and what becomes of it when the back office fails."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from ..clock import now_ms
from ..model.schema import SchemaValidator
from . import snapshot, sweep
from .checkpoint import Checkpoint, FailureState
from .errors import BackOfficeError, ListMovedError, PageError
from .lease import Fetch, Lease
from .passes import PassRun
from .source.settings import Source
from .source.translate import Translator
from .upstream.client import RETRIED
from .upstream.pages import Pages

MAX_WANTED_SECONDS = 60 * 60
"""Longest Retry-After that is kept to: a back office must not be able to switch itself off for good."""

OWN = frozenset({"deadline", "secret"})
"""Kinds of fault that aren't the back office's."""

PollOutcome = Literal["completed", "not_modified", "unfinished", "failed", "paused", "open", "running"]


def run(session: Lease, upstream: Callable[[Source], Fetch], validate: SchemaValidator) -> PollOutcome:
    """Poll; what the back office does wrong is an outcome, and counts for the breaker.

    :param upstream: makes what asks the back office.
    :param validate: the collection's compiled schema.
    :raises LeaseLost: when another has the source.
    """
    source, checkpoint = session.source, session.checkpoint
    now = now_ms()
    if checkpoint.paused:
        return "paused"
    checkpoint = _meant(session, now)
    breaker = checkpoint.breaker(source.breaker.failures, now)
    if breaker == "open" or now < checkpoint.failures.wanted_until_ms:
        return "open"
    probe = breaker == "half_open"
    try:
        return _read(session, upstream(source), validate, probe=probe)
    except (BackOfficeError, PageError, ListMovedError) as fault:
        return _failed(session, fault, probed=probe and not session.tally.pages)


def _meant(session: Lease, now: int) -> Checkpoint:
    """The checkpoint, unless it is of other settings: then one that begins anew."""
    known, meaning = session.checkpoint.meaning, session.source.meaning
    if known is not None and known != meaning:
        session.telemetry.event(
            "settings_changed",
            "The source's settings mean something else now; the poll reads everything again.",
            source=session.source.name,
        )
        session.checkpoint = replace(session.checkpoint.anew(), begun_ms=now)
    session.keep(meaning=meaning)
    return session.checkpoint


def _read(session: Lease, fetch: Fetch, validate: SchemaValidator, *, probe: bool) -> PollOutcome:
    source = session.source
    if source.mode == "snapshot":
        return snapshot.take(session, fetch, validate, probe=probe)
    pages = Pages(source, fetch, Translator(source, validate), session.seconds_left, probe=probe)
    outcome = PassRun(session, pages, full=not source.incremental, sweep=False).run()
    if outcome == "unfinished":
        return outcome
    if session.checkpoint.changes:
        sweep.finish(session, "changes")
    elif _sweep_due(session) and PassRun(session, pages, full=True, sweep=True).run() == "completed":
        sweep.finish(session, "sweep")
    return outcome


def _sweep_due(session: Lease) -> bool:
    source, checkpoint = session.source, session.checkpoint
    due = checkpoint.sweep or checkpoint.sweep_due
    return bool(source.sweep and source.incremental and due and now_ms() >= checkpoint.sweep_wanted_ms)


def _failed(session: Lease, fault: BackOfficeError | PageError | ListMovedError, *, probed: bool) -> PollOutcome:
    source = session.source
    kind = fault.kind if isinstance(fault, BackOfficeError) else type(fault).__name__
    detail = fault.detail if isinstance(fault, BackOfficeError) else str(fault)
    session.tally.fault = f"{kind}: {detail}"
    session.telemetry.event(
        "back_office_failed",
        "The back office gave no usable data.",
        level="WARN",
        source=source.name,
        kind=kind,
        detail=detail,
    )
    if kind == "deadline":
        return "unfinished"
    if kind in OWN or isinstance(fault, ListMovedError):
        return "failed"
    now = now_ms()
    count = session.checkpoint.failures.count + 1
    wanted = min(MAX_WANTED_SECONDS, getattr(fault, "retry_after", None) or 0)
    opens = count >= source.breaker.failures
    wanted_until_ms = now + int(wanted * 1000) if wanted else 0
    sweeping = session.walking == "sweep"
    session.keep(
        failures=FailureState(
            count,
            now + int(source.breaker.cooldown_seconds * 1000) if opens else 0,
            # A listing of everything may be asked for less often than what has changed: passes go on.
            0 if sweeping else wanted_until_ms,
        )
    )
    if sweeping:
        session.keep(sweep_wanted_ms=wanted_until_ms)
    # Once may be chance. A sweep has no second chance, since the pass before it starts the count anew.
    if (count > 1 or sweeping) and _leads_nowhere(fault, probed=probed):
        session.give_up_place()
    return "failed"


def _leads_nowhere(fault: BackOfficeError | PageError, *, probed: bool) -> bool:
    """Whether the place that was asked for may be one that the back office doesn't know any more."""
    if isinstance(fault, PageError):
        return True
    if fault.kind in ("origin", "redirect", "not_data"):
        return True
    return fault.status is not None and (probed or fault.status not in RETRIED)
