"""`write` with Chalice. Lambda invokes the Chalice application object directly, because it is callable."""

import os
from typing import Any

import boto3
from aws_xray_sdk.core import patch
from chalice import Chalice, Response

from .bodies import body_problem
from .rules import (
    accepted_response,
    bad_item_id,
    change_of,
    is_item_id,
    log_accepted,
    refusal,
)

patch(("botocore",))
client: Any = boto3.client("firehose")
STREAM = os.environ["STREAM"]
app: Any = Chalice(app_name="demo")


@app.route("/items/products/{item_id}", methods=["PUT"])
def put(item_id: str) -> Any:
    request = app.current_request
    claims = request.context["authorizer"]["claims"]
    body = request.raw_body.decode()
    refused = refusal(claims)
    if refused is None and not is_item_id(item_id):
        refused = bad_item_id()
    response = refused or body_problem(request.headers.get("content-type"), body)
    if not response:
        change_id, line = change_of(item_id, body, claims["sub"])
        client.put_record(DeliveryStreamName=STREAM, Record={"Data": line})
        log_accepted(change_id, request.context["requestId"])
        response = accepted_response(item_id, change_id)
    status, text, headers = response
    return Response(body=text, status_code=status, headers=headers)


handler = app
