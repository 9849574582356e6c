"""The operators' command line, against moto's AWS; what it asks of functions is recorded."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result

from ops.cli import quarantine
from ops.cli.main import main
from readplane.apply.objects import S3LogObjects
from readplane.aws.boto import BotoClient
from readplane.model.change import PoisonError
from readplane.model.timestamp import rfc3339
from readplane.model.version import stamp, time_ms
from readplane.poll.checkpoint import Checkpoint
from readplane.poll.checkpoint_table import DynamoCheckpoints
from readplane.stores.items import DynamoItems, marker_key
from tests.fakes.moto_aws import REGION, Aws
from tests.unit.support import change

SOURCE = {
    "name": "products",
    "mode": "changes",
    "collection": "products",
    "url": "https://erp.example.com/products?since={cursor}",
    "records": "rows",
    "id": "sku",
    "version": {"expression": "updated", "format": "rfc3339"},
    "translation": "{name: title}",
    "schedule": "rate(1 minute)",
    "staleness_budget": 600,
}
OUTPUTS = {
    "name": "shop",
    "region": REGION,
    "items_table": "items",
    "write_log_bucket": "log",
    "checkpoints_table": "checkpoints",
    "poll_function": "shop-poll:live",
    "sources": {"products": json.dumps({"source": SOURCE, "sweep": False})},
}

Run = Callable[..., Result]


@pytest.fixture
def run(aws: Aws, tmp_path: Path) -> Run:
    """Runs a command line on a stack whose tables, bucket and queues are there."""
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

    def command(*words: str, given: str = "") -> Result:
        return CliRunner().invoke(main, ["--outputs", str(outputs), *words], input=given)

    return command


@pytest.fixture
def polls(monkeypatch: pytest.MonkeyPatch) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What `poll` was asked, and what it answers, in turn."""
    asked: list[dict[str, Any]] = []
    answers: list[dict[str, Any]] = []

    def call(target: object, function: str, event: dict[str, Any], region: str) -> dict[str, Any]:
        assert (function, region) == ("shop-poll:live", REGION)
        asked.append(event)
        return answers.pop(0)

    monkeypatch.setattr("ops.cli.invoke.call", call)
    monkeypatch.setattr("ops.cli.sources.WAIT", 0)
    return asked, answers


def checkpoints() -> DynamoCheckpoints:
    return DynamoCheckpoints(BotoClient("dynamodb"), "checkpoints")


def polled(**state: Any) -> None:
    """Leave a checkpoint as a poll does."""
    store = checkpoints()
    known = store.acquire("products", "me", 1, 2)
    assert known
    store.release(Checkpoint("products", **state), "me")


def objects(prefix: str) -> list[str]:
    make: Any = boto3.client
    listed = make("s3").list_objects_v2(Bucket="log", Prefix=prefix)
    return [found["Key"] for found in listed.get("Contents", [])]


def test_help_asks_nobody() -> None:
    for words in ([], ["sources"], ["checkpoint"], ["quarantine"], ["dead-letters"], ["sources", "run"]):
        shown = CliRunner().invoke(main, [*words, "--help"])
        assert shown.exit_code == 0 and "Usage:" in shown.output


def test_outputs_of_something_else_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "outputs.json"
    for text, told in (("[]", "isn't what"), ('{"name": {"value": "x"}}', "region, items_table, write_log_bucket")):
        file.write_text(text)
        shown = CliRunner().invoke(main, ["--outputs", str(file), "sources", "list"])
        assert shown.exit_code == 1 and told in str(shown.exception)


def test_a_source_is_listed_with_its_state(run: Run) -> None:
    assert "never polled" in run("sources", "list").output
    polled(fresh_as_of_ms=1_767_225_600_000, watermark_ms=1)
    shown = run("sources", "list", "--json")
    told = json.loads(shown.output)
    assert told["state"] == "fine" and told["fresh_as_of"] == "2026-01-01T00:00:00.000Z"
    assert told["staleness"] > 0 and told["staleness_budget"] == 600 and told["schedule"] == "rate(1 minute)"
    assert "2026-01-01T00:00:00.000Z" in run("sources", "list").output


def test_a_source_is_paused_and_resumed_and_a_dry_run_does_neither(run: Run) -> None:
    assert run("sources", "pause", "products", "--dry-run").exit_code == 0
    assert checkpoints().get("products") is None
    assert "is paused" in run("sources", "pause", "products").output
    assert (known := checkpoints().get("products")) and known.paused
    assert "paused" in run("sources", "list").output
    run("sources", "resume", "products")
    assert (known := checkpoints().get("products")) and not known.paused
    refused = run("sources", "pause", "prodcts")
    assert refused.exit_code == 1 and "Declared are: products" in str(refused.exception)


def test_a_source_is_run_until_it_is_through(
    run: Run, polls: tuple[list[dict[str, Any]], list[dict[str, Any]]]
) -> None:
    asked, answers = polls
    assert run("sources", "run", "products", "--dry-run").exit_code == 0
    assert asked == []
    answers += [
        {"outcome": "running", "sweeping": False},
        {"outcome": "unfinished", "sweeping": False},
        {"outcome": "completed", "sweeping": True},
        {"outcome": "completed", "sweeping": False, "pages": 2},
    ]
    shown = run("sources", "run", "products", "--sweep", "--until-done")
    assert shown.exit_code == 0 and "sweeping False, pages 2" in shown.output
    assert [event["sweep"] for event in asked] == [True, True, False, False]
    assert asked[0]["source"] == SOURCE


@pytest.mark.parametrize("outcome", ["failed", "open", "paused", "running"])
def test_a_poll_that_makes_nothing_fresher_is_a_failure(
    run: Run, polls: tuple[list[dict[str, Any]], list[dict[str, Any]]], outcome: str
) -> None:
    polls[1].append({"outcome": outcome})
    shown = run("sources", "run", "products")
    assert shown.exit_code == 1 and outcome in str(shown.exception)


def test_a_reset_asks_and_forgets(run: Run) -> None:
    polled(watermark_ms=5)
    assert run("sources", "reset", "products", "--dry-run").exit_code == 0
    assert run("sources", "reset", "products", given="n\n").exit_code == 1
    assert (known := checkpoints().get("products")) and known.watermark_ms == 5
    assert run("sources", "reset", "products", "--yes").exit_code == 0
    assert (known := checkpoints().get("products")) and known.watermark_ms is None


def test_a_checkpoint_is_shown_and_rewound_never_forward(run: Run) -> None:
    assert run("checkpoint", "show", "products").exit_code == 1
    polled(watermark_ms=1_767_225_600_000)
    told = json.loads(run("checkpoint", "show", "products").output)
    assert told["watermark"] == "2026-01-01T00:00:00.000Z" and told["seen"] == 0
    early, late = "2025-12-31T00:00:00Z", "2026-01-02T00:00:00+01:00"
    assert run("checkpoint", "rewind", "products", "--to", "yesterday").exit_code == 2
    assert run("checkpoint", "rewind", "products", "--to", "2025-12-31T00:00:00").exit_code == 2, "which zone?"
    refused = run("checkpoint", "rewind", "products", "--to", late)
    assert refused.exit_code == 1 and "earlier time only" in str(refused.exception)
    assert run("checkpoint", "rewind", "products", "--to", early, "--dry-run").exit_code == 0
    assert (known := checkpoints().get("products")) and known.watermark_ms == 1_767_225_600_000
    assert run("checkpoint", "rewind", "products", "--to", early).exit_code == 0
    assert (known := checkpoints().get("products")) and rfc3339(known.watermark_ms or 0) == "2025-12-31T00:00:00.000Z"


def poison(number: int) -> bytes:
    """A line in quarantine, with its marker."""
    late = change(f"p-{number}")
    log = S3LogObjects(BotoClient("s3"), "log", "quarantine/")
    log.quarantine(late.line(), PoisonError("expired", "too old", late), "log/x:1")
    DynamoItems(BotoClient("dynamodb"), "items", horizon_ms=10**12).mark_quarantined(late, "expired", 10**12)
    return late.line()


def test_quarantined_lines_go_back_into_the_log_and_no_marker_is_left(run: Run) -> None:
    lines = [poison(number) for number in range(3)]
    listed = run("quarantine", "list")
    assert listed.output.count("too old") == 3 and "3 entries." in listed.output
    assert run("quarantine", "list", "--limit", "2").output.count("too old") == 2
    assert "0 entries" in run("quarantine", "list", "--reason", "invalid").output
    keys = objects("quarantine/")
    assert json.loads(run("quarantine", "show", keys[0]).output)["reason"] == "expired"
    assert run("quarantine", "show", "quarantine/x").exit_code == 1

    assert run("quarantine", "redrive").exit_code == 2
    assert run("quarantine", "redrive", "--all", "--dry-run").exit_code == 0
    assert objects("quarantine/") == keys and not objects("log/")
    shown = run("quarantine", "redrive", "--reason", "expired")
    assert shown.exit_code == 0 and "3 of 3" in shown.output
    assert not objects("quarantine/")
    (key,) = objects("log/redrive/")
    store = S3LogObjects(BotoClient("s3"), "log", "quarantine/")
    assert sorted(store.lines(key)) == sorted(lines)
    make: Any = boto3.client
    for number in range(3):
        late = change(f"p-{number}")
        marker = make("dynamodb").get_item(TableName="items", Key={"pk": {"S": marker_key(late.key, late.change_id)}})
        assert "Item" not in marker


def test_a_line_that_is_quarantined_again_meanwhile_is_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    poison(1)
    (key,) = objects("quarantine/")
    put = quarantine.put_lines

    def put_and_fail_again(*arguments: Any) -> str:
        made = put(*arguments)
        poison(1)  # `apply` is faster than the command
        return made

    monkeypatch.setattr(quarantine, "put_lines", put_and_fail_again)
    assert run("quarantine", "redrive", key).exit_code == 0
    assert objects("quarantine/") == [key]


def test_a_source_s_records_are_translated_again_by_poll(
    run: Run, polls: tuple[list[dict[str, Any]], list[dict[str, Any]]]
) -> None:
    asked, answers = polls
    make: Any = boto3.client
    entry = {"reason": "invalid", "detail": "no title", "origin": "source/products", "source": "products"}
    for name in ("a", "b"):
        body = json.dumps({**entry, "record": json.dumps({"sku": name})}).encode()
        make("s3").put_object(Bucket="log", Key=f"quarantine/invalid/{name}.json", Body=body)
    poison(1)
    answers.append({"redriven": 1, "failed": [{"key": "quarantine/invalid/b.json", "reason": "invalid"}]})
    shown = run("quarantine", "redrive", "--source", "products")
    assert shown.exit_code == 1 and "stay in quarantine" in str(shown.exception)
    keys = ["quarantine/invalid/a.json", "quarantine/invalid/b.json"]
    assert asked == [{"redrive": {"source": SOURCE, "keys": keys}}]
    assert len(objects("quarantine/")) == 3, "poll itself removes what it redrives"


def batch(name: str, kind: str, records: list[dict[str, Any]]) -> None:
    """Leave a batch as Lambda does."""
    make: Any = boto3.client
    body = json.dumps(
        {"version": "1.0", kind: {"batchSize": len(records)}, "payload": json.dumps({"Records": records})}
    )
    make("s3").put_object(Bucket="log", Key=f"aws/lambda/{name}", Body=body.encode())


def test_dead_letters_of_every_kind_are_listed_and_sent_in_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    make: Any = boto3.client
    sqs, dynamodb = make("sqs"), make("dynamodb")
    dead = sqs.get_queue_url(QueueName="shop-apply-dead-letters")["QueueUrl"]
    for number in range(12):
        sqs.send_message(QueueUrl=dead, MessageBody=f"object {number}")
    lines = [change(f"p-{number}").line() for number in range(2)]
    batch("changes", "KinesisBatchInfo", [{"kinesis": {"data": base64.b64encode(line).decode()}} for line in lines])
    late = change("p-1")
    DynamoItems(BotoClient("dynamodb"), "items", horizon_ms=1).apply(late)
    keys = {"pk": {"S": late.key}}
    batch("items", "DDBStreamBatchInfo", [{"dynamodb": {"Keys": keys, "NewImage": {"version": {"S": "old"}}}}] * 2)
    asked: list[dict[str, Any]] = []

    def publish(target: object, function: str, event: dict[str, Any], region: str) -> dict[str, Any]:
        assert (function, region) == ("shop-publish:live", REGION)
        asked.append(event)
        if len(asked) == 1:  # a newer change comes while the first is being published
            DynamoItems(BotoClient("dynamodb"), "items", horizon_ms=1).apply(late._replace(change_id=newer))
        return {"batchItemFailures": []}

    newer = stamp(time_ms(late.change_id), bytes(10), above=[late.change_id])
    monkeypatch.setattr("ops.cli.dead_letters.call", publish)

    listed = run("dead-letters", "list").output
    assert "12" in listed and "aws/lambda/changes" in listed and "aws/lambda/items" in listed
    dry = run("dead-letters", "redrive", "--dry-run")
    assert "12 notifications and 2 batches; nothing was changed." in dry.output and not objects("log/")
    shown = run("dead-letters", "redrive")
    assert shown.exit_code == 0 and "12 notifications and 2 batches" in shown.output, shown.output
    queue = sqs.get_queue_url(QueueName="shop-apply")["QueueUrl"]
    waiting = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert waiting["ApproximateNumberOfMessages"] == "12"
    (key,) = objects("log/redrive/")
    assert list(S3LogObjects(BotoClient("s3"), "log", "q/").lines(key)) == lines
    versions = [event["Records"][0]["dynamodb"]["NewImage"]["version"]["S"] for event in asked]
    assert versions == [late.change_id, newer], "what the item is now, and again when it changed meanwhile"
    assert not objects("aws/lambda/")
    assert dynamodb.get_item(TableName="items", Key=keys)["Item"]["version"]["S"] == newer


def test_settings_are_checked_without_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.terraform.SOURCE", tmp_path)
    (tmp_path / "variables.tf").write_text('variable "sources" {\n  type    = any\n  default = {}\n}\n')
    good, bad = tmp_path / "good.tfvars.json", tmp_path / "bad.tfvars.json"
    settings = {key: value for key, value in SOURCE.items() if key != "name"}
    good.write_text(json.dumps({"sources": {"products": settings}}))
    bad.write_text(json.dumps({"sources": {"products": {**settings, "id": "[", "translation": "{"}}}))
    fine = CliRunner().invoke(main, ["sources", "check", "--var-file", str(good)])
    assert fine.exit_code == 0 and "products" in fine.output
    refused = CliRunner().invoke(main, ["sources", "check", "--var-file", str(bad)])
    assert refused.exit_code == 1
    assert "sources.products.id" in str(refused.exception) and "sources.products.translation" in str(refused.exception)
