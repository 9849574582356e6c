import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ops.console import ROOT
from readplane.telemetry import Telemetry

TRACE = "1-67a1b2c3-4d5e6f708192a3b4c5d6e7f8"
# What Lambda does around a handler, with one AWS call in it.
FUNCTION = """
from readplane.telemetry import start_tracing
start_tracing()
from readplane.stores.aws import client
client("dynamodb").get_item(TableName="items", Key={"pk": {"S": "a"}})
"""


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_an_event_without_metrics_is_plain_json(capsys: pytest.CaptureFixture[str]) -> None:
    Telemetry("read", "demo").event("hello", request_id="r", number=1)
    assert lines(capsys) == [{"level": "INFO", "message": "hello", "function": "read", "request_id": "r", "number": 1}]


def test_metrics_are_embedded_with_their_time_and_dimensions(capsys: pytest.CaptureFixture[str]) -> None:
    Telemetry("apply", "demo").event("handled", metrics={"RecordsHandled": 3}, timestamp_ms=1_700_000_000_000)
    (line,) = lines(capsys)
    assert line["RecordsHandled"] == 3 and line["Stack"] == "demo"
    assert line["_aws"] == {
        "Timestamp": 1_700_000_000_000,
        "CloudWatchMetrics": [
            {
                "Namespace": "Readplane",
                "Dimensions": [["Stack"]],
                "Metrics": [{"Name": "RecordsHandled", "Unit": "Count"}],
            }
        ],
    }


def test_a_failure_is_told_with_its_causes_and_places_but_without_their_texts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def inner() -> None:
        raise ValueError("Bearer secret")

    try:
        try:
            inner()
        except ValueError as error:
            raise RuntimeError("another secret") from error
    except RuntimeError as error:
        Telemetry("read", "demo").failure("failed", error, request_id="r")
    out = capsys.readouterr().out
    assert "secret" not in out
    told = json.loads(out)
    assert told["error"] == ["RuntimeError", "ValueError"] and told["level"] == "ERROR"
    assert any(place.endswith(" inner") for place in told["place"])


@pytest.fixture
def dynamodb() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("sampled", [True, False])
def test_aws_calls_are_subsegments_of_the_invocations_trace(dynamodb: str, sampled: bool) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(0.5)
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "lambda_src"),
            "LAMBDA_TASK_ROOT": "/var/task",
            "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{daemon.getsockname()[1]}",
            "_X_AMZN_TRACE_ID": f"Root={TRACE};Parent=53995c3f42cd8ad8;Sampled={int(sampled)}",
            "AWS_ENDPOINT_URL": dynamodb,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "eu-central-1",
        }
        subprocess.run([sys.executable, "-c", FUNCTION], env=env, check=True, capture_output=True)
        try:
            header, _, segment = daemon.recv(65_536).decode().partition("\n")
        except TimeoutError:
            assert not sampled
            return
    assert sampled and json.loads(header) == {"format": "json", "version": 1}
    told = json.loads(segment)
    assert (told["trace_id"], told["parent_id"]) == (TRACE, "53995c3f42cd8ad8")
    assert (told["name"], told["namespace"], told["aws"]["operation"]) == ("dynamodb", "aws", "GetItem")


def test_without_a_daemon_the_tracing_library_is_not_even_imported() -> None:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "lambda_src")}
    code = "import sys, readplane.telemetry as t; t.start_tracing(); print('aws_xray_sdk' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True)
    assert shown.stdout.strip() == "False"
