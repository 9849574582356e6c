"""`read` with FastAPI. Mangum turns Lambda's events into requests for FastAPI.

The route is a coroutine, although it blocks while it waits for DynamoDB. FastAPI would run a route that isn't a
coroutine in a thread pool. A thread pool would cost time without a benefit, because a Lambda sandbox serves one request
at a time.
"""

import os
from typing import Any

import boto3
from aws_xray_sdk.core import patch
from fastapi import FastAPI, Request, Response
from mangum import Mangum

from .rules import bad_item_id, is_item_id, item_response, key_of, plain

patch(("botocore",))
client: Any = boto3.client("dynamodb")
TABLE = os.environ["TABLE"]
app = FastAPI(openapi_url=None)


@app.get("/items/products/{item_id}")
async def get(item_id: str, request: Request) -> Response:
    if is_item_id(item_id):
        record = client.get_item(TableName=TABLE, Key={"pk": {"S": key_of(item_id)}}).get("Item")
        status, text, headers = item_response(plain(record), request.headers.get("if-none-match"))
    else:
        status, text, headers = bad_item_id()
    return Response(text, status, headers)


handler = Mangum(app, lifespan="off", text_mime_types=["application/json", "application/problem+json"])
