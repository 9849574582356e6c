"""Test the commands `erase` on two Regions in moto, in which the real functions `apply`, `publish` and `feed` run."""

import functools
import gzip
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner, Result

from ops.cli import erase, erase_items, erase_log, waiting_changes
from ops.cli.main import main
from ops.cli.object_versions import ObjectVersion
from ops.cli.status_probes import Metric
from ops.cli.target import Chosen, RegionalStack, Target
from ops.console import CommandError
from ops.jobs import Job, JobState
from readplane.apply.handler import Apply, ApplySettings, ApplyStores
from readplane.apply.notifications import SqsApplyQueue
from readplane.apply.objects import S3LogObjects
from readplane.apply.quarantine import S3LineQuarantine
from readplane.apply.tally import DynamoCountedObjects
from readplane.aws.boto import BotoClient
from readplane.clock import now_ms
from readplane.feed.fed_stores import DatabaseStore
from readplane.feed.item_rows import ItemRows
from readplane.feed.messages import MessageFeeder
from readplane.model.change import Change
from readplane.model.timestamp import ms_of
from readplane.publish.handler import FeedQueue, Publish, PublishSettings
from readplane.publish.quarantine import S3RowQuarantine
from readplane.stores.documents import S3Documents
from readplane.stores.items import ApplyOutcome, DynamoItems
from readplane.stores.key_queue import SqsKeyQueue
from readplane.telemetry import Telemetry
from tests.fakes.moto_aws import REGION, Aws
from tests.unit.feed.support import MemoryWriter
from tests.unit.ops.cli.support import OUTPUTS, kill_job_at
from tests.unit.support import BOB, COLLECTIONS, change

REPLICA = "eu-west-1"
REGIONS = (REGION, REPLICA)
LOGS = {REGION: "log", REPLICA: "replica-log"}
DOCUMENTS = {REGION: "documents", REPLICA: "replica-documents"}
HORIZON_DAYS = 30
WAIT_SECONDS = erase._wait_seconds
EVENTS = ["s3:ObjectCreated:Put", "s3:ObjectCreated:Post", "s3:ObjectCreated:CompleteMultipartUpload"]


CAROL = "c4401000-4031-70b5-6a1e-0d6f2b1f0c33"


@functools.cache  # making a client takes 50 ms
def client(service: str, region: str = REGION) -> Any:
    make: Any = boto3.client
    return make(service, region_name=region)


@functools.cache
def queue_url(name: str, region: str) -> str:
    """Return the URL of an SQS queue."""
    url: str = client("sqs", region).get_queue_url(QueueName=name)["QueueUrl"]
    return url


class Cognito:
    """A stand-in for the API of a user pool with one user, which moto doesn't have without another package.

    clients: the settings of each client of the pool by its id
    """

    def __init__(self) -> None:
        self.users = {"carol": {"sub": CAROL, "enabled": True, "signed_in": True}}
        minutes = {"AccessTokenValidity": 90, "TokenValidityUnits": {"AccessToken": "minutes"}}
        self.clients: dict[str, dict[str, Any]] = {"web": minutes, "mobile": minutes}

    def list_users(self, **request: str) -> dict[str, Any]:
        found = [name for name, user in self.users.items() if request["Filter"] == f'sub = "{user["sub"]}"']
        return {"Users": [{"Username": name} for name in found]}

    def admin_disable_user(self, **request: str) -> None:
        self.users[request["Username"]]["enabled"] = False

    def admin_user_global_sign_out(self, **request: str) -> None:
        self.users[request["Username"]]["signed_in"] = False

    def admin_delete_user(self, **request: str) -> None:
        del self.users[request["Username"]]

    def describe_user_pool_client(self, **request: str) -> dict[str, Any]:
        if request["ClientId"] not in self.clients:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "DescribeUserPoolClient")
        return {"UserPoolClient": self.clients[request["ClientId"]]}


class OneByOne(DynamoItems):
    """An items table that writes changes one by one, because moto doesn't know the statements for many."""

    def apply_all(self, changes: Iterable[Change]) -> Counter[ApplyOutcome]:
        return Counter(map(self.apply, changes))


class MarkingDocuments(S3Documents):
    """Documents in a bucket that leaves a marker for each delete, as S3 does. Moto leaves none for a missing key."""

    def __init__(self, bucket: str, region: str) -> None:
        super().__init__(BotoClient("s3", region=region), bucket)
        self._place = bucket, region

    def remove_document(self, key: str) -> None:
        bucket, region = self._place
        version = client("s3", region).put_object(Bucket=bucket, Key=key, Body=b"")["VersionId"]
        super().remove_document(key)
        client("s3", region).delete_object(Bucket=bucket, Key=key, VersionId=version)


class Functions(NamedTuple):
    """The functions of one Region."""

    apply: Apply
    publish: Publish
    feed: MessageFeeder


class World:
    """A stack of two Regions. `pump` lets its functions handle everything that waits.

    user: the `sub` of the user that is erased
    database: what the database of each Region holds
    metrics: the sum of each metric that the functions have emitted
    behind: the functions that handle nothing for now, `publish` or `feed`
    mapping: the state of the event source mapping of `publish`
    """

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._file = folder / "outputs.json"
        self.database = {region: MemoryWriter() for region in REGIONS}
        self.metrics: Counter[str] = Counter()
        self.behind: set[str] = set()
        self.mapping = "Enabled"
        self._unread: dict[str, list[dict[str, Any]]] = {region: [] for region in REGIONS}
        self._iterators: dict[str, str] = {}
        self.functions: dict[str, Functions] = {}
        for region in REGIONS:
            self._make_region(region)
        self.user = CAROL
        self.cognito = Cognito()
        client("iam").create_role(RoleName="delivery", AssumeRolePolicyDocument="{}")
        client("firehose").create_delivery_stream(
            DeliveryStreamName="shop-write-log",
            ExtendedS3DestinationConfiguration={
                "RoleARN": "arn:aws:iam::123456789012:role/delivery",
                "BucketARN": "arn:aws:s3:::log",
                "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 60},
            },
        )
        self.outputs: dict[str, Any] = OUTPUTS | {
            "replica_region": REPLICA,
            "replica_write_log_bucket": LOGS[REPLICA],
            "replica_documents_bucket": DOCUMENTS[REPLICA],
            "user_pool_id": "pool",
            "client_ids": ["web", "mobile"],
            "delivery_stream": "shop-write-log",
            **{
                role: {"functions": {"publish": {"name": "shop-publish", "alias_arn": f"{region}:publish:live"}}}
                for role, region in (("primary", REGION), ("replica", REPLICA))
            },
            "feed_queues": {"primary": self._feed_queue(REGION), "replica": self._feed_queue(REPLICA)},
        }
        self.write_outputs()

    def write_outputs(self) -> None:
        """Write the file with the stack's outputs, from which each command reads them."""
        self._file.write_text(json.dumps({name: {"value": value} for name, value in self.outputs.items()}))

    def _make_region(self, region: str) -> None:
        response = client("dynamodb", region).create_table(
            TableName="items",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        streams, arn = client("dynamodbstreams", region), response["TableDescription"]["LatestStreamArn"]
        shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
        iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
        self._iterators[region] = iterator["ShardIterator"]
        sqs, s3 = client("sqs", region), client("s3", region)
        for name in ("shop-apply", "shop-apply-dead-letters", "shop-feed", "shop-feed-dead-letters"):
            sqs.create_queue(QueueName=name)
        for bucket in (LOGS[region], DOCUMENTS[region]):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        self.functions[region] = self._functions(region)
        self.notify(region, EVENTS)

    def notify(self, region: str, events: list[str]) -> None:
        """Have S3 notify `apply` of these events below log/."""
        rule = {
            "QueueArn": f"arn:aws:sqs:{region}:123456789012:shop-apply",
            "Events": events,
            "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "log/"}]}},
        }
        client("s3", region).put_bucket_notification_configuration(
            Bucket=LOGS[region], NotificationConfiguration={"QueueConfigurations": [rule]}
        )
        self._apply(region)  # S3's test message

    def _feed_queue(self, region: str) -> dict[str, Any]:
        url = queue_url("shop-feed", region)
        return {"database": {"url": url, "dead_letter_url": f"{url}-dead-letters"}}

    def _functions(self, region: str) -> Functions:
        dynamodb, s3 = BotoClient("dynamodb", region=region), BotoClient("s3", region=region)
        horizon_ms = HORIZON_DAYS * 86_400_000
        url = queue_url("shop-apply", region)
        telemetry = Telemetry("apply", "shop")
        stores = ApplyStores(
            items=OneByOne(dynamodb, "items", horizon_ms=horizon_ms, telemetry=telemetry),
            objects=S3LogObjects(s3, LOGS[region]),
            quarantine=S3LineQuarantine(s3, LOGS[region], "quarantine/"),
            queue=SqsApplyQueue(BotoClient("sqs", region=region), url),
            counted=DynamoCountedObjects(dynamodb, "items"),
        )
        settings = ApplySettings("shop", "items", url, LOGS[region], "quarantine/", HORIZON_DAYS, COLLECTIONS)
        feed_url, collections = queue_url("shop-feed", region), frozenset(COLLECTIONS)
        publish = Publish(
            PublishSettings(
                "shop",
                "items",
                DOCUMENTS[region],
                LOGS[region],
                "quarantine/",
                HORIZON_DAYS,
                COLLECTIONS,
                {"database": FeedQueue("database", feed_url, collections)},
            ),
            DynamoItems(dynamodb, "items", horizon_ms=horizon_ms, telemetry=telemetry),
            MarkingDocuments(DOCUMENTS[region], region),
            S3RowQuarantine(s3, LOGS[region], "quarantine/"),
            Telemetry("publish", "shop"),
            {"database": SqsKeyQueue(BotoClient("sqs", region=region), feed_url, "database")},
        )
        feed_telemetry = Telemetry("feed", "shop")
        database = DatabaseStore(self.database[region], collections)  # type: ignore[arg-type]
        feed = MessageFeeder(
            ItemRows(dynamodb, "items", feed_telemetry), {"database": database}, horizon_ms, feed_telemetry
        )
        return Functions(Apply(settings, stores, telemetry), publish, feed)

    def pump(self) -> None:
        """Let `apply` handle all notifications, `publish` all writes, and `feed` all keys, until nothing waits."""
        steps = [partial(step, region) for step in (self._apply, self._publish, self._feed) for region in REGIONS]
        while sum(step() for step in steps):
            pass
        self._count(self._capsys.readouterr().out)

    def _count(self, output: str) -> None:
        """Add the metrics that the functions have printed."""
        for line in output.splitlines():
            entry = json.loads(line) if line.startswith("{") else {}
            for directive in entry.get("_aws", {}).get("CloudWatchMetrics", []):
                for metric in directive["Metrics"]:
                    self.metrics[metric["Name"]] += entry[metric["Name"]]

    def _apply(self, region: str) -> bool:
        def handle(record: dict[str, Any]) -> bool:
            failed = self.functions[region].apply({"Records": [record]}, lambda: 60_000)
            assert failed == {"batchItemFailures": []}
            return True

        return self._receive(region, "shop-apply", handle)

    def _feed(self, region: str) -> bool:
        def handle(record: dict[str, Any]) -> bool:
            return not self.functions[region].feed.feed_messages([record], lambda: 60_000)

        return "feed" not in self.behind and self._receive(region, "shop-feed", handle)

    def _receive(self, region: str, queue: str, handle: Callable[[dict[str, Any]], bool]) -> bool:
        """Pass the messages of a queue to a function, and delete what it handles. Return whether there are any."""
        sqs, url = client("sqs", region), queue_url(queue, region)
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            record = {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "0"},
            }
            if handle(record):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bool(messages)

    def _publish(self, region: str) -> bool:
        """Pass new stream records to the other Region, as DynamoDB does, and to `publish`, unless it is behind."""
        dynamodb = client("dynamodb", region)
        answer = client("dynamodbstreams", region).get_records(ShardIterator=self._iterators[region])
        self._iterators[region] = answer["NextShardIterator"]
        records = answer["Records"]
        other = client("dynamodb", REGIONS[1 - REGIONS.index(region)])
        for record in records:
            images = record["dynamodb"]
            new = images.get("NewImage")
            stored = other.get_item(TableName="items", Key=images["Keys"]).get("Item")
            if stored != new and dynamodb.get_item(TableName="items", Key=images["Keys"]).get("Item") == new:
                if new is None:
                    other.delete_item(TableName="items", Key=images["Keys"])
                else:
                    other.put_item(TableName="items", Item=new)
        unread = self._unread[region]
        unread += records
        while unread and "publish" not in self.behind:
            assert self.functions[region].publish({"Records": [unread.pop(0)]}) == {"batchItemFailures": []}
        return bool(records)

    def deliver(self, *changes: Change | bytes, region: str = REGION, key: str = "log/a.gz") -> None:
        """Put an object into the write log, as Firehose does, and let everything be applied."""
        lines = [entry if isinstance(entry, bytes) else entry.line() for entry in changes]
        client("s3", region).put_object(Bucket=LOGS[region], Key=key, Body=gzip.compress(b"".join(lines)))
        self.pump()

    def replay(self) -> None:
        """Apply every object below log/ again, as `readplane replay` does."""
        for region in REGIONS:
            for key in self.keys(LOGS[region], "log/"):
                record = {"eventTime": "2026-01-01T00:00:00.000Z", "s3": {"object": {"key": key}}}
                body = json.dumps({"replay": True, "Records": [record]})
                client("sqs", region).send_message(QueueUrl=queue_url("shop-apply", region), MessageBody=body)
        self.pump()

    def messages(self, region: str) -> list[str]:
        """Return the bodies of the messages that wait for `feed`."""
        url = queue_url("shop-feed", region)
        answer = client("sqs", region).receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        return [message["Body"] for message in answer.get("Messages", [])]

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        listed = client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)
        return [entry["Key"] for entry in listed.get("Contents", [])]

    def rows(self, region: str = REGION) -> dict[str, dict[str, Any]]:
        return {row["pk"]["S"]: row for row in client("dynamodb", region).scan(TableName="items")["Items"]}

    def traces(self) -> list[str]:
        """Return every place that names the user: object versions, rows, messages, database and user pool."""
        found = []
        for bucket in (*LOGS.values(), *DOCUMENTS.values()):
            answer = client("s3").list_object_versions(Bucket=bucket)
            markers = [f"{bucket}/{each['Key']}" for each in answer.get("DeleteMarkers", [])]
            found += [marker for marker in markers if self.user in marker]
            for each in answer.get("Versions", []):
                body = (
                    client("s3").get_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])["Body"].read()
                )
                text = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
                if self.user.encode() in text or self.user in each["Key"]:
                    found.append(f"{bucket}/{each['Key']}")
        for region in REGIONS:
            found += [f"{region}/{key}" for key, row in self.rows(region).items() if self.user in json.dumps(row)]
            found += [f"{region}/db/{key}" for key in self.database[region].rows if self.user in key]
            found += [f"{region}/feed" for body in self.messages(region) if self.user in body]
        return found + list(self.cognito.users)

    def __call__(self, *words: str) -> Result:
        result = CliRunner().invoke(main, ["--outputs", str(self._file), *words])
        self._count(result.stdout)  # the functions run during the command, too
        return result

    def erase(self, command: str, *words: str) -> Result:
        return self("erase", command, "--owner", self.user, *words)

    def feed(self, target: Target, stack: RegionalStack, event: dict[str, Any]) -> dict[str, Any]:
        """Stand in for the function `feed`."""
        removed, left = self.database[stack.region].forget_owner(event["owner"])
        return {"database": {"removed": removed, "left": left}}


@pytest.fixture
def world(
    aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[World]:
    queue_url.cache_clear()
    client.cache_clear()  # each worker of pytest has a moto server of its own
    world = World(tmp_path, capsys)

    def wait(job: Job, seconds: float) -> None:
        if seconds > 0:
            world.pump()

    def mappings(**_: str) -> dict[str, Any]:
        return {"EventSourceMappings": [{"State": world.mapping, "EventSourceArn": "arn:aws:dynamodb:r:1:table/items"}]}

    def client_or_stand_in(target: Target, service: str, region: str | None = None) -> Any:
        if service == "lambda":
            return SimpleNamespace(list_event_source_mappings=mappings)
        return world.cognito if service == "cognito-idp" else client(service, region or target.region)

    monkeypatch.setattr(Target, "client", client_or_stand_in)
    monkeypatch.setattr(Job, "wait", wait)
    monkeypatch.setattr(erase, "feed", world.feed)
    monkeypatch.setattr(erase_log, "declared_collections", lambda target: COLLECTIONS)
    monkeypatch.setattr(erase, "_wait_seconds", lambda target: 0.0)
    monkeypatch.setattr(waiting_changes, "READ_SECONDS", 0.0)
    yield world


def fill(world: World) -> None:
    """Write items of the user, of another user, and of nobody, with old versions, quarantine and a delete."""
    own_fields = {"collection": "profiles", "owner": world.user}
    now = now_ms()
    world.deliver(
        change("p-1", ms=now)._replace(actor=world.user),
        change("me", ms=now, **own_fields),  # type: ignore[arg-type]
        change("you", ms=now, collection="profiles", owner=BOB),
        change("p-2", ms=now, data='{"digits":1.10}'),
    )
    world.deliver(
        change("me", ms=now + 1, **own_fields),  # type: ignore[arg-type]
        change("gone", ms=now + 1, data=None, **own_fields),  # type: ignore[arg-type]
        region=REPLICA,
        key="log/year=2026/b.gz",
    )
    world.deliver(change("me", ms=now + 2, **own_fields), key="log/only.gz")  # type: ignore[arg-type]
    removed = change("x", ms=now, collection="removed")._replace(actor=world.user)
    world.deliver(
        removed,
        change("old", ms=1, accepted_ms=1, **own_fields),  # type: ignore[arg-type]
        b'{"not a change": "' + world.user.encode() + b'"}\n',
        key="log/poison.gz",
    )
    client("s3").put_object(Bucket="log", Key="stream/c.gz", Body=gzip.compress(change("s", **own_fields).line()))  # type: ignore[arg-type]
    for name, row in (("me", own_fields["owner"]), ("others", BOB)):
        line = json.dumps({"Item": {"pk": {"S": f"item/profiles/{row}/me"}}}).encode()
        client("s3").put_object(Bucket="log", Key=f"exports/1/data/{name}.json.gz", Body=gzip.compress(line))
    client("s3").put_object(Bucket="log", Key="config/audit/a.json", Body=json.dumps({"who": world.user}))
    batch = json.dumps({"payload": "x"}).encode()
    version = client("s3").put_object(Bucket="log", Key="aws/lambda/b", Body=batch + world.user.encode())
    client("s3").delete_object(Bucket="log", Key="aws/lambda/b")
    assert version["VersionId"]


def fill_little(world: World) -> None:
    """Write one item of the user."""
    world.deliver(change("me", ms=now_ms(), collection="profiles", owner=world.user))


def begin_with_one_item(world: World) -> None:
    """Write one item of the user, and begin to erase the user."""
    fill_little(world)
    world.erase("begin", "--yes")
    world.pump()


def write_late(world: World) -> None:
    """Write an item of the user with the last access token."""
    world.deliver(change("late", ms=now_ms(), collection="profiles", owner=world.user), key="log/late.gz")


def test_nothing_names_the_user_afterwards_and_a_replay_brings_nothing_back(world: World) -> None:
    fill(world)
    assert len(world.traces()) > 20
    result = world.erase("begin", "--yes")
    assert result.exit_code == 0, (result.output, result.exception)
    assert "Then run this, not before" in result.output
    write_late(world)
    duplicates = world.metrics["ChangesDuplicate"]
    result = world.erase("finish", "--yes")
    assert result.exit_code == 0, (result.output, result.exception)
    assert "age out by themselves" in result.output
    world.pump()
    assert world.traces() == []
    assert world.metrics["ChangesDuplicate"] == duplicates, "`apply` must not hear of rewritten objects"
    rows, handled = world.rows(), world.metrics["RecordsHandled"]
    living = {key: row["actor"]["S"] for key, row in rows.items() if key.startswith("item/")}
    assert living == {
        "item/products/p-1": "erased",
        "item/products/p-2": change().actor,
        f"item/profiles/{BOB}/you": change().actor,
    }
    assert rows["item/products/p-2"]["data"]["S"] == '{"digits":1.10}'
    assert world.rows(REPLICA).keys() >= living.keys()
    assert world.keys("log", "exports/") == ["exports/1/data/others.json.gz"]
    quarantined = world.keys("log", "quarantine/")
    world.replay()
    assert world.traces() == []
    assert {key: row for key, row in world.rows().items() if key.startswith("item/")} == {
        key: row for key, row in rows.items() if key.startswith("item/")
    }
    assert world.keys("log", "quarantine/") == quarantined
    assert world.metrics["RecordsHandled"] == handled
    assert world.metrics["RegressionsMended"] == 0


def test_begin_shuts_the_user_out_and_deletes_the_items(world: World) -> None:
    own_delete = change("gone", data=None, collection="profiles", owner=world.user)
    world.deliver(own_delete, change("p-1")._replace(actor=world.user))
    fill_little(world)
    planned = json.loads(world.erase("begin", "--json").output)["counts"]
    assert planned == {"users": 1, "items": 1, "tombstones": 1, "actors": 1}
    assert world.cognito.users["carol"]["enabled"]
    result = world.erase("begin", "--yes", "--json")
    assert result.exit_code == 0
    finish_after = ms_of(json.loads(result.stdout.splitlines()[-1])["finish_after"]) or 0
    state = client("s3").list_objects_v2(Bucket="log", Prefix="config/jobs/erase-begin-")["Contents"][0]
    assert 0 <= finish_after / 1000 - state["LastModified"].timestamp() <= erase.END_SECONDS + 2, "the test waits 0 s"
    world.pump()
    assert world.cognito.users["carol"] == {"sub": CAROL, "enabled": False, "signed_in": False}
    row = world.rows()[f"item/profiles/{world.user}/me"]
    assert ("expires_at" in row, "data" in row) == (True, False)
    assert f"owner/documents/profiles/{world.user}/me" not in world.keys("documents")


@pytest.mark.parametrize("step", [5, 24, 40])
def test_a_killed_finish_goes_on(world: World, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    fill(world)
    world.erase("begin", "--yes")
    world.pump()
    with monkeypatch.context() as patch:
        kill_job_at(step, patch)
        assert world.erase("finish", "--yes").exit_code == 1
    world.pump()
    result = world.erase("finish", "--yes")
    assert result.exit_code == 0, result.exception
    world.pump()
    assert world.traces() == []


def test_what_other_items_say_about_the_user_stays_and_is_counted(world: World) -> None:
    data = json.dumps({"friend": world.user})
    world.deliver(change("p-1", ms=now_ms(), data=data), change("me", collection="profiles", owner=world.user))
    assert world.erase("begin", "--yes").exit_code == 0
    world.pump()
    result = world.erase("finish", "--yes", "--json")
    assert result.exit_code == 0, result.exception
    assert (
        json.loads(result.stdout.splitlines()[-1])["counts"]["named"] == 3
    )  # a row in each Region, and a line of the write log
    assert world.rows()["item/products/p-1"]["data"]["S"] == data


def test_finish_is_refused_until_it_is_safe_and_changes_nothing_without_yes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_little(world)

    def refusal() -> str:
        result = world.erase("finish", "--yes")
        assert result.exit_code == 1
        return str(result.exception)

    assert "`erase begin` hasn't run for this user." in refusal()
    world.erase("begin", "--yes")
    world.pump()
    with monkeypatch.context() as patch:
        patch.setattr(erase, "_wait_seconds", lambda target: 3600.0)
        assert "`erase finish` may run from" in refusal()
    world.notify(REPLICA, ["s3:ObjectCreated:*"])
    assert "notifies `apply` of copies" in refusal()
    world.notify(REPLICA, EVENTS)
    sqs = client("sqs", REPLICA)
    dead = queue_url("shop-feed-dead-letters", REPLICA)
    sqs.send_message(QueueUrl=dead, MessageBody="{}")
    assert "1 messages are in the queue shop-feed-database-dead-letters of eu-west-1" in refusal()
    sqs.purge_queue(QueueUrl=dead)
    client("s3").put_object(Bucket="replica-log", Key="aws/lambda/x", Body=b"{}")
    assert "There are dead letters of streams in eu-west-1" in refusal()
    client("s3").delete_object(Bucket="replica-log", Key="aws/lambda/x")
    before = world.traces()
    result = world.erase("finish", "--json")
    assert json.loads(result.output)["counts"] == {
        "tombstones": 2,
        "document_versions": 4,
        "users": 1,
        "log_object_versions": 2,
    }
    assert world.traces() == before


def test_the_waiting_time_follows_from_the_settings(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erase, "_wait_seconds", WAIT_SECONDS)
    target, rest = Target(world.outputs), 60 + erase.PENDING_SECONDS
    assert erase._wait_seconds(target) == 90 * 60 + rest
    world.cognito.clients["portal"] = {"AccessTokenValidity": 24}
    assert erase._wait_seconds(target) == 90 * 60 + rest, "the stack doesn't accept that client's tokens"
    world.outputs["client_ids"].append("portal")
    assert erase._wait_seconds(target) == 24 * 3600 + rest
    world.cognito.clients["portal"] = {}
    assert erase._wait_seconds(target) == 90 * 60 + rest, "Cognito's default is an hour"
    del world.cognito.clients["portal"]
    assert erase._wait_seconds(target) == 24 * 3600 + rest, "the client's last tokens may live for a day"


def test_a_stack_whose_outputs_dont_name_the_clients_is_refused_before_anything_changes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erase, "_wait_seconds", WAIT_SECONDS)
    fill_little(world)
    del world.outputs["client_ids"]
    world.write_outputs()
    result = world.erase("begin", "--yes")
    assert result.exit_code == 1 and "has no client_ids: an older version of Readplane" in str(result.exception)
    assert world.cognito.users["carol"]["enabled"] and not world.keys("log", "config/jobs/")


@pytest.mark.parametrize("owner", ["", "../x", "a b", 'x" or "'])
def test_an_owner_that_is_no_sub_is_refused(tmp_path: Path, owner: str) -> None:
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps({name: {"value": value} for name, value in OUTPUTS.items()}))
    for command in ("begin", "finish"):
        words = ["--outputs", str(file), "erase", command, "--owner", owner, "--yes"]
        result = CliRunner().invoke(main, words)
        assert (result.exit_code, "must be the user's `sub`" in str(result.exception)) == (1, True)


def test_a_user_can_stay_in_a_pool_that_others_use(world: World) -> None:
    begin_with_one_item(world)
    assert world.erase("finish", "--keep-user", "--yes").exit_code == 0
    world.pump()
    assert world.traces() == ["carol"]


def test_a_dead_letter_that_comes_during_finish_is_never_deleted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begin_with_one_item(world)
    batch = json.dumps({"payload": world.user}).encode()
    walk = erase._walk_log

    def walk_with_late_batch(*arguments: Any, **fields: Any) -> Any:
        client("s3").put_object(Bucket="log", Key="aws/lambda/late", Body=batch)
        return walk(*arguments, **fields)

    with monkeypatch.context() as patch:
        patch.setattr(erase, "_walk_log", walk_with_late_batch)
        result = world.erase("finish", "--yes")
    assert result.exit_code == 1 and "dead-letters redrive` first" in str(result.exception)
    assert client("s3").get_object(Bucket="log", Key="aws/lambda/late")["Body"].read() == batch
    client("s3").delete_object(Bucket="log", Key="aws/lambda/late")  # as a redrive does
    assert world.erase("finish", "--yes").exit_code == 0
    world.pump()
    assert world.traces() == []


def put_job(command: str, **fields: Any) -> str:
    """Write the state of another operator's job."""
    state = JobState(command, {"collection": "profiles"}, None, {}, "arn:other", "r", "then", "before", 1, "running")
    key = f"config/jobs/{command.replace(' ', '-')}-0123.json"
    client("s3").put_object(Bucket="log", Key=key, Body=json.dumps(state._replace(**fields)._asdict()))
    return key


@pytest.mark.parametrize("outcome", ["running", "stopped", "failed"])
def test_finish_is_refused_while_an_import_is_unfinished(world: World, outcome: str) -> None:
    begin_with_one_item(world)
    key = put_job("import", outcome=outcome)
    result = world.erase("finish", "--yes")
    assert result.exit_code == 1
    assert "An import into profiles isn't done (arn:other, begun before)" in str(result.exception)
    assert key in str(result.exception)
    put_job("import", outcome="done")
    assert world.erase("finish", "--yes").exit_code == 0


def test_finish_stops_once_there_is_a_second_items_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "outputs.json"

    def apply_terraform(second: str | None) -> None:
        outputs = OUTPUTS | {"second_items_table": second}
        file.write_text(json.dumps({name: {"value": value} for name, value in outputs.items()}))

    walked: list[str] = []
    monkeypatch.setitem(erase._WORK, "items", lambda *_: apply_terraform("items-2"))
    monkeypatch.setattr(erase, "_erase_log", lambda *_: walked.append("log"))
    apply_terraform(None)
    job: Any = SimpleNamespace(position=None, say=print, advance=print)
    with pytest.raises(CommandError, match="`erase` doesn't reach items-2"):
        erase._finish(Chosen(None, file), CAROL, job, frozenset(), keep_user=False)
    assert walked == []


def test_two_users_arent_erased_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begin_with_one_item(world)
    before = world.traces()
    put_job("erase finish")
    result = world.erase("finish", "--yes")
    assert result.exit_code == 1 and "arn:other erases another user since then" in str(result.exception)
    assert world.traces() == before
    monkeypatch.setattr(erase, "LEASE_SECONDS", -1.0)  # that process is dead
    assert world.erase("finish", "--yes").exit_code == 0


def test_a_position_that_names_the_user_is_dropped_but_never_under_a_running_job(world: World) -> None:
    begin_with_one_item(world)
    position = {"after": f"item/profiles/{world.user}/me"}
    key = put_job("rebuild documents", position=position)
    result = world.erase("finish", "--yes")
    assert result.exit_code == 1 and "The position of a running job names the user" in str(result.exception)
    stored = client("s3").get_object(Bucket="log", Key=key)["Body"].read()
    assert json.loads(stored)["position"] == position
    put_job("rebuild documents", position=position, outcome="stopped")
    result = world.erase("finish", "--yes")
    assert result.exit_code == 0, result.exception
    stored = client("s3").get_object(Bucket="log", Key=key)["Body"].read()
    assert (json.loads(stored)["position"], json.loads(stored)["outcome"]) == (None, "stopped")
    world.pump()
    assert world.traces() == []


def report_ages(monkeypatch: pytest.MonkeyPatch, ages: Callable[[str], float | None]) -> None:
    """Have CloudWatch report an age for each metric, by its name."""

    def newest_values(cloudwatch: Any, metrics: dict[str, Metric], *_: Any, **__: Any) -> dict[str, float | None]:
        return {label: ages(metric.name) for label, metric in metrics.items()}

    monkeypatch.setattr(waiting_changes, "newest_values", newest_values)


def let_time_pass(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Move the clock of the command and of the functions at each wait of a job."""
    now, now_ns, waited, wait = time.time, time.time_ns, 0.0, Job.wait

    def passing(job: Job, seconds: float) -> None:
        nonlocal waited
        waited += max(seconds, 0.0)
        wait(job, seconds)

    monkeypatch.setattr(time, "time", lambda: now() + waited)
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + int(waited * 1e9))
    monkeypatch.setattr(Job, "wait", passing)
    monkeypatch.setattr(erase, "HANDLED_SECONDS", 60.0)


def test_younger_messages_may_wait_in_a_live_queue(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy queue is never empty. A message that fails comes again for hours, but the age of the others is known."""
    begin_with_one_item(world)
    sqs, url = client("sqs"), queue_url("shop-feed", REGION)
    policy = {"deadLetterTargetArn": f"arn:aws:sqs:{REGION}:123456789012:shop-feed-dead-letters", "maxReceiveCount": 30}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": json.dumps(policy), "VisibilityTimeout": "120"})
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    assert world.erase("finish").exit_code == 0  # only counts

    def finish_with(age: float | None, *, since: float) -> Result:
        monkeypatch.setattr(erase, "_check_ready", lambda *_: time.time() - since)
        report_ages(monkeypatch, lambda name: age if name == "ApproximateAgeOfOldestMessage" else None)
        return world.erase("finish", "--yes")

    for age, since in ((None, 7200.0), (7200.0 - 60, 7200.0), (60.0, 4000.0)):
        problem = str(finish_with(age, since=since).exception)
        assert f"1 messages are in the queue shop-feed-database of {REGION}" in problem
    let_time_pass(world, monkeypatch)
    started = time.time()
    assert finish_with(60.0, since=7200.0).exit_code == 0
    minutes = (time.time() - started) / 60
    assert 2 * 16 <= minutes <= 2 * 18, "after each step until the oldest message is younger than the step"


def test_a_finish_that_goes_on_waits_for_the_deletes_of_the_run_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_with_one_item(world)
    write_late(world)
    world.behind = {"feed"}
    monkeypatch.setattr(erase, "HANDLED_TRIES", 3)
    monkeypatch.setattr(erase, "_check_ready", lambda *_: time.time() - 7200)
    report_ages(monkeypatch, lambda name: 60.0 if name == "ApproximateAgeOfOldestMessage" else None)
    for _ in range(2):
        result = world.erase("finish", "--yes")
        assert result.exit_code == 1 and "messages are in the queue shop-feed-database" in str(result.exception)
        assert "this command again" in str(result.exception)
    assert f"item/profiles/{world.user}/late" in world.rows(), "`feed` needs the tombstone"
    world.behind = set()
    result = world.erase("finish", "--yes")
    assert result.exit_code == 0, result.exception
    world.pump()
    assert world.traces() == []


def test_a_finish_that_was_killed_after_its_deletes_waits_for_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run is killed before it can save when it has deleted the last item."""
    begin_with_one_item(world)
    write_late(world)
    delete_items = erase_items.delete_items

    def killed(*arguments: Any) -> int:
        delete_items(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(erase, "delete_items", killed)
        assert world.erase("finish", "--yes").exit_code == 1
    monkeypatch.setattr(waiting_changes, "READ_SECONDS", 300.0)
    let_time_pass(world, monkeypatch)
    killed_at = time.time()
    monkeypatch.setattr(erase, "_erase_log", lambda *_: (_ for _ in ()).throw(CommandError(f"{time.time()}")))
    result = world.erase("finish", "--yes")
    assert float(str(result.exception)) - killed_at >= 300


def test_the_tombstones_stay_until_the_database_has_no_living_row(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQS may count a message late. Without the tombstone, `feed` would leave the row of the database as it is."""
    begin_with_one_item(world)
    write_late(world)
    world.behind = {"feed"}
    monkeypatch.setattr(erase, "count_messages", lambda *_: 0)
    monkeypatch.setattr(erase, "HANDLED_TRIES", 3)
    result = world.erase("finish", "--yes")
    assert result.exit_code == 1 and f"The database in {REGION} still has 1 items" in str(result.exception)
    world.behind = set()
    result = world.erase("finish", "--yes")
    assert result.exit_code == 0, result.exception
    world.pump()
    assert world.traces() == []


def test_publish_may_be_behind_and_still_leaves_no_marker(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 makes a marker with the user's name for each delete, also for that of a document that isn't there."""
    begin_with_one_item(world)
    erase_rows, wait, waits = erase_items.erase_rows, Job.wait, 0

    def falling_behind(*arguments: Any) -> Counter[str]:
        world.behind = {"publish"}
        return erase_rows(*arguments)

    def catching_up(job: Job, seconds: float) -> None:
        nonlocal waits
        waits += seconds == erase.HANDLED_SECONDS and "publish" in world.behind
        if waits == 5:
            world.behind = set()
        wait(job, seconds)

    monkeypatch.setattr(erase, "erase_rows", falling_behind)
    monkeypatch.setattr(Job, "wait", catching_up)
    report_ages(monkeypatch, lambda name: 600_000.0 if world.behind and name == "IteratorAge" else None)
    result = world.erase("finish", "--yes")
    assert result.exit_code == 0, result.exception
    world.behind = set()
    world.pump()
    assert waits == 5 and world.traces() == []


def test_a_publish_that_is_switched_off_is_awaited(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """CloudWatch then has no metric that says so. Its markers would come when it is switched on again."""
    begin_with_one_item(world)
    world.behind, world.mapping = {"publish"}, "Disabled"
    monkeypatch.setattr(erase, "HANDLED_TRIES", 3)
    result = world.erase("finish", "--yes")
    assert result.exit_code == 1
    assert f"In {REGION}, publish doesn't read table/items: its event source mapping is Disabled." in str(
        result.exception
    )
    world.behind, world.mapping = set(), "Enabled"
    assert world.erase("finish", "--yes").exit_code == 0
    world.pump()
    assert world.traces() == []


@pytest.mark.parametrize(("step", "function"), [("items", "delete_items"), ("table", "erase_rows")])
def test_a_run_that_ends_within_a_write_forgets_the_time_of_the_write_before(
    world: World, monkeypatch: pytest.MonkeyPatch, step: str, function: str
) -> None:
    """The first run waits in vain, the second writes and is killed. So the third waits for the writes of the second."""
    begin_with_one_item(world)
    wait_until_handled, write = erase._wait_until_handled, getattr(erase, function)

    def in_vain(target: Target, owner: str, job: Job, position: Any, *, wrote: bool) -> None:
        if position["step"] == step:
            job.advance({"step": step, "since": 1.0})
            raise CommandError("no")
        wait_until_handled(target, owner, job, position, wrote=wrote)

    def killed(*arguments: Any) -> Any:
        write(*arguments)
        raise KeyboardInterrupt

    for name, stand_in in (("_wait_until_handled", in_vain), (function, killed)):
        with monkeypatch.context() as patch:
            patch.setattr(erase, name, stand_in)
            assert world.erase("finish", "--yes").exit_code == 1
    (key,) = [key for key in world.keys("log", "config/jobs/") if "finish" in key]
    state = json.loads(client("s3").get_object(Bucket="log", Key=key)["Body"].read())
    assert state["position"] == {"step": step}


def test_finish_asks_for_the_collections_before_it_changes_anything(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_with_one_item(world)
    before, jobs = world.traces(), world.keys("log", "config/jobs/")

    def refuse(target: Target) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetFunctionConfiguration")

    monkeypatch.setattr(erase_log, "declared_collections", refuse)
    result = world.erase("finish", "--yes")
    assert result.exit_code == 1 and "AWS refused GetFunctionConfiguration" in str(result.exception)
    assert (world.traces(), world.keys("log", "config/jobs/")) == (before, jobs)


def test_what_an_interrupted_finish_has_left_is_removed_by_that_of_another_user(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, carol = now_ms(), world.user
    changes = [change("me", ms=now, collection="profiles", owner=user) for user in (carol, BOB)]
    world.deliver(*changes)
    world.user = BOB
    assert world.erase("begin", "--yes").exit_code == 0
    world.pump()

    def interrupted(log: erase_log.UserInLog, key: str, content: bytes, former: ObjectVersion) -> None:
        client("s3").put_object(Bucket="log", Key=f"{erase_log.SCRATCH}0123", Body=content)
        raise CommandError("AWS is down")

    with monkeypatch.context() as patch:
        patch.setattr(erase_log.UserInLog, "_write", interrupted)
        assert "AWS is down" in str(world.erase("finish", "--yes").exception)
    world.user = carol
    assert world.erase("begin", "--yes").exit_code == 0
    world.pump()
    counted = json.loads(world.erase("finish", "--json").output)["counts"]
    result = world.erase("finish", "--yes")
    assert result.exit_code == 0, result.exception
    world.pump()
    assert world.traces() == []
    client("s3").put_object(Bucket="log", Key=f"{erase_log.SCRATCH}0123", Body=gzip.compress(changes[0].line()))
    again = json.loads(world.erase("finish", "--json").output)["counts"]
    assert (counted["log_object_versions"], again["log_object_versions"]) == (3, 1)


def test_the_result_says_what_ages_out(world: World) -> None:
    begin_with_one_item(world)
    days = {f"{datetime.now(UTC) + timedelta(days=35):%Y-%m-%d}"}
    result = json.loads(world.erase("finish", "--yes", "--json").stdout.splitlines()[-1])
    days.add(f"{datetime.now(UTC) + timedelta(days=35):%Y-%m-%d}")
    assert result["outcome"] == "done"
    until = {entry["where"]: entry["until"] for entry in result["ages_out"]}
    assert until["entries of the item cache"] and until["keys in messages that `feed` fails to handle"]
    assert until["point-in-time backups of the items table"] in days


def test_begin_counts_right_after_a_failure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_little(world)
    world.deliver(change("two", ms=now_ms(), collection="profiles", owner=world.user), key="log/two.gz")
    apply, calls = erase_items._apply_deletes, 0

    def failing(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise CommandError("no")
        apply(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(erase_items, "DELETES", 1)
        patch.setattr(erase_items, "_apply_deletes", failing)
        assert world.erase("begin", "--yes").exit_code == 1
    world.pump()
    counts = json.loads(world.erase("begin", "--yes", "--json").stdout.splitlines()[-1])["counts"]
    assert (counts["users_disabled"], counts["items_deleted"]) == (1, 2)
