"""Poll one source under its lease: run the passes that are due, and handle errors of the back office."""

from collections.abc import Callable
from dataclasses import replace

from ..model.schema import SchemaValidator
from . import snapshot, sweep
from .checkpoint import MAX_TIME_MS, FailureState
from .errors import BackOfficeError, ListMovedError, PageError, ReadingError
from .lease import Lease
from .outcome import PollOutcome
from .passes.deletes import DeletesPass
from .passes.incremental import IncrementalPass
from .passes.listing import ListingPass
from .passes.sweep_pass import SweepPass
from .remembered import Remembered
from .source.settings import Source
from .source.translate import Translator
from .upstream.paging.reader import PageReader
from .upstream.response import Fetch

MAX_RETRY_AFTER_SECONDS = 60 * 60
"""The longest ``Retry-After`` that `poll` obeys, in seconds.

Without this limit, a back office could stop the polls of its source for good.
"""

_RATE_LIMITS = frozenset((403, 429))
"""The HTTP statuses with which a back office limits the rate of requests, whatever they ask for."""

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
    now = lease.runtime.now_ms()
    if lease.checkpoint.paused:
        return "paused"
    _forget_redriven(lease)
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


def _forget_redriven(lease: Lease) -> None:
    """Count the records that a redrive has translated no longer as records in quarantine."""
    checkpoint = lease.checkpoint
    if checkpoint.redriven:
        remembered = Remembered(checkpoint.remembered)
        for key in checkpoint.redriven:
            remembered.drop_record(key)
        lease.checkpoint = replace(checkpoint, remembered=remembered.to_bytes(), refused=remembered.quarantined)


def _reset_if_settings_changed(lease: Lease, now: int) -> None:
    """Forget the source's progress if settings that define its records have changed since the last poll."""
    previous, current = lease.checkpoint.fingerprint, lease.source.fingerprint
    if previous is not None and previous != current:
        lease.telemetry.event(
            "settings_changed",
            "The settings that say what the source's records mean have changed, so the poll reads everything again.",
            source=lease.source.name,
        )
        # Deletes aren't read again, so the next pass through them goes on where the last one ended.
        deletes_watermark_ms = lease.checkpoint.deletes_watermark_ms
        lease.checkpoint = replace(
            lease.checkpoint.without_progress(), first_polled_ms=now, deletes_watermark_ms=deletes_watermark_ms
        )
    lease.checkpoint = replace(lease.checkpoint, fingerprint=current)


def _read(lease: Lease, fetch: Fetch, validator: SchemaValidator, *, probe: bool) -> PollOutcome:
    source = lease.source
    if source.mode == "snapshot":
        return snapshot.take(lease, fetch, validator, probe=probe)
    reader = PageReader(
        source, fetch, Translator(source, validator), lease.seconds_left, probe=probe, runtime=lease.runtime
    )
    main_pass = (IncrementalPass if source.incremental else ListingPass)(lease, reader)
    outcome = main_pass.run()
    if outcome == "unfinished":
        return outcome
    if lease.checkpoint.get_pass("listing"):
        sweep.finish(lease, "listing")
    deletes_error = _read_deletes(lease, fetch) if source.deletes is not None else None
    if _is_sweep_due(lease) and SweepPass(lease, reader).run() == "completed":
        sweep.finish(lease, "sweep")
    if deletes_error is not None:
        lease.pass_kind = "deletes"
        raise deletes_error
    return "unfinished" if lease.checkpoint.deletes_pass else outcome


def _read_deletes(lease: Lease, fetch: Fetch) -> ReadingError | None:
    """Read the list of deleted records, and return the error if it can't be read.

    The error is raised later, because a sweep must not wait until the list of deleted records can be read again.
    """
    if lease.runtime.now_ms() < lease.checkpoint.deletes_retry_after_until_ms:
        return None
    reader = PageReader(
        lease.source,
        fetch,
        Translator.for_deletes(lease.source),
        lease.seconds_left,
        probe=False,
        runtime=lease.runtime,
    )
    try:
        DeletesPass(lease, reader).run()
    except ReadingError as error:
        return error
    return None


def _is_sweep_due(lease: Lease) -> bool:
    source, checkpoint = lease.source, lease.checkpoint
    # The items of an owner collection can't be listed as a whole, so a sweep couldn't find what is missing.
    has_sweeps = source.sweep is not None and source.incremental and not lease.collection.owned
    is_wanted = checkpoint.sweep_pass is not None or checkpoint.sweep_due
    return has_sweeps and is_wanted and lease.runtime.now_ms() >= checkpoint.sweep_retry_after_until_ms


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
    any other, in a pass       failed      yes                  these passes     if the page is suspect
    through the deletes                                         only
    =========================  ==========  ===================  ===============  ====================================

    :func:`_is_page_suspect` decides whether the requested page is suspect. One failure of a main pass may be a
    coincidence, so a main pass restarts only after a second failure in a row. Any other pass restarts after its first
    failure, because a main pass runs before each attempt and resets the failure count.

    A main pass that has restarted resets the failure count when it gets further than before, or when its poll ends
    without a failure. If its first pages reset the count, the breaker would never open.

    A back office may limit full listings more strictly than incremental reads. So if its response to a sweep has a
    ``Retry-After`` header, only sweeps wait, and main passes continue. The same is true of the list of deleted records.

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
    now = lease.runtime.now_ms()
    count = lease.checkpoint.failures.count + 1
    opens = count >= source.breaker.failures
    open_until_ms = now + int(source.breaker.cooldown_seconds * 1000) if opens else 0
    is_main = lease.pass_kind in ("incremental", "listing")
    retry_after_until_ms = _retry_after_until_ms(error, now)
    pages = max(lease.checkpoint.failures.pages, lease.pages_reached) if is_main else 0
    failures = FailureState(count, open_until_ms, retry_after_until_ms if is_main else 0, pages)
    lease.checkpoint = replace(lease.checkpoint, failures=failures)
    if lease.pass_kind == "sweep":
        lease.checkpoint = replace(lease.checkpoint, sweep_retry_after_until_ms=retry_after_until_ms)
    elif lease.pass_kind == "deletes":
        lease.checkpoint = replace(lease.checkpoint, deletes_retry_after_until_ms=retry_after_until_ms)
    if (count > 1 or not is_main) and _is_page_suspect(error, is_probe=is_probe):
        lease.restart_pass()
    if opens and is_main:
        _forget_delta_link(lease, error)
    return "failed"


def _forget_delta_link(lease: Lease, error: ReadingError) -> None:
    """Let the next main pass read everything, if the back office refuses the delta link poll after poll.

    Many back offices answer a forgotten link with 410, but some use another status. The checkpoint keeps the link after
    401, which is about the secret, and after the statuses of a rate limit.
    """
    checkpoint = lease.checkpoint
    is_at_link = checkpoint.delta_link is not None and checkpoint.main_pass is None
    status = error.status if isinstance(error, BackOfficeError) else None
    if is_at_link and status is not None and status != 401 and status not in _RATE_LIMITS:
        lease.checkpoint = replace(checkpoint, delta_link=None, reread_until_ms=MAX_TIME_MS)


def _retry_after_until_ms(error: ReadingError, now: int) -> int:
    """Return when the back office accepts requests again, Unix milliseconds; 0 without a ``Retry-After`` header."""
    retry_after = error.retry_after if isinstance(error, BackOfficeError) else None
    seconds = min(MAX_RETRY_AFTER_SECONDS, retry_after or 0)
    return now + int(seconds * 1000) if seconds else 0


def _is_page_suspect(error: ReadingError, *, is_probe: bool) -> bool:
    """Whether the requested page may no longer exist, for example because its token has expired.

    A status that a retry may change, such as 503 or a 429, says nothing about the page. But if even the probe of a
    half-open breaker gets such a status, the page is suspect, unless the status is one that limits the rate.
    """
    if isinstance(error, PageError):
        return True
    if not isinstance(error, BackOfficeError):
        return False
    if error.kind in ("origin", "redirect", "not_data"):
        return True
    return error.status is not None and (not error.retryable or (is_probe and error.status not in _RATE_LIMITS))
