"""Tests of snapshot documents on moto's S3, and on an S3 client that returns an error for every call."""

from typing import Any

import boto3
import pytest

from readplane.aws.boto import BotoClient
from readplane.aws.faults import RefusedError
from readplane.poll.snapshot_documents import S3SnapshotDocuments
from readplane.stores.versioned_documents import StoredDocument
from tests.fakes.moto_aws import Aws
from tests.unit.poll.s3 import RefusingS3, new_bucket

KEY = "public/documents/rates/current"


def test_a_document_is_written_only_over_the_document_that_was_read(aws: Aws) -> None:
    bucket = new_bucket()
    store = S3SnapshotDocuments(BotoClient("s3"), bucket)
    assert store.get_stored_document(KEY) is None
    assert store.replace_document(KEY, b'{"n":1.0}', "v1", "public, max-age=60", None)
    found: Any = boto3.client("s3").get_object(Bucket=bucket, Key=KEY)
    assert found["Body"].read() == b'{"n":1.0}'
    assert (found["ContentType"], found["CacheControl"]) == ("application/json", "public, max-age=60")
    stored = store.get_stored_document(KEY)
    assert stored == StoredDocument("v1", found["ETag"])
    assert not store.replace_document(KEY, b"{}", "v0", "no-cache", None)
    assert store.replace_document(KEY, b"{}", "v2", "no-cache", stored)
    assert not store.replace_document(KEY, b'{"n":3}', "v3", "no-cache", stored), "another document is stored by now"
    latest = store.get_stored_document(KEY)
    assert latest and latest.version == "v2"


def test_a_bucket_is_reached_through_a_client_of_its_region(aws: Aws) -> None:
    bucket = new_bucket("eu-west-1")
    client = BotoClient("s3", region="eu-west-1")
    assert client._client.meta.region_name == "eu-west-1"
    S3SnapshotDocuments(client, bucket).put_document(KEY, "{}", "v1", "no-cache")
    assert S3SnapshotDocuments(client, bucket).get_stored_document(KEY) is not None


@pytest.mark.parametrize(("code", "status"), [("403", 403), ("404", 404)])
def test_a_document_that_cannot_be_seen_counts_as_missing(code: str, status: int) -> None:
    assert S3SnapshotDocuments(RefusingS3(code, status), "b").get_stored_document(KEY) is None


@pytest.mark.parametrize(
    ("code", "status"), [("PreconditionFailed", 412), ("ConditionalRequestConflict", 409), ("NoSuchKey", 404)]
)
def test_a_failed_condition_writes_nothing(code: str, status: int) -> None:
    assert not S3SnapshotDocuments(RefusingS3(code, status), "b").replace_document(
        KEY, b"", "v", "", StoredDocument("v", '"e"')
    )


@pytest.mark.parametrize(("code", "status"), [("AccessDenied", 403), ("InternalError", 500)])
def test_another_refusal_is_an_error_and_no_failed_condition(code: str, status: int) -> None:
    with pytest.raises(RefusedError):
        S3SnapshotDocuments(RefusingS3(code, status), "b").replace_document(KEY, b"", "v", "", None)


def test_an_error_of_s3_is_not_a_missing_document() -> None:
    with pytest.raises(RefusedError):
        S3SnapshotDocuments(RefusingS3("InternalError", 500), "b").get_stored_document(KEY)
