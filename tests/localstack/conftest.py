"""One stack of the product's own modules for the whole run, on the LocalStack at AWS_ENDPOINT_URL.

Without AWS_ENDPOINT_URL LocalStack 4.14.0 is started on a free port, without Docker, and stopped at the end.
"""

import json
import os
import secrets
import shutil
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from ops import terraform
from ops.console import ROOT, CommandError, Progress, run_tool
from ops.local import emulator, localstack
from ops.local import stack as local_stack

NAME = "localstack-test"
REGION = "eu-central-1"
API_KEY = "a-key-for-the-back-office"


class BackOffice(ThreadingHTTPServer):
    """A back office that answers with what it was asked, as it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Echo)

    @property
    def url(self) -> str:
        """Where it is called."""
        return f"http://localhost:{self.server_port}"


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = [[name.lower(), value] for name, value in self.headers.items()]
        told = {"method": self.command, "target": self.path, "headers": headers, "body": sent.decode()}
        body = json.dumps(told).encode()
        self.send_response(207 if self.command == "POST" else 200)
        self.send_header("Content-Type", "application/vnd.echo+json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Back-Office", "yes")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name is http.server's

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: the tests say what they saw."""


@pytest.fixture(scope="session")
def back_office() -> Iterator[BackOffice]:
    """The back office that is passed through. A LocalStack in a container doesn't reach it."""
    with BackOffice() as office:
        threading.Thread(target=office.serve_forever, daemon=True).start()
        yield office
        office.shutdown()


@dataclass(frozen=True)
class Applied:
    """The applied stack."""

    endpoint: str
    api_id: str
    stage: str
    bucket: str
    s3: Any
    apigateway: Any

    @property
    def path(self) -> str:
        """Path of the stage's root on LocalStack."""
        return f"/_aws/execute-api/{self.api_id}/{self.stage}"


@pytest.fixture(scope="session")
def endpoint(request: pytest.FixtureRequest) -> Iterator[str]:
    """A LocalStack: the caller's, or one of our own."""
    given = os.environ.get("AWS_ENDPOINT_URL")
    try:
        if given:
            if not emulator.healthy(given):
                raise CommandError(f"No LocalStack answers at AWS_ENDPOINT_URL={given}.")
            yield given.rstrip("/")
            return
        localstack.stop(NAME)  # left over from a run that was killed
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            started = localstack.start(NAME, 0, Progress())
    except CommandError as failure:
        pytest.exit(str(failure), returncode=1)
    yield started
    localstack.stop(NAME)


@pytest.fixture(scope="session")
def applied(endpoint: str, back_office: BackOffice) -> Iterator[Applied]:
    """The stack, applied from a copy of the sources, so that no state or provider gets into the tree."""
    copy = emulator.folder("localstack-stack")
    shutil.rmtree(copy, ignore_errors=True)
    root = copy / "tests/localstack/stack"
    shutil.copytree(Path(__file__).parent / "stack", root)
    shutil.copytree(ROOT / "terraform/modules", copy / "terraform/modules")
    shutil.copy(ROOT / "terraform/.terraform.lock.hcl", root)
    env = terraform.environment() | local_stack.environment(endpoint)
    name = f"readplane-{secrets.token_hex(3)}"
    try:
        terraform.init(root, env)
        program = [terraform.terraform(), f"-chdir={root}"]
        given = [f"-var=name={name}", f"-var=back_office={back_office.url}", f"-var=api_key={API_KEY}"]
        options = ["-auto-approve", "-input=false", "-no-color", "-parallelism=20", *given]
        run_tool([*program, "apply", *options], env=env)
        outputs = {k: v["value"] for k, v in json.loads(run_tool([*program, "output", "-json"], env=env)).items()}
    except CommandError as failure:
        pytest.exit(str(failure), returncode=1)
    settings: dict[str, Any] = {
        "endpoint_url": endpoint,
        "region_name": REGION,
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }
    yield Applied(
        endpoint=endpoint,
        api_id=outputs["api_id"],
        stage=outputs["stage"],
        bucket=outputs["documents_bucket"],
        s3=boto3.client("s3", config=Config(s3={"addressing_style": "path"}), **settings),
        apigateway=boto3.client("apigateway", **settings),
    )
    if os.environ.get("AWS_ENDPOINT_URL"):  # it goes on running; our own is thrown away whole
        run_tool([*program, "destroy", *options], env=env)


@dataclass(frozen=True)
class Answer:
    """What came back; header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def problem(self) -> dict[str, Any]:
        """The body, checked to be a problem document of this answer's status."""
        assert self.headers["content-type"] == "application/problem+json"
        document: dict[str, Any] = json.loads(self.body)
        assert document["status"] == self.status
        assert document["type"] == "about:blank"
        assert document["title"] and document["detail"] and document["request_id"]
        return document


def host_of(endpoint: str) -> tuple[str, int]:
    """Host and port of an endpoint."""
    parts = urllib.parse.urlsplit(endpoint)
    return parts.hostname or "localhost", parts.port or 80
