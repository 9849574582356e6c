"""Tests of reading the JSON Schemas from S3, with the slim client and with boto3."""

import hashlib
import json
from typing import Any

import pytest

from readplane.aws.client import make_client
from readplane.config import ConfigObject
from readplane.stores.schemas import read_schemas
from tests.unit.stores.support import new_bucket

pytestmark = pytest.mark.usefixtures("aws", "either_client")


def put(s3: Any, schemas: Any) -> ConfigObject:
    content = json.dumps(schemas).encode()
    version = s3.put_object(Bucket="bucket", Key="config/schemas.json", Body=content)["VersionId"]
    return ConfigObject("bucket", "config/schemas.json", version, hashlib.sha256(content).hexdigest())


def test_each_version_of_a_function_reads_the_schemas_that_were_deployed_with_it() -> None:
    s3 = new_bucket()
    s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    older = put(s3, {"products": {"type": "object"}})
    newer = put(s3, {"products": {"type": "array"}})
    assert read_schemas(make_client("s3"), older) == {"products": {"type": "object"}}
    assert read_schemas(make_client("s3"), newer) == {"products": {"type": "array"}}


@pytest.mark.parametrize("removes_object", [False, True])
def test_an_older_version_of_a_function_reads_its_schemas_after_they_were_removed(*, removes_object: bool) -> None:
    """A later apply removed the collection's schema, or all of the object."""
    s3 = new_bucket()
    s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    older = put(s3, {"products": {"type": "object"}})
    if removes_object:
        s3.delete_object(Bucket="bucket", Key="config/schemas.json")
    else:
        assert read_schemas(make_client("s3"), put(s3, {})) == {}
    assert read_schemas(make_client("s3"), older) == {"products": {"type": "object"}}


def test_schemas_with_another_hash_than_the_deployed_one_are_refused() -> None:
    s3 = new_bucket()
    s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    config = put(s3, {})._replace(sha256="0" * 64)
    with pytest.raises(ValueError, match="apply again"):
        read_schemas(make_client("s3"), config)
