"""Test `verify --export`: the calls, the reading of recorded files, and what counts as a difference.

moto and the emulator make no manifest. So the test writes an export's objects as DynamoDB's documentation shows them.
"""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from click.testing import Result

from ops.cli import store_differences, table_export, verify
from ops.cli.collection_stores import Declared, LiveFunction
from ops.cli.table_export import TableExport, delete_export, export_pages, region_of, start_export, wait_for_export
from ops.cli.target import RegionalStack, Target
from ops.console import CommandError
from readplane.aws.boto import BotoClient
from readplane.model.change import Change
from readplane.stores.documents import VERSION_METADATA
from readplane.stores.items import DynamoItems
from tests.fakes.moto_aws import REGION, Aws
from tests.unit.ops.cli.support import OUTPUTS, Run, objects
from tests.unit.support import NOW_MS, change

TABLE = f"arn:aws:dynamodb:{REGION}:123456789012:table/items"
ARN = f"{TABLE}/export/01764350000000-a1b2c3d4"
FOLDER = "exports/AWSDynamoDB/01764350000000-a1b2c3d4/"
STACK = RegionalStack(REGION, "log", "documents")
EXPORT = TableExport("log", FOLDER)


def description(status: str, **fields: Any) -> dict[str, Any]:
    """Return the answer of DescribeExport, with the members that the documentation shows."""
    complete = {
        "ExportArn": ARN,
        "ExportStatus": status,
        "ExportManifest": f"{FOLDER}manifest-summary.json",
        "TableArn": TABLE,
        "S3Bucket": "log",
        "S3Prefix": "exports",
        "ExportFormat": "DYNAMODB_JSON",
        "ExportType": "FULL_EXPORT",
    }
    return {"ExportDescription": complete | fields}


@pytest.fixture
def dynamodb(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """Replace the client of DynamoDB by one with recorded answers, which refuses parameters that its model lacks."""
    make: Any = boto3.client
    make("s3").create_bucket(Bucket="log", CreateBucketConfiguration={"LocationConstraint": REGION})
    client = make("dynamodb")
    monkeypatch.setattr(
        Target, "client", lambda self, service, region=None: client if service == "dynamodb" else make(service)
    )
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.mark.parametrize("key", [None, "arn:aws:kms:eu-central-1:123456789012:key/k"])
def test_an_export_is_encrypted_as_its_bucket_is(dynamodb: Stubber, key: str | None) -> None:
    make: Any = boto3.client
    default = {"SSEAlgorithm": "AES256"} if key is None else {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    make("s3").put_bucket_encryption(
        Bucket="log",
        ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": default}]},
    )
    expected = {"TableArn": TABLE, "S3Bucket": "log", "S3Prefix": "exports", "ExportFormat": "DYNAMODB_JSON"}
    expected |= {"S3SseAlgorithm": "AES256"} if key is None else {"S3SseAlgorithm": "KMS", "S3SseKmsKeyId": key}
    table = {"TableArn": TABLE, "TableSizeBytes": 12_345_678_901}
    dynamodb.add_response("describe_table", {"Table": table}, {"TableName": "items"})
    dynamodb.add_response("export_table_to_point_in_time", description("IN_PROGRESS"), expected)
    texts: list[str] = []
    assert start_export(Target(OUTPUTS), STACK, texts.append) == ARN
    assert "12.3 GB" in texts[0] and f"--export {ARN}" in texts[0]


def wait() -> tuple[TableExport, list[float]]:
    waits: list[float] = []
    export = wait_for_export(Target(OUTPUTS), STACK, ARN, progress=lambda _: None, sleep=waits.append)
    return export, waits


def test_the_command_waits_until_the_export_is_complete(dynamodb: Stubber) -> None:
    for status in ("IN_PROGRESS", "IN_PROGRESS", "COMPLETED"):
        dynamodb.add_response("describe_export", description(status), {"ExportArn": ARN})
    assert wait() == (EXPORT, [table_export.POLL_SECONDS] * 2)


def test_an_export_that_cannot_be_compared_is_refused(dynamodb: Stubber) -> None:
    for fields, text in [
        ({"ExportStatus": "FAILED", "FailureCode": "S3AccessDenied"}, r"has failed \(S3AccessDenied\)"),
        ({"ExportFormat": "ION"}, "FULL_EXPORT in ION"),
        ({"ExportType": "INCREMENTAL_EXPORT"}, "INCREMENTAL_EXPORT in DYNAMODB_JSON"),
    ]:
        dynamodb.add_response("describe_export", description("COMPLETED", **fields), {"ExportArn": ARN})
        with pytest.raises(CommandError, match=text):
            wait()
    dynamodb.add_client_error("describe_export", "ExportNotFoundException")
    with pytest.raises(CommandError, match="doesn't know the export"):
        wait()


def put_export(images: list[dict[str, Any]], *, missing: int = 0) -> None:
    """Put an export's objects: two files, an empty one of an empty partition, and the manifest.

    :param missing: how many items more than there are the manifest counts
    """
    make: Any = boto3.client
    manifest = []
    for number, part in enumerate((images[:2], images[2:], [])):
        key = f"{FOLDER}data/file{number}.json.gz"
        lines = "".join(json.dumps({"Item": image}) + "\n" for image in part)
        make("s3").put_object(Bucket="log", Key=key, Body=gzip.compress(lines.encode()))
        count = len(part) + (missing if number == 1 else 0)
        manifest.append({"itemCount": count, "md5Checksum": "x", "etag": "y-1", "dataFileS3Key": key})
    body = "".join(json.dumps(entry) + "\n" for entry in manifest)
    make("s3").put_object(Bucket="log", Key=f"{FOLDER}manifest-files.json", Body=body.encode())
    for name in ("_started", "manifest-summary.json", "manifest-files.checksum"):
        make("s3").put_object(Bucket="log", Key=FOLDER + name, Body=b"")


def test_the_items_of_all_files_are_read_and_counted(run: Run) -> None:
    images = [{"pk": {"S": f"item/products/p-{number}"}, "data": {"S": "é\n"}} for number in range(4)]
    others = [{"pk": {"S": "item/products2/x"}}, {"pk": {"S": "heartbeat/eu-west-1"}}]
    make: Any = boto3.client
    s3 = make("s3")
    put_export(images + others)
    found = [image for page in export_pages(s3, EXPORT, "products") for image in page.values()]
    assert found == images
    assert sum(len(page) for page in export_pages(s3, EXPORT, None)) == 5
    put_export(images, missing=1)
    with pytest.raises(CommandError, match="holds 2 items instead of 3"):
        list(export_pages(s3, EXPORT, None))
    s3.delete_object(Bucket="log", Key=f"{FOLDER}data/file1.json.gz")
    with pytest.raises(CommandError, match="isn't in log any more"):
        list(export_pages(s3, EXPORT, None))


def test_only_exports_of_this_command_are_deleted(run: Run) -> None:
    make: Any = boto3.client
    put_export([])
    assert not delete_export(make("s3"), STACK, TableExport("log", "mine/AWSDynamoDB/1/"))
    assert not delete_export(make("s3"), STACK, TableExport("other", FOLDER))
    assert objects("exports/")
    assert delete_export(make("s3"), STACK, EXPORT)
    assert not make("s3").list_object_versions(Bucket="log").get("Versions")


@pytest.mark.parametrize("arn", ["x", TABLE, ARN.replace("table/items", "table/others"), f"{ARN}/x"])
def test_another_arn_is_refused(arn: str) -> None:
    with pytest.raises(CommandError, match="isn't the ARN of an export of the table items"):
        region_of(Target(OUTPUTS), arn)
    assert region_of(Target(OUTPUTS), ARN) == REGION


def put(new: Change, document: str | None) -> dict[str, Any]:
    """Store an item, and a document with a version (None for no document). Return the item's row."""
    make: Any = boto3.client
    DynamoItems(BotoClient("dynamodb"), "items", horizon_ms=10**12).apply(new)
    if document is not None:
        make("s3").put_object(
            Bucket="documents",
            Key=f"public/documents/products/{new.item_id}",
            Body=b"{}",
            Metadata={VERSION_METADATA: document},
        )
    row: dict[str, Any] = make("dynamodb").get_item(TableName="items", Key={"pk": {"S": new.key}})["Item"]
    return row


@pytest.fixture
def verify_export(run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Return a function that runs `verify` on a test stack, in which every export is complete at once."""
    make: Any = boto3.client
    make("s3").create_bucket(Bucket="documents", CreateBucketConfiguration={"LocationConstraint": REGION})
    client = Target.client

    def with_exports(target: Target, service: str, region: str | None = None) -> Any:
        dynamodb = client(target, service, region)
        if service == "dynamodb":
            dynamodb.export_table_to_point_in_time = lambda **_: description("IN_PROGRESS")
            dynamodb.describe_export = lambda **_: description("COMPLETED")
        return dynamodb

    declared = {"products": Declared("public", retired=False)}
    monkeypatch.setattr(Target, "client", with_exports)
    monkeypatch.setattr(table_export, "_encryption", lambda *_: {})
    monkeypatch.setattr(verify, "declared_collections", lambda target, stacks: declared)
    monkeypatch.setattr(store_differences, "live_function", lambda *_: LiveFunction({"feeds": {}}, 0, 60))
    monkeypatch.setattr("ops.cli.verify.time.sleep", lambda seconds: None)

    def command(*words: str) -> Result:
        return run("verify", *words)

    yield command


def test_an_export_shows_the_differences_without_a_scan(verify_export: Run, aws: Aws) -> None:
    same, lost = change("same"), change("lost")
    rows = [put(same, same.version), put(lost, None), put(change("gone", data=None), None)]
    changed = change("changed")
    rows.append(put(changed, changed.version))
    put_export(rows)
    # After the export, one item gets a newer version, with its document, and another item is new.
    for later in (change("changed", ms=NOW_MS + 5), change("new", ms=NOW_MS + 5)):
        put(later, later.version)
    make: Any = boto3.client
    make("s3").put_object(Bucket="documents", Key="public/documents/products/orphan", Body=b"{}")
    result, calls = aws.during(lambda: verify_export("--export", "--json"))
    assert [(entry["kind"], entry["key"]) for entry in map(json.loads, result.stdout.splitlines())] == [
        ("extra", "item/products/orphan"),
        ("missing", "item/products/lost"),
    ]
    assert result.exit_code == 1 and f"go on with --export {ARN}" in result.stderr
    assert "Scan" not in calls
    assert calls.count("BatchGetItem") == 4, (
        "of the suspects of two pages, of unknown documents, and of all of them again"
    )
    assert not objects("exports/")


def test_an_interrupted_command_goes_on_with_the_arn(verify_export: Run) -> None:
    item = change("same")
    put_export([put(item, item.version)])
    result = verify_export("--export", ARN)
    assert (result.exit_code, "1 items, 1 documents compared. Differences: none." in result.output) == (0, True)
    assert not objects("exports/")
    assert "isn't in log any more" in str(verify_export("--export", ARN).exception)


def test_words_that_exclude_each_other_are_refused(verify_export: Run) -> None:
    assert verify_export("--export", "--scan").exit_code == 2
    assert verify_export("--export", ARN, "--region", "eu-west-1").exit_code == 2
    assert "isn't the ARN" in str(verify_export("--export", "x").exception)
    assert "The stack isn't in us-east-1." in str(verify_export("--export", ARN.replace(REGION, "us-east-1")).exception)
