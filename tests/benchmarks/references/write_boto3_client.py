"""boto3's client, only botocore patched: the leanest way with the usual tools."""

from typing import Any

import boto3
from aws_xray_sdk.core import patch

from tests.benchmarks.references.plain import put

patch(("botocore",))
client: Any = boto3.client("firehose")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Lambda entry point."""
    return put(client, event)
