"""Walks through the objects of the write log and of the change stream's archive, and through the items table.

Firehose names an object's folder after the hour (UTC) in which the object's first record arrived, and writes the object
up to a day later. So an object can hold the records of any moment between the two. Operators' commands write the other
objects under log/: redriven lines, the deletes of a purge, imported items. Their keys name the day, or the time at
which the import began.

`erase finish` writes an object again, so that S3 says a later time of writing. The object then counts as one that may
hold records of more moments. So a replay never leaves it out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from readplane.config import DAY_MS
from readplane.model.keys import ITEM_PREFIX
from readplane.stores.rows import version_of

if TYPE_CHECKING:  # import it only for mypy, because the benchmarks fill a table without the packages of the commands
    from ops.cli.target import RegionalStack, Target

Prefix = Literal["log", "stream"]
PREFIXES: tuple[Prefix, ...] = get_args(Prefix)
"""The folders of the log bucket whose objects hold changes: those of clients, and those of back offices."""

LATEST_DELIVERY_MS = DAY_MS + 60 * 60 * 1000
"""How long after the beginning of its hour Firehose may write an object. Firehose drops records after a day."""

PAGE = 1000
"""The maximum number of rows of the items table in a page of a walk."""

_HOUR = re.compile(r"\w+/year=(\d{4})/month=(\d\d)/day=(\d\d)/hour=(\d\d)/")
_REDRIVE_DAY = re.compile(r"log/redrive/(\d{4})-(\d\d)-(\d\d)/")
_IMPORT_MS = re.compile(r"log/import/[^/]+-(\d+)/")


class TimeRange(NamedTuple):
    """A time range in Unix milliseconds. The end isn't part of it."""

    start_ms: int
    end_ms: int


class LogObject(NamedTuple):
    """An object of the log bucket.

    key: the object's key in S3
    bytes: the object's size
    written_ms: when the object was written, in Unix milliseconds; S3 cuts off the fraction of the second
    """

    key: str
    bytes: int
    written_ms: int

    def may_hold(self, span: TimeRange) -> bool:
        """Whether the object may hold a record that arrived in a time range."""
        # An operator's clock may be ahead of S3's. S3's time has no fraction, so the object may be written up to a
        # second later.
        begin_ms = min(self._begin_ms(), self.written_ms)
        return begin_ms < span.end_ms and span.start_ms < self.written_ms + 1000

    def _begin_ms(self) -> int:
        """Return the time in the key, in Unix milliseconds; the time of writing if the key names none."""
        if found := _HOUR.match(self.key) or _REDRIVE_DAY.match(self.key):
            year, month, day, *hours = map(int, found.groups())
            return int(datetime(year, month, day, sum(hours), tzinfo=UTC).timestamp() * 1000)
        found = _IMPORT_MS.match(self.key)
        return int(found[1]) if found else self.written_ms


def log_objects(
    target: Target, stack: RegionalStack, prefix: Prefix, span: TimeRange, after: str | None = None
) -> Iterator[LogObject]:
    """Yield the objects of a Region's log that may hold records of a time range, in the order of their keys.

    :param prefix: whose changes: `log` for those of clients, `stream` for those of back offices
    :param after: the key after which the walk goes on; None to begin at the first
    """
    s3 = target.client("s3", stack.region)
    for folder in _folders(s3, stack, prefix, span):
        # S3 lists keys in the order of their UTF-8 octets, and these keys are ASCII.
        if after is not None and after >= folder and not after.startswith(folder):
            continue
        start = {"StartAfter": after} if after is not None and after.startswith(folder) else {}
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=stack.log_bucket, Prefix=folder, **start)
        for page in pages:
            for entry in page.get("Contents", []):
                written_ms = int(entry["LastModified"].timestamp() * 1000)
                found = LogObject(entry["Key"], entry["Size"], written_ms)
                if found.may_hold(span):
                    yield found


def _folders(s3: Any, stack: RegionalStack, prefix: Prefix, span: TimeRange) -> Iterator[str]:
    """Yield the folders to list, in the order of their names: those without an hour, then one for each day.

    A walk from the beginning of time lists everything at once, also what somebody has put directly below the prefix.
    """
    if span.start_ms <= 0:
        yield f"{prefix}/"
        return
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=stack.log_bucket, Prefix=f"{prefix}/", Delimiter="/")
    found = [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", [])]
    days = f"{prefix}/year="
    yield from sorted(folder for folder in found if folder < days)
    years = [int(year) for folder in found if (year := folder.removeprefix(days).rstrip("/")).isdecimal()]
    if years:
        day = datetime.fromtimestamp((span.start_ms - LATEST_DELIVERY_MS) / 1000, UTC).date()
        day = max(day, date(min(years), 1, 1))
        last = datetime.fromtimestamp((span.end_ms - 1) / 1000, UTC).date()
        while day <= last:
            yield f"{prefix}/year={day:%Y}/month={day:%m}/day={day:%d}/"
            day += timedelta(days=1)
    yield from sorted(folder for folder in found if folder > days and not folder.startswith(days))


class KeyPage(NamedTuple):
    """A page of a walk through the items table.

    keys: the keys of the page's items that the walk is about, deleted ones too as long as they have tombstones
    malformed: those of the keys whose rows have no valid version
    last: the key after which the walk goes on; None if this is the last page
    """

    keys: list[str]
    malformed: set[str]
    last: str | None


def key_pages(
    target: Target, stack: RegionalStack, collections: Collection[str], after: str | None = None
) -> Iterator[KeyPage]:
    """Scan the items table of one Region, and yield the keys of the items of some collections, page by page.

    The reads are eventually consistent, which halves the price.

    :param after: the last key of the page after which the walk goes on; None to begin at the first
    """
    prefixes = tuple(f"{ITEM_PREFIX}{collection}/" for collection in collections)
    dynamodb = target.client("dynamodb", stack.region)
    start = {} if after is None else {"ExclusiveStartKey": {"pk": {"S": after}}}
    while True:
        page = dynamodb.scan(
            TableName=target.outputs["items_table"],
            ProjectionExpression="pk, version",
            Limit=PAGE,
            **start,
        )
        rows = {row["pk"]["S"]: row for row in page["Items"] if row["pk"]["S"].startswith(prefixes)}
        last = page.get("LastEvaluatedKey")
        malformed = {key for key, row in rows.items() if version_of(row) is None}
        yield KeyPage(list(rows), malformed, last and last["pk"]["S"])
        if last is None:
            return
        start = {"ExclusiveStartKey": last}
