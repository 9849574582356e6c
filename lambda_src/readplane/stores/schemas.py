"""The collections' JSON Schemas: one S3 object, named by the hash of its content, read once at init."""

import hashlib
import json
from typing import Any

from ..aws.client import Client


def read_schemas(client: Client, bucket: str, key: str, sha256: str) -> dict[str, Any]:
    """Read ``{collection: schema}``.

    :param sha256: the hex digest that Terraform computed; new schemas come with a new one, hence a new version of the
        function.
    :raises ValueError: when the object is not what was deployed.
    """
    content = client.call("GetObject", Bucket=bucket, Key=key)["Body"].read()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"schemas: s3://{bucket}/{key} is not what Terraform wrote; apply again")
    schemas: dict[str, Any] = json.loads(content)
    return schemas
