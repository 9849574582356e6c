"""Helpers for the tests of the stores: new tables, new buckets, and an AWS client whose calls always fail."""

import uuid
from typing import Any

import boto3

from readplane.aws.client import make_client
from readplane.aws.faults import RefusedError
from readplane.stores.items import DynamoItems
from tests.fakes.moto_aws import REGION

HORIZON_MS = 30 * 86_400_000


def new_table() -> tuple[DynamoItems, str]:
    """Create an empty items table. Return the items store that uses the table, and the table's name."""
    dynamodb = boto3.client("dynamodb")
    name = f"items-{uuid.uuid4()}"
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "list_key", "item_id")],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by_collection",
                "KeySchema": [
                    {"AttributeName": "list_key", "KeyType": "HASH"},
                    {"AttributeName": "item_id", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    return DynamoItems(make_client("dynamodb"), name, "by_collection", horizon_ms=HORIZON_MS), name


def scan_records(table: str) -> Any:
    return boto3.client("dynamodb").scan(TableName=table)["Items"]


def new_bucket(name: str = "bucket") -> Any:
    """Create an empty S3 bucket, and return a boto3 client for S3."""
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return s3


class RefusingClient:
    """An AWS client whose calls all raise the same error."""

    def __init__(self, code: str, status: int) -> None:
        self.error = RefusedError(code, status)

    def call(self, operation: str, /, **parameters: Any) -> Any:
        raise self.error
