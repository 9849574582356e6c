"""Invoke the Lambda functions of a Readplane stack."""

from __future__ import annotations

import json
from typing import Any

from ops.cli.target import Target, polling_output
from ops.console import CommandError

LIVE = "live"
"""The alias of a function's live version. The newest version may be another one, which Terraform has refused."""


class FunctionError(CommandError):
    """A Lambda function raised an error.

    kind: the error's class
    text: the error's text; it may hold data, so print it only if the class is known to hold none
    """

    def __init__(self, function: str, kind: str, text: str) -> None:
        super().__init__(f"{function} failed ({kind or 'no reason given'}). Its log says where.")
        self.kind = kind
        self.text = text


def poll(target: Target, event: dict[str, Any], *, replica: bool = False) -> dict[str, Any]:
    """Invoke the live version of the function `poll` with an event, and return the function's response.

    :param replica: whether to invoke `poll` in the replica Region instead of the primary one
    :raises CommandError: if `poll` raises an error, or the sources can't be polled there
    """
    function = polling_output(target, "poll_function", replica)
    return call(target, f"{function}:{LIVE}", event, target.regional(replica).region)


def call(target: Target, function: str, event: dict[str, Any], region: str) -> dict[str, Any]:
    """Invoke a Lambda function with an event and return the function's response.

    :param function: the function's name; a colon and an alias may follow it
    :raises FunctionError: if the function raises an error
    """
    invocation = target.invoker(region).invoke(FunctionName=function, Payload=json.dumps(event).encode())
    response: dict[str, Any] = json.loads(invocation["Payload"].read() or b"null") or {}
    if "FunctionError" in invocation:
        raise FunctionError(function, str(response.get("errorType") or ""), str(response.get("errorMessage") or ""))
    return response
