"""Test that every handler works if it can import only from its zips and, for boto3, from Lambda's Python runtime.

The tests also check that a cold start of `read`, `write` or `apply` loads few modules, and none that takes long to
import.
"""

import gzip
import http.server
import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ops.build.targets import TARGETS
from readplane.aws.client import CLIENTS
from tests.fakes.source_settings import add_defaults
from tests.unit.ops.build.support import Unpacked
from tests.unit.support import ALICE, CLIENT_ID, api_event, change, settings_text

PROGRAM = Path(__file__).with_name("invoke_handler.py")
SCHEMAS = json.dumps({"products": {"type": "object", "required": ["name"]}}).encode()
SOURCE = add_defaults(
    {
        "name": "products",
        "mode": "changes",
        "collection": "products",
        "url": "https://erp.example.com/products",
        "function": "readplane.poll.source.functions.columns:ColumnsAndRows",
        "schedule": "rate(1 minute)",
        "staleness_budget": 600,
    }
)
SOURCES = json.dumps({"sources": {"products": SOURCE}, "schemas": {"products": {"type": "object"}}}).encode()
# A modulus that passes for a real one, because nothing here is signed with it.
KEY_SET = json.dumps({"keys": [{"kty": "RSA", "use": "sig", "kid": "k", "n": "9" * 342, "e": "AQAB"}]}).encode()
CONFIG = {"/log/config/schemas.json": SCHEMAS, "/log/config/sources.json": SOURCES, "/pool/jwks.json": KEY_SET}
"""The objects with settings that are too large for the environment of a function, and a key set, by path."""
LOG_OBJECT = gzip.compress(b"".join(change(f"p-{number}").line() for number in range(3)))
"""An object of the write log with three changes, which `apply` writes to DynamoDB as one batch."""

HOT_MODULES = 110
SLOW_MODULES = (
    *("aws_xray_sdk", "boto3", "botocore", "wrapt"),
    *("asyncio", "dataclasses", "inspect", "logging", "random", "subprocess", "tempfile", "traceback", "uuid"),
    *("concurrent.futures.process", "multiprocessing", "urllib.request", "xml"),
)
"""Modules that a cold start of `read`, `write` or `apply` must not load, because each takes milliseconds to import."""


class FakeAws(NamedTuple):
    """A local server that stands in for AWS, and a socket that stands in for the X-Ray daemon.

    url: the local server's URL, which is the endpoint of every AWS service
    requests: the path of each request to S3, and the operation of each request to another service
    traces: the UDP socket to which the functions send their traces
    """

    url: str
    requests: list[str]
    traces: socket.socket

    def new_traces(self) -> list[str]:
        """Return the names of the X-Ray subsegments that arrived since the last call of this method."""
        names = []
        while True:
            try:
                names.append(json.loads(self.traces.recv(65536).split(b"\n", 1)[1])["name"])
            except BlockingIOError:
                return names


@pytest.fixture(scope="module")
def fake_aws() -> Iterator[FakeAws]:
    """Start a local server that stands in for AWS.

    For S3, it serves the JSON Schemas and one object of the write log. For Firehose and DynamoDB, it accepts every
    request.
    """
    requests: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            name = self.path.partition("?")[0]
            self._respond(self.path, LOG_OBJECT if name.startswith("/log/log/") else CONFIG[name])

        def do_POST(self) -> None:
            operation = self.headers["X-Amz-Target"].rpartition(".")[2]
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            response: dict[str, Any] = {}
            if operation == "PutRecord":
                response = {"RecordId": "1", "Encrypted": False}
            elif operation == "GetParameter":
                response = {"Parameter": {"Value": edge_settings(server.server_port)}}
            elif operation == "BatchGetItem":
                response = {"Responses": {}, "UnprocessedKeys": {}}
            elif operation == "BatchExecuteStatement":
                response = {"Responses": [{"TableName": "items"} for _ in request["Statements"]]}
            self._respond(operation, json.dumps(response).encode())

        def _respond(self, request: str, body: bytes) -> None:
            requests.append(request)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.setblocking(False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield FakeAws(f"http://127.0.0.1:{server.server_port}", requests, daemon)
        server.shutdown()


def edge_settings(port: int) -> str:
    pool = {"issuer": "https://pool", "jwks_uri": f"http://127.0.0.1:{port}/pool/jwks.json", "client_ids": [CLIENT_ID]}
    lists: dict[str, list[str]] = {"owner": [], "shared": ["orders"], "sources": [], "origins": []}
    return json.dumps({"v": 1, "pools": [pool], "scopes": ["demo/read"], **lists})


def settings(function: str) -> dict[str, Any]:
    products = {"products": {"read": "public", "write_groups": ["editors"], "cache_ttl": 0}}
    common = {"function": function, "name": "readplane", "region": "eu-central-1", "collections": products}
    clients = {"client_ids": [CLIENT_ID], "cors_origins": []}
    schemas = {"bucket": "log", "key": "config/schemas.json", "version_id": "v", "sha256": sha256(SCHEMAS).hexdigest()}
    sources = {"bucket": "log", "key": "config/sources.json", "version_id": "v", "sha256": sha256(SOURCES).hexdigest()}
    own: dict[str, dict[str, Any]] = {
        "write": {**clients, "delivery_stream": "stream", "items_table": "items", "schemas": schemas},
        "read": {**clients, "items_table": "items", "items_index": "by_collection", "documents_bucket": None}
        | {"pending_seconds": 900, "horizon_days": 30},
        "apply": {
            "items_table": "items",
            "queue_url": "http://localhost/queue",
            "log_bucket": "log",
            "horizon_days": 30,
        }
        | {"quarantine_prefix": "quarantine/"},
        "publish": {
            "items_table": "items",
            "documents_bucket": "documents",
            "log_bucket": "log",
            "quarantine_prefix": "quarantine/",
            "horizon_days": 30,
        },
        "feed": {
            "items_table": "items",
            "horizon_days": 30,
            "cache": {"engine": "valkey", "host": "127.0.0.1", "port": 1, "tls": True, "user": "feed"}
            | {"iam_name": "demo", "serverless": True, "generation": 1, "collections": ["products"]},
        },
        "edge_auth": {},  # its settings are in SSM
        "backend_auth": {"keys": [f"{sha256(b'the key').hexdigest()}/crm"]},
        "probe": {},  # its requests are in the test
        "poll": {"items_table": "items", "items_index": "by_collection", "checkpoints_table": "checkpoints"}
        | {"stream": "changes", "log_bucket": "log", "quarantine_prefix": "quarantine/", "horizon_days": 30}
        | {"documents": [{"region": "eu-central-1", "bucket": "documents"}], "config": sources},
    }
    return common | own[function]


NOTHING_FAILED: dict[str, list[str]] = {"batchItemFailures": []}
NOTIFICATION = {"eventTime": "2026-11-21T12:00:00.000Z", "s3": {"object": {"key": "log/a.gz"}}}
MESSAGE = {"messageId": "m", "receiptHandle": "r", "attributes": {"ApproximateReceiveCount": "1"}}
QUEUE_EVENT = {"Records": [MESSAGE | {"body": json.dumps({"Records": [NOTIFICATION]})}]}


def request(method: str, body: str | None = None) -> Any:
    return api_event(method, "/items/products/{item_id}", {"item_id": "p-1"}, claims={"sub": ALICE}, body=body)


class Invocation(NamedTuple):
    """A test case: one invocation of a Lambda function.

    function: the function's name
    event: the event that the function gets
    expected: the response that the function must return; a number stands for a response with this HTTP status
    requests: the requests that the function must send to AWS, except those for the objects under config/
    """

    function: str
    event: Any
    expected: object
    requests: list[str]


INVOCATIONS = {
    "write, bad body": Invocation("write", request("PUT", "[1]"), 400, []),
    "write": Invocation("write", request("PUT", '{"name":"Kettle"}'), 202, ["PutRecord"]),
    "read": Invocation("read", request("GET"), 404, ["GetItem"]),
    "apply": Invocation(
        "apply",
        QUEUE_EVENT,
        NOTHING_FAILED,
        ["/log/log/a.gz", "BatchGetItem", "BatchExecuteStatement", "PutItem", "PutItem"],
    ),
    "publish": Invocation("publish", {"Records": []}, NOTHING_FAILED, []),
    "poll": Invocation("poll", {"check": True}, {"problems": []}, []),
    "feed": Invocation("feed", {"check": True}, {"problems": []}, []),
}
HOT_INVOCATIONS = [name for name in INVOCATIONS if name not in ("publish", "poll", "feed")]


def invoke(target: str, folders: list[Path], invocation: Invocation, aws: FakeAws, **variables: str) -> dict[str, Any]:
    """Invoke a function in a new interpreter, and check the function's response and its requests to AWS.

    :param folders: the only folders, besides the standard library, from which the interpreter can import
    :param variables: more environment variables for the interpreter
    :returns: a dict with the loaded `modules`, their `files`, and `boto3`, which says whether boto3 can be imported
    """
    aws.requests.clear()
    aws.new_traces()
    environment = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{aws.traces.getsockname()[1]}",
        "_X_AMZN_TRACE_ID": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
        "READPLANE_SETTINGS": settings_text(settings(invocation.function)),
    }
    arguments = [[str(folder) for folder in folders], invocation.function, invocation.event]
    done = subprocess.run(
        [TARGETS[target].interpreter(), "-I", "-S", "-B", PROGRAM, *map(json.dumps, arguments)],
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    response = result["response"]
    if isinstance(invocation.expected, int):
        assert response["statusCode"] == invocation.expected, response
        if invocation.expected >= 400:
            assert json.loads(response["body"])["status"] == invocation.expected
    else:
        assert response == invocation.expected, done.stdout
    assert [path for path in aws.requests if not path.startswith("/log/config/")] == invocation.requests
    return result


def hot_folders(zips: Unpacked, name: str) -> list[Path]:
    """Return the folders of the zips with which Terraform deploys a function that uses the slim client."""
    return [zips.hot, zips.layer] if INVOCATIONS[name].function == "write" else [zips.hot]


@pytest.mark.parametrize("name", HOT_INVOCATIONS)
@pytest.mark.parametrize("target", TARGETS)
def test_what_a_client_waits_for_works_without_boto3(
    target: str, name: str, unpacked: dict[str, Unpacked], fake_aws: FakeAws
) -> None:
    result = invoke(target, hot_folders(unpacked[target], name), INVOCATIONS[name], fake_aws)
    assert not result["boto3"]
    assert not [path for path in result["files"] if "site-packages" in path]


@pytest.mark.parametrize("name", HOT_INVOCATIONS)
@pytest.mark.parametrize("target", TARGETS)
def test_a_cold_start_loads_few_modules_and_no_slow_one(
    target: str, name: str, unpacked: dict[str, Unpacked], fake_aws: FakeAws
) -> None:
    modules = invoke(target, hot_folders(unpacked[target], name), INVOCATIONS[name], fake_aws)["modules"]
    assert fake_aws.new_traces() or not INVOCATIONS[name].requests, "a cold start loads the tracing too"
    slow = [module for module in modules if module in SLOW_MODULES or module.partition(".")[0] in SLOW_MODULES]
    # Let `apply` load `logging` and `traceback`. Its thread pool (concurrent.futures) imports them, and no client waits
    # for `apply`.
    assert not set(slow) - ({"logging", "traceback"} if name == "apply" else set())
    assert len(modules) <= HOT_MODULES, modules


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", INVOCATIONS)
@pytest.mark.parametrize("target", TARGETS)
def test_each_handler_works_with_either_client_the_layers_and_the_runtime(
    target: str, name: str, client: str, unpacked: dict[str, Unpacked], fake_aws: FakeAws
) -> None:
    zips = unpacked[target]
    code = zips.hot if name in HOT_INVOCATIONS else zips.functions
    layers = [zips.layer, zips.poll_layer] if name == "poll" else [zips.layer]
    folders = [code, *layers, zips.runtime]
    result = invoke(target, folders, INVOCATIONS[name], fake_aws, READPLANE_CLIENT=client)
    assert ("boto3" in result["modules"]) == (client == "boto3" or name not in HOT_INVOCATIONS)
    foreign = [path for path in result["files"] if "site-packages" in path and not path.startswith(str(zips.runtime))]
    assert not foreign, "everything comes from the zips, the runtime or the standard library"


@pytest.mark.parametrize("target", TARGETS)
def test_the_check_of_api_keys_starts_fast_and_needs_only_its_zip(
    target: str, unpacked: dict[str, Unpacked], fake_aws: FakeAws
) -> None:
    stage = "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/v1"
    event = {"headers": {"x-api-key": "another"}, "methodArn": f"{stage}/GET/backends/crm/x"}
    denied = {"Effect": "Deny", "Action": "execute-api:Invoke", "Resource": [f"{stage}/*"]}
    response = {"principalId": "nobody", "policyDocument": {"Version": "2012-10-17", "Statement": [denied]}}
    invocation = Invocation("backend_auth", event, response, [])
    result = invoke(target, [unpacked[target].functions], invocation, fake_aws)
    assert not result["boto3"] and len(result["modules"]) <= HOT_MODULES


@pytest.mark.parametrize("target", TARGETS)
def test_the_probe_starts_fast_and_needs_only_its_zip(
    target: str, unpacked: dict[str, Unpacked], fake_aws: FakeAws
) -> None:
    requests = {"health": {"url": f"{fake_aws.url}/log/config/schemas.json"}}
    invocation = Invocation("probe", {}, {"outcomes": {"health": "200"}}, [])
    probe_settings = {"READPLANE_SETTINGS": settings_text(settings("probe") | {"requests": requests})}
    result = invoke(target, [unpacked[target].functions], invocation, fake_aws, **probe_settings)
    assert not result["boto3"] and len(result["modules"]) <= HOT_MODULES


@pytest.mark.parametrize("target", TARGETS)
def test_edge_auth_starts_fast_and_needs_only_its_zip(
    target: str, unpacked: dict[str, Unpacked], fake_aws: FakeAws
) -> None:
    entry: dict[str, Any] = {"config": {"eventType": "viewer-request", "requestId": "r"}}
    entry["request"] = {"method": "OPTIONS", "uri": "/documents/orders/x", "querystring": "", "headers": {}}
    allow = {"allow": [{"key": "Allow", "value": "GET, HEAD, OPTIONS"}]}
    response = {"status": "204", "statusDescription": "No Content", "headers": allow}
    invocation = Invocation("edge_auth", {"Records": [{"cf": entry}]}, response, ["GetParameter", "/pool/jwks.json"])
    name = {"AWS_LAMBDA_FUNCTION_NAME": "us-east-1.demo-edge-auth"}
    result = invoke(target, [unpacked[target].edge_auth], invocation, fake_aws, **name)
    assert not result["boto3"] and len(result["modules"]) <= HOT_MODULES
    slow = [
        module for module in result["modules"] if module in SLOW_MODULES or module.partition(".")[0] in SLOW_MODULES
    ]
    assert not slow and "email" not in result["modules"]
