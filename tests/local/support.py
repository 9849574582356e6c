"""The stack that the local tests call, with its users and with clients for its API and its AWS services."""

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
from readplane.aws.client import Client, make_client

Value = TypeVar("Value")


@dataclasses.dataclass(frozen=True)
class Local:
    """The stack that all local tests share, and its users.

    stack: the applied stack.
    alice: a user who is in no group.
    bob: another user who is in no group.
    eve: a user in the group of editors.
    seen: the method, path and status of every HTTP call of the tests.
    """

    stack: Stack
    alice: User
    bob: User
    eve: User
    seen: set[tuple[str, str, int]] = dataclasses.field(default_factory=set)

    @property
    def outputs(self) -> Outputs:
        return self.stack.outputs

    def api(self, user: User | None = None, *, token: str | None = None, replica: bool = False) -> Api:
        """Return an HTTP client of the stack's API.

        :param user: the user whose access token the client sends; ``None`` to send ``token``.
        :param token: the token that the client sends if there is no ``user``; ``None`` to send no token.
        :param replica: whether to call the API of the replica Region instead of the primary Region.
        """
        url = self.outputs.replica_api_url if replica else self.outputs.api_url
        assert url, "the local settings declare no replica Region"
        return Api(url, user.access_token if user else token, seen=self.seen)

    def root(self, *, replica: bool = False) -> boto3.session.Session:
        """Return a boto3 session with the credentials of the AWS root user, to whom IAM allows everything.

        :param replica: whether the session is for the replica Region instead of the primary Region.
        """
        region = self.outputs.replica_region if replica else self.outputs.region
        assert region, "the local settings declare no replica Region"
        return root(region)

    def client(self, service: str, *, kind: str = "boto3", replica: bool = False) -> Client:
        """Return an AWS client for the product's stores, with the credentials of the AWS root user.

        :param kind: ``slim`` for the product's own AWS client, ``boto3`` for a client that uses boto3.
        :param replica: whether the client calls the replica Region instead of the primary Region.
        """
        region = self.root(replica=replica).region_name
        chosen = {"READPLANE_CLIENT": kind, "AWS_REGION": region, "AWS_DEFAULT_REGION": region}
        with unittest.mock.patch.dict(os.environ, chosen):
            return make_client(service, connections=50)

    @cached_property
    def office(self) -> back_office.BackOffice:
        """The back office that the stack's sources poll."""
        office = back_office.running(self.stack.name)
        assert office, "the back office starts with the stack"
        return office

    @cached_property
    def ministack(self) -> bool:
        """Whether the AWS emulator is MiniStack. An emulator that `ops.local` starts is always MiniStack."""
        response = requests.get(f"{self.stack.endpoint}/_ministack/health", timeout=5)
        assert response.status_code == 200 or not running(self.stack.name), "an emulator started here is MiniStack"
        return response.status_code == 200

    def events(
        self, function: str, code: str, *, since_ms: int = 0, replica: bool = False, **fields: object
    ) -> list[dict[str, Any]]:
        """Return the log events of a function that have this code and these fields.

        :param since_ms: the earliest time of the events, in Unix milliseconds.
        :param replica: whether to read the log of the replica Region instead of the primary Region.
        """
        pages = self.root(replica=replica).client("logs").get_paginator("filter_log_events")
        listing = pages.paginate(
            logGroupName=f"/aws/lambda/{self.outputs.name}-{function}",
            filterPattern=f'"{code}"',
            startTime=since_ms,
        )
        lines = [event["message"] for page in listing for event in page["events"]]
        events: list[dict[str, Any]] = [json.loads(line) for line in lines if line.startswith("{")]
        return [e for e in events if e["event"] == code and all(e.get(k) == v for k, v in fields.items())]


def eventually(check: Callable[[], Value | None], *, within: float = 20, every: float = 0.1) -> Value:
    """Call ``check`` again and again until its result is true; return that result.

    A failed assertion in ``check`` counts as a false result.

    :param within: seconds after which the test fails.
    :param every: seconds between two calls of ``check``.
    """
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
