"""Exports the items table of one Region to the write log's bucket, and reads the export.

DynamoDB makes an export from the data of point-in-time recovery. So it shows the whole table at one moment, and it
takes no read capacity of the table. The caller's own rights write the export's objects.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, cast

from botocore.exceptions import ClientError

from ops.cli.collection_stores import batches_of
from ops.cli.object_versions import delete_versions, version_pages
from ops.cli.publishing import Image
from ops.cli.target import RegionalStack, Target
from ops.console import CommandError
from ops.walk import PAGE
from readplane.model.keys import ITEM_PREFIX

EXPORTS = "exports/"
"""The key prefix of exports in the write log's bucket. S3 deletes what lies there for a week (module `write_log`)."""

POLL_SECONDS = 15.0
"""How often a command asks whether an export is complete. An export takes some minutes at least."""

_ARN = re.compile(r"arn:[\w-]+:dynamodb:(?P<region>[\w-]+):\d+:table/(?P<table>[\w.-]+)/export/[\w-]+")


class TableExport(NamedTuple):
    """A complete export.

    bucket: the bucket that holds its objects
    folder: the key prefix of its objects
    """

    bucket: str
    folder: str


def region_of(target: Target, arn: str) -> str:
    """Return the Region of an export that a command line names.

    :raises CommandError: if the text isn't the ARN of an export of this stack's items table
    """
    found = _ARN.fullmatch(arn)
    if found is None or found["table"] != target.outputs["items_table"]:
        raise CommandError(f"{arn} isn't the ARN of an export of the table {target.outputs['items_table']}.")
    return found["region"]


def start_export(target: Target, stack: RegionalStack, progress: Callable[[str], None]) -> str:
    """Start an export of the items table as it is now. Return the export's ARN."""
    dynamodb = target.client("dynamodb", stack.region)
    table = dynamodb.describe_table(TableName=target.outputs["items_table"])["Table"]
    started = dynamodb.export_table_to_point_in_time(
        TableArn=table["TableArn"],
        S3Bucket=stack.log_bucket,
        S3Prefix=EXPORTS.rstrip("/"),
        ExportFormat="DYNAMODB_JSON",
        **_encryption(target.client("s3", stack.region), stack.log_bucket),
    )
    arn: str = started["ExportDescription"]["ExportArn"]
    progress(
        f"{stack.region}: exports some {table.get('TableSizeBytes', 0) / 1e9:.1f} GB. If the command is interrupted, "
        f"go on with --export {arn}"
    )
    return arn


def _encryption(s3: Any, bucket: str) -> dict[str, str]:
    """Return the arguments with which DynamoDB encrypts an export as the bucket encrypts other objects."""
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    default = rules[0]["ApplyServerSideEncryptionByDefault"]
    if "KMSMasterKeyID" in default:
        return {"S3SseAlgorithm": "KMS", "S3SseKmsKeyId": default["KMSMasterKeyID"]}
    return {"S3SseAlgorithm": "AES256"}


def wait_for_export(
    target: Target,
    stack: RegionalStack,
    arn: str,
    *,
    progress: Callable[[str], None],
    sleep: Callable[[float], None],
) -> TableExport:
    """Wait until an export is complete.

    :raises CommandError: if DynamoDB doesn't know the export, or it fails, or it isn't a whole one in DynamoDB's JSON
    """
    seconds = 0.0
    while (description := _describe(target, stack, arn))["ExportStatus"] == "IN_PROGRESS":
        progress(f"{stack.region}: the export isn't complete after {seconds / 60:.0f} minutes …")
        sleep(POLL_SECONDS)
        seconds += POLL_SECONDS
    if description["ExportStatus"] != "COMPLETED":
        raise CommandError(
            f"The export in {stack.region} has failed ({description.get('FailureCode', 'no code')}). Does this "
            "operator have the permissions for --export (docs/operate.md)?"
        )
    kind = description.get("ExportType", "FULL_EXPORT"), description.get("ExportFormat")
    if kind != ("FULL_EXPORT", "DYNAMODB_JSON"):
        raise CommandError(f"{arn} is {kind[0]} in {kind[1]}. It must be FULL_EXPORT in DYNAMODB_JSON.")
    return TableExport(description["S3Bucket"], f"{description['ExportManifest'].rpartition('/')[0]}/")


def _describe(target: Target, stack: RegionalStack, arn: str) -> Mapping[str, Any]:
    try:
        answer = target.client("dynamodb", stack.region).describe_export(ExportArn=arn)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExportNotFoundException":
            raise
        raise CommandError(f"DynamoDB in {stack.region} doesn't know the export {arn}.") from error
    description: Mapping[str, Any] = answer["ExportDescription"]
    return description


def export_pages(s3: Any, export: TableExport, collection: str | None) -> Iterator[Mapping[str, Image]]:
    """Yield pages of the items in an export by their keys.

    :param collection: the name of a collection, to yield only its items
    :raises CommandError: if an object of the export is missing, or holds fewer items than its manifest says
    """
    prefix = f"{ITEM_PREFIX}{collection}/" if collection else ITEM_PREFIX
    for file in _lines(s3, export.bucket, f"{export.folder}manifest-files.json"):
        count = 0
        for batch in batches_of(_lines(s3, export.bucket, file["dataFileS3Key"]), PAGE):
            count += len(batch)
            images = {entry["Item"]["pk"]["S"]: entry["Item"] for entry in batch}
            yield {key: image for key, image in images.items() if key.startswith(prefix)}
        if count != file["itemCount"]:
            raise CommandError(
                f"{file['dataFileS3Key']} in {export.bucket} holds {count} items instead of {file['itemCount']}."
            )


def _lines(s3: Any, bucket: str, key: str) -> Iterator[Any]:
    """Yield the JSON values of the lines of an object, which is decompressed if its key ends in .gz."""
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchKey":
            raise
        raise CommandError(f"{key} isn't in {bucket} any more. Start a new export.") from error
    lines = cast(Iterator[bytes], gzip.GzipFile(fileobj=body)) if key.endswith(".gz") else body.iter_lines()
    yield from map(json.loads, lines)


def delete_export(s3: Any, stack: RegionalStack, export: TableExport) -> bool:
    """Delete an export for good, if it lies where `start_export` puts it. Return whether it does."""
    if export.bucket != stack.log_bucket or not export.folder.startswith(EXPORTS):
        return False
    for page in version_pages(s3, export.bucket, export.folder, None):
        delete_versions(s3, export.bucket, page.versions)
    return True
