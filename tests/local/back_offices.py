"""Ways into sync: a back office's table and a source of a test's own, and what the stack's own sources do and say."""

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ops.local import session
from ops.local.fault_proxy import Fault
from readplane.poll.checkpoint_table import DynamoCheckpoints
from tests.local.pipeline import items, lines_of, quarantined
from tests.local.support import Local, eventually

COLLECTION = "subdivisions"


class Feed:
    """A table of its own in the back office, and a source that polls it into the collection of subdivisions.

    Nothing schedules it, and no fault that is meant for it meets another source. A row without a name is poison.
    """

    FIXED = "{code: code, country: 'XA', name: name || code, type: 'Feed'}"
    """A translation that does with poison."""

    def __init__(self, stack: Local, **settings: object) -> None:
        self.name = self.fresh_name()
        self.table = self.name.replace("-", "_")
        self._stack = stack
        stack.office.add_table(self.table, "code", "name", "modified", "removed")
        path = f"/backoffice/{self.table}.json?_shape=objects&_nocount=1&_sort=modified&_size=40"
        self.source: dict[str, Any] = {
            "name": self.name,
            "mode": "changes",
            "collection": COLLECTION,
            "url": f"{stack.office.url}{path}&modified__gte={{cursor}}",
            "records": "rows",
            "id": "code",
            "version": {"expression": "modified", "format": "rfc3339"},
            "deleted": "removed == `1`",
            "translation": "{code: code, country: 'XA', name: name, type: 'Feed'}",
            "paging": {"style": "link", "next": "next_url"},
            "timeout_seconds": 5,
            "attempts": 1,
            "staleness_budget": 60,
            **settings,
        }

    @staticmethod
    def fresh_name() -> str:
        """A name that no source has."""
        return f"feed-{uuid.uuid4().hex[:8]}"

    def code(self, number: int) -> str:
        """A row's key, which no other feed's row has."""
        return f"{self.name}-{number:03d}"

    def put(self, number: int, name: str | None = "A name", **columns: Any) -> str:
        """Change a row, or add it; its time of modification."""
        return self._stack.office.put(self.table, self.code(number), name=name, **columns)

    def poll(self, **settings: object) -> dict[str, Any]:
        """Poll it once, with some settings changed; what `poll` says."""
        return session.poll(self._stack.outputs, {"source": {**self.source, **settings}, "sweep": False})

    def redrive(self, keys: list[str], **settings: object) -> dict[str, Any]:
        """Have quarantined records translated again, with some settings changed."""
        event = {"redrive": {"source": {**self.source, **settings}, "keys": keys}}
        return session.poll(self._stack.outputs, event)

    def fault(self, mode: Any, **more: Any) -> Fault:
        """What becomes of this feed's requests."""
        return Fault(mode, f"/{self.table}.json", **more)

    def requests(self) -> int:
        """How many requests have come for it."""
        return self._stack.office.requests(f"/{self.table}.json")

    def names(self, count: int) -> list[str | None]:
        """The names that the first items have, in the primary Region; None for those that there aren't."""
        store = items(self._stack)
        found = [store.get(f"item/{COLLECTION}/{self.code(number)}") for number in range(count)]
        return [json.loads(item.data)["name"] if item and item.data else None for item in found]

    def archived(self) -> dict[str, Any] | None:
        """The change of the first row, as the latest objects of the archive have it."""
        s3 = self._stack.root().client("s3")
        bucket = self._stack.outputs.write_log_bucket
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="stream/")
        kept = sorted((entry["LastModified"], entry["Key"]) for page in pages for entry in page.get("Contents", []))
        for _, key in kept[-10:]:
            for line in lines_of(self._stack, key, s3):
                change: dict[str, Any] = json.loads(line)
                if change["item_id"] == self.code(1):
                    return change
        return None

    def quarantine(self) -> list[dict[str, Any]]:
        """Its entries."""
        return [entry for entry in quarantined(self._stack) if entry.get("source") == self.name]


def source_of(stack: Local, name: str) -> dict[str, Any]:
    """The settings of one of the stack's own sources, as its schedule has them."""
    settings: dict[str, Any] = json.loads((stack.outputs.sources or {})[name])["source"]
    return settings


def poll(stack: Local, name: str, *, sweep: bool = False, **settings: object) -> dict[str, Any]:
    """Poll one of the stack's own sources as its schedule does, or with some settings changed.

    A poll that its schedule has begun is waited for.
    """
    event = {"source": {**source_of(stack, name), **settings}, "sweep": sweep}

    def told() -> dict[str, Any] | None:
        said = session.poll(stack.outputs, event)
        return said if said["outcome"] != "running" else None

    return eventually(told, within=60)


def checkpoints(stack: Local) -> DynamoCheckpoints:
    """The checkpoints, as the account's root."""
    assert stack.outputs.checkpoints_table
    return DynamoCheckpoints(stack.client("dynamodb"), stack.outputs.checkpoints_table)


@contextmanager
def unscheduled(stack: Local, name: str) -> Iterator[None]:
    """One of the stack's own sources, polled and swept by nobody but the test."""
    scheduler: Any = stack.root().client("scheduler")
    kept = ("Name", "GroupName", "ScheduleExpression", "FlexibleTimeWindow", "Target", "State")
    found = []
    for listed in scheduler.list_schedules()["Schedules"]:
        schedule = scheduler.get_schedule(Name=listed["Name"], GroupName=listed["GroupName"])
        told = json.loads(schedule["Target"]["Input"])
        if told.get("source", {}).get("name") == name:
            found.append({key: schedule[key] for key in kept})
    assert found, f"{name} has schedules"
    for schedule in found:
        scheduler.update_schedule(**{**schedule, "State": "DISABLED"})
    try:
        store = checkpoints(stack)
        eventually(lambda: (known := store.get(name)) is None or known.lease_until_ms < time.time() * 1000, within=60)
        yield
    finally:
        for schedule in found:
            scheduler.update_schedule(**schedule)
