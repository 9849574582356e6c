"""What the local tests share: the applied stack, its users, and ways to call it."""

import dataclasses
import time
from collections.abc import Callable
from typing import TypeVar

import boto3

from ops.local.emulator import log_file
from ops.local.session import Api, User, root
from ops.local.stack import Outputs, Stack

Value = TypeVar("Value")


@dataclasses.dataclass(frozen=True)
class Local:
    """The stack that all local tests share, applied once."""

    stack: Stack
    alice: User  # alice and bob are in no group
    bob: User
    eve: User  # an editor

    @property
    def outputs(self) -> Outputs:
        return self.stack.outputs

    def api(self, user: User | None = None, *, token: str | None = None, replica: bool = False) -> Api:
        """The HTTP API as a user (by access token), with any token, or as nobody."""
        url = self.outputs.replica_api_url if replica else self.outputs.api_url
        assert url, "the local settings declare no replica Region"
        return Api(url, user.access_token if user else token)

    def root(self, *, replica: bool = False) -> boto3.session.Session:
        """The account's root, whom IAM refuses nothing, in the primary or the replica Region."""
        region = self.outputs.replica_region if replica else self.outputs.region
        assert region, "the local settings declare no replica Region"
        return root(region)

    def log(self) -> str:
        """What the emulator printed so far."""
        return log_file(self.stack.name).read_text(errors="replace")


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
