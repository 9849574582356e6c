"""`write` with FastAPI. Mangum turns Lambda's events into requests for FastAPI.

A pydantic model validates the request body, as FastAPI's documentation recommends.
"""

import os
from typing import Annotated, Any, Literal

import boto3
from aws_xray_sdk.core import patch
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from mangum import Mangum
from pydantic import BaseModel, ConfigDict, Field

from .rules import (
    PlainResponse,
    accepted_response,
    bad_item_id,
    change_of,
    is_item_id,
    log_accepted,
    problem,
    refusal,
)

patch(("botocore",))
client: Any = boto3.client("firehose")
STREAM = os.environ["STREAM"]
app = FastAPI(openapi_url=None)


class Product(BaseModel):
    """The pydantic model of the request body. It replaces the JSON Schema that the other references use."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1, max_length=200)]
    price: Annotated[float, Field(ge=0)]
    currency: Literal["EUR", "USD", "GBP"] | None = None
    description: Annotated[str, Field(max_length=4000)] | None = None
    tags: Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=20)] | None = None


def respond(response: PlainResponse) -> Response:
    """Return FastAPI's response object for a status, a body and headers."""
    status, text, headers = response
    return Response(text, status, headers)


@app.exception_handler(RequestValidationError)
async def body_problem(request: Request, error: RequestValidationError) -> Response:
    """Return the error response to a request whose body doesn't fit the pydantic model."""
    return respond(problem(400, "The body doesn't fit the schema."))


@app.put("/items/products/{item_id}")
async def put(item_id: str, product: Product, request: Request) -> Response:
    context = request.scope["aws.event"]["requestContext"]
    claims = context["authorizer"]["claims"]
    refused = refusal(claims)
    if refused is None and not is_item_id(item_id):
        refused = bad_item_id()
    if refused:
        return respond(refused)
    # Write the raw body to the write log, because pydantic has turned the numbers into floats, which can lose digits.
    change_id, line = change_of(item_id, (await request.body()).decode(), claims["sub"])
    client.put_record(DeliveryStreamName=STREAM, Record={"Data": line})
    log_accepted(change_id, context["requestId"])
    return respond(accepted_response(item_id, change_id))


handler = Mangum(app, lifespan="off", text_mime_types=["application/json", "application/problem+json"])
