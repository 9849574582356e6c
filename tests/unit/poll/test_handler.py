"""Tests of the whole function `poll`: settings from the environment, AWS on moto, a back office on local HTTP."""

import hashlib
import json
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest

from readplane.config import load_settings
from readplane.model.change import parse_line
from readplane.model.collection import Collection
from readplane.poll import handler
from readplane.poll.handler import DocumentsBucket, PollSettings
from tests.fakes.moto_aws import REGION, Aws
from tests.fakes.schedule_input import add_defaults
from tests.unit.poll.support import CHANGES, DAY_MS, LISTING, SNAPSHOT, World
from tests.unit.stores.support import new_table
from tests.unit.support import settings_text

COLLECTIONS = {"things": {"read": "public", "cache_ttl": 60}, "rates": {"read": "authenticated", "cache_ttl": 0}}
SCHEMAS = {"things": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}}
ROWS = [{"id": f"r{number}", "at": f"2026-01-01T00:00:0{number}Z", "n": number} for number in range(3)]


class BackOffice(BaseHTTPRequestHandler):
    """A back office. It returns rows or one payload if the request has the right key, and otherwise responds 401."""

    def do_GET(self) -> None:
        authorized = self.headers["Authorization"] == "Bearer k3y"
        body = json.dumps({"rows": [*ROWS, {"id": "bad", "at": "never"}]} if "rows" in self.path else [1.0]).encode()
        self.send_response(200 if authorized else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Suppress the log line that the server would print for each request."""


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@pytest.fixture
def office() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BackOffice)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def stack(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Create the AWS resources that Terraform would create, start `poll` with their names, and return its settings."""
    log, here, there, name = (f"{part}-{uuid.uuid4()}" for part in ("log", "here", "there", "poll"))
    for bucket, region in ((log, REGION), (here, REGION), (there, "eu-west-1")):
        configuration: Any = {"LocationConstraint": region}
        boto3.client("s3", region_name=region).create_bucket(Bucket=bucket, CreateBucketConfiguration=configuration)
    schemas = json.dumps(SCHEMAS).encode()
    boto3.client("s3").put_object(Bucket=log, Key="config/s.json", Body=schemas)
    boto3.client("kinesis").create_stream(StreamName=name, ShardCount=1)
    boto3.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )
    boto3.client("secretsmanager").create_secret(Name=name, SecretString='{"key":"k3y"}')
    settings = {
        "name": "model",
        "items_table": new_table()[1],
        "items_index": "by_collection",
        "checkpoints_table": name,
        "stream": name,
        "log_bucket": log,
        "quarantine_prefix": "quarantine/",
        "documents": [{"region": REGION, "bucket": here}, {"region": "eu-west-1", "bucket": there}],
        "horizon_days": 30,
        "schemas": {"bucket": log, "key": "config/s.json", "sha256": hashlib.sha256(schemas).hexdigest()},
        "collections": COLLECTIONS,
    }
    monkeypatch.setenv("READPLANE_SETTINGS", settings_text(settings))
    handler.handler.start()
    yield settings


def secret(stack: dict[str, Any]) -> dict[str, str]:
    arn = boto3.client("secretsmanager").describe_secret(SecretId=stack["checkpoints_table"])["ARN"]
    return {"arn": arn, "header": "Authorization", "format": "Bearer {secret}", "field": "key"}


def document(bucket: str, key: str) -> Any:
    region = "eu-west-1" if bucket.startswith("there") else REGION
    return json.loads(boto3.client("s3", region_name=region).get_object(Bucket=bucket, Key=key)["Body"].read())


def test_a_back_offices_rows_arrive_on_kinesis(
    stack: dict[str, Any], office: str, capsys: pytest.CaptureFixture[str]
) -> None:
    declared = {
        "name": "erp",
        "mode": "changes",
        "collection": "things",
        "url": f"{office}/rows?since={{cursor}}&token=hush",
        "secret": secret(stack),
        "records": "rows",
        "id": "id",
        "version": {"expression": "at", "format": "rfc3339"},
        "translation": "{n: n}",
        "sweep": {"schedule": "rate(1 day)"},
        "staleness_budget": 60,
        "schedule": "rate(1 minute)",
    }
    source = add_defaults(declared)
    assert handler.handler({"validate": [source]}, Context()) == {"problems": []}
    response = handler.handler({"source": source, "sweep": True}, Context())
    assert {name: response[name] for name in ("outcome", "pages", "changes", "quarantined")} == {
        "outcome": "completed",
        "pages": 2,
        # The main pass sends 3 changes. `apply` doesn't run in this test, so the sweep finds no items, and sends the
        # same 3 changes again.
        "changes": 6,
        "quarantined": 1,
    }
    kinesis = boto3.client("kinesis")
    shard = kinesis.list_shards(StreamName=stack["stream"])["Shards"][0]["ShardId"]
    start = kinesis.get_shard_iterator(StreamName=stack["stream"], ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    lines = [record["Data"] for record in kinesis.get_records(ShardIterator=start["ShardIterator"])["Records"]]
    changes = [parse_line(line, {"things": Collection("things", "public")}) for line in lines]
    assert {change.item_id: change.data for change in changes} == {f"r{n}": f'{{"n":{n}}}' for n in range(3)}
    assert len({change.version for change in changes}) == 3
    for entry in stack["documents"]:
        freshness = document(entry["bucket"], "public/sources/erp.json")
        assert freshness["fresh_as_of"] and freshness["breaker"] == "closed"
    assert handler.handler({"freshness": [{"name": "erp", "staleness_budget": 60}]}, Context())["staleness"]["erp"] < 30
    entries = boto3.client("s3").list_objects_v2(Bucket=stack["log_bucket"], Prefix="quarantine/")["Contents"]
    redriven = handler.handler({"redrive": {"source": source, "keys": [entries[0]["Key"]]}}, Context())
    assert (redriven["redriven"], len(redriven["failed"])) == (0, 1)
    assert "hush" not in capsys.readouterr().out


def test_a_back_offices_payload_arrives_in_every_region(stack: dict[str, Any], office: str) -> None:
    declared = {
        "name": "fx",
        "mode": "snapshot",
        "collection": "rates",
        "url": f"{office}/fx",
        "secret": secret(stack),
        "staleness_budget": 60,
    }
    source = add_defaults(declared)
    assert handler.handler({"source": source}, Context())["outcome"] == "completed"
    assert [document(entry["bucket"], "authenticated/rates/current.json")["data"] for entry in stack["documents"]] == [
        [1.0],
        [1.0],
    ]
    assert handler.handler({"source": {**source, "secret": None}}, Context())["outcome"] == "failed"


def test_validate_returns_every_problem_of_every_source(world: World) -> None:
    bad = {**CHANGES, "name": "bad", "id": "[", "collection": "nowhere"}
    response = world.call({"validate": [CHANGES, bad, LISTING, SNAPSHOT]})
    assert [problem.partition(":")[0] for problem in response["problems"]] == [
        "sources.bad.id",
        "sources.bad.collection",
    ]


def test_the_settings_are_read_as_terraform_writes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    members = {
        "name": "model",
        "items_table": "items",
        "items_index": "by_collection",
        "checkpoints_table": "checkpoints",
        "stream": "changes",
        "log_bucket": "log",
        "quarantine_prefix": "quarantine/",
        "documents": [{"region": "eu-central-1", "bucket": "one"}, {"region": "eu-west-1", "bucket": "two"}],
        "horizon_days": 30,
        "schemas": {"bucket": "log", "key": "config/x.json", "sha256": "0" * 64},
        "collections": {"things": {"read": "public", "cache_ttl": 60}},
    }
    monkeypatch.setenv("READPLANE_SETTINGS", settings_text(members))
    settings = load_settings(PollSettings)
    assert settings.documents == (DocumentsBucket("eu-central-1", "one"), DocumentsBucket("eu-west-1", "two"))
    assert settings.horizon_ms == 30 * DAY_MS
    assert settings.collections["things"].cache_ttl == 60
    monkeypatch.setenv("READPLANE_SETTINGS", settings_text({**members, "documents": [{"region": 1}], "stream": ""}))
    with pytest.raises(Exception, match=r"stream.*region.*bucket"):
        load_settings(PollSettings)
