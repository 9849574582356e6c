"""Bulk apply with boto3 and 32 threads: the reference with which the benchmarks compare Readplane's `apply`.

The function reads the lines of an object in the write log and puts the newest change of each item, with a condition on
the stored version. Readplane's first `apply` worked like this, with more checks. All threads share one boto3 client,
because boto3's clients are thread-safe. The connection pool of this client has one connection for each thread.
"""

import gzip
import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote_plus

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

if os.environ.get("TRACED") == "yes":
    from aws_xray_sdk.core import patch

    patch(("botocore",))

WORKERS = 32
TABLE = os.environ["TABLE"]
BUCKET = os.environ["BUCKET"]
s3: Any = boto3.client("s3")
dynamodb: Any = boto3.client("dynamodb", config=Config(max_pool_connections=WORKERS, retries={"mode": "standard"}))


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    for message in event["Records"]:
        for record in json.loads(message["body"])["Records"]:
            _apply_object(unquote_plus(record["s3"]["object"]["key"]))
    return {"batchItemFailures": []}


def _apply_object(key: str) -> None:
    winners: dict[str, dict[str, str]] = {}
    with gzip.GzipFile(fileobj=s3.get_object(Bucket=BUCKET, Key=key)["Body"]) as lines:
        for line in lines:
            change = _parse(line)
            previous = winners.get(change["item_id"])
            if previous is None or previous["change_id"] < change["change_id"]:
                winners[change["item_id"]] = change
    with ThreadPoolExecutor(WORKERS) as workers:
        for _ in workers.map(_put, winners.values()):
            pass


def _parse(line: bytes) -> dict[str, str]:
    # Store the data as the text in the line, so that its numbers keep all digits. Parse the data only to check that it
    # is valid JSON.
    head, _, data = line.rstrip(b"\n").partition(b',"data":')
    change: dict[str, str] = json.loads(head + b"}")
    change["data"] = data[:-1].decode()
    json.loads(change["data"])
    return change


def _put(change: dict[str, str]) -> None:
    version = {"S": change["change_id"]}
    try:
        dynamodb.put_item(
            TableName=TABLE,
            Item={
                "pk": {"S": f"item/{change['collection']}/{change['item_id']}"},
                "collection": {"S": change["collection"]},
                "item_id": {"S": change["item_id"]},
                "version": version,
                "as_of": {"S": change["accepted_at"]},
                "actor": {"S": change["actor"]},
                "source": {"S": change["source"]},
                "data": {"S": change["data"]},
                "list_key": {"S": f"{change['collection']}#0"},
            },
            ConditionExpression="attribute_not_exists(pk) OR version < :version",
            ExpressionAttributeValues={":version": version},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
