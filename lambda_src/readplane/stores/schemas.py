"""The collections' JSON Schemas: one S3 object, named by the hash of its content, which a function reads at init."""

import hashlib
import json
from typing import Any

from ..aws.client import Client


def read_schemas(client: Client, bucket: str, key: str, sha256: str) -> dict[str, Any]:
    """Read the schemas, ``{collection: schema}``.

    :param sha256: the SHA-256 in hex that Terraform computed. Changed schemas have another one, so Terraform also
        deploys a new version of the function.
    :raises ValueError: if the object isn't the one that Terraform wrote.
    """
    content = client.call("GetObject", Bucket=bucket, Key=key)["Body"].read()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"schemas: s3://{bucket}/{key} is not what Terraform wrote; apply again")
    schemas: dict[str, Any] = json.loads(content)
    return schemas
