"""Helpers that run `apply` with stores in memory, make its events and read its responses and metrics."""

import json
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

from readplane.apply.handler import Apply, ApplySettings, ApplyStores
from readplane.apply.notifications import ApplyQueue
from readplane.stores.items_bulk import BulkItems
from readplane.telemetry import Telemetry
from tests.unit.support import COLLECTIONS, MemoryLog, event, kinesis_event

HORIZON_MS = 30 * 86_400_000
KEY = "log/year=2026/month=11/day=21/hour=08/demo-1-2026-11-21-08-10-00-abc.gz"
"""The key of the object that :data:`EVENT` announces."""
EVENT = event("log_object")


class MemoryQueue:
    """An ``ApplyQueue`` that records the receipt handle and the delay of each retry, in seconds."""

    def __init__(self) -> None:
        self.retries: list[tuple[str, int]] = []

    def retry_in(self, receipt_handle: str, seconds: int) -> None:
        self.retries.append((receipt_handle, seconds))


def apply_with(
    items: BulkItems, log: MemoryLog, queue: ApplyQueue | None = None, remaining_ms: Iterator[int] | None = None
) -> Callable[[Any], Any]:
    """Return `apply` as a function of the event.

    :param remaining_ms: the remaining milliseconds that `apply` reads, in order; 30,000 at each read by default.
    """
    settings = ApplySettings("demo", "t", "q", "b", "quarantine/", 30, COLLECTIONS)
    stores = ApplyStores(items, log, log, queue or MemoryQueue())
    apply = Apply(settings, stores, Telemetry("apply", "demo"))
    clock = remaining_ms or repeat(30_000)
    return lambda event: apply(event, lambda: next(clock))


def metrics(out: str) -> dict[str, float]:
    """Return the metrics in log lines, by name."""
    values: dict[str, float] = {}
    for line in map(json.loads, out.splitlines()):
        for group in line.get("_aws", {}).get("CloudWatchMetrics", []):
            values |= {metric["Name"]: line[metric["Name"]] for metric in group["Metrics"]}
    return values


def sequence(number: int) -> str:
    """Return the sequence number of the record ``number`` in :func:`tests.unit.support.kinesis_event`."""
    return str(kinesis_event([b""], number)["Records"][0]["kinesis"]["sequenceNumber"])


def failures(response: Any) -> list[str]:
    """Return the message ids or sequence numbers that a response reports as failed."""
    return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]
