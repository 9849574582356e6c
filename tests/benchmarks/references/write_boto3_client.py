"""boto3's client, only botocore patched: the leanest way with the usual tools."""

import os
from typing import Any

import boto3
from aws_xray_sdk.core import patch

from .bodies import unfit
from .rules import (
    accepted_answer,
    bad_item_id,
    change_of,
    header,
    is_item_id,
    log_accepted,
    proxy,
    refusal,
)

patch(("botocore",))
client: Any = boto3.client("firehose")
STREAM = os.environ["STREAM"]


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Lambda entry point."""
    claims = event["requestContext"]["authorizer"]["claims"]
    item_id = event["pathParameters"]["item_id"]
    refused = refusal(claims)
    if refused is None and not is_item_id(item_id):
        refused = bad_item_id()
    refused = refused or unfit(header(event, "content-type"), event["body"])
    if refused:
        return proxy(refused)
    change_id, line = change_of(item_id, event["body"], claims["sub"])
    client.put_record(DeliveryStreamName=STREAM, Record={"Data": line})
    log_accepted(change_id, event["requestContext"]["requestId"])
    return proxy(accepted_answer(item_id, change_id))
