"""Tests of the quarantine of `poll` on moto's S3, and on an S3 client that returns an error for every call."""

import json
from typing import Any

import boto3
import pytest

from readplane.aws.boto import BotoClient
from readplane.poll.quarantine import QuarantineEntry, S3Quarantine
from readplane.poll.source.translate import UntranslatableRecord
from tests.fakes.moto_aws import Aws
from tests.unit.poll.s3 import RefusingS3, new_bucket

RECORD = UntranslatableRecord("invalid", "/n: must be an integer", {"id": "a", "n": "é"}, "a")


def test_a_record_is_stored_once_with_the_reason(aws: Aws) -> None:
    bucket = new_bucket()
    quarantine = S3Quarantine(BotoClient("s3"), bucket, "quarantine/")
    quarantine.put_record("erp", RECORD, 1)
    quarantine.put_record("erp", RECORD, 2)
    quarantine.put_record("crm", RECORD, 3)
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
    assert {quarantine.get_entry(key) for key in keys} == {
        QuarantineEntry("erp", RECORD.raw_text, 2),
        QuarantineEntry("crm", RECORD.raw_text, 3),
    }
    quarantine.remove_entry(keys[0])
    assert quarantine.get_entry(keys[0]) is None


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"reason":"expired","line":"x"}', b'{"source":1,"record":2,"at_ms":3}']
)
def test_an_entry_that_poll_did_not_make_is_not_read(aws: Aws, content: bytes) -> None:
    bucket = new_bucket()
    boto3.client("s3").put_object(Bucket=bucket, Key="quarantine/expired/x.json", Body=content)
    assert S3Quarantine(BotoClient("s3"), bucket, "quarantine/").get_entry("quarantine/expired/x.json") is None


def test_only_keys_of_the_quarantine_are_read() -> None:
    assert S3Quarantine(RefusingS3("InternalError", 500), "b", "quarantine/").get_entry("log/x.json") is None
