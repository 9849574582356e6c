"""Test how tools call a stack on an emulator.

They call the stack's HTTP API as a signed-in user, and the emulated AWS services as the account's root user.
"""

import dataclasses
import io
from typing import Any

import pytest

from ops.console import CommandError
from ops.local import session
from tests.unit.ops.local.support import APPLIED


class FakeLambda:
    """A stand-in for a boto3 session and its Lambda client. It returns the given responses one after another."""

    def __init__(self, *responses: dict[str, Any]) -> None:
        self.responses = list(responses)
        self.requests: list[dict[str, Any]] = []

    def client(self, service: str, config: object) -> "FakeLambda":
        return self

    def invoke(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        return self.responses.pop(0)


def test_an_error_in_poll_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    functions = FakeLambda(
        {"Payload": io.BytesIO(b'{"outcome":"completed"}')},
        {"FunctionError": "Unhandled", "Payload": io.BytesIO(b'{"errorMessage":"no such collection"}')},
    )
    monkeypatch.setattr(session, "root", lambda region: functions)
    assert session.poll(APPLIED.outputs, {"source": "s"}) == {"outcome": "completed"}
    assert functions.requests == [{"FunctionName": "x:live", "Payload": b'{"source": "s"}'}]
    with pytest.raises(CommandError, match="no such collection"):
        session.poll(APPLIED.outputs, {"source": "s"})
    with pytest.raises(CommandError, match="nothing to poll"):
        session.poll(dataclasses.replace(APPLIED.outputs, poll_function=None), {})
