"""`read` with boto3's resource for DynamoDB, and with all patches of the X-Ray SDK, as most examples of the SDK do."""

import os
from typing import Any

import boto3
from aws_xray_sdk.core import patch_all

from .rules import bad_item_id, header, is_item_id, item_response, key_of, proxy

patch_all()
table: Any = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    item_id = event["pathParameters"]["item_id"]
    if not is_item_id(item_id):
        return proxy(bad_item_id())
    record = table.get_item(Key={"pk": key_of(item_id)}).get("Item")
    return proxy(item_response(record, header(event, "if-none-match")))
