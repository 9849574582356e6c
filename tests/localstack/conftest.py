"""Fixtures that apply one stack of Readplane's Terraform modules to LocalStack, for the whole test run.

The tests use the LocalStack at AWS_ENDPOINT_URL. Without that variable, they start LocalStack 4.14.0 without Docker on
a free port, and stop it at the end.
"""

import json
import os
import re
import secrets
import shutil
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import localstack_client.session
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
    """A back office for the tests. The body of each of its responses describes the request that it received.

    If a path ends with ``/status/`` and a number, the response has this status.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Echo)

    @property
    def url(self) -> str:
        """The back office's URL."""
        return f"http://localhost:{self.server_port}"


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = [[name.lower(), value] for name, value in self.headers.items()]
        request = {"method": self.command, "target": self.path, "headers": headers, "body": sent.decode()}
        body = json.dumps(request).encode()
        status = re.search(r"/status/(\d+)$", self.path)
        self.send_response(int(status[1]) if status else 207 if self.command == "POST" else 200)
        self.send_header("Content-Type", "application/vnd.echo+json")
        self.send_header("ETag", '"1"')
        self.send_header("Location", "/elsewhere")
        self.send_header("Set-Cookie", "session=1")
        self.send_header("X-Back-Office", "yes")
        if status and status[1] == "204":
            body = b""
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 (http.server requires this name)

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing about requests."""


@pytest.fixture(scope="session")
def back_office() -> Iterator[BackOffice]:
    """Start the back office that the stack's backends call.

    The back office listens on 127.0.0.1 only, so a LocalStack in a container can't reach it.
    """
    with BackOffice() as office:
        threading.Thread(target=office.serve_forever, daemon=True).start()
        yield office
        office.shutdown()


@dataclass(frozen=True)
class Applied:
    """The stack that Terraform has applied to LocalStack.

    endpoint: the URL of LocalStack.
    api_id: the id of the stack's REST API.
    stage: the name of the API's stage.
    bucket: the name of the documents bucket.
    s3, apigateway: boto3 clients that call LocalStack.
    """

    endpoint: str
    api_id: str
    stage: str
    bucket: str
    s3: Any
    apigateway: Any

    @property
    def path(self) -> str:
        """The path prefix of the API's stage on LocalStack. A test puts it before the path of each request."""
        return f"/_aws/execute-api/{self.api_id}/{self.stage}"


@pytest.fixture(scope="session")
def endpoint(request: pytest.FixtureRequest) -> Iterator[str]:
    """Return the URL of the LocalStack at AWS_ENDPOINT_URL. Without that variable, start a LocalStack."""
    callers_url = os.environ.get("AWS_ENDPOINT_URL")
    try:
        if callers_url:
            if not emulator.healthy(callers_url):
                raise CommandError(f"No LocalStack responds at AWS_ENDPOINT_URL={callers_url}.")
            yield callers_url.rstrip("/")
            return
        localstack.stop(NAME)  # a test run that was killed may have left its LocalStack running
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            started = localstack.start(NAME, 0, Progress())
    except CommandError as failure:
        pytest.exit(str(failure), returncode=1)
    yield started
    localstack.stop(NAME)


@pytest.fixture(scope="session")
def applied(endpoint: str, back_office: BackOffice) -> Iterator[Applied]:
    """Apply the stack. Destroy it at the end if the tests use a LocalStack that they didn't start.

    Terraform works in a copy of the stack's files, so that it writes its state and providers outside the repository.
    """
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
        variables = [f"-var=name={name}", f"-var=back_office={back_office.url}", f"-var=api_key={API_KEY}"]
        options = ["-auto-approve", "-input=false", "-no-color", "-parallelism=20", *variables]
        run_tool([*program, "apply", *options], env=env)
        outputs = {k: v["value"] for k, v in json.loads(run_tool([*program, "output", "-json"], env=env)).items()}
    except CommandError as failure:
        pytest.exit(str(failure), returncode=1)
    host, port = host_of(endpoint)
    clients = localstack_client.session.Session(
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name=REGION,
        localstack_host=f"{host}:{port}",
    )
    yield Applied(
        endpoint=endpoint,
        api_id=outputs["api_id"],
        stage=outputs["stage"],
        bucket=outputs["documents_bucket"],
        s3=clients.client("s3", config=Config(s3={"addressing_style": "path"})),
        apigateway=clients.client("apigateway"),
    )
    if os.environ.get("AWS_ENDPOINT_URL"):  # otherwise the fixture `endpoint` stops LocalStack with all its resources
        run_tool([*program, "destroy", *options], env=env)


@dataclass(frozen=True)
class Response:
    """A response of the API to a test's request. The names in ``headers`` are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def problem(self) -> dict[str, Any]:
        """Check that the body is a problem document with the response's status; return the document."""
        assert self.headers["content-type"] == "application/problem+json"
        document: dict[str, Any] = json.loads(self.body)
        assert document["status"] == self.status
        assert document["type"] == "about:blank"
        assert document["title"] and document["detail"] and re.fullmatch(r"[\w-]+", document["request_id"])
        return document


def host_of(endpoint: str) -> tuple[str, int]:
    """Return the host and the port of an endpoint's URL."""
    parts = urllib.parse.urlsplit(endpoint)
    return parts.hostname or "localhost", parts.port or 80
