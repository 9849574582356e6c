"""Helpers that run `apply` with its items and write log in memory, make its events, and read responses and metrics."""

import json
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

from readplane.apply.handler import Apply, ApplySettings, ApplyStores
from readplane.apply.notifications import ApplyQueue
from readplane.apply.tally import CountedObjects, Delivery
from readplane.stores.items_bulk import BulkItems
from readplane.telemetry import Telemetry
from tests.unit.support import COLLECTIONS, MemoryLog, event, kinesis_event

HORIZON_MS = 30 * 86_400_000
KEY = "log/year=2026/month=11/day=21/hour=08/demo-1-2026-11-21-08-10-00-abc.gz"
"""The S3 key of the write-log object that the recorded SQS message in :data:`EVENT` announces."""
EVENT = event("log_object")


class MemoryCountedObjects:
    """``CountedObjects`` in memory."""

    def __init__(self) -> None:
        self._messages: dict[str, str | None] = {}
        """The message for which each object is reserved, by the object's key; ``None`` if the object is counted."""

    def start_count(self, key: str, delivery: Delivery, now_ms: int) -> bool:
        return self._messages.setdefault(key, delivery.message_id) == delivery.message_id

    def finish_count(self, key: str, now_ms: int) -> None:
        self._messages[key] = None


class MemoryQueue:
    """An ``ApplyQueue`` in memory. For each retry it records the message's receipt handle and the delay in seconds."""

    def __init__(self) -> None:
        self.retries: list[tuple[str, int]] = []

    def retry_in(self, receipt_handle: str, seconds: int) -> None:
        self.retries.append((receipt_handle, seconds))


def apply_with(
    items: BulkItems,
    log: MemoryLog,
    queue: ApplyQueue | None = None,
    remaining_ms: Iterator[int] | None = None,
    counted: CountedObjects | None = None,
) -> Callable[[Any], Any]:
    """Return the function `apply` with the given items, write log and queue. Call the result with an event.

    :param remaining_ms: how many milliseconds the invocation has left each time `apply` asks; always 30,000 by default.
    """
    settings = ApplySettings("demo", "t", "q", "b", "quarantine/", 30, COLLECTIONS)
    stores = ApplyStores(items, log, log, queue or MemoryQueue(), counted or MemoryCountedObjects())
    apply = Apply(settings, stores, Telemetry("apply", "demo"))
    clock = remaining_ms or repeat(30_000)
    return lambda event: apply(event, lambda: next(clock))


def metrics(out: str) -> dict[str, float]:
    """Return the values of all metrics in the log lines ``out``, by metric name."""
    values: dict[str, float] = {}
    for line in map(json.loads, out.splitlines()):
        for group in line.get("_aws", {}).get("CloudWatchMetrics", []):
            values |= {metric["Name"]: line[metric["Name"]] for metric in group["Metrics"]}
    return values


def sequence(number: int) -> str:
    """Return the sequence number that :func:`tests.unit.support.kinesis_event` gives to the record ``number``."""
    return str(kinesis_event([b""], number)["Records"][0]["kinesis"]["sequenceNumber"])


def failures(response: Any) -> list[str]:
    """Return the message ids or sequence numbers that a response of `apply` reports as failed."""
    return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]
