"""Test the commands `rebuild items` on a test stack in moto, from `begin` to `end`, and what they refuse."""

import functools
import gzip
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from click.testing import CliRunner, Result

from ops.cli import rebuild_items, rebuild_state
from ops.cli.collection_stores import LiveFunction
from ops.cli.items_differences import ComparedPage, Findings, Side, TableComparison
from ops.cli.items_fill import Bounds, Fill, FilledItems
from ops.cli.items_poison import digest_of
from ops.cli.main import main
from ops.cli.source_moves import EVERYTHING, Move, carry_out
from ops.cli.target import RegionalStack, Target
from ops.jobs import Job, JobState, Outcome
from readplane.apply.tally import DynamoCountedObjects
from readplane.aws.boto import BotoClient
from readplane.clock import now_ms
from readplane.model.change import Change
from readplane.model.freshness import NEVER_POLLED
from readplane.model.keys import source_key, switch_key
from readplane.model.timestamp import rfc3339
from readplane.poll.checkpoint import Position
from readplane.poll.sourced_items import DynamoSourcedItems
from readplane.stores.items import ApplyOutcome, DynamoItems
from tests.fakes.moto_aws import REGION, Aws
from tests.unit.ops.cli.support import OUTPUTS, kill_job_at, objects, quarantine_line
from tests.unit.support import ALICE, NOW_MS, change, version_at

REPLICA = "eu-west-1"
LIVE, BUILDING = "shop-items", "shop-items-2"
PARAMETER = "/readplane/shop/rebuild"
COLLECTIONS = {"products": {"read": "public"}, "profiles": {"read": "owner"}}


_make: Any = boto3.client


@functools.cache
def client(service: str, region: str | None = None) -> Any:
    return _make(service, region_name=region or REGION)


class World:
    """A stack whose live functions and outputs are as if Terraform had applied `items`.

    replica: whether the stack has a replica Region
    stale: the functions whose last version Terraform hasn't reached
    missing: the functions that the stack doesn't have
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "outputs.json"
        self.replica = False
        self.stale: set[str] = set()
        self.missing = {"poll", "feed", "query"}
        self.outputs: dict[str, Any] = {}
        self.create_region(REGION, "log")
        self.create_table(LIVE)
        self.apply(live=1)

    def create_region(self, region: str, log: str) -> None:
        client("s3", region).create_bucket(Bucket=log, CreateBucketConfiguration={"LocationConstraint": region})
        attributes = {
            "VisibilityTimeout": "360",
            "RedrivePolicy": json.dumps(
                {
                    "deadLetterTargetArn": f"arn:aws:sqs:{region}:123456789012:shop-apply-dead-letters",
                    "maxReceiveCount": 30,
                }
            ),
        }
        client("sqs", region).create_queue(QueueName="shop-apply-dead-letters")
        client("sqs", region).create_queue(QueueName="shop-apply", Attributes=attributes)

    def create_table(self, name: str, region: str = REGION) -> None:
        client("dynamodb", region).create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def add_replica(self) -> None:
        self.create_region(REPLICA, "replica-log")
        self.create_table(LIVE, REPLICA)
        self.replica = True

    def apply(self, live: int, building: int | None = None, former: int | None = None) -> None:
        """Do what Terraform does."""
        second = building or former
        names = {1: LIVE, 2: BUILDING}
        self.live, self.second = names[live], names.get(second or 0)
        self.follows = former is not None
        for name in names.values():
            for region in (REGION, REPLICA) if self.replica else (REGION,):
                exists = name in client("dynamodb", region).list_tables()["TableNames"]
                if name == self.second and not exists:
                    self.create_table(name, region)
                elif exists and name not in (self.live, self.second):
                    client("dynamodb", region).delete_table(TableName=name)
        self.outputs = OUTPUTS | {
            "items_table": self.live,
            "second_items_table": self.second,
            "items_generations": {"live": live, "building": building, "former": former},
        }
        if self.replica:
            self.outputs |= {
                "replica_region": REPLICA,
                "replica_write_log_bucket": "replica-log",
                "replica_documents_bucket": "replica-documents",
            }
        self.write_outputs()

    def write_outputs(self) -> None:
        self._file.write_text(json.dumps({name: {"value": value} for name, value in self.outputs.items()}))

    @property
    def target(self) -> Target:
        return Target(self.outputs)

    def live_function(self, target: Target, stack: RegionalStack, function: str, alias: str = "live") -> LiveFunction:
        if function in self.missing:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetFunctionConfiguration")
        settings: dict[str, Any] = {
            "name": "shop",
            "items_table": "other" if function in self.stale else self.live,
            "queue_url": "queue",
            "log_bucket": stack.log_bucket,
            "quarantine_prefix": "quarantine/",
            "horizon_days": 30,
            "collections": COLLECTIONS,
        }
        if self.second and function in rebuild_state.SECOND_WRITERS:
            settings["second_table"] = self.second
        if function == "publish":
            settings["follows_second"] = self.follows
        return LiveFunction(settings, 0, 0)

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(main, ["--outputs", str(self._file), "rebuild", "items", *words])

    def ok(self, *words: str) -> str:
        result = self.run(*words)
        assert result.exit_code == 0, (result.output, result.exception)
        return result.output

    def refused(self, *words: str) -> str:
        result = self.run(*words)
        assert result.exit_code == 1, result.output
        assert type(result.exception).__name__ in ("CommandError", "JobTakenError"), repr(result.exception)
        return str(result.exception)

    def log(self, name: str, *lines: Change | bytes, bucket: str = "log", region: str = REGION) -> None:
        body = b"".join(line.line() if isinstance(line, Change) else line for line in lines)
        client("s3", region).put_object(Bucket=bucket, Key=name, Body=gzip.compress(body))

    def items(self, table: str, region: str = REGION) -> DynamoItems:
        return DynamoItems(BotoClient("dynamodb", region=region), table, horizon_ms=10**12)

    def rows(self, table: str, region: str = REGION) -> dict[str, Any]:
        return {row["pk"]["S"]: row for row in client("dynamodb", region).scan(TableName=table)["Items"]}

    def write(self, *changes: Change) -> None:
        """Do what `apply` does with changes from now on."""
        for each in changes:
            for name in filter(None, (self.live, self.second)):
                self.items(name).apply(each)

    def verified(self) -> Any:
        names = [PARAMETER]
        found = client("ssm").get_parameters(Names=names)["Parameters"]
        return json.loads(found[0]["Value"]) if found else None


def apply_all(self: FilledItems, changes: Sequence[Change]) -> Counter[ApplyOutcome]:
    """Apply changes one by one, because moto doesn't know the statements for many."""
    return Counter(map(self.apply, changes))


@pytest.fixture
def world(aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    # The commands make clients for each run, which takes 50 ms each.
    monkeypatch.setattr(boto3, "client", lambda service, region_name=None, config=None: client(service, region_name))
    world = World(tmp_path)
    monkeypatch.setattr(rebuild_state, "live_function", world.live_function)
    monkeypatch.setattr(rebuild_items, "live_function", world.live_function)
    monkeypatch.setattr("ops.cli.collection_stores.live_function", world.live_function)
    monkeypatch.setattr(rebuild_items, "LOGGED_SECONDS", 0.0)
    monkeypatch.setattr("ops.cli.items_differences.CONFIRM_SECONDS", 0.0)
    monkeypatch.setattr(FilledItems, "apply_all", apply_all)
    return world


@pytest.fixture
def filled(world: World) -> World:
    """Return a stack whose building table is filled from three changes."""
    for number in range(3):
        world.items(LIVE).apply(change(f"p-{number}"))
    world.log("log/import/x-1/1.gz", *(change(f"p-{number}") for number in range(3)))
    world.apply(live=1, building=2)
    world.ok("begin", "--yes")
    world.ok("fill", "--yes")
    return world


def test_a_rebuild_from_its_beginning_to_its_end(world: World) -> None:
    old = change("p-1", ms=NOW_MS - 900 * 86_400_000)
    gone = change("p-2", data=None, ms=NOW_MS - 800 * 86_400_000)
    world.log("log/redrive/a.gz", old, change("p-2", ms=NOW_MS - 850 * 86_400_000), change("p-3"))
    world.log("stream/a.gz", change("x", source="products"), gone)
    for each in (old, change("p-3"), change("x", source="products")):
        world.items(LIVE).apply(each)
    assert "Set items = { live = 1, building = 2 } and run terraform apply" in world.ok("begin")
    assert objects("config/") == []
    world.apply(live=1, building=2)
    assert "Record it: --yes" in world.ok("begin")
    assert "Next: rebuild items fill" in world.ok("begin", "--yes")
    assert json.loads(world.ok("begin", "--json"))["done"] is True
    world.write(change("p-4", ms=NOW_MS + 5))
    assert "Nothing was changed" in world.ok("fill")
    assert world.rows(BUILDING).keys() == {"item/products/p-4"}
    assert "Next: rebuild items verify" in world.ok("fill", "--yes")
    living = {key: row["version"] for key, row in world.rows(BUILDING).items() if "data" in row}
    assert living == {key: row["version"] for key, row in world.rows(LIVE).items()}
    assert "expires_at" in world.rows(BUILDING)[gone.key]
    assert "Would read shop-items and shop-items-2 twice" in world.ok("verify")
    assert world.verified() is None
    assert "holds every item of the live table" in world.ok("verify", "--yes")
    assert world.verified() == {"verified": 2}
    assert "Would copy" in world.ok("switch")
    assert "Set items = { live = 2, former = 1 }" in world.ok("switch", "--yes")
    world.apply(live=2, former=1)
    assert "shop-items-2 is live in every Region" in world.ok("switch")
    world.ok("switch", "--yes")
    world.write(change("p-5"))
    assert "so the way back is safe" in world.ok("verify", "--yes")
    assert "Set items = { live = 1, former = 2 }" in world.ok("back", "--yes")
    world.apply(live=1, former=2)
    assert "shop-items is live in every Region" in world.ok("back", "--yes")
    assert "Set items = { live = 2, former = 1 }" in world.ok("switch", "--yes")
    world.apply(live=2, former=1)
    output = world.ok("end")
    assert "Set items = { live = 2 }" in output and "It deletes shop-items, and there is no way back" in output
    world.apply(live=2)
    assert "--yes removes" in world.ok("end")
    assert world.verified() == {"verified": 2}
    assert "Done. shop-items-2 is the only items table." in world.ok("end", "--yes")
    assert world.verified() is None
    assert [key for key in objects("config/jobs/") if "begun" in key or "filled" in key] == []
    audits = Counter(json.loads(_body(key))["command"] for key in objects("config/audit/"))
    assert audits.keys() >= {f"rebuild items {step}" for step in ("begin", "fill", "verify", "switch", "back", "end")}


def _body(key: str) -> bytes:
    body: bytes = client("s3").get_object(Bucket="log", Key=key)["Body"].read()
    return body


NO_SECOND = "Set items = { live = 1, building = 2 } and run terraform apply"


def test_a_step_without_a_second_table_says_how_to_begin(world: World) -> None:
    for step in ("fill", "verify", "switch", "back"):
        assert NO_SECOND in world.refused(step, "--yes")
    del world.outputs["items_generations"], world.outputs["second_items_table"]  # a stack of an older release
    world.write_outputs()
    assert NO_SECOND in world.refused("fill")


def test_a_step_that_comes_too_early_names_the_one_before(world: World) -> None:
    world.apply(live=1, building=2)
    assert "isn't begun. Run `ops/readplane rebuild items begin --yes` first" in world.refused("fill")
    world.ok("begin", "--yes")
    assert "isn't filled" in world.refused("verify")
    assert "isn't verified" in world.refused("switch")
    assert "has never been live" in world.refused("back")
    world.ok("fill", "--yes")
    assert "isn't verified" in world.refused("switch", "--yes")


def test_a_step_after_the_switch_that_no_longer_fits_is_refused(filled: World) -> None:
    filled.apply(live=2, former=1)
    assert "there is nothing to fill" in filled.refused("fill", "--yes")
    assert "The last rebuild isn't ended" in filled.refused("begin")


def test_an_apply_that_has_stopped_halfway_is_refused(world: World) -> None:
    world.apply(live=1, building=2)
    world.missing = set()
    for function in ("apply", "apply-stream", "publish", "read", "write", "poll", "feed", "query"):
        world.stale = {function}
        assert f"{function} in {REGION} doesn't use shop-items yet" in world.refused("begin", "--yes")
    world.stale = set()
    world.second = None
    assert "apply in eu-central-1 doesn't know shop-items-2" in world.refused("begin", "--yes")


def test_the_aliases_of_codedeploy_are_checked_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.apply(live=1, building=2)
    world.outputs["deployments"] = {REGION: {"functions": {"read": {"name": "shop-read", "alias": "released"}}}}
    world.write_outputs()

    def live_function(target: Target, stack: RegionalStack, function: str, alias: str) -> LiveFunction:
        found = world.live_function(target, stack, function)
        return found._replace(settings={**found.settings, "items_table": "old"}) if alias == "released" else found

    monkeypatch.setattr(rebuild_state, "live_function", live_function)
    assert "read in eu-central-1 doesn't use shop-items yet" in world.refused("begin", "--yes")


def test_begin_refuses_a_table_that_is_there_unless_it_was_restored(world: World) -> None:
    world.add_replica()
    world.apply(live=1)
    world.create_table(BUILDING, REPLICA)
    assert "say --restored" in world.refused("begin")
    assert "There is no table shop-items-2 in eu-central-1. Restore" in world.refused("begin", "--restored")
    world.create_table(BUILDING)
    assert "say --restored" in world.refused("begin")
    assert "Set items = { live = 1, building = 2 }, import the table" in world.ok("begin", "--restored")


def test_begin_does_not_go_on_with_the_result_of_an_earlier_rebuild(world: World) -> None:
    client("ssm").put_parameter(Name=PARAMETER, Value='{"verified": 2}', Type="String")
    output = world.ok("begin")
    assert "The result of an earlier rebuild is left. --yes deletes it." in output and "Set items" not in output
    assert NO_SECOND in world.ok("begin", "--yes")
    assert world.verified() is None


def test_records_do_not_count_for_a_later_table_with_the_same_name(filled: World) -> None:
    filled.apply(live=1)
    filled.apply(live=1, building=2)
    assert "isn't begun" in filled.refused("fill")
    filled.ok("begin", "--yes")
    assert "isn't filled" in filled.refused("verify")


def test_the_fill_reads_the_logs_of_both_regions_and_verify_compares_both(world: World) -> None:
    world.add_replica()
    world.log("log/redrive/a.gz", change("p-1"))
    world.log("log/redrive/a.gz", change("p-1", ms=NOW_MS + 1), change("p-2"), bucket="replica-log", region=REPLICA)
    for region in (REGION, REPLICA):
        for each in (change("p-1", ms=NOW_MS + 1), change("p-2")):
            world.items(LIVE, region).apply(each)
    world.apply(live=1, building=2)
    world.ok("begin", "--yes")
    result = json.loads(world.run("fill", "--yes", "--json").stdout)
    assert result["counts"]["objects"] == 4, "each object is read again in the second walk"
    assert {key: row["version"] for key, row in world.rows(BUILDING).items()} == {
        key: row["version"] for key, row in world.rows(LIVE).items()
    }
    result = world.run("verify", "--yes", "--json")  # moto doesn't replicate
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert (found["complete"], found["counts"]["differences"]) == (False, 2)
    assert {(entry["region"], entry["kind"]) for entry in found["differences"]} == {(REPLICA, "missing")}
    assert world.verified() is None


def test_poison_stops_the_fill_until_it_is_known_or_quarantined(world: World) -> None:
    poison = b"quarantined nonsense\n"
    digest = digest_of(poison, "").hex()
    client("s3").put_object(Bucket="log", Key=f"quarantine/unparsable/{digest}.json", Body=b"{}")
    world.log("log/redrive/a.gz", poison, b"nonsense\n", change("p-1", collection="shoes"), change("p-2"))
    world.apply(live=1, building=2)
    world.ok("begin", "--yes")
    assert "log/redrive/a.gz:2 in eu-central-1 can't be applied" in world.refused("fill", "--yes")
    assert "products is declared, so its items can't be left out" in world.refused(
        "fill", "--without-collection", "products"
    )
    world.ok("fill", "--yes", "--quarantine", "--without-collection", "shoes")
    assert len(objects("quarantine/unparsable/")) == 2
    assert objects("quarantine/unknown_collection/") == []
    assert "item/products/p-2" in world.rows(BUILDING)
    assert "left out 2" in world.ok("fill", "--yes", "--without-collection", "shoes")
    world.ok("fill", "--yes", "--quarantine")
    assert len(objects("quarantine/unknown_collection/")) == 1
    markers = [key for key in world.rows(LIVE) if key.startswith("quarantine/")]
    assert markers == [key for key in world.rows(BUILDING) if key.startswith("quarantine/")] != []


def test_a_restored_table_needs_only_the_log_since_its_time(world: World) -> None:
    hour = f"{datetime.now(UTC):year=%Y/month=%m/day=%d/hour=%H}"
    old = change("p-0", ms=now_ms() - 99 * 86_400_000)
    world.log("log/year=2025/month=01/day=01/hour=00/a.gz", b"nonsense\n")
    world.log("log/redrive/2025-01-01/b", old)  # `erase finish` has written it again
    client("s3").put_object(Bucket="log", Key=f"log/{hour}/b", Body=change("p-2", ms=now_ms()).line())
    client("dynamodb").restore_table_to_point_in_time(SourceTableName=LIVE, TargetTableName=BUILDING)
    assert "Then run this with --restored --yes" in world.ok("begin", "--restored")
    world.apply(live=1, building=2)
    assert "rebuild items fill --from TIME --yes" in world.ok("begin", "--yes"), "DynamoDB says that it was restored"
    start = rfc3339(now_ms() - 60_000)
    assert "--from must be in the past" in world.refused("fill", "--from", rfc3339(now_ms() + 60_000))
    assert world.run("fill", "--from", "yesterday").exit_code == 2
    assert world.run("fill", "--from", start, "--whole").exit_code == 2
    assert "or say --whole" in world.refused("fill", "--yes")
    plan = json.loads(world.ok("fill", "--json", "--from", start))
    assert [part["objects"] for part in plan["parts"]] == [2, 0]
    assert "expired 2" in world.ok("fill", "--yes", "--from", start)
    assert world.rows(BUILDING).keys() == {"item/products/p-2"}
    world.ok("fill", "--yes", "--whole", "--quarantine")
    assert world.rows(BUILDING).keys() >= {"item/products/p-2", old.key}


def test_a_table_that_was_not_restored_takes_the_whole_log(world: World) -> None:
    world.apply(live=1, building=2)
    world.ok("begin", "--yes")
    start = rfc3339(now_ms() - 60_000)
    assert "shop-items-2 needs the whole log" in world.refused("fill", "--yes", "--from", start)
    assert "Record it: --restored --yes" in world.ok("begin", "--restored")
    assert "shop-items-2 needs the whole log" in world.refused("fill", "--yes", "--from", start)
    world.ok("begin", "--restored", "--yes")
    world.ok("fill", "--yes", "--from", start)
    assert "rebuild items fill --from TIME --yes" in world.ok("begin"), "the record stays"


def put_job(command: str, outcome: Outcome) -> None:
    """Write the state of another operator's job."""
    state = JobState(
        command, {"owner_sha256": "8a1f"}, None, {}, "arn:other", "r", "then", "2026-01-02T03:04:05Z", 1, outcome
    )
    key = f"config/jobs/{command.replace(' ', '-')}-0123.json"
    client("s3").put_object(Bucket="log", Key=key, Body=json.dumps(state._asdict()))


def test_begin_names_the_users_that_a_backup_may_bring_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.create_table(BUILDING)
    assert json.loads(world.ok("begin", "--restored", "--json"))["erased"] == []
    put_job("erase finish", "done")
    output = world.ok("begin", "--restored")
    assert "8a1f" in output and "run erase begin and erase finish for these users again" in output
    (erased,) = json.loads(world.ok("begin", "--restored", "--json"))["erased"]
    assert erased["owner_sha256"] == "8a1f" and erased["ended_at"][:10] == f"{datetime.now(UTC):%Y-%m-%d}"
    world.apply(live=1, building=2)
    assert "8a1f" in world.ok("begin", "--restored", "--yes")
    monkeypatch.setattr(rebuild_state, "BACKUP_SECONDS", -1.0)
    assert "8a1f" not in world.ok("begin", "--restored")


@pytest.mark.parametrize("command", ["erase begin", "erase finish"])
def test_no_rebuild_while_a_user_is_being_erased(world: World, command: str) -> None:
    put_job(command, "stopped")
    assert f"An `{command}` isn't done (arn:other" in world.refused("begin")
    world.apply(live=1, building=2)
    assert "Give the rebuild up" in world.refused("begin", "--yes")
    put_job(command, "done")
    world.ok("begin", "--yes")
    put_job(command, "running")
    assert "config/jobs/" in world.refused("fill", "--yes")
    put_job(command, "done")
    world.ok("fill", "--yes")


def test_a_fill_is_not_resumed_once_its_tombstones_may_be_gone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.log("log/redrive/a.gz", change("p-1"))
    world.apply(live=1, building=2)
    world.ok("begin", "--yes")
    with monkeypatch.context() as patch:
        kill_job_at(1, patch)
        assert world.run("fill", "--yes").exit_code != 0
    (key,) = (key for key in objects("config/jobs/") if "fill-" in key)
    started_at = rfc3339(now_ms() - 31 * 86_400_000)
    state = json.loads(_body(key)) | {"started_at": started_at}
    client("s3").put_object(Bucket="log", Key=key, Body=json.dumps(state))
    assert f"This fill began {started_at}" in world.refused("fill", "--yes")
    assert f"This fill began {started_at}" in world.refused("fill"), "before it begins"
    with monkeypatch.context() as patch:  # a fill that has run for so long
        patch.setattr(Job, "started_ms", now_ms() - 31 * 86_400_000)
        assert "Begin anew: --restart" in world.refused("fill", "--yes", "--restart")
    assert "isn't filled" in world.refused("verify")
    world.ok("fill", "--yes", "--restart")


def test_the_fill_waits_until_everything_from_before_begin_is_in_the_log(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.apply(live=1, building=2)
    world.ok("begin", "--yes")
    ages = [100.0, 700.0, 1199.0, 1201.0]
    waits: list[float] = []
    monkeypatch.setattr(rebuild_items, "LOGGED_SECONDS", 1200.0)
    monkeypatch.setattr(
        rebuild_items, "require_begun", lambda *_: rebuild_state.Record("", ages.pop(0) if waits else 1)
    )

    def wait(self: Job, seconds: float) -> None:
        waits.append(seconds)
        world.log("log/redrive/late.gz", change("late"))

    monkeypatch.setattr(Job, "wait", wait)
    result = world.run("fill", "--yes")
    assert result.exit_code == 0
    assert waits[:4] == [30, 30, 30, 1]
    assert "waits 1100 s, until everything from before `begin` is in the log" in result.stderr
    assert "item/products/late" in world.rows(BUILDING)


def test_a_killed_fill_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        world.log(f"log/redrive/{number}.gz", change(f"p-{number}"))
    world.apply(live=1, building=2)
    world.ok("begin", "--yes")
    monkeypatch.setattr(rebuild_items, "Fill", functools.partial(Fill, bounds=Bounds(1, 10)))
    with monkeypatch.context() as patch:
        kill_job_at(4, patch)
        assert world.run("fill", "--yes").exit_code != 0
    assert len(world.rows(BUILDING)) == 4
    result = world.run("fill", "--yes")
    assert "goes on with the job" in result.stderr
    assert "walk 1 of 2: 3 objects" in result.stderr, "three objects are done"
    assert len(world.rows(BUILDING)) == 6


def test_no_verify_and_no_switch_while_a_second_fill_is_unfinished(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.ok("verify", "--yes")
    with monkeypatch.context() as patch:
        kill_job_at(1, patch)
        assert filled.run("fill", "--yes", "--restart").exit_code != 0
    assert filled.verified() is None
    assert "isn't filled" in filled.refused("verify", "--yes")
    assert "isn't verified" in filled.refused("switch", "--yes")
    filled.ok("fill", "--yes")
    filled.ok("verify", "--yes")
    filled.ok("switch")


def test_a_second_operator_is_refused(filled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Job, "end", lambda *_: None)  # the job seems to run
        filled.run("verify", "--yes")
    assert "runs this job since" in filled.refused("verify", "--yes")
    assert "holds every item" in filled.ok("verify", "--yes", "--take-over")


def test_a_missing_right_is_one_sentence(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "secret"}}, "ListObjectsV2")

    monkeypatch.setattr(rebuild_items, "_check_logs", refuse)
    assert world.refused("begin") == (
        "AWS refused ListObjectsV2: AccessDenied. Does this operator have the permission (docs/operate.md)?"
    )


def test_verify_counts_what_is_newer_or_extra_and_finds_what_is_missing_or_older(filled: World) -> None:
    live, second = filled.items(LIVE), filled.items(BUILDING)
    second.apply(change("p-0", ms=NOW_MS + 9))
    second.apply(change("extra"))
    second.apply(change("tombstone", data=None))
    live.apply(change("old", data=None, ms=now_ms() - 32 * 86_400_000))
    deleted = change("deleted", data=None, ms=now_ms() - 29 * 86_400_000)
    live.apply(deleted)
    live.apply(change("me", collection="profiles", owner=ALICE))
    live.apply(change("p-1", ms=NOW_MS + 1))
    result = filled.run("verify", "--yes", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert sorted((entry["kind"], entry["key"], entry["live"], entry["second"]) for entry in found["differences"]) == [
        ("missing", "item/products/deleted", deleted.version, ""),
        ("missing", f"item/profiles/{ALICE}/me", version_at(NOW_MS), ""),
        ("older", "item/products/p-1", version_at(NOW_MS + 1), version_at(NOW_MS)),
    ]
    counts = found["counts"]
    assert (counts["newer"], counts["extra"], counts["tombstone"], counts["differences"]) == (1, 1, 1, 3)
    output = filled.run("verify", "--yes")
    assert output.exit_code == 1 and "isn't complete. Next: rebuild items fill --yes" in output.output
    for each in (deleted, change("p-1", ms=NOW_MS + 1), change("me", collection="profiles", owner=ALICE)):
        second.apply(each)
    filled.ok("verify", "--yes")
    assert filled.verified() == {"verified": 2}


@pytest.mark.parametrize("moment", ["mended", "ahead", "changed", "missing"])
def test_a_difference_counts_if_the_version_of_the_first_look_is_still_lacking_at_the_second_one(
    filled: World, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """An item that changes all the time is a difference, too, if the second table gets none of its changes."""
    filled.items(LIVE).apply(change("p-1", ms=NOW_MS + 1))
    waits: list[float] = []
    monkeypatch.setattr("ops.cli.items_differences.CONFIRM_SECONDS", 10.0)

    if moment == "missing":
        client("dynamodb").delete_item(TableName=BUILDING, Key={"pk": {"S": "item/products/p-1"}})

    def wait(self: Job, seconds: float) -> None:
        waits.append(seconds)
        if moment in ("mended", "ahead"):
            filled.items(BUILDING).apply(change("p-1", ms=NOW_MS + 1))
        if moment != "mended":
            filled.items(LIVE).apply(change("p-1", ms=NOW_MS + 2))

    monkeypatch.setattr(Job, "wait", wait)
    result = json.loads(filled.run("verify", "--yes", "--json").stdout)
    is_lacking = moment in ("changed", "missing")
    assert result["complete"] == (not is_lacking)
    assert result["counts"].get("changing", 0) == (not is_lacking)
    assert [entry["live"] for entry in result["differences"]] == [version_at(NOW_MS + 2)] * is_lacking
    assert len(waits) == 1 and 9 < waits[0] <= 10


def test_verify_goes_on_after_it_was_killed(filled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.cli.items_differences.PAGE", 1)
    for each in range(5):
        filled.write(change(f"q-{each}"))
    with monkeypatch.context() as patch:
        kill_job_at(4, patch)
        assert filled.run("verify", "--yes").exit_code != 0
    sides: list[str | None] = []
    pages = TableComparison.pages

    def note(self: TableComparison, side: Side, after: str | None) -> Iterator[ComparedPage]:
        sides.append(after)
        return pages(self, side, after)

    monkeypatch.setattr(TableComparison, "pages", note)
    result = json.loads(filled.run("verify", "--yes", "--json").stdout)
    assert (result["complete"], result["counts"]["items"], len(sides)) == (True, 8, 2)
    assert sides[0] is not None


def test_an_interrupted_verify_shows_what_it_found_and_begins_anew_after_a_fill(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.cli.items_differences.PAGE", 1)
    filled.items(LIVE).apply(change("a"))
    filled.items(BUILDING).apply(change("b"))

    def kill(on_side: Side) -> None:
        """Kill a verify after the first page that finds something on a side."""
        advance = Job.advance

        def advance_once(self: Job, position: Any, **counts: int) -> None:
            advance(self, position, **counts)
            if position["at"][1] == on_side and counts.keys() & {"differences", "extra"}:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Job, "advance", advance_once)
            assert filled.run("verify", "--yes").exit_code != 0

    kill("live")
    kill("second")
    result = json.loads(filled.run("verify", "--yes", "--json").stdout)
    assert [entry["key"] for entry in result["differences"]] == ["item/products/a"]
    assert [entry["key"] for entry in result["extra"]] == ["item/products/b"]
    kill("live")
    filled.items(BUILDING).apply(change("a"))
    record = rebuild_state.Record("", 0, "2026-01-02T03:04:06+00:00")
    monkeypatch.setattr(rebuild_items, "read_record", lambda *_: record)  # a later fill
    result = json.loads(filled.ok("verify", "--yes", "--json"))
    assert (result["complete"], result["counts"]["items"]) == (True, 4)


@pytest.mark.parametrize("hours", [23, 25])
def test_an_interrupted_verify_begins_anew_after_a_day(
    filled: World, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """What it has compared by then may have missed changes since, and `switch` believes a result of the last day."""
    monkeypatch.setattr("ops.cli.items_differences.PAGE", 1)
    filled.write(change("p-3"))
    with monkeypatch.context() as patch:
        kill_job_at(2, patch)
        assert filled.run("verify", "--yes").exit_code != 0
    (key,) = (key for key in objects("config/jobs/") if "verify-" in key)
    state = json.loads(_body(key)) | {"started_at": rfc3339(now_ms() - hours * 3_600_000)}
    assert state["position"]["at"][:2] == [REGION, "live"] and state["counts"] == {"items": 1}
    done = state["position"]["at"][2]
    client("s3").put_object(Bucket="log", Key=key, Body=json.dumps(state))
    client("dynamodb").delete_item(TableName=BUILDING, Key={"pk": {"S": done}})  # it has missed this change
    result = json.loads(filled.run("verify", "--yes", "--json").stdout)
    assert result["counts"]["items"] == 4
    assert result["complete"] == (hours < 24)
    assert [entry["key"] for entry in result["differences"]] == [done] * (hours > 24)


def test_an_interrupted_verify_begins_anew_if_its_region_is_gone(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.add_replica()
    filled.apply(live=1, building=2)
    with monkeypatch.context() as patch:
        kill_job_at(4, patch)  # in the replica Region
        assert filled.run("verify", "--yes").exit_code != 0
    assert REPLICA in next(_body(key).decode() for key in objects("config/jobs/") if "verify-" in key)
    filled.replica = False
    filled.apply(live=1, building=2)
    result = json.loads(filled.ok("verify", "--yes", "--json"))
    assert (result["complete"], result["counts"]["items"]) == (True, 3)


def test_verify_names_what_is_newer_or_extra_once_it_is_confirmed(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.cli.items_differences.MAX_SURPLUS", 2)
    second = filled.items(BUILDING)
    for number in range(3):
        second.apply(change(f"extra-{number}"))
    second.apply(change("p-0", ms=NOW_MS + 1))
    second.apply(change("p-1", ms=NOW_MS + 1))
    monkeypatch.setattr("ops.cli.items_differences.CONFIRM_SECONDS", 10.0)
    monkeypatch.setattr(Job, "wait", lambda *_: filled.items(LIVE).apply(change("p-1", ms=NOW_MS + 1)))
    found = json.loads(filled.ok("verify", "--yes", "--json"))
    assert [(entry["key"], entry["second"]) for entry in found["newer"]] == [
        ("item/products/p-0", version_at(NOW_MS + 1))
    ]
    assert len(found["extra"]) == 2 and all(entry["key"].startswith("item/products/extra-") for entry in found["extra"])
    assert (found["counts"]["newer"], found["counts"]["extra"], found["counts"]["changing"]) == (1, 3, 1)
    output = filled.ok("verify", "--yes")
    assert "extra: … and 1 more" in output and "eu-central-1  newer       item/products/p-0" in output
    assert "Clients get the newer and extra items if shop-items-2 goes live" in output


def test_rows_of_a_collection_that_is_not_declared_do_not_keep_verify_from_passing(world: World) -> None:
    shoes = change("shoe", collection="shoes")
    world.log("log/redrive/a.gz", shoes, change("p-1"))
    for each in (shoes, change("p-1")):
        world.items(LIVE).apply(each)
    world.apply(live=1, building=2)
    world.ok("begin", "--yes")
    world.ok("fill", "--yes", "--without-collection", "shoes")
    for table in (LIVE, BUILDING):
        world.items(table).apply(change("purged", data=None, collection="shoes"))
    world.items(BUILDING).apply(change("other", collection="shoes"))
    world.ok("fill", "--yes", "--quarantine")
    result = json.loads(world.ok("verify", "--yes", "--json"))
    assert (result["complete"], result["counts"]) == (True, {"items": 1, "undeclared": 3})


def test_verify_says_which_items_clients_lose(filled: World) -> None:
    live, second = filled.items(LIVE), filled.items(BUILDING)
    for table in (live, second):
        table.apply(change("gone", data=None))
    second.apply(change("gone", data=None, ms=NOW_MS + 1))  # both tables say that it is deleted
    second.apply(change("p-0", data=None, ms=NOW_MS + 1))
    second.apply(change("p-1", ms=NOW_MS + 1))
    found = json.loads(filled.ok("verify", "--yes", "--json"))
    assert [entry["key"] for entry in found["deleted"]] == ["item/products/p-0"]
    assert [entry["key"] for entry in found["newer"]] == ["item/products/gone", "item/products/p-1"]
    assert (found["counts"]["newer"], found["counts"]["deleted"], found["complete"]) == (2, 1, True)
    output = filled.ok("verify", "--yes")
    assert "eu-central-1  deleted     item/products/p-0" in output
    assert "Clients lose the deleted items if shop-items-2 goes live" in output
    assert "shop-items-2 holds every other item of the live table" in output


def test_a_difference_that_the_operator_accepts_does_not_count(filled: World) -> None:
    live = filled.items(LIVE)
    live.apply(change("by-hand"))  # it isn't in the log
    live.apply(change("p-1", ms=NOW_MS + 1))
    output = filled.run("verify", "--yes", "--accept", "item/products/by-hand")
    assert output.exit_code == 1 and "put or delete it through the API, or accept that it is lost" in output.output
    assert "by-hand" not in output.stdout
    keys = ("--accept", "item/products/by-hand", "--accept", "item/products/p-1")
    result = json.loads(filled.ok("verify", "--yes", "--json", *keys))
    assert (result["complete"], result["counts"]["accepted"], result["differences"]) == (True, 2, [])
    assert "2 differences are accepted: shop-items-2 lacks these versions" in filled.ok("verify", "--yes", *keys)
    audits = [json.loads(_body(key))["arguments"] for key in objects("config/audit/") if "verify" in key]
    assert audits[-1]["accept"] == ["item/products/by-hand", "item/products/p-1"]
    assert "p-1 isn't the key of an item, such as item/products/p-1" in filled.refused("verify", "--accept", "p-1")


def test_a_verify_takes_an_earlier_success_back(filled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    filled.ok("verify", "--yes")
    assert filled.verified() == {"verified": 2}
    results: list[Any] = []

    def fail(*_: Any) -> None:
        results.append(filled.verified())
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rebuild_items, "_compare", fail)
        assert filled.run("verify", "--yes").exit_code != 0
    assert results == [None], "the result is gone before the comparison begins"
    filled.ok("verify", "--yes")
    filled.items(LIVE).apply(change("late"))
    assert filled.run("verify", "--yes").exit_code == 1
    assert filled.verified() is None
    assert "isn't verified" in filled.refused("switch", "--yes")


def test_a_verify_of_the_former_table_leaves_the_result_that_the_apply_of_the_switch_needs(filled: World) -> None:
    filled.ok("verify", "--yes")
    filled.apply(live=2, former=1)
    filled.ok("verify", "--yes")
    assert filled.verified() == {"verified": 2}
    filled.items(BUILDING).apply(change("late"))
    assert filled.run("verify", "--yes").exit_code == 1
    assert filled.verified() == {"verified": 2}


def test_a_switch_needs_a_verify_of_the_last_day(filled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    filled.ok("verify", "--yes")
    for hours, is_refused in ((23, False), (25, True)):
        later = datetime.now(UTC) + timedelta(hours=hours)
        monkeypatch.setattr(
            rebuild_state, "age_of", lambda response, now=later: (now - response["LastModified"]).total_seconds()
        )
        if is_refused:
            assert "shop-items-2 was verified 25 hours ago" in filled.refused("switch", "--yes")
        else:
            filled.ok("switch")


def test_a_former_table_that_lacks_items_is_not_to_be_filled(filled: World) -> None:
    filled.apply(live=2, former=1)
    filled.items(BUILDING).apply(change("brought-back"))
    result = filled.run("verify", "--yes")
    assert result.exit_code == 1
    assert "shop-items lacks items: going back loses them. Items that the fill brought back" in result.stdout
    assert "rebuild items fill" not in result.stdout


def test_the_way_back_needs_only_the_primary_region(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add_replica()
    world.apply(live=1, building=2)
    world.apply(live=2, former=1)
    make = Target.client

    def unreachable(self: Target, service: str, region: str | None = None) -> Any:
        if region == REPLICA:
            raise EndpointConnectionError(endpoint_url="https://eu-west-1")
        return make(self, service, region)

    def live_function(target: Target, stack: RegionalStack, function: str, alias: str = "live") -> LiveFunction:
        unreachable(target, "lambda", stack.region)
        return world.live_function(target, stack, function, alias)

    monkeypatch.setattr(Target, "client", unreachable)
    monkeypatch.setattr(rebuild_state, "live_function", live_function)
    assert world.refused("switch", "--yes").startswith("In eu-west-1: AWS can't be called (EndpointConnectionError)")
    result = world.run("back", "--yes")
    assert result.exit_code == 0, result.exception
    assert "Goes on without eu-west-1" in result.stderr and "Set items = { live = 1, former = 2 }" in result.stdout
    world.apply(live=1, former=2)
    assert f"shop-items is live in {REGION}, and" in world.ok("back", "--yes")


def test_verify_stops_after_too_many_differences(filled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild_items, "MAX_DIFFERENCES", 2)
    monkeypatch.setattr(Findings, "SAVED", 1)
    for number in range(2):
        filled.items(LIVE).apply(change(f"new-{number}"))
    result = filled.run("verify", "--yes")
    assert result.exit_code == 1
    assert "stops after 2 differences" in result.stderr and "differences: … and 1 more" in result.stdout


def test_rows_that_are_not_items_are_copied_as_their_kind_needs(filled: World) -> None:
    def put(table: str, key: str, **members: str) -> None:
        row = {"pk": {"S": key}} | {name: {"S": text} for name, text in members.items()}
        client("dynamodb").put_item(TableName=table, Item=row)

    dynamodb = BotoClient("dynamodb")
    sourced = DynamoSourcedItems(dynamodb, LIVE, horizon_ms=10**12)
    fresh = NEVER_POLLED._replace(fresh_as_of=rfc3339(NOW_MS))
    sourced.put_freshness("products", fresh, Position(NOW_MS, "print", None))
    DynamoCountedObjects(dynamodb, LIVE).finish_count("log/a", now_ms())
    quarantined = change("p-9")
    filled.items(LIVE).mark_quarantined(quarantined, "expired", now_ms())
    put(LIVE, "heartbeat/eu-central-1", sent_at="2026-01-02T03:04:00Z")
    put(LIVE, "unknown/kind", text="kept")
    carry_out_here(filled)
    filled.ok("verify", "--yes")
    filled.ok("switch", "--yes")
    live, second = filled.rows(LIVE), filled.rows(BUILDING)
    others = {key for key in live if not key.startswith(("item/", "heartbeat/"))}
    assert others == {key for key in second if not key.startswith("item/")} and len(others) == 5
    assert {key: live[key] for key in others} == {key: second[key] for key in others}
    # The functions write other rows between the copy and the apply.
    DynamoCountedObjects(dynamodb, LIVE).finish_count("log/b", now_ms())
    filled.items(LIVE).mark_quarantined(change("p-8"), "expired", now_ms())
    # A poll publishes its freshness between the copy and the apply, and another one after it.
    later = rfc3339(NOW_MS + 1000)
    sourced.put_freshness("products", fresh._replace(fresh_as_of=later), Position(NOW_MS + 1000, None, None))
    filled.apply(live=2, former=1)
    filled.ok("switch", "--yes")
    second = filled.rows(BUILDING)
    assert second[source_key("products")]["fresh_as_of"]["S"] == later
    assert {key for key in filled.rows(LIVE) if not key.startswith(("item/", "heartbeat/"))} == {
        key for key in second if not key.startswith("item/")
    }
    assert len([key for key in second if not key.startswith("item/")]) == 7
    newest = rfc3339(NOW_MS + 2000)
    DynamoSourcedItems(dynamodb, BUILDING, horizon_ms=10**12).put_freshness(
        "products", fresh._replace(fresh_as_of=newest), Position(None, None, None)
    )
    filled.ok("switch", "--yes")
    assert filled.rows(BUILDING)[source_key("products")]["fresh_as_of"]["S"] == newest
    filled.ok("back", "--yes")
    assert filled.rows(LIVE)[source_key("products")] == filled.rows(BUILDING)[source_key("products")]


def carry_out_here(world: World) -> None:
    """Move a source while there are two tables. Each must say which Region polls it."""
    client("dynamodb").create_table(
        TableName="checkpoints",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    world.outputs |= {"replica_poll_function": "shop-poll", "replica_region": REPLICA}
    carry_out(world.target, REGION, Move("products", REPLICA, EVERYTHING))
    for table in (LIVE, BUILDING):
        assert world.rows(table)[switch_key("products")]["region"]["S"] == REGION
    del world.outputs["replica_poll_function"], world.outputs["replica_region"]


def test_a_redrive_removes_the_marker_from_both_tables(filled: World) -> None:
    client("dynamodb").create_table(
        TableName="items",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    quarantine_line(1)
    for table in (LIVE, BUILDING):
        filled.items(table).mark_quarantined(change("p-1"), "expired", now_ms())
    CliRunner().invoke(main, ["--outputs", str(filled._file), "quarantine", "redrive", "--all"])
    for table in (LIVE, BUILDING):
        assert [key for key in filled.rows(table) if key.startswith("quarantine/")] == []


def put_age(metric: str, value: float, *, minutes: int = 2, **dimensions: str) -> None:
    """Have CloudWatch say how old something was some minutes ago."""
    namespace = "AWS/SQS" if "QueueName" in dimensions else "AWS/Lambda"
    data = {
        "MetricName": metric,
        "Dimensions": [{"Name": name, "Value": text} for name, text in dimensions.items()],
        "Value": value,
        "Timestamp": datetime.now(UTC) - timedelta(minutes=minutes),
    }
    client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=[data])


def test_no_end_after_a_switch_while_a_change_waits_for_apply(filled: World) -> None:
    filled.ok("verify", "--yes")
    filled.apply(live=2, former=1)
    filled.ok("end")
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName="shop-apply")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    assert "1 messages wait for apply in eu-central-1" in filled.refused("end")
    sqs.purge_queue(QueueUrl=url)
    filled.ok("end")
    put_age("IteratorAge", 11_000, FunctionName="shop-apply-stream")
    dead_letters = sqs.get_queue_url(QueueName="shop-apply-dead-letters")["QueueUrl"]
    sqs.send_message(QueueUrl=dead_letters, MessageBody="{}")
    client("s3").put_object(Bucket="log", Key="aws/lambda/mapping/shard/2026/01/02/batch", Body=b"{}")
    text = filled.refused("end")
    assert "apply-stream in eu-central-1 is 11 s behind" in text and "has 1 dead letters of apply" in text
    assert "eu-central-1 has dead letters of streams" in text


def test_no_end_while_publish_is_behind(filled: World) -> None:
    assert "the rebuild is given up" in filled.ok("end")
    put_age("IteratorAge", 11_000, FunctionName="shop-publish")
    assert "publish in eu-central-1 is 11 s behind" in filled.refused("end")


def test_one_stream_that_is_not_behind_does_not_hide_the_other(filled: World) -> None:
    put_age("IteratorAge", 900_000, minutes=6, FunctionName="shop-publish")
    put_age("IteratorAge", 400_000, minutes=4, FunctionName="shop-publish")
    for minutes in (3, 2):
        put_age("IteratorAge", 200, minutes=minutes, FunctionName="shop-publish")
    assert "publish in eu-central-1 is 400 s behind" in filled.refused("end")
    put_age("IteratorAge", 200, minutes=1, FunctionName="shop-publish")
    filled.ok("end")


def test_the_end_is_refused_until_the_other_table_is_gone_everywhere(world: World) -> None:
    world.add_replica()
    world.apply(live=1, building=2)
    world.ok("begin", "--yes")
    world.apply(live=1)
    world.second = BUILDING
    assert "apply in eu-central-1 still knows two tables" in world.refused("end", "--yes")
    world.second = None
    world.create_table(BUILDING, REPLICA)
    assert "shop-items-2 is still there in eu-west-1" in world.refused("end", "--yes")
    assert "shop-items-2 is still there in eu-west-1" in world.refused("end")
    assert any("begun" in key for key in objects("config/jobs/"))
    world.apply(live=1)
    assert "Done. shop-items is the only items table." in world.ok("end", "--yes")
    assert not any("begun" in key for key in objects("config/jobs/"))
