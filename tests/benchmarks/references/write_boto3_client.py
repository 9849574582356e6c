"""`write` with boto3's client. The X-Ray SDK patches only botocore. With the usual tools, this is the leanest way."""

from typing import Any

import boto3
from aws_xray_sdk.core import patch

from .plain import put

patch(("botocore",))
client: Any = boto3.client("firehose")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Lambda entry point."""
    return put(client, event)
