"""Reads what is too large for a function's environment: a version of an S3 object that Terraform wrote.

Such an object holds the JSON Schemas of the collections, or the settings of the sources. Each version of a function
names the version of the object with which Terraform deployed it. So an older version of the function, after a
roll-back, still reads the content that fits its code.
"""

import hashlib

from ..aws.client import Client, make_client


def load_config(bucket: str, key: str, version_id: str, sha256: str, client: Client | None = None) -> bytes:
    """Read a version of an S3 object that Terraform wrote, and return its content.

    Call it at init, because it reads the whole object.

    :param version_id: the object's version. Terraform puts it into the function's settings, so that it deploys a new
        version of the function whenever the object changes.
    :param sha256: the SHA-256 of the content in hex, which Terraform computed.
    :param client: a client of S3; ``None`` makes one.
    :raises ValueError: if the content's hash isn't ``sha256``, because then Terraform didn't write this content.
    :raises AwsError: if S3 doesn't return the object.
    """
    response = (client or make_client("s3")).call("GetObject", Bucket=bucket, Key=key, VersionId=version_id)
    content: bytes = response["Body"].read()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"s3://{bucket}/{key}, version {version_id}, isn't what Terraform wrote; apply again")
    return content
