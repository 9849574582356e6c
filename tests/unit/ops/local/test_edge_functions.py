"""Test that edge functions run from their zips, in interpreters that see nothing else."""

import base64
import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from ops.local.edge_events import FunctionError
from ops.local.edge_functions import EdgeFunctions, _download

ARN = "arn:aws:lambda:us-east-1:000000000000:function:shop-edge-auth-12345678:3"

CODE = """
import os, sys
started = 0
print("imported")
def handler(event, context):
    global started
    started += 1
    print("a line of the log")
    if event.get("fail"):
        raise RuntimeError("bug")
    if event.get("sleep"):
        import time; time.sleep(event["sleep"])
    if event.get("exit"):
        os._exit(1)
    if event.get("import"):
        __import__(event["import"])
    return {
        "count": started,
        "event": event,
        "environment": dict(os.environ),
        "name": context.function_name,
        "arn": context.invoked_function_arn,
        "left": context.get_remaining_time_in_millis(),
        "path": sys.path,
    }
"""


class Lambda:
    """A stand-in for Lambda with one function, whose zip a server on this machine sends."""

    def __init__(self, code: str = CODE, **settings: Any) -> None:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as packed:
            packed.writestr("package/edge.py", code)
            packed.writestr("package/__init__.py", "")
        self.archive = archive.getvalue()
        self.settings = {
            "FunctionName": "shop-edge-auth-12345678",
            "Handler": "package.edge.handler",
            "Runtime": "python3.13",
            "Timeout": 1,
            "MemorySize": 128,
            "Version": "3",
            "CodeSha256": base64.b64encode(hashlib.sha256(self.archive).digest()).decode(),
            **settings,
        }
        this = self

        class Code(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(this.archive)

            def log_message(self, format: str, *arguments: object) -> None:
                """Print nothing about requests."""

        self.server = HTTPServer(("127.0.0.1", 0), Code)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def get_function(self, **arguments: str) -> dict[str, Any]:
        assert arguments == {"FunctionName": ARN}
        location = f"http://127.0.0.1:{self.server.server_port}/code"
        return {"Configuration": self.settings, "Code": {"Location": location}}


@pytest.fixture
def functions() -> Iterator[EdgeFunctions]:
    """Return the edge functions of an emulator with one function."""
    functions = EdgeFunctions(
        Lambda(), {"AWS_ENDPOINT_URL": "http://localhost:1"}, lambda _: {"AWS_SESSION_TOKEN": "t"}
    )
    yield functions
    functions.stop()


def test_a_function_runs_in_a_kept_interpreter_and_prints_to_the_log(functions: EdgeFunctions) -> None:
    first, second = functions(ARN, {"a": "ä"}), functions(ARN, {})
    assert (first["count"], second["count"]) == (1, 2)
    assert first["event"] == {"a": "ä"}
    assert first["arn"] == ARN and 0 < first["left"] <= 1_000
    functions.stop()
    assert functions(ARN, {})["count"] == 1, "a cold start"


def test_the_environment_is_that_of_the_executing_region(
    functions: EdgeFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "of the developer")
    environment = functions(ARN, {})["environment"]
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "us-east-1.shop-edge-auth-12345678"
    assert environment["AWS_LAMBDA_LOG_GROUP_NAME"] == "/aws/lambda/us-east-1.shop-edge-auth-12345678"
    assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == "eu-west-3"
    assert environment["AWS_ENDPOINT_URL"] == "http://localhost:1"
    assert environment["AWS_SESSION_TOKEN"] == "t"
    assert "SECRET" not in environment


def test_a_function_sees_its_zip_and_the_standard_library_only(functions: EdgeFunctions) -> None:
    assert functions(ARN, {"import": "json"})
    for module in ("boto3", "ops", "readplane", "edge_events"):
        with pytest.raises(FunctionError, match="ModuleNotFoundError") as error:
            functions(ARN, {"import": module})
        assert error.value.status == 503
    assert not [path for path in functions(ARN, {})["path"] if "site-packages" in path]


def test_a_function_that_raises_or_ends_or_is_late_is_503_and_the_next_event_works(functions: EdgeFunctions) -> None:
    for event, reason in (({"fail": True}, "RuntimeError: bug"), ({"exit": True}, "ended"), ({"sleep": 5}, "time-out")):
        with pytest.raises(FunctionError, match=reason) as error:
            functions(ARN, event)
        assert error.value.status == 503
        assert functions(ARN, {})["event"] == {}


def test_a_function_without_its_handler_or_its_code_is_503() -> None:
    broken = EdgeFunctions(Lambda("import nothing_like_this"), {})
    with pytest.raises(FunctionError, match="ended"):
        broken(ARN, {})
    replaced = EdgeFunctions(Lambda(CodeSha256="other"), {})
    with pytest.raises(FunctionError, match="publish a new version"):
        replaced(ARN, {})


def test_code_comes_from_an_emulator_on_this_machine_only() -> None:
    with pytest.raises(FunctionError, match="isn't an emulator on this machine"):
        _download("https://awslambda-us-east-1-tasks.s3.amazonaws.com/code")
