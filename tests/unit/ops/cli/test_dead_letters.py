"""Test the commands `dead-letters list` and `dead-letters redrive`."""

import base64
import json
from typing import Any

import boto3
import pytest

from readplane.apply.objects import S3LogObjects
from readplane.aws.boto import BotoClient
from readplane.model.version import stamp, time_ms
from readplane.stores.items import DynamoItems
from tests.fakes.moto_aws import REGION
from tests.unit.ops.cli.support import Run, objects
from tests.unit.support import change


def put_batch(name: str, kind: str, records: list[dict[str, Any]]) -> None:
    """Put a failed batch of stream records into the write log's bucket, as Lambda does."""
    make: Any = boto3.client
    body = json.dumps(
        {"version": "1.0", kind: {"batchSize": len(records)}, "payload": json.dumps({"Records": records})}
    )
    make("s3").put_object(Bucket="log", Key=f"aws/lambda/{name}", Body=body.encode())


def test_dead_letters_of_every_kind_are_listed_and_redriven(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    make: Any = boto3.client
    sqs, dynamodb = make("sqs"), make("dynamodb")
    dead_letters = sqs.get_queue_url(QueueName="shop-apply-dead-letters")["QueueUrl"]
    for number in range(12):
        sqs.send_message(QueueUrl=dead_letters, MessageBody=f"object {number}")
    lines = [change(f"p-{number}").line() for number in range(2)]
    put_batch("changes", "KinesisBatchInfo", [{"kinesis": {"data": base64.b64encode(line).decode()}} for line in lines])
    late = change("p-1")
    DynamoItems(BotoClient("dynamodb"), "items", horizon_ms=1).apply(late)
    keys = {"pk": {"S": late.key}}
    put_batch("items", "DDBStreamBatchInfo", [{"dynamodb": {"Keys": keys, "NewImage": {"version": {"S": "old"}}}}] * 2)
    events: list[dict[str, Any]] = []

    def publish(target: object, function: str, event: dict[str, Any], region: str) -> dict[str, Any]:
        assert (function, region) == ("shop-publish:live", REGION)
        events.append(event)
        if len(events) == 1:  # a newer change arrives while `publish` handles the first event
            DynamoItems(BotoClient("dynamodb"), "items", horizon_ms=1).apply(late._replace(change_id=newer))
        return {"batchItemFailures": []}

    newer = stamp(time_ms(late.change_id), bytes(10), above=[late.change_id])
    monkeypatch.setattr("ops.cli.publishing.call", publish)

    listed = run("dead-letters", "list").output
    assert "12" in listed and "aws/lambda/changes" in listed and "aws/lambda/items" in listed
    dry_run = run("dead-letters", "redrive", "--dry-run")
    assert "12 notifications and 2 batches; nothing was changed." in dry_run.output and not objects("log/")
    result = run("dead-letters", "redrive")
    assert result.exit_code == 0 and "12 notifications and 2 batches" in result.output, result.output
    queue = sqs.get_queue_url(QueueName="shop-apply")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessages"] == "12"
    (key,) = objects("log/redrive/")
    assert list(S3LogObjects(BotoClient("s3"), "log").lines(key)) == lines
    versions = [event["Records"][0]["dynamodb"]["NewImage"]["version"]["S"] for event in events]
    assert versions == [late.change_id, newer], "the item's current state, and again because it changed meanwhile"
    assert not objects("aws/lambda/")
    assert dynamodb.get_item(TableName="items", Key=keys)["Item"]["version"]["S"] == newer
