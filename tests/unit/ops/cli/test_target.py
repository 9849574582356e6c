"""Test how a command of the operators' command line finds the stack that it works on, and how it calls AWS."""

import base64
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError
from click.testing import CliRunner

from ops.cli.collection_stores import live_function
from ops.cli.deployments import RegionalDeployments
from ops.cli.invoke import call
from ops.cli.main import main
from ops.cli.target import Target, find
from ops.console import CommandError
from tests.fakes.moto_aws import REGION
from tests.unit.ops.cli.support import OUTPUTS

OUTPUT = json.dumps({name: {"value": value} for name, value in OUTPUTS.items()})


def test_a_file_without_the_outputs_of_a_stack_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "outputs.json"
    for text, message in (
        ("[]", "isn't what"),
        ('{"name": {"value": "x"}}', "region, items_table, documents_bucket, write_log_bucket"),
    ):
        file.write_text(text)
        result = CliRunner().invoke(main, ["--outputs", str(file), "sources", "list"])
        assert result.exit_code == 1 and message in str(result.exception)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_a_file_may_have_the_encoding_of_powershell(tmp_path: Path, encoding: str) -> None:
    """In Windows PowerShell, `terraform output -json > outputs.json` writes UTF-16."""
    file = tmp_path / "outputs.json"
    file.write_text(OUTPUT, encoding)
    assert find(None, file).name == "shop"


@pytest.mark.parametrize("content", [b"", b"\xff", b"\xff\xfe\x00", b'{"a": "\xe4"}', bytes(range(256))])
def test_a_file_with_other_bytes_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "outputs.json"
    file.write_bytes(content)
    with pytest.raises(CommandError, match="isn't what `terraform output -json` prints"):
        find(None, file)


class Throttle:
    """Throttles the first request of a client for Lambda, and answers every further one.

    sent: the number of requests
    """

    def __init__(self, client: Any, answer: dict[str, Any]) -> None:
        self.sent = 0
        self._answer = answer
        client.meta.events.register("before-send.lambda", self._send)

    def _send(self, request: Any, **_: Any) -> Any:
        self.sent += 1
        code = "TooManyRequestsException"
        status, headers, body = (429, {"x-amzn-errortype": code}, {}) if self.sent == 1 else (200, {}, self._answer)
        response: Any = AWSResponse(request.url, status, headers, None)  # type: ignore[arg-type]
        response._content = json.dumps(body).encode()
        return response


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Target:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return Target(OUTPUTS | {"deployments": {REGION: {"application": "shop", "functions": {}}}})


CONFIGURATION = {
    "Environment": {"Variables": {"READPLANE_SETTINGS": base64.b64encode(gzip.compress(b"{}")).decode()}},
    "LastModified": "2026-01-01T00:00:00.000+0000",
    "Timeout": 30,
}


@pytest.mark.parametrize(
    ("answer", "ask"),
    [
        ({"FunctionVersion": "3"}, lambda target: RegionalDeployments(target, REGION, [])._alias("shop-write", "live")),
        (CONFIGURATION, lambda target: live_function(target, target.regional(False), "write")),
    ],
)
def test_a_throttled_question_is_repeated(
    target: Target, answer: dict[str, Any], ask: Callable[[Target], object]
) -> None:
    """Lambda allows 15 of these requests a second in the whole account."""
    lambdas = Throttle(target.client("lambda", REGION), answer)
    assert ask(target) and lambdas.sent == 2


def test_an_invocation_is_never_repeated(target: Target) -> None:
    """A repeated invocation of `poll` would poll the back office again."""
    lambdas = Throttle(target.invoker(REGION), {})
    with pytest.raises(ClientError, match="TooManyRequestsException"):
        call(target, "shop-poll:live", {}, REGION)
    assert lambdas.sent == 1
