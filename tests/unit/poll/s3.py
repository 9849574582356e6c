"""Helpers for tests of stores in S3: a new bucket in moto, and an S3 client that returns an error for every call."""

import uuid
from typing import Any

import boto3

from readplane.aws.faults import RefusedError
from tests.fakes.moto_aws import REGION


def new_bucket(region: str = REGION) -> str:
    """Create an S3 bucket with a random name, and return the name."""
    name = f"bucket-{uuid.uuid4()}"
    configuration: Any = {"LocationConstraint": region}
    boto3.client("s3", region_name=region).create_bucket(Bucket=name, CreateBucketConfiguration=configuration)
    return name


class RefusingS3:
    """An S3 client that raises the same AWS error for every call."""

    def __init__(self, code: str, status: int) -> None:
        self._refusal = RefusedError(code, status)

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        raise self._refusal
