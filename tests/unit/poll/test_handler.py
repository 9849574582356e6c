"""Tests of the whole function `poll`: settings from the environment, AWS on moto, a back office on local HTTP."""

import hashlib
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest

from readplane.aws.boto import BotoClient
from readplane.config import load_settings
from readplane.model.change import parse_line
from readplane.model.collection import Collection
from readplane.poll import handler
from readplane.poll.errors import EventError
from readplane.poll.handler import DocumentsBucket, PollSettings
from readplane.poll.switch import DynamoSwitch
from tests.fakes.moto_aws import REGION, Aws
from tests.fakes.source_settings import add_defaults
from tests.unit.poll.support import CHANGES, DAY_MS, LISTING, SNAPSHOT, World, metric_lines
from tests.unit.stores.support import new_table
from tests.unit.support import NOW_MS, settings_text

COLLECTIONS = {"things": {"read": "public", "cache_ttl": 60}, "rates": {"read": "authenticated", "cache_ttl": 0}}
SCHEMAS = {"things": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}}
ROWS = [{"id": f"r{number}", "at": f"2026-01-01T00:00:0{number}Z", "n": number} for number in range(3)]


Deploy = Callable[..., dict[str, Any]]
"""The type of the fixture `deploy`: a function that takes sources and returns the settings of `poll`."""


class BackOffice(BaseHTTPRequestHandler):
    """A back office. It returns rows or one payload if the request has the right key, and otherwise responds 401."""

    def do_GET(self) -> None:
        authorized = self.headers["Authorization"] == "Bearer k3y" or "key=k3y" in self.path
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
def stack(aws: Aws) -> dict[str, Any]:
    """Create the AWS resources that Terraform would create, and return the settings of `poll` that name them."""
    log, here, there, name = (f"{part}-{uuid.uuid4()}" for part in ("log", "here", "there", "poll"))
    for bucket, region in ((log, REGION), (here, REGION), (there, "eu-west-1")):
        configuration: Any = {"LocationConstraint": region}
        boto3.client("s3", region_name=region).create_bucket(Bucket=bucket, CreateBucketConfiguration=configuration)
    boto3.client("s3").put_bucket_versioning(Bucket=log, VersioningConfiguration={"Status": "Enabled"})
    boto3.client("kinesis").create_stream(StreamName=name, ShardCount=1)
    boto3.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )
    boto3.client("secretsmanager").create_secret(Name=name, SecretString='{"key":"k3y"}')
    return {
        "name": "model",
        "items_table": new_table()[1],
        "items_index": "by_collection",
        "checkpoints_table": name,
        "stream": name,
        "log_bucket": log,
        "quarantine_prefix": "quarantine/",
        "documents": [{"region": REGION, "bucket": here}, {"region": "eu-west-1", "bucket": there}],
        "horizon_days": 30,
        "collections": COLLECTIONS,
    }


@pytest.fixture
def deploy(stack: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Deploy:
    """Return a function that does what Terraform does with some sources: it writes them to S3, and starts `poll`."""

    def start(*sources: dict[str, Any], **changes: Any) -> dict[str, Any]:
        content = json.dumps({"sources": {source["name"]: source for source in sources}, "schemas": SCHEMAS}).encode()
        put = boto3.client("s3").put_object(Bucket=stack["log_bucket"], Key="config/sources.json", Body=content)
        config = {"bucket": stack["log_bucket"], "key": "config/sources.json", "version_id": put["VersionId"]}
        settings = {**stack, "config": {**config, "sha256": hashlib.sha256(content).hexdigest(), **changes}}
        monkeypatch.setenv("READPLANE_SETTINGS", settings_text(settings))
        handler.handler.start()
        return settings

    return start


def secret(stack: dict[str, Any]) -> dict[str, str]:
    arn = boto3.client("secretsmanager").describe_secret(SecretId=stack["checkpoints_table"])["ARN"]
    return {"arn": arn, "header": "Authorization", "format": "Bearer {secret}", "field": "key"}


def document(bucket: str, key: str) -> Any:
    region = "eu-west-1" if bucket.startswith("there") else REGION
    return json.loads(boto3.client("s3", region_name=region).get_object(Bucket=bucket, Key=key)["Body"].read())


def test_a_back_offices_rows_arrive_on_kinesis(
    stack: dict[str, Any], deploy: Deploy, office: str, capsys: pytest.CaptureFixture[str]
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
        "max_refused_percent": 25,
        "staleness_budget": 60,
        "schedule": "rate(1 minute)",
    }
    source = add_defaults(declared)
    deploy(source)
    assert handler.handler({"check": True}, Context()) == {"problems": []}
    response = handler.handler({"source": "erp", "sweep": True}, Context())
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
        freshness = document(entry["bucket"], "public/documents/sources/erp")
        assert freshness["fresh_as_of"] and freshness["breaker"] == "closed"
    assert handler.handler({"freshness": True}, Context())["staleness"]["erp"] < 30
    entries = boto3.client("s3").list_objects_v2(Bucket=stack["log_bucket"], Prefix="quarantine/")["Contents"]
    redriven = handler.handler({"redrive": {"source": "erp", "keys": [entries[0]["Key"]]}}, Context())
    assert (redriven["redriven"], len(redriven["failed"])) == (0, 1)
    assert "hush" not in capsys.readouterr().out


def test_only_the_region_that_terraform_or_an_operator_has_named_polls(
    stack: dict[str, Any], deploy: Deploy, office: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = {
        "name": "fx",
        "mode": "snapshot",
        "collection": "rates",
        "url": f"{office}/fx",
        "secret": secret(stack),
        "staleness_budget": 60,
    }
    settings = deploy(add_defaults(declared))
    event = {"source": "fx", "sweep": False}

    def start(**changes: Any) -> None:
        monkeypatch.setenv("READPLANE_SETTINGS", settings_text(settings | changes))
        handler.handler.start()

    start(first_region="eu-west-1")
    assert handler.handler(event, Context())["outcome"] == "elsewhere"
    assert handler.handler({"freshness": True}, Context()) == {"staleness": {}}
    DynamoSwitch(BotoClient("dynamodb"), stack["items_table"], REGION, "eu-west-1").move_here("fx", NOW_MS)
    assert handler.handler(event, Context())["outcome"] == "completed"
    start(first_region=REGION)
    DynamoSwitch(BotoClient("dynamodb"), stack["items_table"], "eu-west-1", REGION).move_here("fx", NOW_MS)
    assert handler.handler(event, Context())["outcome"] == "elsewhere"


def test_a_back_offices_payload_arrives_in_every_region(stack: dict[str, Any], deploy: Deploy, office: str) -> None:
    declared = {
        "name": "fx",
        "mode": "snapshot",
        "collection": "rates",
        "url": f"{office}/fx",
        "secret": secret(stack),
        "staleness_budget": 60,
    }
    source = add_defaults(declared)
    deploy(source)
    assert handler.handler({"source": "fx"}, Context())["outcome"] == "completed"
    assert [
        document(entry["bucket"], "authenticated/documents/rates/current")["data"] for entry in stack["documents"]
    ] == [
        [1.0],
        [1.0],
    ]
    deploy({**source, "secret": None})
    assert handler.handler({"source": "fx"}, Context())["outcome"] == "failed"


def test_an_event_cannot_change_where_a_secret_goes(
    stack: dict[str, Any], deploy: Deploy, office: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever may invoke `poll` may name a source, but not say where its secret goes."""
    declared = {"mode": "snapshot", "collection": "rates", "secret": secret(stack), "staleness_budget": 60}
    source = add_defaults({"name": "fx", "url": "https://fx.example.com/", **declared})
    deploy(source)
    elsewhere = {**source, "url": f"{office}/fx"}
    for event in ({"source": elsewhere}, {"source": elsewhere, "sweep": False}, {"source": "fx", "url": office}):
        with pytest.raises(EventError):
            handler.handler(event, Context())
    with pytest.raises(EventError, match="no source other is declared"):
        handler.handler({"source": "other"}, Context())
    assert boto3.client("dynamodb").scan(TableName=stack["checkpoints_table"])["Count"] == 0, "nothing was polled"


def test_a_secret_in_the_query_stands_nowhere_else(
    stack: dict[str, Any], deploy: Deploy, office: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = add_defaults(
        {
            "name": "fx",
            "mode": "snapshot",
            "collection": "rates",
            "url": f"{office}/fx?base=EUR",
            "secret": {"arn": secret(stack)["arn"], "query": "key", "format": "{secret}", "field": "key"},
            "staleness_budget": 60,
        }
    )
    deploy(source)
    response = handler.handler({"source": "fx"}, Context())
    assert response["outcome"] == "completed"
    saved = boto3.client("dynamodb").scan(TableName=stack["checkpoints_table"])["Items"]
    log = boto3.client("s3").list_objects_v2(Bucket=stack["log_bucket"])["Contents"]
    assert saved and [entry["Key"] for entry in log] == ["config/sources.json"]
    assert "k3y" not in f"{response} {saved} {capsys.readouterr().out}"


def test_each_version_of_poll_reads_its_own_version_of_the_sources(
    deploy: Deploy, office: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = add_defaults(
        {"name": "fx", "mode": "snapshot", "collection": "rates", "url": office, "staleness_budget": 60}
    )
    old = deploy(source)
    deploy({**source, "name": "renamed"})
    assert handler.handler({"source": "renamed"}, Context())["outcome"] == "failed"  # without the key: 401
    monkeypatch.setenv("READPLANE_SETTINGS", settings_text(old))  # a roll-back
    handler.handler.start()
    assert handler.handler({"source": "fx"}, Context())["outcome"] == "failed"
    with pytest.raises(EventError):
        handler.handler({"source": "renamed"}, Context())
    with pytest.raises(ValueError, match="isn't what Terraform wrote"):
        deploy(source, sha256="0" * 64)


def test_a_check_returns_every_problem_of_every_source(deploy: Deploy) -> None:
    bad = {**CHANGES, "name": "bad", "id": "[", "collection": "nowhere"}
    deploy(CHANGES, bad, {**LISTING, "name": "listing"}, SNAPSHOT)
    problems = handler.handler({"check": True}, Context())["problems"]
    assert [problem.partition(":")[0] for problem in problems] == ["sources.bad.id", "sources.bad.collection"]


def test_a_source_that_cannot_be_used_fails_alone_and_becomes_stale(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.office.row("a")
    world.declare(CHANGES)
    response = world({**LISTING, "name": "bad", "collection": "others", "id": "["})
    assert (response["outcome"], response["pages"]) == ("failed", 0)
    assert response["fault"].startswith("settings: sources.bad.id: ")
    (line,) = [line for line in metric_lines(capsys.readouterr().out) if line["event"] == "source_unusable"]
    assert (line["level"], line["PollsFailed"], line["Source"]) == ("ERROR", 1, "bad")
    assert world()["outcome"] == "completed", "the other source is polled"
    world.ms += 90_000
    assert world.call({"freshness": True})["staleness"]["bad"] > 90, "the alarm on staleness must get a value"


def test_a_schema_that_cannot_be_used_stops_only_its_own_source(world: World) -> None:
    for schema in ({"type": "strng"}, {"$ref": "https://elsewhere.example/schema.json"}, {"pattern": "(?=a)"}, 7):
        world.schemas = {"things": SCHEMAS["things"], "others": schema}
        response = world({**LISTING, "name": "bad", "collection": "others"})
        assert response["outcome"] == "failed" and "sources.bad.collection: its schema" in response["fault"]
        assert world()["outcome"] == "completed"
        assert world.checkpoint("bad").failures.count == 0, "the breaker must not open, because nothing was requested"


def test_a_paused_source_that_cannot_be_used_is_paused(world: World) -> None:
    world.checkpoints.set_paused("bad", True)
    assert world({**LISTING, "name": "bad", "id": "["})["outcome"] == "paused"
    assert world.checkpoint("bad").lease_holder is None


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
        "config": {"bucket": "log", "key": "config/x.json", "version_id": "null", "sha256": "0" * 64},
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
