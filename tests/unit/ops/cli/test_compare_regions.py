"""Test the command `compare-regions` on two Regions in moto."""

import json
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result

from ops.cli.collection_stores import Declared
from ops.cli.main import main
from ops.cli.region_differences import Comparer
from ops.cli.target import Target
from readplane.aws.boto import BotoClient
from readplane.model.change import Change
from readplane.model.keys import document_key, item_key
from readplane.stores.documents import VERSION_METADATA
from readplane.stores.items import DynamoItems
from tests.fakes.moto_aws import REGION, Aws
from tests.unit.ops.cli.support import OUTPUTS
from tests.unit.support import change

REPLICA = "eu-west-1"
REPLICATED = OUTPUTS | {
    "replica_region": REPLICA,
    "replica_write_log_bucket": "replica-log",
    "replica_documents_bucket": "replica-documents",
}
BUCKETS = {REGION: "documents", REPLICA: "replica-documents"}
OLD_MS = 1_700_000_000_000


class Regions:
    """A table and a bucket in each of two Regions. moto doesn't copy anything between them."""

    def __init__(self, folder: Path) -> None:
        make: Any = boto3.client
        for region, bucket in BUCKETS.items():
            make("dynamodb", region_name=region).create_table(
                TableName="items",
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
            make("s3", region_name=region).create_bucket(
                Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region}
            )
        self._file = folder / "outputs.json"
        self._file.write_text(json.dumps({name: {"value": value} for name, value in REPLICATED.items()}))

    def put(self, new: Change, *regions: str, document: bool = True) -> None:
        """Store an item and its document in these Regions, or in both."""
        for region in regions or BUCKETS:
            DynamoItems(BotoClient("dynamodb", region=region), "items", horizon_ms=10**12).apply(new)
            if document and new.data is not None:
                self.put_document(region, document_key("public", new.collection, new.item_id, new.owner), new.version)

    def put_document(self, region: str, key: str, version: str) -> None:
        make: Any = boto3.client
        make("s3", region_name=region).put_object(
            Bucket=BUCKETS[region], Key=key, Body=b"{}", Metadata={VERSION_METADATA: version}
        )

    def put_row(self, region: str, row: dict[str, Any]) -> None:
        make: Any = boto3.client
        make("dynamodb", region_name=region).put_item(TableName="items", Item=row)

    def row(self, region: str, key: str) -> dict[str, Any]:
        make: Any = boto3.client
        item: dict[str, Any] = make("dynamodb", region_name=region).get_item(TableName="items", Key={"pk": {"S": key}})[
            "Item"
        ]
        return item

    def compare(self, *words: str) -> tuple[Result, list[tuple[str, ...]]]:
        """Run the command, and return its result with the differences."""
        words = ("--outputs", str(self._file), "compare-regions", "--json", *words)
        result = CliRunner().invoke(main, words)
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        return result, [tuple(line.values()) for line in lines]


@pytest.fixture
def regions(aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Regions:
    monkeypatch.setattr("ops.cli.region_differences.RECHECK_SECONDS", 0.0)
    return Regions(tmp_path)


MODES = pytest.mark.parametrize("mode", ["--whole", "--sample=1000"])
GRACE = ("--grace", "0")


@MODES
def test_regions_that_agree_have_no_difference(regions: Regions, mode: str) -> None:
    for number in range(5):
        regions.put(change(f"p-{number}", ms=OLD_MS))
    regions.put(change("gone", ms=OLD_MS, data=None))
    result, differences = regions.compare(mode, *GRACE)
    assert (result.exit_code, differences) == (0, []), result.output
    text = CliRunner().invoke(main, ["--outputs", str(regions._file), "compare-regions", mode, *GRACE])
    assert "6 items and" in text.output and "0 different" in text.output


@MODES
def test_each_difference_is_named(regions: Regions, mode: str) -> None:
    old, new = change("older", ms=OLD_MS), change("older", ms=OLD_MS + 1)
    missing, extra = change("missing", ms=OLD_MS), change("extra", ms=OLD_MS)
    regions.put(new, REGION)
    regions.put(old, REPLICA)
    regions.put(missing, REGION)
    regions.put(extra, REPLICA)
    stale = change("stale", ms=OLD_MS)
    regions.put(stale)
    regions.put_document(REPLICA, document_key("public", "products", "stale", None), "another")
    result, differences = regions.compare(mode, *GRACE)
    assert result.exit_code == 1
    key = "public/documents/products/"
    assert differences == [
        ("document", f"{key}extra", "missing", extra.version),
        ("document", f"{key}missing", missing.version, "missing"),
        ("document", f"{key}older", new.version, old.version),
        ("document", f"{key}stale", stale.version, "another"),
        ("item", "item/products/extra", "missing", extra.version),
        ("item", "item/products/missing", missing.version, "missing"),
        ("item", "item/products/older", new.version, old.version),
    ]
    text = CliRunner().invoke(main, ["--outputs", str(regions._file), "compare-regions", mode, *GRACE])
    assert text.exit_code == 1 and "KIND" in text.output and "7 different" in text.output


def test_an_item_of_the_same_version_with_other_data_is_a_difference(regions: Regions) -> None:
    entry = change("p", ms=OLD_MS)
    regions.put(entry)
    row = regions.row(REPLICA, entry.key)
    regions.put_row(REPLICA, row | {"data": {"S": '{"n":9}'}, "aws:rep:updateregion": {"S": REGION}})
    _, differences = regions.compare("--whole", *GRACE)
    assert differences == [("item", entry.key, entry.version, f"{entry.version}, but other values of data")]
    regions.put_row(REPLICA, row | {"aws:rep:updateregion": {"S": REGION}})
    assert regions.compare("--whole", *GRACE)[1] == [], "DynamoDB's own attributes don't count"


def test_a_young_change_does_not_count_because_it_may_be_on_its_way(regions: Regions) -> None:
    regions.put(change("young", ms=int(time.time() * 1000)), REGION)
    result, differences = regions.compare("--whole", "--grace", "60")
    assert (result.exit_code, differences) == (0, [])
    assert len(regions.compare("--whole", *GRACE)[1]) == 2


def test_a_row_that_dynamodb_may_delete_and_rows_that_are_no_items_do_not_count(regions: Regions) -> None:
    regions.put(change("gone", ms=OLD_MS, data=None), REGION)
    row = regions.row(REGION, item_key("products", "gone", None))
    regions.put_row(REGION, row | {"expires_at": {"N": "1"}})
    regions.put_row(REGION, {"pk": {"S": f"heartbeat/{REGION}"}})
    regions.put_document(REGION, "public/documents/sources/shop", "1")
    assert regions.compare("--whole", *GRACE)[1] == []


def test_an_owners_document_and_a_document_without_an_item_are_compared(regions: Regions) -> None:
    regions.put_document(REPLICA, "owner/documents/profiles/me/p", "1")
    regions.put_document(REGION, "authenticated/documents/orders/o", "1")
    assert regions.compare("--whole", *GRACE)[1] == [
        ("document", "authenticated/documents/orders/o", "1", "missing"),
        ("document", "owner/documents/profiles/me/p", "missing", "1"),
    ]


def test_a_refused_call_names_the_permissions(regions: Regions) -> None:
    make: Any = boto3.client
    make("dynamodb", region_name=REPLICA).delete_table(TableName="items")
    result, _ = regions.compare()
    assert result.exit_code == 1 and "the command needs dynamodb:Scan" in str(result.exception)


def test_one_collection_can_be_compared_alone(regions: Regions, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = {"orders": Declared("public", retired=False)}
    monkeypatch.setattr("ops.cli.compare_regions.declared_collections", lambda target: declared)
    for collection in ("products", "orders"):
        regions.put(change("p", ms=OLD_MS, collection=collection), REGION)
    for mode in ("--whole", "--sample=10"):
        _, differences = regions.compare(mode, "--collection", "orders", *GRACE)
        assert ("item", "item/orders/p") in {entry[:2] for entry in differences}
        assert not [entry for entry in differences if "products" in entry[1]]


def test_a_difference_that_goes_away_is_none(regions: Regions) -> None:
    late = change("late", ms=OLD_MS)
    regions.put(late, REGION)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        regions.put(late, REPLICA)

    comparer = Comparer(Target(REPLICATED), 0, sleep=wait)
    result = comparer.compare(None, lambda text: None)
    assert result.different == [] and waits == [0.0]
    assert comparer.compare_items([late.key]).different == []


def test_a_stack_with_one_region_is_refused(regions: Regions, tmp_path: Path) -> None:
    file = tmp_path / "single.json"
    file.write_text(json.dumps({name: {"value": value} for name, value in OUTPUTS.items()}))
    result = CliRunner().invoke(main, ["--outputs", str(file), "compare-regions"])
    assert result.exit_code == 1 and "it has no replica Region" in str(result.exception)
