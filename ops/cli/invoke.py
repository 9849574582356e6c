"""Calls of the stack's functions."""

from __future__ import annotations

import json
from typing import Any

from ops.cli.target import Target
from ops.console import CommandError


def poll(target: Target, event: dict[str, Any]) -> dict[str, Any]:
    """Invoke `poll` and wait for its answer.

    :raises Failure: when the function itself fails; its log says why.
    """
    return call(target, target.output("poll_function", "it has no sources."), event, target.region)


def call(target: Target, function: str, event: dict[str, Any], region: str) -> dict[str, Any]:
    """Invoke a function and wait for its answer.

    :raises Failure: when the function itself fails; its log says why.
    """
    answer = target.client("lambda", region).invoke(FunctionName=function, Payload=json.dumps(event).encode())
    told: dict[str, Any] = json.loads(answer["Payload"].read() or b"null") or {}
    if "FunctionError" in answer:
        raise CommandError(f"{function} failed ({told.get('errorType', 'no reason given')}). Its log says where.")
    return told
