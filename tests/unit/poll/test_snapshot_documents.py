"""What `poll` puts beside the documents, and its quarantine: against moto's S3, and one that refuses."""

import json
import uuid
from typing import Any

import boto3
import pytest

from readplane.aws.boto import BotoClient
from readplane.aws.faults import RefusedError
from readplane.poll.quarantine import QuarantineEntry, S3Quarantine
from readplane.poll.snapshot_documents import S3SnapshotDocuments, StoredDocument
from readplane.poll.source.translate import UntranslatableRecord
from tests.fakes.moto_aws import REGION, Aws

KEY = "public/rates/current.json"


def new_bucket(region: str = REGION) -> str:
    name = f"bucket-{uuid.uuid4()}"
    place: Any = {"LocationConstraint": region}
    boto3.client("s3", region_name=region).create_bucket(Bucket=name, CreateBucketConfiguration=place)
    return name


class Refusing:
    """S3 that answers every call with one error."""

    def __init__(self, code: str, status: int) -> None:
        self._refusal = RefusedError(code, status)

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        raise self._refusal


def test_a_document_is_put_where_nothing_else_stands(aws: Aws) -> None:
    bucket = new_bucket()
    store = S3SnapshotDocuments(BotoClient("s3"), bucket)
    assert store.held(KEY) is None
    assert store.replace(KEY, b'{"n":1.0}', "v1", "public, max-age=60", None)
    found: Any = boto3.client("s3").get_object(Bucket=bucket, Key=KEY)
    assert found["Body"].read() == b'{"n":1.0}'
    assert (found["ContentType"], found["CacheControl"]) == ("application/json", "public, max-age=60")
    held = store.held(KEY)
    assert held == StoredDocument("v1", found["ETag"])
    assert not store.replace(KEY, b"{}", "v0", "no-cache", None)
    assert store.replace(KEY, b"{}", "v2", "no-cache", held)
    assert not store.replace(KEY, b'{"n":3}', "v3", "no-cache", held), "another one stands there by now"
    now = store.held(KEY)
    assert now and now.version == "v2"


def test_a_regions_bucket_is_reached_by_its_own_client(aws: Aws) -> None:
    bucket = new_bucket("eu-west-1")
    client = BotoClient("s3", region="eu-west-1")
    assert client._client.meta.region_name == "eu-west-1"
    S3SnapshotDocuments(client, bucket).put(KEY, "{}", "v1", "no-cache")
    assert S3SnapshotDocuments(client, bucket).held(KEY) is not None


@pytest.mark.parametrize(("code", "status"), [("403", 403), ("404", 404)])
def test_what_cannot_be_seen_is_missing(code: str, status: int) -> None:
    assert S3SnapshotDocuments(Refusing(code, status), "b").held(KEY) is None


@pytest.mark.parametrize(
    ("code", "status"), [("PreconditionFailed", 412), ("ConditionalRequestConflict", 409), ("NoSuchKey", 404)]
)
def test_a_condition_that_fails_puts_nothing(code: str, status: int) -> None:
    assert not S3SnapshotDocuments(Refusing(code, status), "b").replace(KEY, b"", "v", "", StoredDocument("v", '"e"'))


@pytest.mark.parametrize(("code", "status"), [("AccessDenied", 403), ("InternalError", 500)])
def test_a_refusal_is_no_condition(code: str, status: int) -> None:
    with pytest.raises(RefusedError):
        S3SnapshotDocuments(Refusing(code, status), "b").replace(KEY, b"", "v", "", None)


def test_a_bucket_that_fails_is_not_empty() -> None:
    with pytest.raises(RefusedError):
        S3SnapshotDocuments(Refusing("InternalError", 500), "b").held(KEY)


RECORD = UntranslatableRecord("invalid", "/n: must be an integer", {"id": "a", "n": "é"}, "a")


def test_a_record_is_kept_whole_with_the_reason_and_once(aws: Aws) -> None:
    bucket = new_bucket()
    quarantine = S3Quarantine(BotoClient("s3"), bucket, "quarantine/")
    quarantine.put("erp", RECORD, 1)
    quarantine.put("erp", RECORD, 2)
    quarantine.put("crm", RECORD, 3)
    s3: Any = boto3.client("s3")
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert len(keys) == 2 and all(key.startswith("quarantine/invalid/") for key in keys)
    entries = [json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys]
    assert {
        "reason": "invalid",
        "detail": "/n: must be an integer",
        "origin": "source/erp",
        "source": "erp",
        "at_ms": 2,
        "record": '{"id":"a","n":"é"}',
    } in entries
    assert {quarantine.get(key) for key in keys} == {
        QuarantineEntry("erp", RECORD.raw_text, 2),
        QuarantineEntry("crm", RECORD.raw_text, 3),
    }
    quarantine.remove(keys[0])
    assert quarantine.get(keys[0]) is None


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"reason":"expired","line":"x"}', b'{"source":1,"record":2,"at_ms":3}']
)
def test_what_apply_has_kept_is_no_record(aws: Aws, content: bytes) -> None:
    bucket = new_bucket()
    boto3.client("s3").put_object(Bucket=bucket, Key="quarantine/expired/x.json", Body=content)
    assert S3Quarantine(BotoClient("s3"), bucket, "quarantine/").get("quarantine/expired/x.json") is None


def test_only_the_quarantine_is_read() -> None:
    assert S3Quarantine(Refusing("InternalError", 500), "b", "quarantine/").get("log/x.json") is None
