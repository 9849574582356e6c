"""Chalice, whose application object is the handler."""

import os
from typing import Any

import boto3
from aws_xray_sdk.core import patch
from chalice import Chalice, Response

from tests.benchmarks.references.bodies import unfit
from tests.benchmarks.references.rules import accepted_answer, bad_item_id, change_of, is_item_id, log_accepted, refusal

patch(("botocore",))
client: Any = boto3.client("firehose")
STREAM = os.environ["STREAM"]
app: Any = Chalice(app_name="demo")


@app.route("/items/products/{item_id}", methods=["PUT"])
def put(item_id: str) -> Any:
    """Accept a change of one item."""
    request = app.current_request
    claims = request.context["authorizer"]["claims"]
    body = request.raw_body.decode()
    refused = refusal(claims)
    if refused is None and not is_item_id(item_id):
        refused = bad_item_id()
    answer = refused or unfit(request.headers.get("content-type"), body)
    if not answer:
        change_id, line = change_of(item_id, body, claims["sub"])
        client.put_record(DeliveryStreamName=STREAM, Record={"Data": line})
        log_accepted(change_id, request.context["requestId"])
        answer = accepted_answer(item_id, change_id)
    status, text, headers = answer
    return Response(body=text, status_code=status, headers=headers)


handler = app
