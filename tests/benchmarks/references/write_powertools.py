"""`write` with Powertools for AWS Lambda: its REST resolver, Tracer, Logger and Metrics, used as its docs recommend.

The function ``validate`` of Powertools compiles the JSON Schema again for every request. This takes most of the time of
a warm request.
"""

import json
import os
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.validation import SchemaValidationError, validate

from .declared import SCHEMA
from .rules import (
    PlainResponse,
    accepted_response,
    bad_item_id,
    change_of,
    is_item_id,
    problem,
    refusal,
)

tracer = Tracer()
logger = Logger()
metrics = Metrics(namespace="Readplane")
app = APIGatewayRestResolver()
client: Any = boto3.client("firehose")
STREAM = os.environ["STREAM"]


@app.put("/items/products/<item_id>")
@tracer.capture_method
def put(item_id: str) -> Response[str]:
    event = app.current_event
    claims = event.request_context.authorizer.claims or {}
    body = event.body or ""
    refused = refusal(claims)
    if refused is None and not is_item_id(item_id):
        refused = bad_item_id()
    refused = refused or body_problem(event.headers.get("content-type"), body)
    if refused:
        status, text, headers = refused
    else:
        change_id, line = change_of(item_id, body, claims["sub"])
        client.put_record(DeliveryStreamName=STREAM, Record={"Data": line})
        metrics.add_metric("ChangesAccepted", unit=MetricUnit.Count, value=1)
        logger.info("accepted", change_id=change_id, collection="products", request_id=event.request_context.request_id)
        status, text, headers = accepted_response(item_id, change_id)
    return Response(status, body=text, headers=dict(headers))


def body_problem(content_type: str | None, body: str) -> PlainResponse | None:
    """Return the error response to an invalid request body, or ``None`` if the body is valid."""
    if (content_type or "").partition(";")[0].strip().lower() != "application/json":
        return problem(415, "The body must be application/json.")
    try:
        validate(event=json.loads(body), schema=SCHEMA)
    except (ValueError, SchemaValidationError):
        return problem(400, "The body doesn't fit the schema.")
    return None


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_REST)
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
