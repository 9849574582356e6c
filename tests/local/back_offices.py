"""Helpers that poll the back office of the local stack.

Some helpers use a source that exists for one test only, which a copy of `poll` polls (poll_copies). The others use the
sources that the stack declares.
"""

import dataclasses
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ops.local import session
from ops.local.fault_proxy import Fault
from readplane.poll.checkpoint_table import DynamoCheckpoints
from tests.fakes.source_settings import add_defaults
from tests.local.pipeline import items, lines_of, quarantined
from tests.local.poll_copies import copies_of
from tests.local.support import Local, eventually

COLLECTION = "subdivisions"

READY_TABLES = 80
"""How many tables with the usual settings one copy of `poll` knows. A copy for each would cost two seconds for each."""

_ready_names = [f"table-{uuid.uuid4().hex[:8]}" for _ in range(READY_TABLES)]
_unused_names = list(_ready_names)


def table_source(stack: Local, name: str, **settings: object) -> dict[str, Any]:
    """Return the settings of a source that polls a table of the back office into the collection `subdivisions`.

    :param name: the name of the source, and of the table, with ``_`` in place of each ``-``.
    :param settings: settings that replace the usual ones.
    """
    path = f"/backoffice/{name.replace('-', '_')}.json?_shape=objects&_nocount=1&_sort=modified&_size=40"
    declared = {
        "name": name,
        "mode": "changes",
        "collection": COLLECTION,
        "url": f"{stack.office.url}{path}&modified__gte={{cursor}}",
        "records": "rows",
        "id": "code",
        "version": {"expression": "modified", "format": "rfc3339"},
        "deleted": "removed == `1`",
        "translation": "{code: code, country: 'XA', name: name, type: 'Row'}",
        "paging": {"style": "link", "next": "next_url"},
        "timeout_seconds": 5,
        "attempts": 1,
        "staleness_budget": 60,
        **settings,
    }
    return add_defaults(declared)


class PolledTable:
    """A table in the back office for one test, and a source that polls the table into the collection `subdivisions`.

    No schedule polls the table. A fault from :meth:`own_fault` affects only this table and no other source. `poll`
    quarantines a row without a name.
    """

    FIXED = "{code: code, country: 'XA', name: name || code, type: 'Row'}"
    """A translation that replaces a missing name with the row's code, so that `poll` accepts a row without a name.

    Tests use it to redrive quarantined rows.
    """

    def __init__(self, stack: Local, **settings: object) -> None:
        # Most tables have the usual settings. They share one copy of `poll`, which knows their names in advance.
        self.name = _unused_names.pop() if _unused_names and not settings else self.fresh_name()
        self._sql_name = self.name.replace("-", "_")
        self._stack = stack
        stack.office.add_table(self._sql_name, "code", "name", "modified", "removed")
        self.source = table_source(stack, self.name, **settings)

    @staticmethod
    def fresh_name() -> str:
        """Return a new name for a source. No other source has this name."""
        return f"table-{uuid.uuid4().hex[:8]}"

    def code(self, number: int) -> str:
        """Return the key of the row with this number. No row of another table has the same key."""
        return f"{self.name}-{number:03d}"

    def put(self, number: int, name: str | None = "A name", **columns: str | int) -> str:
        """Insert or update a row of the table; return the row's modification time."""
        return self._stack.office.put(self._sql_name, self.code(number), name=name, **columns)

    def poll(self, **settings: object) -> dict[str, Any]:
        """Poll the table once; return the report of `poll`.

        :param settings: settings of the source that replace the usual ones for this poll.
        """
        return self._invoke({"source": self.name, "sweep": False}, settings)

    def redrive(self, keys: list[str], **settings: object) -> dict[str, Any]:
        """Redrive quarantined records of the table; return the report of `poll`.

        :param keys: the S3 keys of the quarantine entries.
        :param settings: settings of the source that replace the usual ones for this redrive.
        """
        return self._invoke({"redrive": {"source": self.name, "keys": keys}}, settings)

    def measure_staleness(self) -> dict[str, float]:
        """Return the staleness in seconds of each source that `poll` reports along with this table's."""
        staleness: dict[str, float] = self._invoke({"freshness": True}, {})["staleness"]
        return staleness

    def _invoke(self, event: dict[str, Any], settings: dict[str, object]) -> dict[str, Any]:
        sources = [{**self.source, **settings}]
        if not settings and self.name in _ready_names:
            sources = [table_source(self._stack, name) for name in _ready_names]
        return copies_of(self._stack).invoke(sources, event)

    def own_fault(self, fault: Fault) -> Fault:
        """Return a copy of a fault that affects only requests for this table."""
        return dataclasses.replace(fault, match=f"/{self._sql_name}.json")

    def requests(self) -> int:
        """Return the number of requests for this table that the back office has received."""
        return self._stack.office.requests(f"/{self._sql_name}.json")

    def names(self, count: int) -> list[str | None]:
        """Return the name of each row from 0 to ``count`` - 1, as the row's item in the primary Region holds it.

        The name is ``None`` if the row has no item.
        """
        store = items(self._stack)
        stored_items = [store.get_item(f"item/{COLLECTION}/{self.code(number)}") for number in range(count)]
        return [json.loads(item.data)["name"] if item and item.data else None for item in stored_items]

    def archived(self) -> dict[str, Any] | None:
        """Return the change of this table's row 1 from the archive of the change stream.

        Return ``None`` if the ten newest objects of the archive don't hold the change. Older objects aren't read.
        """
        s3 = self._stack.root().client("s3")
        bucket = self._stack.outputs.write_log_bucket
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="stream/")
        objects = sorted((entry["LastModified"], entry["Key"]) for page in pages for entry in page.get("Contents", []))
        for _, key in objects[-10:]:
            for line in lines_of(self._stack, key, s3):
                change: dict[str, Any] = json.loads(line)
                if change["item_id"] == self.code(1):
                    return change
        return None

    def quarantine(self) -> list[dict[str, Any]]:
        """Return the quarantine entries whose records come from this table."""
        return [entry for entry in quarantined(self._stack) if entry.get("source") == self.name]


def source_of(stack: Local, name: str) -> dict[str, Any]:
    """Return the settings of one of the stack's own sources, as the live version of `poll` reads them."""
    settings: dict[str, Any] = copies_of(stack).declared["sources"][name]
    return settings


def poll(stack: Local, name: str, *, sweep: bool = False, **settings: object) -> dict[str, Any]:
    """Poll one of the stack's own sources; return the report of `poll`.

    If a scheduled poll of the source is running, wait until it has ended, and then poll.

    :param sweep: whether to request a sweep.
    :param settings: settings of the source that replace its declared ones for this poll. A copy of `poll` then polls
        the source.
    """
    event = {"source": name, "sweep": sweep}

    def report() -> dict[str, Any] | None:
        if settings:
            reported = copies_of(stack).invoke([{**source_of(stack, name), **settings}], event)
        else:
            reported = session.poll(stack.outputs, event)
        return reported if reported["outcome"] != "running" else None

    return eventually(report, within=60)


def checkpoints(stack: Local) -> DynamoCheckpoints:
    """Return the store of all sources' checkpoints. It calls DynamoDB with the root user's credentials."""
    assert stack.outputs.checkpoints_table
    return DynamoCheckpoints(stack.client("dynamodb"), stack.outputs.checkpoints_table)


@contextmanager
def unscheduled(stack: Local, name: str) -> Iterator[None]:
    """Disable the schedules of one of the stack's own sources until the ``with`` block ends.

    The ``with`` block begins when no scheduled poll of the source is running any more.
    """
    scheduler: Any = stack.root().client("scheduler")
    members = ("Name", "GroupName", "ScheduleExpression", "FlexibleTimeWindow", "Target", "State")
    schedules = []
    for listed in scheduler.list_schedules()["Schedules"]:
        schedule = scheduler.get_schedule(Name=listed["Name"], GroupName=listed["GroupName"])
        event = json.loads(schedule["Target"]["Input"])
        if event.get("source") == name:
            schedules.append({key: schedule[key] for key in members})
    assert schedules, f"{name} must have schedules"
    for schedule in schedules:
        scheduler.update_schedule(**{**schedule, "State": "DISABLED"})
    try:
        store = checkpoints(stack)

        def idle() -> bool:
            checkpoint = store.get_checkpoint(name)
            return checkpoint is None or checkpoint.lease_until_ms < time.time() * 1000

        eventually(idle, within=60)
        yield
    finally:
        for schedule in schedules:
            scheduler.update_schedule(**schedule)
