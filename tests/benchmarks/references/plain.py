"""The request as one writes it without a framework, for whichever way boto3 is made and traced."""

import os
from typing import Any

from tests.benchmarks.references.bodies import unfit
from tests.benchmarks.references.rules import (
    accepted_answer,
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
    """Accept a change of one item."""
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
