"""What requests, changes, users and stored items cost.

The amounts are those of small items: an item, its record in DynamoDB and its document have up to 1 KB. Times of
functions are assumptions for AWS; docs/performance.md has what was measured on other machines.
"""

from __future__ import annotations

from collections.abc import Mapping

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

RESPONSE = 1.7 * KB
"""A response with an item: 1 KB of data, and its headers."""

FIREHOSE_RECORD = 5 * 1024 / 2**30
"""The 5 KB that Firehose bills for a smaller record, in GB."""

TRACED = 0.05
"""The share of requests that X-Ray records by default, beyond the first one of each second."""

FIRST_TRACES = HOURS * 3600.0
"""The traces a month in a Region that always has a request: X-Ray records the first one of each second."""

_REQUEST = {"api_request": 1.0, "log_gb": ACCESS_LOG, "trace": TRACED}

_STORED = {
    # The stored version is read first. The item is written to the table and to its index.
    "dynamodb_read": 1.0,
    "dynamodb_write": 2.0,
    # `publish` puts the document.
    "s3_put": 1.0,
    # 1 GB of `apply` for 1 ms, and of `publish` for 20 ms. Both handle many changes in one run.
    "lambda_gb_second": 0.021,
    "firehose_gb": FIREHOSE_RECORD,
}


def _sum(*parts: Mapping[str, float]) -> dict[str, float]:
    total: dict[str, float] = {}
    for part in parts:
        for name, amount in part.items():
            total[name] = total.get(name, 0) + amount
    return total


def _run(seconds: float, *, gigabytes: float = 0.5) -> dict[str, float]:
    return {"lambda_request": 1.0, "lambda_gb_second": seconds * gigabytes, "log_gb": FUNCTION_LOG}


_EDGE_HIT = {"cloudfront_request": 1.0, "cloudfront_gb": RESPONSE}

# `edge_auth` has 128 MB and checks a token in about 3 ms. It logs failures only.
_CHECK = {"edge_lambda_request": 1.0, "edge_lambda_gb_second": 0.003 * 0.125}

EDGE_REQUESTS: Mapping[str, Mapping[str, float]] = {
    "public documents from the edge's cache": _EDGE_HIT,
    "private documents from the edge's cache": _sum(_EDGE_HIT, _CHECK),
    # S3 sends to CloudFront for nothing. After S3, `edge_auth` runs for each response.
    "public documents that the edge gets from S3": _sum(_EDGE_HIT, _CHECK, {"s3_get": 1.0}),
}
"""What is counted at the edge -> the amounts of one, by the names of their prices. The example has no edge."""

REQUESTS: Mapping[str, Mapping[str, float]] = {
    "reads from the stage cache": _sum(_REQUEST, {"transfer_out_gb": RESPONSE}),
    "reads of a document": _sum(_REQUEST, {"s3_get": 1.0, "transfer_out_gb": RESPONSE}),
    # An eventually consistent read of up to 4 KB is half a read unit.
    "reads of an item": _sum(_REQUEST, _run(0.020), {"dynamodb_read": 0.5, "transfer_out_gb": RESPONSE}),
    # A page of 50 items is 50 KB. `read` queries the eight partitions of the index, each rounded up.
    "lists of 50 items": _sum(_REQUEST, _run(0.060), {"dynamodb_read": 10.0, "transfer_out_gb": 51 * KB}),
    "writes": _sum(_REQUEST, _run(0.050), _STORED, {"log_gb": EVENT_LOG, "transfer_out_gb": 0.7 * KB}),
    "changes at a back office": _sum(_STORED, {"kinesis_put": 1.0}),
    "changes, in a second Region": {
        "dynamodb_write": 2.0,
        "s3_put": 1.0,
        "lambda_gb_second": 0.020,
        "transfer_region_gb": KB,
    },
}
"""What is counted -> the amounts of one, by the names of their prices."""

STORED_MILLION: Mapping[str, float] = {
    # The index holds a copy of each item. Point-in-time recovery covers the table, not its index.
    "dynamodb_gb_month": 2.0,
    "dynamodb_recovery_gb_month": 1.0,
    "s3_gb_month": 1.0,
}
"""A million stored items in one Region, in a month."""

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


EXAMPLE: Mapping[str, float] = {
    "reads from the stage cache": 20 * MILLION,
    "reads of a document": 5 * MILLION,
    "reads of an item": 2 * MILLION,
    "lists of 50 items": 1 * MILLION,
    "writes": 0.5 * MILLION,
    "changes at a back office": 1 * MILLION,
    "changes, in a second Region": 1.5 * MILLION,
}
"""A month of the example in docs/costs.md."""

EXAMPLE_USERS = 20_000
EXAMPLE_FREE_USERS = 10_000
EXAMPLE_ITEMS = 2 * MILLION

EXAMPLE_METRICS = 16
"""The custom metrics of the example, besides those of its source. In each Region, `write` counts accepted changes (one
metric for the stack and one for each of three collections), `apply` counts changes in three metrics, and `publish`
counts documents."""
