"""`write` with boto3's client and the X-Ray SDK.

The X-Ray SDK patches only botocore. This is the reference with the fewest tools.
"""

from typing import Any

import boto3
from aws_xray_sdk.core import patch

from .plain import put

patch(("botocore",))
client: Any = boto3.client("firehose")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return put(client, event)
