"""Test what `drill failover` chooses, refuses and sends, without a stand-in for CloudFront."""

import base64
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import boto3
import pytest
from click.testing import CliRunner, Result

from ops.cli import drill
from ops.cli.collection_stores import Declared
from ops.cli.drill_client import Call, Connections
from ops.cli.main import main
from ops.cli.target import Target
from ops.console import CommandError, Progress
from tests.fakes.moto_aws import REGION, Aws
from tests.unit.ops.cli.support import OUTPUTS
from tests.unit.ops.cli.test_drill import distribution

STACK = OUTPUTS | {
    "replica_region": "eu-west-1",
    "replica_write_log_bucket": "replica-log",
    "replica_documents_bucket": "replica-documents",
    "edge_id": "E1",
    "edge_url": "https://edge.example.com",
}
USER = "3f1a8a52-4031-70b5-6a1e-0d6f2b1f0c11"
TOKEN = f"e30.{base64.urlsafe_b64encode(json.dumps({'sub': USER}).encode()).decode().rstrip('=')}.x"
KEYS = (
    *(f"public/documents/products/p-{number}" for number in range(drill.DOCUMENTS + 3)),
    "public/documents/sources/shop",
    "authenticated/documents/orders/o-1",
    f"owner/documents/profiles/{USER}/me",
    "owner/documents/profiles/somebody-else/you",
)


def run(folder: Path, *words: str, **outputs: Any) -> Result:
    file = folder / "outputs.json"
    file.write_text(json.dumps({name: {"value": value} for name, value in (STACK | outputs).items()}))
    return CliRunner().invoke(main, ["--outputs", str(file), "drill", "failover", *words])


@pytest.fixture
def bucket(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a documents bucket, and the collections that a live function would know."""
    make: Any = boto3.client
    s3 = make("s3", region_name=REGION)
    s3.create_bucket(Bucket="documents", CreateBucketConfiguration={"LocationConstraint": REGION})
    for key in KEYS:
        s3.put_object(Bucket="documents", Key=key, Body=b"{}")
    declared = {
        "products": Declared("public", False),
        "orders": Declared("authenticated", False),
        "profiles": Declared("owner", False),
    }
    monkeypatch.setattr(drill, "declared_collections", lambda target: declared)


def test_a_dry_run_says_what_would_happen_on_the_emulator_and_on_aws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:1")
    local = run(tmp_path, "--dry-run", "--fault", "hang")
    assert local.exit_code == 0 and "stays silent" in local.output and "nothing was changed" in local.output
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    on_aws = run(tmp_path, "--dry-run", "--seconds", "300")
    assert on_aws.exit_code == 0 and "edge.drill" in on_aws.output and "300 s" in on_aws.output


@pytest.mark.usefixtures("aws")
def test_a_stack_that_cannot_fail_over_is_refused(tmp_path: Path) -> None:
    assert "no replica Region" in str(run(tmp_path, replica_region=None).exception)
    assert "no CloudFront distribution" in str(run(tmp_path, edge_id=None).exception)
    assert run(tmp_path, "--seconds", "1").exit_code == 2 and run(tmp_path, "--fault", "fire").exit_code == 2


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (distribution(lost=False, groups=0), "no origin group"),
        (distribution(lost=True), "on already"),
    ],
)
def test_a_distribution_that_would_lose_reads_is_refused_before_anything_happens(
    monkeypatch: pytest.MonkeyPatch, state: dict[str, Any], message: str
) -> None:
    target = Target(STACK)
    monkeypatch.setattr(target, "client", lambda service, region=None: Cloudfront(state))
    with pytest.raises(CommandError, match=message):
        drill._terraform_switch(target, "E1", Progress(), lambda: 0.0, 30, 60)


class Cloudfront:
    """A boto3 client that returns one state of the distribution."""

    def __init__(self, state: dict[str, Any]) -> None:
        self._state = state

    def get_distribution(self, Id: str) -> dict[str, Any]:  # noqa: N803
        assert Id == "E1"
        return {"Distribution": self._state}


def test_the_operator_gets_the_command_of_the_switch_of_the_primary_regions_api(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    switches = {REGION: {"leave": "leave it", "return": "return"}, "eu-west-1": {"leave": "wrong", "return": "wrong"}}
    target = Target(STACK | {"api_switches": switches})
    monkeypatch.setattr(target, "client", lambda service, region=None: Cloudfront(distribution(lost=False)))
    drill._terraform_switch(target, "E1", Progress(), lambda: 0.0, 30, 60)
    text = capsys.readouterr().out
    assert "primary_unreachable" in text and "leave it" in text and "wrong" not in text


def test_on_aws_the_client_reads_what_its_user_may_read(bucket: None) -> None:
    setup = drill._aws_setup(Target(STACK), TOKEN, "profiles", "{}", "https://second.example.com")
    assert [len(paths) for paths in setup.paths.values()] == [drill.DOCUMENTS, 1, 1]
    assert setup.paths["public"][0] == "/documents/products/p-0"
    assert setup.paths["owner"] == ["/documents/profiles/me"], "edge_auth adds the user"
    assert setup.owner == USER
    load = setup.load(50, 5, "run")
    assert load.write_urls == [f"https://{host}.example.com/v1/items/profiles" for host in ("edge", "second")]
    assert [call.kind for call in load.reads[:3]] == ["public", "authenticated", "owner"]
    assert ["Authorization" in call.headers for call in load.reads[:3]] == [False, True, True]
    assert len(load.reads) == 3 * drill.DOCUMENTS, "the classes take turns, however few documents one has"


def test_without_a_token_the_client_reads_public_documents_and_writes_nothing(bucket: None) -> None:
    setup = drill._aws_setup(Target(STACK), None, "products", "{}", None)
    assert list(setup.paths) == ["public"]
    assert setup.load(50, 5, "run").write_urls == []


def test_a_permission_that_is_missing_at_the_end_is_missed_before_the_beginning(bucket: None) -> None:
    setup = drill._aws_setup(Target(STACK), TOKEN, "orders", "{}", None)
    target = Target(STACK)
    called: list[str] = []
    with pytest.raises(CommandError, match="The drill needs"), drill._explained():
        drill._check_permissions(Spy(target, called), "E1", setup)  # type: ignore[arg-type]
    assert called == ["cloudfront", "dynamodb"], "this account has no items table"


class Spy:
    """A stack whose distribution can be read, and which notes the services that are called."""

    def __init__(self, target: Target, called: list[str]) -> None:
        self._target, self._called = target, called

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def client(self, service: str, region: str | None = None) -> Any:
        self._called.append(service)
        return Cloudfront(distribution(lost=False)) if service == "cloudfront" else self._target.client(service, region)


def test_a_collection_that_does_not_exist_and_an_empty_bucket_are_refused(bucket: None) -> None:
    with pytest.raises(CommandError, match="no collection things"):
        drill._aws_setup(Target(STACK), TOKEN, "things", "{}", None)
    make: Any = boto3.client
    s3 = make("s3", region_name=REGION)
    for key in KEYS:
        s3.delete_object(Bucket="documents", Key=key)
    with pytest.raises(CommandError, match="no document"):
        drill._aws_setup(Target(STACK), None, None, "{}", None)


class Handler(BaseHTTPRequestHandler):
    """Answers each request, and closes the connection after every second one without saying so."""

    protocol_version = "HTTP/1.1"
    served = 0
    connections: ClassVar[set[Any]] = set()

    def do_POST(self) -> None:
        Handler.connections.add(self.client_address)
        body = self.rfile.read(int(self.headers["Content-Length"])) + self.headers["X-Name"].encode()
        self.send_response(202)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Cache", "Miss from cloudfront")
        self.end_headers()
        self.wfile.write(body)
        Handler.served += 1
        self.close_connection = Handler.served % 2 == 0

    def log_message(self, *args: Any) -> None:
        """Print nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    Handler.served = 0
    Handler.connections.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_connections_are_used_again_and_opened_anew_after_the_server_has_closed_them(server: str) -> None:
    send = Connections()
    for number in range(6):
        answer = send(Call("write", "POST", f"{server}/x", {"X-Name": "n"}, str(number).encode()))
        assert answer == (202, "Miss", f"{number}n".encode())
    assert (Handler.served, len(Handler.connections)) == (6, 3)


def test_a_request_without_a_response_has_the_status_0() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        assert Connections(0.1)(Call("public", "GET", address, {})).status == 0
    assert Connections(1)(Call("public", "GET", address, {})).status == 0, "nothing listens any more"
