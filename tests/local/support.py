"""The stack that the local tests call, with its users and with clients for its API and its AWS services."""

import dataclasses
import functools
import json
import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import boto3
import pytest
import requests

from ops.local import back_office
from ops.local import stores as local_stores
from ops.local.emulator import running
from ops.local.session import Api, User
from ops.local.stack import Outputs, Stack
from readplane.aws.client import Client, make_client
from tests.local.terraform_runs import Terraform

Value = TypeVar("Value")

_MAKING = threading.RLock()
"""Held while a client is made. The early tests make clients in another thread, and boto3's sessions aren't made for
that."""


class RootSession(boto3.session.Session):
    """A boto3 session of the AWS root user that makes each client once, because making a client takes 50 ms."""

    def __init__(self, region: str) -> None:
        super().__init__(region_name=region)
        self._clients: dict[str, Any] = {}

    def client(self, service: str, **options: Any) -> Any:  # type: ignore[override]
        """Return the client of a service, or a new client if there are options."""
        make: Any = super().client
        with _MAKING:
            if options:
                return make(service, **options)
            if service not in self._clients:
                self._clients[service] = make(service)
            return self._clients[service]


@functools.cache
def root_session(region: str) -> RootSession:
    """Return the session of a Region."""
    return RootSession(region)


class WantedStack(NamedTuple):
    """Which stack tests need.

    name: the name of the local run. Runs with different names can be up at the same time.
    variables: the values of Terraform variables that replace those of the local settings.
    """

    name: str
    variables: Mapping[str, Any] = {}


@dataclasses.dataclass(frozen=True)
class Local:
    """The stack that all local tests share, and its users.

    stack: the applied stack.
    alice: a user who is in no group.
    bob: another user who is in no group.
    eve: a user in the group of editors.
    terraform: runs Terraform in folders of the tests.
    seen: the method, path and status of every HTTP call of the tests.
    """

    stack: Stack
    alice: User
    bob: User
    eve: User
    terraform: Terraform
    seen: set[tuple[str, str, int]] = dataclasses.field(default_factory=set)
    _clients: dict[tuple[str, str, bool], Client] = dataclasses.field(default_factory=dict)

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

    def root(self, *, replica: bool = False) -> RootSession:
        """Return a boto3 session with the credentials of the AWS root user, to whom IAM allows everything.

        :param replica: whether the session is for the replica Region instead of the primary Region.
        """
        region = self.outputs.replica_region if replica else self.outputs.region
        assert region, "the local settings declare no replica Region"
        with _MAKING:
            return root_session(region)

    def client(self, service: str, *, kind: str = "boto3", replica: bool = False) -> Client:
        """Return an AWS client for the product's stores, with the credentials of the AWS root user.

        Calls with the same parameters return the same client.

        :param kind: ``slim`` for the product's own AWS client, ``boto3`` for a client that uses boto3.
        :param replica: whether the client calls the replica Region instead of the primary Region.
        """
        key = (service, kind, replica)
        with _MAKING:
            if key not in self._clients:
                self._clients[key] = self._make_client(*key)
            return self._clients[key]

    def _make_client(self, service: str, kind: str, replica: bool) -> Client:
        region = self.root(replica=replica).region_name
        # Set these variables one by one. `patch.dict` empties the environment for a moment, and the early tests read it
        # in another thread.
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {"READPLANE_CLIENT": kind, "AWS_REGION": region, "AWS_DEFAULT_REGION": region}.items():
                patch.setenv(name, value)
            return make_client(service, connections=50)

    @cached_property
    def office(self) -> back_office.BackOffice:
        """The back office that the stack's sources poll."""
        office = back_office.running(self.stack.name)
        assert office, "the back office starts with the stack"
        return office

    @cached_property
    def stores(self) -> local_stores.Stores:
        """The caches and databases of the stack, one of each in each Region."""
        servers = local_stores.load(self.stack.name)
        assert servers and servers.alive, "the stores start with the stack"
        return servers

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
