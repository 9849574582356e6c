"""The `write` function without a web framework.

Two references share this module: `write` with boto3's client, and `write` with boto3's resource.
"""

import os
from typing import Any

from .bodies import body_problem
from .rules import (
    accepted_response,
    bad_item_id,
    change_of,
    header,
    is_item_id,
    log_accepted,
    proxy,
    refusal,
)

STREAM = os.environ["STREAM"]


def put(client: Any, event: dict[str, Any]) -> dict[str, Any]:
    """Serve a PUT of one item, and return the response in the form of API Gateway's proxy integration.

    :param client: boto3's client for Firehose.
    :param event: API Gateway's event for the request.
    """
    claims = event["requestContext"]["authorizer"]["claims"]
    item_id = event["pathParameters"]["item_id"]
    refused = refusal(claims)
    if refused is None and not is_item_id(item_id):
        refused = bad_item_id()
    refused = refused or body_problem(header(event, "content-type"), event["body"])
    if refused:
        return proxy(refused)
    change_id, line = change_of(item_id, event["body"], claims["sub"])
    client.put_record(DeliveryStreamName=STREAM, Record={"Data": line})
    log_accepted(change_id, event["requestContext"]["requestId"])
    return proxy(accepted_response(item_id, change_id))
