"""A poll of one source under its lease: what is due, and what follows from an error of the back office."""

from collections.abc import Callable
from dataclasses import replace

from ..clock import now_ms
from ..model.schema import SchemaValidator
from . import snapshot, sweep
from .checkpoint import Checkpoint, FailureState
from .errors import BackOfficeError, ListMovedError, PageError, ReadingError
from .lease import Lease
from .outcome import PollOutcome
from .passes import PassRun
from .source.settings import Source
from .source.translate import Translator
from .upstream.client import RETRYABLE_STATUSES
from .upstream.paging.reader import PageReader
from .upstream.response import Fetch

MAX_RETRY_AFTER_SECONDS = 60 * 60
"""The longest ``Retry-After`` that is obeyed: a back office must not be able to switch its polls off for good."""

_OWN_KINDS = frozenset({"deadline", "secret"})
"""Kinds of error that aren't the back office's fault, so they don't count for the circuit breaker."""


def run(lease: Lease, make_fetch: Callable[[Source], Fetch], validate: SchemaValidator) -> PollOutcome:
    """Poll the source. An error of the back office is an outcome, and counts for the circuit breaker.

    :param make_fetch: returns what sends requests to a source's back office.
    :param validate: the collection's compiled schema.
    :raises LeaseLostError: if the lease is lost.
    :raises AwsError: if AWS fails.
    """
    source = lease.source
    now = now_ms()
    if lease.checkpoint.paused:
        return "paused"
    _reset_if_settings_changed(lease, now)
    checkpoint = lease.checkpoint
    breaker = checkpoint.breaker(source.breaker.failures, now)
    if breaker == "open" or now < checkpoint.failures.retry_after_until_ms:
        return "open"
    probe = breaker == "half_open"
    try:
        return _read(lease, make_fetch(source), validate, probe=probe)
    except ReadingError as error:
        return _record_failure(lease, error, is_probe=probe and not lease.counts.pages)


def _reset_if_settings_changed(lease: Lease, now: int) -> None:
    """Start the source over if its settings mean something else than they did in the last poll."""
    previous, current = lease.checkpoint.fingerprint, lease.source.fingerprint
    if previous is not None and previous != current:
        lease.telemetry.event(
            "settings_changed",
            "The settings that say what the source's records mean have changed, so the poll reads everything again.",
            source=lease.source.name,
        )
        lease.checkpoint = replace(lease.checkpoint.without_progress(), first_polled_ms=now)
    lease.checkpoint = replace(lease.checkpoint, fingerprint=current)


def _read(lease: Lease, fetch: Fetch, validate: SchemaValidator, *, probe: bool) -> PollOutcome:
    source = lease.source
    if source.mode == "snapshot":
        return snapshot.take(lease, fetch, validate, probe=probe)
    reader = PageReader(source, fetch, Translator(source, validate), lease.seconds_left, probe=probe)
    outcome = PassRun(lease, reader, full=not source.incremental, kind="main").run()
    if outcome == "unfinished":
        return outcome
    if lease.checkpoint.main_pass:
        sweep.finish(lease, "main")
        return outcome
    if _is_sweep_due(source, lease.checkpoint):
        sweep_outcome = PassRun(lease, reader, full=True, kind="sweep").run()
        if sweep_outcome == "completed":
            sweep.finish(lease, "sweep")
    return outcome


def _is_sweep_due(source: Source, checkpoint: Checkpoint) -> bool:
    has_sweeps = source.sweep is not None and source.incremental
    is_wanted = checkpoint.sweep_pass is not None or checkpoint.sweep_due
    return has_sweeps and is_wanted and now_ms() >= checkpoint.sweep_retry_after_until_ms


def _record_failure(lease: Lease, error: ReadingError, *, is_probe: bool) -> PollOutcome:
    """Note in log and checkpoint that reading the back office failed, and return the poll's outcome.

    ========================  ==========  ==========  ==============  =========================
    error                     outcome     counts for  Retry-After     pass starts again
                                          breaker     is obeyed
    ========================  ==========  ==========  ==============  =========================
    deadline                  unfinished  no          no              no
    secret                    failed      no          no              no
    list moved                failed      no          no              has already
    another, in a main pass   failed      yes         by every poll   second failure, and
                                                                      :func:`_is_page_suspect`
    another, in a sweep       failed      yes         by sweeps only  :func:`_is_page_suspect`
    ========================  ==========  ==========  ==============  =========================

    A back office may limit full listings more than incremental ones. So after a sweep's error, main passes go on.
    One failure of a main pass may be chance. A sweep restarts at once, because the main pass before each try of the
    sweep resets the count.

    :param is_probe: whether the error came from the one request that a half-open breaker lets through.
    """
    source = lease.source
    lease.fault = f"{error.kind}: {error.detail}"
    lease.telemetry.event(
        "back_office_failed",
        "The back office couldn't be read.",
        level="WARN",
        source=source.name,
        kind=error.kind,
        detail=error.detail,
    )
    if error.kind == "deadline":
        return "unfinished"
    if error.kind in _OWN_KINDS or isinstance(error, ListMovedError):
        return "failed"
    now = now_ms()
    count = lease.checkpoint.failures.count + 1
    opens = count >= source.breaker.failures
    open_until_ms = now + int(source.breaker.cooldown_seconds * 1000) if opens else 0
    is_sweep = lease.pass_kind == "sweep"
    retry_after_until_ms = _retry_after_until_ms(error, now)
    failures = FailureState(count, open_until_ms, 0 if is_sweep else retry_after_until_ms)
    lease.checkpoint = replace(lease.checkpoint, failures=failures)
    if is_sweep:
        lease.checkpoint = replace(lease.checkpoint, sweep_retry_after_until_ms=retry_after_until_ms)
    if (count > 1 or is_sweep) and _is_page_suspect(error, is_probe=is_probe):
        lease.restart_pass()
    return "failed"


def _retry_after_until_ms(error: ReadingError, now: int) -> int:
    """Return until when the back office wants no request; 0 if it didn't say."""
    retry_after = error.retry_after if isinstance(error, BackOfficeError) else None
    seconds = min(MAX_RETRY_AFTER_SECONDS, retry_after or 0)
    return now + int(seconds * 1000) if seconds else 0


def _is_page_suspect(error: ReadingError, *, is_probe: bool) -> bool:
    """Whether the back office may not know the requested page any more, for example because a token has expired.

    A status that is worth a retry says nothing about the page, unless even a probe of a half-open breaker gets it.
    """
    if isinstance(error, PageError):
        return True
    if not isinstance(error, BackOfficeError):
        return False
    if error.kind in ("origin", "redirect", "not_data"):
        return True
    return error.status is not None and (is_probe or error.status not in RETRYABLE_STATUSES)
