"""Helpers for the tests of the slim client: a GetItem call, its response, and functions to make and observe clients."""

import time
from collections.abc import Callable
from typing import Any

from readplane.aws.slim.client import SlimClient
from tests.unit.aws.slim.server import Server, response

StartServer = Callable[..., Server]
GET = {"TableName": "items", "Key": {"pk": {"S": "products/p-1"}}}
OK = response(b'{"Item": {"pk": {"S": "products/p-1"}}}')


def dynamodb(**options: Any) -> SlimClient:
    return SlimClient("dynamodb", read_timeout=options.pop("read_timeout", 2), **options)


def count_idle(client: SlimClient) -> int:
    """Return the number of idle connections in all connection pools of a client."""
    return sum(len(pool._idle) for pool in client._pools.values())


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
