"""FastAPI behind Mangum; the body's schema is a pydantic model, as its documentation recommends."""

import os
from typing import Annotated, Any, Literal

import boto3
from aws_xray_sdk.core import patch
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from mangum import Mangum
from pydantic import BaseModel, ConfigDict, Field

from tests.benchmarks.references.rules import (
    Answer,
    accepted_answer,
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
    """The schema that the others have as JSON Schema."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1, max_length=200)]
    price: Annotated[float, Field(ge=0)]
    currency: Literal["EUR", "USD", "GBP"] | None = None
    description: Annotated[str, Field(max_length=4000)] | None = None
    tags: Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=20)] | None = None


def respond(answer: Answer) -> Response:
    """An answer as FastAPI gives it."""
    status, text, headers = answer
    return Response(text, status, headers)


@app.exception_handler(RequestValidationError)
async def unfit(request: Request, error: RequestValidationError) -> Response:
    """The answer to a body that doesn't fit."""
    return respond(problem(400, "The body doesn't fit the schema."))


@app.put("/items/products/{item_id}")
async def put(item_id: str, product: Product, request: Request) -> Response:
    """Accept a change of one item."""
    context = request.scope["aws.event"]["requestContext"]
    claims = context["authorizer"]["claims"]
    refused = refusal(claims)
    if refused is None and not is_item_id(item_id):
        refused = bad_item_id()
    if refused:
        return respond(refused)
    # The text as it came: what the model holds has lost the numbers' own digits.
    change_id, line = change_of(item_id, (await request.body()).decode(), claims["sub"])
    client.put_record(DeliveryStreamName=STREAM, Record={"Data": line})
    log_accepted(change_id, context["requestId"])
    return respond(accepted_answer(item_id, change_id))


handler = Mangum(app, lifespan="off", text_mime_types=["application/json", "application/problem+json"])
