"""Reads what is too large for a function's environment: a version of an S3 object that Terraform wrote.

Such an object holds the JSON Schemas of the collections, or the settings of the sources. Each version of a function
names the version of the object with which Terraform deployed it. So an older version of the function, after a
roll-back, still reads the content that fits its code.
"""

import hashlib

from ..aws.client import Client
from ..config import ConfigObject


def load_config(client: Client, config: ConfigObject) -> bytes:
    """Read a version of an S3 object that Terraform wrote, and return its content.

    Call it at init, because it reads the whole object.

    :param client: a client of S3.
    :param config: the version of the object. Terraform puts it into the function's settings, so that it deploys a new
        version of the function whenever the object changes.
    :raises ValueError: if the content's hash isn't the one in ``config``, because then Terraform didn't write it.
    :raises AwsError: if S3 doesn't return the object.
    """
    bucket, key, version_id, sha256 = config
    response = client.call("GetObject", Bucket=bucket, Key=key, VersionId=version_id)
    content: bytes = response["Body"].read()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"s3://{bucket}/{key}, version {version_id}, isn't what Terraform wrote; apply again")
    return content
