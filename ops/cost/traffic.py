"""What requests, changes, users and stored items need of each price.

Times of functions are assumptions for AWS; docs/performance.md has what was measured on other machines. If an amount
depends on the load, the amount here is the greater one: `publish` and `feed` handle each change in a run of its own.
Only `apply` handles many changes in one run, because Firehose and `poll` collect them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from .prices import HOURS

MILLION = 1_000_000
KB = 1e-6
"""A kilobyte in GB."""

ACCESS_LOG = 0.65 * KB
"""A line of the API's access log, with the 26 bytes that CloudWatch adds to each line."""

FUNCTION_LOG = 0.4 * KB
"""The lines START, END and REPORT that Lambda writes about a run."""

EVENT_LOG = 0.65 * KB
"""An event of a function with its metrics."""

HEADERS = 0.7
"""The headers of a response in KB."""

PAGE_KB = 1024
"""A page of a list ends with the item that brings it to so many KB (lambda_src/readplane/stores/items.py)."""

FIRST_DAY, FIRST_WEEK = 24, 7 * 24
"""Kinesis keeps a record for a day for nothing. AWS bills the rest of the week, and the time after it, by the hour."""

STREAM_READERS = 2
"""Who reads the change stream: `apply-stream`, and the Firehose stream of the archive."""

FIREHOSE_STEP = 5
"""Firehose rounds each record up to a multiple of so many KB. Its GB are 2**30 bytes, and a KB has 1,024."""

TRACED = 0.05
"""The share of requests that X-Ray records by default, beyond the first one of each second."""

FIRST_TRACES = HOURS * 3600.0
"""The traces a month in a Region that always has a request: X-Ray records the first one of each second."""

PARTITIONS = 8
"""The partitions of the index of items. A list reads all of them."""

LIST_ACU_SECONDS = 0.010
"""What a list of the database needs: one ACU, which has 2 GB of memory, for so many seconds."""

CHANGE_ACU_SECONDS = 0.001
"""What a change in the database needs. `feed` writes many changes in one statement."""

CHANGE_IO = 4.0
"""The writes of Aurora for a change: the row, its indexes, and the log."""


class Sizes(NamedTuple):
    """How big items and lists are.

    item_kb: the size of an item in KB, and also that of its record in DynamoDB and of its document
    list_items: the items of a list
    """

    item_kb: float = 1.0
    list_items: float = 50.0

    @property
    def write_units(self) -> int:
        """The write request units of an item: 1 KB each."""
        return math.ceil(self.item_kb)

    @property
    def read_units(self) -> int:
        """The read request units of a strongly consistent read of an item: 4 KB each."""
        return math.ceil(self.item_kb / 4)

    @property
    def page_kb(self) -> float:
        """The size of a page of a list in KB, at most."""
        return min(self.list_items * self.item_kb, PAGE_KB + self.item_kb)

    @property
    def stream_gb(self) -> float:
        """The GB that Kinesis bills for a change on demand: its record, rounded up to KB of 1,024 bytes."""
        return math.ceil(self.item_kb) * 1024 / 2**30


_REQUEST = {"api_request": 1.0, "log_gb": ACCESS_LOG, "trace": TRACED}


def sum_amounts(*parts: Mapping[str, float]) -> dict[str, float]:
    """Return the sums of amounts, by the names of their prices."""
    total: dict[str, float] = {}
    for part in parts:
        for name, amount in part.items():
            total[name] = total.get(name, 0.0) + amount
    return total


def _run(seconds: float, *, gigabytes: float = 0.5) -> dict[str, float]:
    return {"lambda_request": 1.0, "lambda_gb_second": seconds * gigabytes, "log_gb": FUNCTION_LOG}


def _traced_run(seconds: float, *, gigabytes: float) -> dict[str, float]:
    """Return a run of a function that no traced request calls, so X-Ray samples the run itself."""
    return sum_amounts(_run(seconds, gigabytes=gigabytes), {"trace": TRACED})


def _published(sizes: Sizes) -> dict[str, float]:
    """Return what a change needs in each Region: a row in the table and in its index, and the document."""
    return sum_amounts(_traced_run(0.020, gigabytes=1), {"dynamodb_write": 2.0 * sizes.write_units, "s3_put": 1.0})


def _stored(sizes: Sizes) -> dict[str, float]:
    firehose_kb = FIREHOSE_STEP * math.ceil(sizes.item_kb / FIREHOSE_STEP)
    return sum_amounts(
        _published(sizes),
        {
            # `apply` reads the stored version first, eventually consistently. It needs 1 GB for 1 ms.
            "dynamodb_read": 0.5 * sizes.read_units,
            "lambda_gb_second": 0.001,
            "firehose_gb": firehose_kb * 1024 / 2**30,
        },
    )


# `edge_auth` has 128 MB and checks a token in about 3 ms. It logs failures only.
_CHECK = {"edge_lambda_request": 1.0, "edge_lambda_gb_second": 0.003 * 0.125}


def edge_requests(sizes: Sizes) -> dict[str, Mapping[str, float]]:
    """Return what is counted at the edge, and the amounts of each by the names of their prices."""
    hit = {"cloudfront_request": 1.0, "cloudfront_gb": (sizes.item_kb + HEADERS) * KB}
    return {
        "public documents from the edge's cache": hit,
        "private documents from the edge's cache": sum_amounts(hit, _CHECK),
        # S3 sends to CloudFront for nothing. After S3, `edge_auth` runs for each response.
        "public documents that the edge gets from S3": sum_amounts(hit, _CHECK, {"s3_get": 1.0}),
        # It also runs before the cache, to check the token.
        "private documents that the edge gets from S3": sum_amounts(hit, _CHECK, _CHECK, {"s3_get": 1.0}),
    }


def requests(sizes: Sizes) -> dict[str, Mapping[str, float]]:
    """Return what is counted in a Region, and the amounts of each by the names of their prices."""
    stored = _stored(sizes)
    sent = {"transfer_out_gb": (sizes.item_kb + HEADERS) * KB}
    # The page is read from all partitions of the index, each rounded up. Eventually consistent reads are half a unit.
    page_units = 0.5 * (math.ceil(sizes.page_kb / 4) + PARTITIONS - 1)
    return {
        "reads from the stage cache": sum_amounts(_REQUEST, sent),
        "reads of a document": sum_amounts(_REQUEST, sent, {"s3_get": 1.0}),
        "reads of an item": sum_amounts(_REQUEST, _run(0.020), sent, {"dynamodb_read": 0.5 * sizes.read_units}),
        f"lists of {sizes.list_items:g} items": sum_amounts(
            _REQUEST, _run(0.060), {"dynamodb_read": page_units, "transfer_out_gb": (sizes.page_kb + 1) * KB}
        ),
        "writes": sum_amounts(_REQUEST, _run(0.050), stored, {"log_gb": EVENT_LOG, "transfer_out_gb": HEADERS * KB}),
        "changes at a back office": sum_amounts(stored, change_stream(sizes)),
        "changes, in a second Region": sum_amounts(_published(sizes), {"transfer_region_gb": sizes.item_kb * KB}),
    }


def private_requests(sizes: Sizes) -> dict[str, Mapping[str, float]]:
    """Return what is counted with `cache`, `relational` or `identity_pool`, and the amounts of each."""
    # A key comes in a message of its own, which is sent, received and deleted. `feed` reads the item consistently.
    fed = sum_amounts(_traced_run(0.020, gigabytes=1), {"sqs_request": 3.0, "dynamodb_read": float(sizes.read_units)})
    page = {"transfer_out_gb": (sizes.page_kb + 1) * KB}
    return {
        "reads of an item from the item cache": sum_amounts(
            _REQUEST,
            _run(0.015),
            {"elasticache_ecpu": float(math.ceil(sizes.item_kb)), "transfer_out_gb": (sizes.item_kb + HEADERS) * KB},
        ),
        f"lists of {sizes.list_items:g} items from the database": sum_amounts(
            _REQUEST, _run(0.030), page, {"aurora_acu_hour": LIST_ACU_SECONDS / 3600}
        ),
        "reads straight from S3": {"s3_get": 1.0, "transfer_out_gb": (sizes.item_kb + HEADERS) * KB},
        "changes in the item cache": sum_amounts(fed, {"elasticache_ecpu": float(math.ceil(sizes.item_kb))}),
        "changes in the database": sum_amounts(
            fed, {"aurora_io": CHANGE_IO, "aurora_acu_hour": CHANGE_ACU_SECONDS / 3600}
        ),
    }


def change_stream(sizes: Sizes, *, on_demand: bool = False, retention_hours: float = FIRST_DAY) -> dict[str, float]:
    """Return what a change needs of the change stream. A stream with shards bills records, one on demand bills GB."""
    week_hours = max(min(retention_hours, FIRST_WEEK) - FIRST_DAY, 0)
    later_hours = max(retention_hours - FIRST_WEEK, 0)
    amounts = {"kinesis_long_gb_month": sizes.stream_gb * later_hours / HOURS} if later_hours else {}
    if not on_demand:
        return amounts | {"kinesis_put": float(math.ceil(sizes.item_kb / 25))}
    if week_hours:
        amounts["kinesis_on_demand_gb_month"] = sizes.stream_gb * week_hours / HOURS
    return amounts | {
        "kinesis_on_demand_in_gb": sizes.stream_gb,
        "kinesis_on_demand_out_gb": STREAM_READERS * sizes.stream_gb,
    }


def stored_items(sizes: Sizes) -> dict[str, float]:
    """Return what a stored item needs in one Region in a month."""
    return {
        # The index holds a copy of each item. Point-in-time recovery covers the table, not its index.
        "dynamodb_gb_month": 2.0 * sizes.item_kb * KB,
        "dynamodb_recovery_gb_month": sizes.item_kb * KB,
        "s3_gb_month": sizes.item_kb * KB,
    }


REQUESTS = requests(Sizes())
"""What is counted in a Region with items of 1 KB."""

EDGE_REQUESTS = edge_requests(Sizes())
"""What is counted at the edge with items of 1 KB."""

PRIVATE_REQUESTS = private_requests(Sizes())
"""What is counted with a private store and items of 1 KB."""

GROUPS: Mapping[str, str] = {
    "api_": "API",
    "cloudfront_": "edge",
    "edge_lambda_": "edge",
    "lambda_": "Lambda",
    "snapshot_": "Lambda",
    "log_": "logs and traces",
    "trace": "logs and traces",
    "transfer_": "transfer",
}
"""How the name of a price begins -> the column of its cost. Everything else is in the column `stores`."""

COLUMNS = ("API", "edge", "Lambda", "stores", "logs and traces", "transfer")


def group(price: str) -> str:
    """Return the column of a price."""
    return next((column for start, column in GROUPS.items() if price.startswith(start)), "stores")
