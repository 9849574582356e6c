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
from tests.fakes.moto_aws import REGION, Aws
from tests.unit.ops.cli.support import OUTPUTS, Run, objects
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
    assert "12 messages and 2 batches; nothing was changed." in dry_run.output and not objects("log/")
    result = run("dead-letters", "redrive")
    assert result.exit_code == 0 and "redriven 12 messages and 2 batches" in result.output, result.output
    queue = sqs.get_queue_url(QueueName="shop-apply")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessages"] == "12"
    (key,) = objects("log/redrive/")
    assert list(S3LogObjects(BotoClient("s3"), "log").lines(key)) == lines
    versions = [event["Records"][0]["dynamodb"]["NewImage"]["version"]["S"] for event in events]
    assert versions == [late.change_id, newer], "the item's current state, and again because it changed meanwhile"
    assert not objects("aws/lambda/")
    assert dynamodb.get_item(TableName="items", Key=keys)["Item"]["version"]["S"] == newer


REPLICA = "eu-west-1"


Stores = dict[tuple[str, str], tuple[str, str]]


@pytest.fixture
def stores(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Stores:
    """Give the stack a replica Region and the queues of both stores in both Regions.

    Return the URLs of each queue and of its dead-letter queue by the Region and the queue's name. There is a message in
    each dead-letter queue of a store, whose text is the Region and the queue.
    """
    make: Any = boto3.client
    feed_queues: dict[str, dict[str, dict[str, str]]] = {}
    urls: Stores = {}
    replica = make("s3", region_name=REPLICA)
    replica.create_bucket(Bucket="log-2", CreateBucketConfiguration={"LocationConstraint": REPLICA})
    for role, region in (("primary", REGION), ("replica", REPLICA)):
        sqs = make("sqs", region_name=region)
        for name in ("apply", "feed-cache", "feed-database"):
            queue, dead = (f"shop-{name}{suffix}" for suffix in ("", "-dead-letters"))
            url, dead_letter_url = (sqs.create_queue(QueueName=each)["QueueUrl"] for each in (queue, dead))
            urls[region, name] = url, dead_letter_url
            if name != "apply":
                sqs.send_message(QueueUrl=dead_letter_url, MessageBody=f"{region} {name}")
                feed_queues.setdefault(role, {})[name.removeprefix("feed-")] = {
                    "url": url,
                    "arn": "arn",
                    "dead_letter_url": dead_letter_url,
                }
    outputs = {
        "replica_region": REPLICA,
        "replica_write_log_bucket": "log-2",
        "replica_documents_bucket": "documents-2",
        "feed_queues": feed_queues,
    }
    for name, value in outputs.items():
        monkeypatch.setitem(OUTPUTS, name, value)
    return urls


def bodies(region: str, url: str) -> list[str]:
    """Return the texts of the messages in a queue."""
    make: Any = boto3.client
    received = make("sqs", region_name=region).receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0
    )
    return [message["Body"] for message in received.get("Messages", [])]


def test_every_queue_of_every_region_is_listed(stores: Stores, run: Run) -> None:
    result = run("dead-letters", "list")
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.output.splitlines()[1:5]]
    assert rows == [
        [region, queue, "1", f"shop-{queue}-dead-letters"]
        for region in (REGION, REPLICA)
        for queue in ("feed-cache", "feed-database")
    ]
    assert "feed-database: messages with keys of items that `feed` couldn't write into the database" in result.output
    lines = run("dead-letters", "list", "--queue", "feed-cache", "--region", REPLICA).output.splitlines()
    assert lines[1].split()[:2] == [REPLICA, "feed-cache"] and len(lines) == 3


def test_the_keys_of_a_store_return_to_its_queue(stores: Stores, run: Run) -> None:
    dry_run = run("dead-letters", "redrive", "--dry-run")
    assert f"{REPLICA}: would redrive 1 messages to the queue of feed-database" in dry_run.output
    assert f"{REGION}: 2 messages and 0 batches; nothing was changed." in dry_run.output
    assert not any(bodies(region, queue) for (region, _), (queue, _) in stores.items())

    result = run("dead-letters", "redrive", "--queue", "feed-cache", "--region", REPLICA)
    assert result.exit_code == 0 and f"{REPLICA}: redriven 1 messages and 0 batches." in result.output, result.output
    queues = {key: bodies(key[0], queue) for key, (queue, _) in stores.items()}
    assert {key: texts for key, texts in queues.items() if texts} == {
        (REPLICA, "feed-cache"): [f"{REPLICA} feed-cache"]
    }

    assert run("dead-letters", "redrive").exit_code == 0
    for (region, name), (queue, dead_letters) in stores.items():
        assert bodies(region, queue) == ([] if name == "apply" else [f"{region} {name}"])
        assert bodies(region, dead_letters) == []


@pytest.mark.parametrize("queue", ["apply", "changes", "items"])
def test_a_stack_without_stores_has_the_other_queues(queue: str, run: Run) -> None:
    put_batch("changes", "KinesisBatchInfo", [])
    put_batch("items", "DDBStreamBatchInfo", [])
    result = run("dead-letters", "list", "--queue", queue)
    assert result.exit_code == 0
    assert [line.split()[1] for line in result.output.splitlines()[1:-1]] == [queue] * (queue != "apply")
    refused = run("dead-letters", "redrive", "--queue", "feed-cache")
    assert refused.exit_code == 1 and f"no queue feed-cache in {REGION}" in str(refused.exception)
    assert run("dead-letters", "list", "--queue", "mail").exit_code == 2
