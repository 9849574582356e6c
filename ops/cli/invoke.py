"""Invoke the Lambda functions of a Readplane stack."""

from __future__ import annotations

import json
from typing import Any

from ops.cli.target import Target, polling_output
from ops.console import CommandError

LIVE = "live"
"""The alias of a function's live version. The newest version may be another one, which Terraform has refused."""


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
    :raises CommandError: if the function raises an error
    """
    invocation = target.client("lambda", region).invoke(FunctionName=function, Payload=json.dumps(event).encode())
    response: dict[str, Any] = json.loads(invocation["Payload"].read() or b"null") or {}
    if "FunctionError" in invocation:
        raise CommandError(f"{function} failed ({response.get('errorType', 'no reason given')}). Its log says where.")
    return response
