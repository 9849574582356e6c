"""`read` with Chalice. Lambda invokes the Chalice application object directly, because it is callable."""

import os
from typing import Any

import boto3
from aws_xray_sdk.core import patch
from chalice import Chalice, Response

from .rules import bad_item_id, is_item_id, item_response, key_of, plain

patch(("botocore",))
client: Any = boto3.client("dynamodb")
TABLE = os.environ["TABLE"]
app: Any = Chalice(app_name="demo")


@app.route("/items/products/{item_id}")
def get(item_id: str) -> Any:
    if is_item_id(item_id):
        record = client.get_item(TableName=TABLE, Key={"pk": {"S": key_of(item_id)}}).get("Item")
        status, text, headers = item_response(plain(record), app.current_request.headers.get("if-none-match"))
    else:
        status, text, headers = bad_item_id()
    return Response(body=text, status_code=status, headers=headers)


handler = app
