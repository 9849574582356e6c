"""What the local tests share: the applied stack, its users, and ways to call it."""

import dataclasses
import json
import os
import time
import unittest.mock
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

import boto3
import requests

from ops.local import back_office
from ops.local.emulator import running
from ops.local.session import Api, User, root
from ops.local.stack import Outputs, Stack
from readplane.aws.client import Client, client

Value = TypeVar("Value")


@dataclasses.dataclass(frozen=True)
class Local:
    """The stack that all local tests share, applied once."""

    stack: Stack
    alice: User  # alice and bob are in no group
    bob: User
    eve: User  # an editor
    seen: set[tuple[str, str, int]] = dataclasses.field(default_factory=set)  # (method, path, status) of every call

    @property
    def outputs(self) -> Outputs:
        return self.stack.outputs

    def api(self, user: User | None = None, *, token: str | None = None, replica: bool = False) -> Api:
        """The HTTP API as a user (by access token), with any token, or as nobody."""
        url = self.outputs.replica_api_url if replica else self.outputs.api_url
        assert url, "the local settings declare no replica Region"
        return Api(url, user.access_token if user else token, seen=self.seen)

    def root(self, *, replica: bool = False) -> boto3.session.Session:
        """The account's root, whom IAM refuses nothing, in the primary or the replica Region."""
        region = self.outputs.replica_region if replica else self.outputs.region
        assert region, "the local settings declare no replica Region"
        return root(region)

    def client(self, service: str, *, kind: str = "boto3", replica: bool = False) -> Client:
        """What the stores call AWS with, as the account's root."""
        region = self.root(replica=replica).region_name
        chosen = {"READPLANE_CLIENT": kind, "AWS_REGION": region, "AWS_DEFAULT_REGION": region}
        with unittest.mock.patch.dict(os.environ, chosen):
            return client(service, connections=50)

    @cached_property
    def office(self) -> back_office.BackOffice:
        """The back office that the stack's sources poll."""
        office = back_office.running(self.stack.name)
        assert office, "started with the stack"
        return office

    @cached_property
    def ministack(self) -> bool:
        """Whether this is MiniStack, the embedded emulator."""
        told = requests.get(f"{self.stack.endpoint}/_ministack/health", timeout=5).status_code == 200
        assert told or not running(self.stack.name), "what was started here is MiniStack"
        return told

    def events(
        self, function: str, code: str, *, since_ms: int = 0, replica: bool = False, **fields: object
    ) -> list[dict[str, Any]]:
        """What one Region's function logged under an event code, with these fields.

        MiniStack shows a line that came late with the function's next invocation: see pipeline.shown().
        """
        pages = self.root(replica=replica).client("logs").get_paginator("filter_log_events")
        found = pages.paginate(
            logGroupName=f"/aws/lambda/{self.outputs.name}-{function}",
            filterPattern=f'"{code}"',
            startTime=since_ms,
        )
        lines = [event["message"] for page in found for event in page["events"]]
        events: list[dict[str, Any]] = [json.loads(line) for line in lines if line.startswith("{")]
        return [e for e in events if e["event"] == code and all(e.get(k) == v for k, v in fields.items())]


def eventually(check: Callable[[], Value | None], *, within: float = 20, every: float = 0.1) -> Value:
    """Call until the result is truthy, and return it; the last failed assertion is what fails the test."""
    deadline = time.monotonic() + within
    while True:
        try:
            value = check()
            if value:
                return value
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        assert time.monotonic() < deadline, f"not within {within} s"
        time.sleep(every)
