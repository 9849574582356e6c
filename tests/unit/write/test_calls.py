"""Tests of how many network calls a POST costs, and of what a slow or missing DynamoDB does to it.

As in Lambda, `write` reads its settings from the environment.
"""

import hashlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from readplane.config import VARIABLE
from readplane.stores.items import DynamoItems
from readplane.write import handler as write_handler
from tests.fakes.moto_aws import Aws
from tests.unit.stores.support import new_bucket, new_table
from tests.unit.support import CLIENT_ID, change, settings_text
from tests.unit.write.support import post, put

pytestmark = pytest.mark.usefixtures("either_client")

SCHEMAS = json.dumps({"products": {"type": "object"}}).encode()


@pytest.fixture
def items(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> DynamoItems:
    """Return the items of a new stack, whose settings are in the environment."""
    items, table = new_table()
    settings = {
        "name": "demo",
        "client_ids": [CLIENT_ID],
        "cors_origins": [],
        "delivery_stream": "log",
        "items_table": table,
        "schemas": {
            "bucket": "bucket",
            "key": "schemas.json",
            "version_id": "null",
            "sha256": hashlib.sha256(SCHEMAS).hexdigest(),
        },
        "collections": {"products": {"read": "public", "write_groups": ["editors"]}},
    }
    monkeypatch.setenv(VARIABLE, settings_text(settings))
    new_bucket().put_object(Bucket="bucket", Key="schemas.json", Body=SCHEMAS)
    boto3.client("firehose").create_delivery_stream(
        DeliveryStreamName="log",
        ExtendedS3DestinationConfiguration={
            "RoleARN": "arn:aws:iam::123456789012:role/r",
            "BucketARN": "arn:aws:s3:::bucket",
        },
    )
    return items


def start() -> Callable[[Any], Any]:
    function = write_handler.make_write()
    return lambda request_event: function(request_event, None)


def test_a_post_is_one_call_and_a_read_more_with_a_key(items: DynamoItems, aws: Aws) -> None:
    write = start()
    for request_event, expected in (
        (post(), ["PutRecord"]),
        (put(headers={"Idempotency-Key": "k"}), ["PutRecord"]),
        (post("k"), ["GetItem", "PutRecord"]),
        (post("k"), ["GetItem", "PutRecord"]),
    ):
        response, requests = aws.during(lambda request_event=request_event: write(request_event))  # type: ignore[misc]
        assert (response["statusCode"], requests) == (202, expected)


def test_another_body_under_the_same_key_is_one_call(items: DynamoItems, aws: Aws) -> None:
    write = start()
    accepted = json.loads(write(post("k"))["body"])
    items.apply(change(accepted["item_id"])._replace(change_id=accepted["change_id"]))
    response, requests = aws.during(lambda: write(post("k", body='{"name":"y"}')))
    assert (response["statusCode"], requests) == (422, ["GetItem"])
    assert write(post("k"))["statusCode"] == 202


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Yield the port of a server that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_only_a_post_with_a_key_connects_to_dynamodb(
    items: DynamoItems, closed_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{closed_port}")
    write = start()
    assert write(post())["statusCode"] == 202 and "key_not_checked" not in capsys.readouterr().out
    assert write(post("k"))["statusCode"] == 202 and "key_not_checked" in capsys.readouterr().out


def test_a_dynamodb_that_never_responds_delays_a_write_by_about_a_second(
    items: DynamoItems, silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A longer delay wouldn't fit into the function's timeout together with the attempts to reach Firehose."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{silent_port}")
    write = start()
    start_time = time.monotonic()
    assert write(post("k"))["statusCode"] == 202
    assert 1 <= time.monotonic() - start_time < 2
