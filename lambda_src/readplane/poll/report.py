"""What a poll reports: the source's freshness, log events and metrics, and the function's response."""

import json
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ..aws.faults import AwsError
from ..clock import now_ms
from ..model.collection import Visibility
from ..model.freshness import Freshness
from ..model.keys import document_key
from ..model.timestamp import rfc3339
from ..telemetry import Telemetry
from .checkpoint import Checkpoint, Position
from .lease import Lease
from .outcome import PollCounts, PollOutcome
from .poll_stores import PollStores
from .sourced_version import sourced_version

CACHE_CONTROL = "no-cache"
"""The ``Cache-Control`` of a freshness document. A cached copy would show an old freshness as the current one."""


def report_poll(lease: Lease, outcome: PollOutcome) -> dict[str, Any]:
    """Publish the source's freshness, log the poll with its metrics, and return the response of the function `poll`."""
    source, counts, checkpoint = lease.source, lease.counts, lease.checkpoint
    if outcome not in ("paused", "open"):
        publish_freshness(lease)
    now = lease.runtime.now_ms()
    lease.telemetry.event(
        "polled",
        "A poll has ended.",
        source=source.name,
        outcome=outcome,
        pages=counts.pages,
        metrics={
            "RecordsInQuarantine": checkpoint.refused,
            "PollsCompleted": int(outcome in ("completed", "not_modified")),
            "PollsFailed": int(outcome == "failed"),
            "RecordsPolled": counts.records,
            "ChangesPolled": counts.changes,
            "RecordsQuarantined": counts.quarantined,
            "BreakerOpen": int(checkpoint.breaker(source.breaker.failures, now) != "closed"),
            "SweepMissing": counts.missing,
            "SweepRefused": counts.sweeps_refused,
            **_metrics_of_faults(counts),
        },
        seconds={"Staleness": _staleness_seconds(checkpoint, now)},
    )
    return poll_response(outcome, counts, fault=lease.fault, sweeping=checkpoint.sweep_pass is not None)


def _metrics_of_faults(counts: PollCounts) -> dict[str, float]:
    """Return the metrics that are rarely above 0. A metric without data points costs nothing."""
    metrics: dict[str, float] = {
        "ListDoubtful": counts.lists_doubtful,
        "OverlapMissed": counts.overlaps_missed,
        "DuplicateIds": counts.duplicates,
        "DeletesTied": counts.tied_deletes,
    }
    return {name: value for name, value in metrics.items() if value}


def poll_response(
    outcome: PollOutcome, counts: PollCounts, *, fault: str | None = None, sweeping: bool = False
) -> dict[str, Any]:
    """Return the response of the function `poll` after a poll of a source.

    :param fault: why the poll failed: the kind of the error, a colon and the error's detail; ``None`` without an error.
    :param sweeping: whether a sweep of the source has begun but isn't finished.
    """
    return {
        "outcome": outcome,
        "pages": counts.pages,
        "records": counts.records,
        "changes": counts.changes,
        "quarantined": counts.quarantined,
        "missing": counts.missing,
        "sweeping": sweeping,
        "sweep_refused": bool(counts.sweeps_refused),
        "fault": fault,
    }


def publish_freshness(lease: Lease) -> None:
    """Write the source's freshness to the items table, and to a document in every Region.

    One write to the items table is enough, because DynamoDB replicates the table to the other Regions. If one write
    fails, the other writes are still made. A metric counts the failed writes, and the next poll publishes the freshness
    again.
    """
    source, checkpoint = lease.source, lease.checkpoint
    now = lease.runtime.now_ms()
    fresh_ms = checkpoint.fresh_as_of_ms
    freshness = Freshness(
        fresh_as_of=rfc3339(fresh_ms) if fresh_ms is not None else None,
        breaker=checkpoint.breaker(source.breaker.failures, now),
        checked_at=rfc3339(now),
    )
    failed = 0
    try:
        position = Position(checkpoint.settled_watermark_ms, checkpoint.fingerprint, freshness.fresh_as_of)
        freshness = lease.stores.items.put_freshness(source.name, freshness, position)
    except AwsError as error:
        lease.telemetry.failure(
            "freshness_failed", "Freshness was not written to the items table.", error, source=source.name
        )
        failed += 1
    failed += _put_documents(lease, freshness, now)
    if failed:
        lease.telemetry.event(
            "freshness_incomplete",
            "Freshness was not published everywhere; the next poll publishes it again.",
            level="WARN",
            metrics={"FreshnessFailed": failed},
            source=source.name,
        )


def measure_staleness(
    stores: PollStores, sources: Iterable[str], telemetry: Telemetry, clock: Callable[[], int] = now_ms
) -> dict[str, float]:
    """Log how stale each source is and how many of its records are in quarantine.

    The result is each source's staleness in seconds, by the source's name.

    The staleness is computed from the saved checkpoints. So a source is measured even if its polls no longer run. If
    another Region polls a source, the staleness is computed from the freshness which that Region has published. So both
    Regions notice when the Region that polls is lost. Sources that were never polled are left out.

    :param clock: returns the current time in Unix milliseconds.
    """
    staleness: dict[str, float] = {}
    for name in sources:
        measured = _measure(stores, name, clock)
        if measured is None:
            continue
        staleness[name] = measured.staleness_seconds
        telemetry.event(
            "staleness_measured",
            "How stale a source's items are.",
            metrics={} if measured.refused is None else {"RecordsInQuarantine": measured.refused},
            seconds={"Staleness": staleness[name]},
            source=name,
        )
    return staleness


class _Measured(NamedTuple):
    """What is measured of a source between two polls.

    :param staleness_seconds: the source's staleness in seconds.
    :param refused: how many of its records are in quarantine; ``None`` if another Region polls the source.
    """

    staleness_seconds: float
    refused: int | None


def _measure(stores: PollStores, source: str, clock: Callable[[], int]) -> _Measured | None:
    """Measure a source by its saved checkpoint; return ``None`` if its staleness is unknown."""
    if stores.switch is None or stores.switch.polls_here(source):
        checkpoint = stores.checkpoints.get_checkpoint(source)
        is_known = checkpoint is not None and (checkpoint.fresh_as_of_ms or checkpoint.first_polled_ms)
        if checkpoint is None or not is_known:
            return None
        return _Measured(_staleness_seconds(checkpoint, clock()), checkpoint.refused)
    freshness = stores.items.get_freshness(source)
    milliseconds = None if freshness is None else freshness.staleness_ms(clock())
    return None if milliseconds is None else _Measured(milliseconds / 1000, None)


def _staleness_seconds(checkpoint: Checkpoint, now: int) -> float:
    """Return a source's staleness in seconds.

    Until the source's first pass is complete, the staleness is the time since the source's first poll.
    """
    return max(0, now - (checkpoint.fresh_as_of_ms or checkpoint.first_polled_ms)) / 1000


def _put_documents(lease: Lease, freshness: Freshness, now: int) -> int:
    """Write the source's freshness document in every Region, and return how many of these writes failed."""
    source = lease.source
    document = {
        "source": source.name,
        "collection": source.collection,
        "fresh_as_of": freshness.fresh_as_of,
        "staleness_budget": source.staleness_budget,
        "breaker": freshness.breaker,
        "checked_at": freshness.checked_at,
    }
    text = json.dumps(document, separators=(",", ":"))
    # Each item of an owner collection belongs to one user, but the freshness of the collection's source belongs to no
    # single user. So every signed-in user may read the freshness document of such a source.
    visibility: Visibility = "public" if lease.collection.read == "public" else "authenticated"
    key = document_key(visibility, "sources", source.name, None)
    failed = 0
    for region, store in lease.stores.documents.items():
        try:
            store.put_document(key, text, sourced_version(now, 0, 0), CACHE_CONTROL)
        except AwsError as error:
            lease.telemetry.failure(
                "freshness_document_failed",
                "The freshness document of a Region was not written.",
                error,
                source=source.name,
                region=region,
            )
            failed += 1
    return failed
