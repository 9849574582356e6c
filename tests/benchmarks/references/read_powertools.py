"""`read` with Powertools for AWS Lambda: its REST resolver, Tracer and Logger, used as its docs recommend."""

import os
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.logging import correlation_paths

from .rules import bad_item_id, is_item_id, item_response, key_of, plain

tracer = Tracer()
logger = Logger()
app = APIGatewayRestResolver()
client: Any = boto3.client("dynamodb")
TABLE = os.environ["TABLE"]


@app.get("/items/products/<item_id>")
@tracer.capture_method
def get(item_id: str) -> Response[str]:
    if is_item_id(item_id):
        record = client.get_item(TableName=TABLE, Key={"pk": {"S": key_of(item_id)}}).get("Item")
        status, text, headers = item_response(plain(record), app.current_event.headers.get("if-none-match"))
    else:
        status, text, headers = bad_item_id()
    return Response(status, body=text, headers=dict(headers))


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_REST)
@tracer.capture_lambda_handler
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
