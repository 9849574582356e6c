"""Test the commands `collections list`, `collections purge` and `collections move`."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result

from ops.cli import collections, publishing, write_log
from ops.cli.collection_stores import LiveFunction
from ops.cli.main import main
from ops.cli.target import RegionalStack, Target
from readplane.apply.objects import S3LogObjects
from readplane.aws.boto import BotoClient
from readplane.model.change import Change, PoisonError, parse_line
from readplane.model.collection import VISIBILITIES, Collection, Visibility
from readplane.model.keys import document_key
from readplane.model.version import stamp, time_ms
from readplane.stores.documents import S3Documents
from readplane.stores.items import ApplyOutcome, DynamoItems
from readplane.stores.rows import change_of
from tests.fakes.moto_aws import REGION, Aws
from tests.unit.ops.cli.support import OUTPUTS, Run, objects
from tests.unit.support import ALICE, change

REPLICA = "eu-west-1"
BUCKETS = {REGION: "documents", REPLICA: "replica-documents"}
HORIZON_DAYS = 30
LATER_MS = 60_000


class Stack:
    """A stack of two Regions in moto, with stand-ins for its functions that handle everything at once.

    live: the collections that `apply` and `publish` know, and their `read`
    routed: those of them that have routes
    applying: whether `apply` applies what the command sends
    during_publish: called once, while `publish` handles its first event
    failing: the keys of the items that `publish` can't publish
    publishes_deletes: whether `publish` removes the documents of items that `apply` deletes
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.live: dict[str, Visibility] = {}
        self.routed: set[str] = set()
        self.differing: dict[str, Mapping[str, Visibility]] = {}
        self.applying = True
        self.during_publish: Callable[[], object] | None = None
        self.failing: set[str] = set()
        self.publishes_deletes = True
        self.published: list[tuple[str, str]] = []
        self.published_at = 0.0

    def items(self, region: str) -> DynamoItems:
        """Return the items of one Region."""
        return DynamoItems(BotoClient("dynamodb", region=region), "items", horizon_ms=HORIZON_DAYS * 86_400_000)

    def put(self, item: Change, *, regions: tuple[str, ...] = (REGION, REPLICA), document: bool = True) -> Change:
        """Put an item into the items table of some Regions, with its document under the collection's prefix."""
        for region in regions:
            self.items(region).apply(item)
            if document:
                self.publish(region, item)
        return item

    def publish(self, region: str, item: Change) -> None:
        """Write or remove an item's document in one Region, as `publish` does."""
        key = document_key(self.live[item.collection], item.collection, item.item_id, item.owner)
        store = S3Documents(BotoClient("s3", region=region), BUCKETS[region])
        if item.data is None:
            store.remove_document(key)
        else:
            store.put_document(key, item.representation(), item.version, "no-cache")

    def put_document(self, key: str, region: str = REGION) -> None:
        """Put a document that no item stands behind."""
        make: Any = boto3.client
        make("s3").put_object(Bucket=BUCKETS[region], Key=key, Body=b"{}")

    def documents(self, region: str = REGION) -> dict[str, str]:
        """Return the version of each document of one Region, by the document's key."""
        make: Any = boto3.client
        s3 = make("s3")
        listed = s3.list_objects_v2(Bucket=BUCKETS[region]).get("Contents", [])
        heads = {entry["Key"]: s3.head_object(Bucket=BUCKETS[region], Key=entry["Key"]) for entry in listed}
        return {key: head["Metadata"].get("readplane-version", "") for key, head in heads.items()}

    def deletes(self) -> list[Change]:
        """Return the changes that the command wrote to the write log."""
        log = S3LogObjects(BotoClient("s3"), "log")
        collections = {name: Collection(name, read) for name, read in self.live.items()}
        return [parse_line(line, collections) for key in objects("log/redrive/") for line in log.lines(key)]

    def apply(self, line: bytes) -> None:
        """Do what `apply` and `publish` do about a line of the write log."""
        try:
            applied = parse_line(line, {name: Collection(name, read) for name, read in self.live.items()})
        except PoisonError:
            return
        for region in BUCKETS:
            self.items(region).apply(applied)
            if self.publishes_deletes:
                self.publish(region, applied)

    def live_function(self, target: Target, stack: RegionalStack, function: str) -> LiveFunction:
        """Stand in for the live version of a function."""
        reads = self.differing.get(f"{function} in {stack.region}", self.live)
        settings = {
            "collections": {n: {"read": read} for n, read in reads.items() if function != "read" or n in self.routed},
            "horizon_days": HORIZON_DAYS,
        }
        return LiveFunction(settings, self.published_at, 30)

    def call_publish(self, target: Target, function: str, event: dict[str, Any], region: str) -> dict[str, Any]:
        """Stand in for the function `publish`."""
        assert function == "shop-publish:live"
        work, self.during_publish = self.during_publish, None
        if work:
            work()
        failures = []
        for record in event["Records"]:
            image = record["dynamodb"]["NewImage"]
            if image["pk"]["S"] in self.failing:
                failures.append({"itemIdentifier": record["dynamodb"]["SequenceNumber"]})
            else:
                self.publish(region, change_of(image))
                self.published.append((region, image["pk"]["S"]))
        return {"batchItemFailures": failures}


@pytest.fixture
def stack(run: Run, aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    make: Any = boto3.client
    make("dynamodb", region_name=REPLICA).create_table(
        TableName="items",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for region, bucket in BUCKETS.items():
        make("s3", region_name=region).create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region}
        )
        rule = {"ID": "clean-up", "Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 1}}
        make("s3", region_name=region).put_bucket_lifecycle_configuration(
            Bucket=bucket, LifecycleConfiguration={"Rules": [{**rule, "Filter": {"Prefix": ""}}]}
        )
    outputs = OUTPUTS | {
        "replica_region": REPLICA,
        "replica_write_log_bucket": "replica-log",
        "replica_documents_bucket": "replica-documents",
    }
    file = tmp_path / "two-regions.json"
    file.write_text(json.dumps({name: {"value": value} for name, value in outputs.items()}))

    def command(*words: str, stdin: str = "") -> Result:
        return CliRunner().invoke(main, ["--outputs", str(file), *words], input=stdin)

    stack = Stack(command)
    put_lines = write_log.put_lines

    def put_and_apply(target: Target, regional: RegionalStack, lines: list[bytes]) -> str:
        key = put_lines(target, regional, lines)
        for line in lines if stack.applying else []:
            stack.apply(line)
        return key

    monkeypatch.setattr(collections, "put_lines", put_and_apply)

    class ReplicatedItems(DynamoItems):
        """An items table whose writes DynamoDB replicates to both Regions. Moto doesn't replicate."""

        def apply(self, change: Change) -> ApplyOutcome:
            """Apply a change in both Regions."""
            outcomes = [stack.items(region).apply(change) for region in BUCKETS]
            return outcomes[0]

    monkeypatch.setattr(collections, "DynamoItems", ReplicatedItems)
    monkeypatch.setattr(publishing, "call", stack.call_publish)
    for module in ("collections", "collection_stores"):
        monkeypatch.setattr(f"ops.cli.{module}.live_function", stack.live_function)
    for name in ("collections", "write_log"):
        monkeypatch.setattr(f"ops.cli.{name}.POLL_SECONDS", 0.01)
    monkeypatch.setattr(collections, "PUBLISH_SECONDS", 0.1)
    yield stack


def put_malformed_row(key: str) -> None:
    """Put a row without a version into the items table of each Region."""
    make: Any = boto3.client
    for region in BUCKETS:
        make("dynamodb", region_name=region).put_item(TableName="items", Item={"pk": {"S": key}, "data": {"S": "{}"}})


def living(stack: Stack, region: str) -> set[str]:
    """Return the keys of the items of one Region that are not tombstones."""
    make: Any = boto3.client
    scanned = make("dynamodb", region_name=region).scan(TableName="items")["Items"]
    return {item["pk"]["S"] for item in scanned if "data" in item}


def test_list_counts_items_and_documents_and_names_what_does_not_fit(stack: Stack) -> None:
    stack.live = {"products": "public", "orders": "authenticated", "profiles": "owner"}
    stack.routed = {"products", "profiles"}
    for number in range(3):
        stack.put(change(f"p-{number}"))
    stack.put(change("p-0", data=None, tail=1), document=False)  # a tombstone, whose document `publish` hasn't removed
    stack.put(change("x", owner=ALICE, collection="products"), document=False)
    stack.put(change("me", owner=ALICE, collection="profiles"))
    stack.put(change("o-1", collection="orders"), regions=(REGION,))
    stack.put(change("old", collection="bygone"), document=False)
    stack.put_document("authenticated/documents/products/p-1", REPLICA)
    stack.put_document("public/documents/sources/rows")
    result = stack.run("collections", "list", "--json")
    assert result.exit_code == 0, result.exception
    rows = {(row["collection"], row["region"]): row for row in map(json.loads, result.output.splitlines())}
    products = {"collection": "products", "read": "public", "state": "declared", "items": 3, "unfit_items": 1}
    here = {"region": REGION, "documents": {"public": 3, "authenticated": 0, "owner": 0}, "unfit_documents": 0}
    there = {"region": REPLICA, "documents": {"public": 3, "authenticated": 1, "owner": 0}, "unfit_documents": 1}
    assert rows["products", REGION] == products | here and rows["products", REPLICA] == products | there
    assert rows["profiles", REGION]["unfit_items"] == rows["profiles", REGION]["unfit_documents"] == 0
    assert [rows["orders", region]["items"] for region in (REGION, REPLICA)] == [1, 0]
    assert rows["orders", REGION]["state"] == "retired"
    assert (rows["bygone", REGION]["state"], rows["bygone", REGION]["unfit_items"]) == ("undeclared", 1)
    assert not any(name == "sources" for name, _ in rows)
    printed = stack.run("collections", "list").output
    assert "collections move products" in printed and "collections purge orders" in printed
    assert "Declare it with `retired = true`" in printed and "profiles:" not in printed


def test_purge_refuses_a_collection_that_is_in_use_or_not_declared(stack: Stack) -> None:
    stack.live, stack.routed = {"products": "public"}, {"products"}
    stack.put(change())
    for name, message in (("products", "is in use. Set `retired = true`"), ("bygone", "isn't declared")):
        result = stack.run("collections", "purge", name, "--yes")
        assert result.exit_code == 1 and message in str(result.exception)
    stack.routed = set()
    for function in (f"publish in {REPLICA}", f"apply in {REGION}"):
        stack.differing = {function: {}}
        result = stack.run("collections", "purge", "products", "--yes")
        assert result.exit_code == 1 and f"{function} has other settings of products" in str(result.exception)
    stack.differing = {f"read in {REPLICA}": {"products": "public"}}
    stack.routed = {"products"}
    stack.live, stack.differing = {"products": "public"}, {f"read in {REPLICA}": {}}
    assert "read in eu-west-1 has other" in str(stack.run("collections", "purge", "products", "--yes").exception)
    assert living(stack, REGION) == {"item/products/p-1"} and not objects("log/")


def test_purge_deletes_every_item_and_document_in_both_regions(stack: Stack) -> None:
    stack.live = {"products": "public", "orders": "authenticated"}
    stack.routed = {"orders"}
    items = [stack.put(change(f"p-{number}")) for number in range(5)]
    ahead = stack.put(change("ahead", ms=time.time_ns() // 1_000_000 + 240_000))
    only_there = stack.put(change("there"), regions=(REPLICA,))
    stack.put(change("gone", data=None), document=False)
    for key in (
        "public/documents/products/gone",
        "authenticated/documents/products/p-1",
        "public/documents/products/snapshot",
    ):
        stack.put_document(key)
    stack.put_document("owner/documents/products/someone/x", REPLICA)
    unfit = stack.put(change("x", owner=ALICE))
    put_malformed_row("item/products/malformed")
    other = stack.put(change("o-1", collection="orders"))

    dry_run = stack.run("collections", "purge", "products")
    assert dry_run.exit_code == 0, dry_run.exception
    assert f"{REGION}: 8 items and 10 documents of products." in dry_run.output
    assert f"{REPLICA}: 9 items and 9 documents of products." in dry_run.output
    assert "Nothing was changed" in dry_run.output and not objects("log/")
    assert len(living(stack, REGION)) == 9

    result = stack.run("collections", "purge", "products", "--yes")
    assert result.exit_code == 0, (result.output, result.exception)
    assert "9 items were deleted" in result.output and "for 1 day." in result.output
    assert "write log and the items table's point-in-time backups" in result.output
    for region in BUCKETS:
        assert living(stack, region) == {other.key}
        assert list(stack.documents(region)) == ["authenticated/documents/orders/o-1"]
        for item in (*items, ahead, only_there, unfit):
            tombstone = stack.items(region).get_item(item.key)
            assert tombstone and tombstone.data is None and tombstone.version > item.version
    lines = {delete.key: delete for delete in stack.deletes()}
    assert set(lines) == {"item/products/malformed", *(item.key for item in (*items, ahead, only_there))}
    assert all(delete.actor == "operator" for delete in lines.values())
    # Another run finds nothing to delete and changes nothing.
    again = stack.run("collections", "purge", "products", "--yes")
    assert again.exit_code == 0 and "0 items were deleted" in again.output
    assert len(stack.deletes()) == len(lines)


def test_an_interrupted_purge_goes_on_with_what_is_left(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.live = {"products": "public"}
    for number in range(5):
        stack.put(change(f"p-{number}"))
    monkeypatch.setattr(collections, "DELETES", 2)
    put_and_apply: Callable[..., str] = vars(collections)["put_lines"]
    calls: list[list[bytes]] = []

    def interrupted(target: Target, regional: RegionalStack, lines: list[bytes]) -> str:
        calls.append(lines)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return put_and_apply(target, regional, lines)

    monkeypatch.setattr(collections, "put_lines", interrupted)
    assert stack.run("collections", "purge", "products", "--yes").exit_code != 0
    assert len(living(stack, REGION)) == len(stack.documents()) == 3
    result = stack.run("collections", "purge", "products", "--yes")
    assert result.exit_code == 0 and "3 items were deleted" in result.output
    assert not living(stack, REGION) and not stack.documents() and len(stack.deletes()) == 5


def test_purge_fails_if_apply_does_not_apply_the_deletes(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.live, stack.applying = {"products": "public"}, False
    stack.put(change())
    monkeypatch.setattr(write_log, "APPLY_SECONDS", 0.0)
    result = stack.run("collections", "purge", "products", "--yes")
    assert result.exit_code == 1 and f"1 deletes have no effect in {REGION} yet" in str(result.exception)
    assert stack.documents(), "no document may go before its item"


def test_purge_deletes_the_documents_that_publish_leaves(stack: Stack) -> None:
    stack.live, stack.publishes_deletes = {"products": "public"}, False
    stack.put(change())
    stack.put_document("authenticated/documents/products/p-1")
    result = stack.run("collections", "purge", "products", "--yes")
    assert result.exit_code == 0, result.exception
    assert not stack.documents() and not stack.documents(REPLICA)


def test_move_writes_every_document_under_the_new_prefix_and_leaves_none_behind(stack: Stack) -> None:
    stack.live, stack.routed = {"orders": "public"}, {"orders"}
    items = [stack.put(change(f"o-{number}", collection="orders")) for number in range(3)]
    stack.put(change("gone", collection="orders", data=None), document=False)
    for key in ("public/documents/orders/gone", "public/documents/orders/snapshot", "owner/documents/orders/someone/x"):
        stack.put_document(key)
    old = change("old", collection="orders", ms=1_000_000_000_000)
    stack.live = {"orders": "authenticated"}
    stack.put(old)
    newest = old._replace(
        change_id=stamp(time_ms(old.change_id) + 1, bytes(10)), accepted_at="2100-01-01T00:00:00.000Z"
    )
    stack.put(newest, document=False)  # its document is from before, when `read` had this value once already
    done = stack.put(change("done", collection="orders"))
    put_malformed_row("item/orders/malformed")

    dry_run = stack.run("collections", "move", "orders")
    assert dry_run.exit_code == 0, dry_run.exception
    assert (
        f"{REGION}: 4 items to publish under authenticated/documents/orders/, 6 documents to delete" in dry_run.output
    )
    assert (
        f"{REPLICA}: 4 items to publish under authenticated/documents/orders/, 3 documents to delete" in dry_run.output
    )
    assert "1 items don't fit read = 'authenticated'; they stay." in dry_run.output
    assert len(stack.documents()) == 8 and not stack.published

    result = stack.run("collections", "move", "orders", "--yes")
    assert result.exit_code == 0, (result.output, result.exception)
    expected = {f"authenticated/documents/orders/{item.item_id}": item.version for item in (*items, newest, done)}
    assert stack.documents(REGION) == stack.documents(REPLICA) == expected
    assert (REGION, done.key) not in stack.published, "its document is newer than the item"


def former(key: str) -> str:
    """Return the key that a release from before the edge gave a document."""
    return key.replace("/documents/", "/", 1) + ".json"


def test_documents_with_keys_from_before_the_edge_are_copied_before_the_upgrade_and_moved_after_it(
    stack: Stack,
) -> None:
    stack.live = {"documents": "public", "profiles": "owner"}
    stack.routed = {"documents", "profiles"}
    shared = [stack.put(change(f"d-{number}", collection="documents"), document=False) for number in range(2)]
    owned = stack.put(change("me", owner=ALICE, collection="profiles"), document=False)
    keys = [f"public/documents/documents/{item.item_id}" for item in shared]
    keys += [f"owner/documents/profiles/{ALICE}/me"]
    for key in keys:
        stack.put_document(former(key))
    rows = [json.loads(line) for line in stack.run("collections", "list", "--json").output.splitlines()]
    here = {row["collection"]: row["unfit_documents"] for row in rows if row["region"] == REGION}
    assert here == {"documents": 2, "profiles": 1}

    assert "Nothing was changed" in stack.run("collections", "copy", "documents").output
    assert set(stack.documents()) == set(map(former, keys))
    for name, count in (("documents", 2), ("profiles", 1)):
        copied = stack.run("collections", "copy", name, "--yes")
        assert copied.exit_code == 0, copied.exception
        assert f"{REGION}: {count} documents to copy" in copied.output
        assert f"{REGION}: 0 documents to copy" in stack.run("collections", "copy", name, "--yes").output
    assert set(stack.documents()) == {*keys, *map(former, keys)}

    for name in ("documents", "profiles"):
        moved = stack.run("collections", "move", name, "--yes")
        assert moved.exit_code == 0, (moved.output, moved.exception)
    assert stack.documents() == dict(zip(keys, [item.version for item in (*shared, owned)], strict=True))


def test_move_publishes_every_item_again_if_it_is_asked_to(stack: Stack) -> None:
    stack.live, stack.routed = {"orders": "public"}, {"orders"}
    item = stack.put(change("o-1", collection="orders"))
    assert stack.run("collections", "move", "orders", "--yes").exit_code == 0 and not stack.published
    assert stack.run("collections", "move", "orders", "--all", "--yes").exit_code == 0
    assert set(stack.published) == {(region, item.key) for region in BUCKETS}


def test_the_newest_version_wins_against_a_change_during_the_move(stack: Stack) -> None:
    stack.live, stack.routed = {"orders": "public"}, {"orders"}
    changed, deleted = (stack.put(change(name, collection="orders")) for name in ("changed", "deleted"))
    stack.live = {"orders": "authenticated"}
    newer = change("changed", collection="orders", ms=time_ms(changed.change_id) + LATER_MS, data='{"n":2}')
    gone = change("deleted", collection="orders", ms=time_ms(deleted.change_id) + LATER_MS, data=None)

    def others() -> None:  # `publish` handles newer changes before it handles the command's event
        for item in (newer, gone):
            stack.put(item)

    stack.during_publish = others
    result = stack.run("collections", "move", "orders", "--yes")
    assert result.exit_code == 0, (result.output, result.exception)
    for region in BUCKETS:
        assert stack.documents(region) == {"authenticated/documents/orders/changed": newer.version}


def test_a_move_deletes_nothing_before_every_item_is_published(stack: Stack) -> None:
    stack.live, stack.routed = {"orders": "public"}, {"orders"}
    items = [stack.put(change(f"o-{number}", collection="orders")) for number in range(2)]
    stack.live = {"orders": "authenticated"}
    stack.failing = {items[1].key}
    result = stack.run("collections", "move", "orders", "--yes")
    assert result.exit_code == 1 and "item/orders/o-1 can't be published" in str(result.exception)
    assert {"public/documents/orders/o-0", "public/documents/orders/o-1"} <= set(stack.documents())
    stack.failing = set()
    assert stack.run("collections", "move", "orders", "--yes").exit_code == 0
    assert set(stack.documents()) == {f"authenticated/documents/orders/{item.item_id}" for item in items}


def test_move_refuses_a_collection_that_nobody_can_read(stack: Stack) -> None:
    stack.live = {"products": "public"}
    for name, message in (("products", "is retired"), ("bygone", "isn't declared")):
        result = stack.run("collections", "move", name, "--yes")
        assert result.exit_code == 1 and message in str(result.exception)


def test_move_waits_for_the_last_invocation_of_the_former_publish(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.live, stack.routed = {"orders": "public"}, {"orders"}
    stack.published_at = time.time() - 10
    waits: list[float] = []
    monkeypatch.setattr("ops.cli.collections.time.sleep", waits.append)
    assert stack.run("collections", "move", "orders", "--yes").exit_code == 0
    assert len(waits) == len(BUCKETS) and all(15 < seconds <= 20 for seconds in waits)


def test_every_visibility_has_a_column(stack: Stack) -> None:
    head = stack.run("collections", "list").output.splitlines()[0]
    assert all(visibility.upper() in head for visibility in VISIBILITIES)


def empty_documents() -> None:
    """Lose the documents of every Region."""
    make: Any = boto3.client
    for region, bucket in BUCKETS.items():
        s3 = make("s3", region_name=region)
        for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
            s3.delete_object(Bucket=bucket, Key=entry["Key"])


def test_a_rebuild_writes_every_document_and_removes_those_of_deleted_items(stack: Stack) -> None:
    stack.live = {"orders": "public", "profiles": "owner", "old": "public"}
    stack.routed = {"orders", "profiles"}
    orders = [stack.put(change(f"o-{number}", collection="orders")) for number in range(3)]
    profile = stack.put(change("p", collection="profiles", owner=ALICE))
    stack.put(change("r", collection="old"))
    stack.put(change("misfit", collection="orders", owner=ALICE), document=False)
    put_malformed_row("item/orders/malformed")
    empty_documents()
    stack.put_document("public/documents/orders/gone")
    stack.put(change("gone", collection="orders", data=None), document=False)
    counted = stack.run("rebuild", "documents")
    assert f"{REGION}: 7 items" in counted.output and f"{REPLICA}: 7 items" in counted.output and not stack.published
    result = stack.run("rebuild", "documents", "--yes")
    assert result.exit_code == 0, (result.output, result.exception)
    assert "rebuild documents: done. items 10, skipped 4." in result.output
    expected = {f"public/documents/orders/{item.item_id}": item.version for item in orders}
    expected[f"owner/documents/profiles/{ALICE}/p"] = profile.version
    assert [stack.documents(region) for region in BUCKETS] == [expected, expected]


def test_a_rebuild_of_one_collection_in_one_region_leaves_the_rest_alone(stack: Stack) -> None:
    stack.live, stack.routed = {"orders": "public", "notes": "public"}, {"orders", "notes"}
    items = [stack.put(change("a", collection=name)) for name in ("orders", "notes")]
    result = stack.run("rebuild", "documents", "--collection", "notes", "--region", REPLICA, "--yes")
    assert result.exit_code == 0 and stack.published == [(REPLICA, items[1].key)]
    refused = stack.run("rebuild", "documents", "--collection", "nots", "--yes")
    assert refused.exit_code == 1 and "nots isn't in use. In use are: notes, orders." in str(refused.exception)


def test_a_rebuild_goes_on_after_a_failure_and_never_leaves_an_older_document(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.live, stack.routed = {"orders": "public"}, {"orders"}
    items = [stack.put(change(f"o-{number}", collection="orders")) for number in range(9)]
    monkeypatch.setattr("ops.walk.PAGE", 4)
    scanned = list(living_in_order(stack))
    stack.failing = {scanned[5]}
    failed = stack.run("rebuild", "documents", "--region", REGION, "--yes")
    assert failed.exit_code == 1 and "can't be published" in str(failed.exception)
    assert {key for _, key in stack.published} >= set(scanned[:4])
    stack.failing, stack.published = set(), []
    newer = change(items[8].item_id, collection="orders", ms=time_ms(items[8].change_id) + LATER_MS, data='{"n":2}')
    stack.during_publish = lambda: stack.put(newer)
    assert stack.run("rebuild", "documents", "--region", REGION, "--yes").exit_code == 0
    assert {key for _, key in stack.published} == set(scanned[4:]), "the first page is done"
    assert stack.documents()["public/documents/orders/o-8"] == newer.version


def living_in_order(stack: Stack) -> Iterator[str]:
    """Yield the keys of the items of the primary Region in the order of a scan."""
    make: Any = boto3.client
    for item in make("dynamodb").scan(TableName="items")["Items"]:
        yield item["pk"]["S"]
