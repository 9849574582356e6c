"""Test the walk through the objects of the write log and of the change stream's archive."""

from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from ops.cli.target import RegionalStack, Target
from ops.walk import LogObject, Prefix, TimeRange, _folders, log_objects
from tests.fakes.moto_aws import REGION, Aws
from tests.unit.ops.cli.support import OUTPUTS

HOUR_MS = 60 * 60 * 1000
STACK = RegionalStack(REGION, "log", "documents")


def ms(text: str) -> int:
    """Return the Unix milliseconds of a time of November 2026 in UTC, such as `21T08:10`."""
    return int(datetime.fromisoformat(f"2026-11-{text}:00+00:00").timestamp() * 1000)


KEY = "log/year=2026/month=11/day=21/hour=08/object.gz"


@pytest.mark.parametrize(
    ("start", "end", "holds"),
    [
        ("21T07:00", "21T08:00", False),
        ("21T07:00", "21T08:01", True),
        ("21T08:30", "21T08:31", True),
        ("21T09:12", "21T09:30", True),  # the object was written at 09:12
        ("21T09:13", "21T09:30", False),
    ],
)
def test_an_object_of_firehose_may_hold_records_from_its_hour_to_its_writing(start: str, end: str, holds: bool) -> None:
    assert LogObject(KEY, 1, ms("21T09:12")).may_hold(TimeRange(ms(start), ms(end))) == holds


@pytest.mark.parametrize(
    ("key", "start", "end", "holds"),
    [
        ("log/redrive/2026-11-21/abc", "20T23:00", "21T00:00", False),
        ("log/redrive/2026-11-21/abc", "21T00:00", "21T00:01", True),
        ("log/redrive/2026-11-21/abc", "21T09:13", "21T09:14", False),
        ("log/redrive/2026-11-22/abc", "21T09:00", "21T09:13", True),  # the operator's clock was ahead
        (f"log/import/my-goods-0a1b-{ms('21T08:00')}/000001.gz", "21T07:00", "21T08:00", False),
        (f"log/import/my-goods-0a1b-{ms('21T08:00')}/000001.gz", "21T08:00", "21T08:01", True),
        (f"log/import/my-goods-0a1b-{ms('21T08:00')}/000001.gz", "21T09:13", "21T09:14", False),
        ("log/import/job/1.gz", "21T09:00", "21T09:12", False),
        ("log/import/job/1.gz", "21T09:00", "21T09:13", True),
        ("log/import/job/1.gz", "21T09:13", "21T09:14", False),
    ],
)
def test_another_object_may_hold_records_from_the_time_in_its_key_to_its_writing(
    key: str, start: str, end: str, holds: bool
) -> None:
    assert LogObject(key, 1, ms("21T09:12")).may_hold(TimeRange(ms(start), ms(end))) == holds


def folder(prefix: str, time_ms: int) -> str:
    """Return the folder of Firehose for a time."""
    return f"{prefix}/{datetime.fromtimestamp(time_ms / 1000, UTC):year=%Y/month=%m/day=%d/hour=%H}/"


@pytest.fixture
def keys(aws: Aws) -> list[str]:
    """Put objects into the log of a test stack, from three days ago until now. Return their keys in order."""
    make: Any = boto3.client
    s3 = make("s3")
    s3.create_bucket(Bucket="log", CreateBucketConfiguration={"LocationConstraint": REGION})
    now = int(datetime.now(UTC).timestamp() * 1000)
    found = [f"{folder('log', now - hours * HOUR_MS)}{name}.gz" for hours in (72, 30, 2, 0) for name in "ab"]
    found += ["log/redrive/2026-01-01/abc", "log/import/job/1.gz"]
    for key in [*found, f"{folder('stream', now)}a.gz", "quarantine/expired/a.json", "config/sources.json"]:
        s3.put_object(Bucket="log", Key=key, Body=b"12345")
    return sorted(found)


def walk(start_hours: float, after: str | None = None, prefix: Prefix = "log", end_hours: float = 0) -> list[str]:
    """Return the keys of the objects of a time range, whose bounds are given in hours before now."""
    now = int(datetime.now(UTC).timestamp() * 1000) + 2000
    span = TimeRange(now - int(start_hours * HOUR_MS), now - int(end_hours * HOUR_MS))
    return [found.key for found in log_objects(Target(OUTPUTS), STACK, prefix, span, after)]


def test_the_walk_yields_the_objects_of_a_time_range_in_order_and_no_others(keys: list[str]) -> None:
    hourly = [key for key in keys if "year=" in key]
    assert walk(80) == keys
    # Firehose writes an object within 25 hours. So the walk doesn't look at folders that are older than that.
    assert walk(1) in (keys[:2] + hourly[2:], keys[:2] + hourly[4:])
    redriven = ["log/redrive/2026-01-01/abc"]  # its lines may have been there since that day
    assert walk(80, end_hours=71) == redriven + hourly[:2], "the other objects begin or were written later"
    assert len(walk(1, prefix="stream")) == 1
    assert walk(80, end_hours=79) == redriven


def test_the_walk_goes_on_after_each_key(keys: list[str]) -> None:
    for number, key in enumerate(keys):
        assert walk(80, after=key) == keys[number + 1 :]


def test_a_walk_of_an_empty_log_lists_no_days(aws: Aws) -> None:
    make: Any = boto3.client
    make("s3").create_bucket(Bucket="log", CreateBucketConfiguration={"LocationConstraint": REGION})
    assert walk(24 * 365 * 50) == []


def test_a_range_of_decades_begins_with_the_first_year_of_the_log(keys: list[str]) -> None:
    make: Any = boto3.client
    folders = _folders(make("s3"), STACK, "log", TimeRange(1, int(datetime.now(UTC).timestamp() * 1000)))
    days = [found for found in folders if "year=" in found]
    year = next(key for key in keys if "year=" in key)[9:13]
    assert days[0] == f"log/year={year}/month=01/day=01/" and len(days) <= 366 + 3
