"""`write` with boto3 and all patches of the X-Ray SDK. boto3 has no resource for Firehose, so `write` uses a client."""

from typing import Any

import boto3
from aws_xray_sdk.core import patch_all

from .plain import put

patch_all()
client: Any = boto3.client("firehose")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return put(client, event)
