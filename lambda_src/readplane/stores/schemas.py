"""The JSON Schemas of all collections, in one S3 object whose key contains its hash. Functions read it at init."""

import hashlib
import json
from decimal import Decimal
from typing import Any

from ..aws.client import Client


def read_schemas(client: Client, bucket: str, key: str, sha256: str) -> dict[str, Any]:
    """Read the JSON Schemas from S3, and return a dict from each collection's name to its schema.

    :param sha256: the object's SHA-256 in hex, which Terraform computed. It is one of the function's settings, so
        Terraform deploys a new version of the function whenever a schema changes.
    :raises ValueError: if the object's hash isn't ``sha256``, which means that Terraform didn't write the object.
    """
    content = client.call("GetObject", Bucket=bucket, Key=key)["Body"].read()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"schemas: s3://{bucket}/{key} is not what Terraform wrote; apply again")
    # A float would round the schemas' numbers, and a rule such as `minimum` compares exactly.
    schemas: dict[str, Any] = json.loads(content, parse_float=Decimal)
    return schemas
