"""Poll one source under its lease: run the passes that are due, and handle errors of the back office."""

from collections.abc import Callable
from dataclasses import replace

from ..clock import now_ms
from ..model.schema import SchemaValidator
from . import snapshot, sweep
from .checkpoint import FailureState
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
"""The longest ``Retry-After`` that `poll` obeys, in seconds.

Without this limit, a back office could stop the polls of its source for good.
"""

_OWN_KINDS = frozenset({"deadline", "secret"})
"""The kinds of error that aren't the back office's fault, so the circuit breaker doesn't count them."""


def run(lease: Lease, make_fetch: Callable[[Source], Fetch], validator: SchemaValidator) -> PollOutcome:
    """Poll the source under its lease, and return the outcome.

    If the back office can't be read, the function raises no error, but returns ``failed`` or ``unfinished``.

    :param make_fetch: a function that takes a source, and returns the function that fetches pages from the source's
        back office.
    :param validator: the compiled JSON Schema of the source's collection.
    :raises LeaseLostError: if this poll no longer holds the lease.
    :raises AwsError: if a call to AWS fails.
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
        return _read(lease, make_fetch(source), validator, probe=probe)
    except ReadingError as error:
        return _record_failure(lease, error, is_probe=probe and not lease.counts.pages)


def _reset_if_settings_changed(lease: Lease, now: int) -> None:
    """Forget the source's progress if settings that define its records have changed since the last poll."""
    previous, current = lease.checkpoint.fingerprint, lease.source.fingerprint
    if previous is not None and previous != current:
        lease.telemetry.event(
            "settings_changed",
            "The settings that say what the source's records mean have changed, so the poll reads everything again.",
            source=lease.source.name,
        )
        lease.checkpoint = replace(lease.checkpoint.without_progress(), first_polled_ms=now)
    lease.checkpoint = replace(lease.checkpoint, fingerprint=current)


def _read(lease: Lease, fetch: Fetch, validator: SchemaValidator, *, probe: bool) -> PollOutcome:
    source = lease.source
    if source.mode == "snapshot":
        return snapshot.take(lease, fetch, validator, probe=probe)
    reader = PageReader(source, fetch, Translator(source, validator), lease.seconds_left, probe=probe)
    outcome = PassRun(lease, reader, full=not source.incremental, kind="main").run()
    if outcome == "unfinished":
        return outcome
    if lease.checkpoint.main_pass:
        sweep.finish(lease, "main")
        return outcome
    if _is_sweep_due(lease):
        sweep_outcome = PassRun(lease, reader, full=True, kind="sweep").run()
        if sweep_outcome == "completed":
            sweep.finish(lease, "sweep")
    return outcome


def _is_sweep_due(lease: Lease) -> bool:
    source, checkpoint = lease.source, lease.checkpoint
    # The items of an owner collection can't be listed as a whole, so a sweep couldn't find what is missing.
    has_sweeps = source.sweep is not None and source.incremental and not lease.collection.owned
    is_wanted = checkpoint.sweep_pass is not None or checkpoint.sweep_due
    return has_sweeps and is_wanted and now_ms() >= checkpoint.sweep_retry_after_until_ms


def _record_failure(lease: Lease, error: ReadingError, *, is_probe: bool) -> PollOutcome:
    """Note in the log and in the checkpoint that reading the back office failed, and return the poll's outcome.

    Each row of the table is one kind of error. The breaker is the source's circuit breaker.

    =========================  ==========  ===================  ===============  ====================================
    error                      outcome     counts for breaker?  who obeys        does the pass start again?
                                                                Retry-After?
    =========================  ==========  ===================  ===============  ====================================
    the poll's time ran out    unfinished  no                   no pass          no
    secret can't be read       failed      no                   no pass          no
    list changed while read    failed      no                   no pass          it has been reset already
    any other, in a main pass  failed      yes                  all passes       from the second failure in a row on,
                                                                                 if the page is suspect
    any other, in a sweep      failed      yes                  sweeps only      if the page is suspect
    =========================  ==========  ===================  ===============  ====================================

    :func:`_is_page_suspect` decides whether the requested page is suspect. One failure of a main pass may be a
    coincidence, so a main pass restarts only after a second failure in a row. A sweep restarts after its first failure,
    because a main pass runs before each attempt of the sweep and resets the failure count.

    A back office may limit full listings more strictly than incremental reads. So if its response to a sweep has a
    ``Retry-After`` header, only sweeps wait, and main passes continue.

    :param is_probe: whether the failed request was the single request that a half-open breaker allows.
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
    """Return when the back office accepts requests again, Unix milliseconds; 0 without a ``Retry-After`` header."""
    retry_after = error.retry_after if isinstance(error, BackOfficeError) else None
    seconds = min(MAX_RETRY_AFTER_SECONDS, retry_after or 0)
    return now + int(seconds * 1000) if seconds else 0


def _is_page_suspect(error: ReadingError, *, is_probe: bool) -> bool:
    """Whether the requested page may no longer exist, for example because its token has expired.

    A retryable HTTP status such as 503 says nothing about the page. But if even the probe of a half-open breaker gets a
    retryable status, the page is suspect.
    """
    if isinstance(error, PageError):
        return True
    if not isinstance(error, BackOfficeError):
        return False
    if error.kind in ("origin", "redirect", "not_data"):
        return True
    return error.status is not None and (is_probe or error.status not in RETRYABLE_STATUSES)
