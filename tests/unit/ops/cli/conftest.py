"""Fixtures for tests of the operators' command line: a test stack in moto, and a stand-in for the function `poll`."""

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result

from ops.cli.main import main
from tests.fakes.moto_aws import REGION, Aws
from tests.unit.ops.cli.support import OUTPUTS, Polls, Run


@pytest.fixture
def run(aws: Aws, tmp_path: Path) -> Run:
    """Create a test stack's tables, bucket and queues in moto. Return a function that runs a command line on it."""
    make: Any = boto3.client
    dynamodb, s3, sqs = (make(service) for service in ("dynamodb", "s3", "sqs"))
    for table in ("items", "checkpoints"):
        dynamodb.create_table(
            TableName=table,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    s3.create_bucket(Bucket="log", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket="log", VersioningConfiguration={"Status": "Enabled"})
    for queue in ("shop-apply", "shop-apply-dead-letters"):
        sqs.create_queue(QueueName=queue)
    outputs = tmp_path / "outputs.json"
    outputs.write_text(json.dumps({name: {"value": value} for name, value in OUTPUTS.items()}))

    def command(*words: str, stdin: str = "") -> Result:
        return CliRunner().invoke(main, ["--outputs", str(outputs), *words], input=stdin)

    return command


@pytest.fixture
def polls(monkeypatch: pytest.MonkeyPatch) -> Polls:
    """Replace the function `poll` by a stand-in. Return two lists: the events that it gets, and its responses.

    A test puts responses into the second list. The stand-in returns them one after another.
    """
    events: list[dict[str, Any]] = []
    responses: list[dict[str, Any]] = []

    def call(target: object, function: str, event: dict[str, Any], region: str) -> dict[str, Any]:
        assert (function, region) == ("shop-poll:live", REGION)
        events.append(event)
        return responses.pop(0)

    monkeypatch.setattr("ops.cli.invoke.call", call)
    monkeypatch.setattr("ops.cli.sources.RETRY_SECONDS", 0)
    return events, responses
