"""Test of reading the JSON Schemas from S3, with the slim client and with boto3."""

import hashlib
import json

import pytest

from readplane.aws.client import make_client
from readplane.stores.schemas import read_schemas
from tests.unit.stores.support import new_bucket

pytestmark = pytest.mark.usefixtures("aws", "either_client")


def test_schemas_are_read_if_their_hash_is_the_deployed_one() -> None:
    s3 = new_bucket()
    content = json.dumps({"products": {"type": "object"}}).encode()
    s3.put_object(Bucket="bucket", Key="s", Body=content)
    digest = hashlib.sha256(content).hexdigest()
    assert read_schemas(make_client("s3"), "bucket", "s", digest) == {"products": {"type": "object"}}
    with pytest.raises(ValueError, match="apply again"):
        read_schemas(make_client("s3"), "bucket", "s", "0" * 64)
