"""Helpers for tests of the operators' command line: a test stack's outputs, checkpoints and quarantine."""

import itertools
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from click.testing import Result

from ops.jobs import Job
from readplane.apply.quarantine import S3LineQuarantine
from readplane.aws.boto import BotoClient
from readplane.model.change import PoisonError
from readplane.poll.checkpoint import Checkpoint
from readplane.poll.checkpoint_table import DynamoCheckpoints
from readplane.stores.items import DynamoItems
from tests.fakes.moto_aws import REGION
from tests.unit.support import change

OUTPUTS = {
    "name": "shop",
    "region": REGION,
    "items_table": "items",
    "documents_bucket": "documents",
    "write_log_bucket": "log",
    "checkpoints_table": "checkpoints",
    "poll_function": "shop-poll",
    "sources": {
        "products": {
            "mode": "changes",
            "collection": "products",
            "schedule": "rate(1 minute)",
            "staleness_budget": 600,
            "breaker_failures": 5,
        }
    },
}

Run = Callable[..., Result]
"""The type of the fixture `run`: a function that runs a command line on the test stack."""

Polls = tuple[list[dict[str, Any]], list[dict[str, Any]]]
"""The type of the fixture `polls`: the events that `poll` got, and the responses that it returns one after another."""


def checkpoints() -> DynamoCheckpoints:
    """Return the test stack's table of checkpoints."""
    return DynamoCheckpoints(BotoClient("dynamodb"), "checkpoints")


def save_checkpoint(**fields: Any) -> None:
    """Save a checkpoint of the source `products`, as `poll` does."""
    store = checkpoints()
    assert store.acquire_lease("products", "me", 1, 2)
    store.release_lease(Checkpoint("products", **fields), "me")


def objects(prefix: str) -> list[str]:
    """Return those keys of objects in the write log's bucket that begin with a prefix."""
    make: Any = boto3.client
    listed = make("s3").list_objects_v2(Bucket="log", Prefix=prefix)
    return [entry["Key"] for entry in listed.get("Contents", [])]


def kill_job_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the jobs of a command end as if somebody killed it, before they save this step.

    :param step: the number of the call of :meth:`Job.advance`, from 1
    """
    advance, steps = Job.advance, itertools.count(1)

    def advance_until_killed(self: Job, position: Any, **counts: int) -> None:
        if next(steps) == step:
            raise KeyboardInterrupt
        advance(self, position, **counts)

    monkeypatch.setattr(Job, "advance", advance_until_killed)


def quarantine_line(number: int) -> bytes:
    """Quarantine a line of the write log, as `apply` does. Return the line.

    This helper also puts a marker into the items table. The marker says that the line's change is quarantined.
    """
    late = change(f"p-{number}")
    quarantine = S3LineQuarantine(BotoClient("s3"), "log", "quarantine/")
    quarantine.put_line(late.line(), PoisonError("expired", "too old", late), "log/x:1")
    DynamoItems(BotoClient("dynamodb"), "items", horizon_ms=10**12).mark_quarantined(late, "expired", 10**12)
    return late.line()
