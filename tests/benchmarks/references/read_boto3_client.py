"""`read` with boto3's client and the X-Ray SDK.

The X-Ray SDK patches only botocore. This is the reference with the fewest tools.
"""

import os
from typing import Any

import boto3
from aws_xray_sdk.core import patch

from .rules import bad_item_id, header, is_item_id, item_response, key_of, plain, proxy

patch(("botocore",))
client: Any = boto3.client("dynamodb")
TABLE = os.environ["TABLE"]


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    item_id = event["pathParameters"]["item_id"]
    if not is_item_id(item_id):
        return proxy(bad_item_id())
    record = client.get_item(TableName=TABLE, Key={"pk": {"S": key_of(item_id)}}).get("Item")
    return proxy(item_response(plain(record), header(event, "if-none-match")))
