"""What Terraform plans for the API of a stack, so that a test can attack the API that Terraform really makes."""

import json
from typing import Any, NamedTuple


class Stack(NamedTuple):
    """What Terraform plans for a stack.

    :param document: the OpenAPI document that Terraform imports into API Gateway, as JSON text.
    :param method_settings: the stage's settings of each method: its cache and its ttl.
    :param read_settings: the settings of `read`.
    :param query_settings: the settings of `query`.
    """

    document: str
    method_settings: tuple[dict[str, Any], ...]
    read_settings: dict[str, Any]
    query_settings: dict[str, Any]


def stack_of(plan: dict[str, Any]) -> Stack:
    """Return what a plan in Terraform's JSON format has for a stack."""
    outputs = {name: change["after"] for name, change in plan["output_changes"].items()}
    settings = (
        change["change"]["after"]
        for change in plan["resource_changes"]
        if change["type"] == "aws_api_gateway_method_settings"
    )
    read, query = (json.loads(outputs["settings"][function]) for function in ("read", "query"))
    return Stack(outputs["api"]["document"], tuple(settings), read, query)
