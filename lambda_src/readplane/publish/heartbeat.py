"""Measures how far this Region's replica of the items table is behind the other Region, with the other's heartbeats.

In a stack with two Regions, EventBridge Scheduler writes a row of the items table in each Region every minute. DynamoDB
replicates the row, and `publish` sees it in the items stream of the other Region. Without such rows nobody could tell a
replication that stands still from a Region in which no client writes.
"""

from collections.abc import Iterable
from datetime import datetime

from ..entrypoint import Event
from ..model.keys import HEARTBEAT_PREFIX, heartbeat_key
from ..telemetry import Telemetry


def report_heartbeats(records: Iterable[Event], region: str, now_ms: int, telemetry: Telemetry) -> None:
    """Log the age of the newest heartbeat of another Region in a batch of records of the items stream, as a metric.

    Without such a heartbeat, log nothing. A heartbeat without a valid time counts as none.

    :param region: the Region of this function. Its own heartbeats don't show the replication, so they are left out.
    """
    own_key = heartbeat_key(region)
    sender, sent_ms = "", None
    for record in records:
        row = record["dynamodb"].get("NewImage", {})
        key = row.get("pk", {}).get("S", "")
        if key.startswith(HEARTBEAT_PREFIX) and key != own_key:
            time_ms = _sent_ms(row.get("sent_at", {}).get("S", ""))
            if time_ms is not None and (sent_ms is None or time_ms > sent_ms):
                sender, sent_ms = key.removeprefix(HEARTBEAT_PREFIX), time_ms
    if sent_ms is not None:
        telemetry.event(
            "heartbeat_received",
            "A heartbeat of the other Region has arrived, so the replication works.",
            seconds={"ReplicationLag": max(0, now_ms - sent_ms) / 1000},
            sender=sender,
        )


def _sent_ms(text: str) -> int | None:
    """Return the Unix milliseconds of a time such as ``2026-01-02T03:04:00Z``; ``None`` for any other text."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if time.tzinfo is None else int(time.timestamp() * 1000)
