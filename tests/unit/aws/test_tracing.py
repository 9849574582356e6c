"""Tests of X-Ray traces: for each AWS call, both AWS clients (slim and boto3) send a subsegment without secret data."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import pytest

from ops.console import ROOT
from readplane.aws.client import make_client
from readplane.aws.faults import RefusedError, UnansweredError
from readplane.aws.tracing import DAEMON, HEADER, Tracing, process_tracing
from readplane.config import VARIABLE
from tests.fakes.moto_aws import Aws
from tests.unit.support import api_event, change, event
from tests.unit.test_calls import calls  # noqa: F401 (a fixture)
from tests.xray import Daemon, new_trace, violations_of

HERE = Path(__file__).parent
Kind = Literal["datagrams", "sdk"]
KINDS: list[Kind] = ["datagrams", "sdk"]
CLIENTS: list[tuple[Kind, str]] = [("datagrams", "slim"), ("sdk", "boto3")]
SECRET = "not for others"
REGION = "eu-central-1"
METADATA = {"operation": "", "region": REGION, "request_id": "R1", "retries": 0}

# Every kind of call to AWS that Readplane's stores make. Each row holds the service, the operation, the parameters, and
# those parameters that the call's X-Ray subsegment must contain. No subsegment may contain SECRET.
CALLS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    (
        "dynamodb",
        "GetItem",
        {"TableName": "items", "Key": {"pk": {"S": SECRET}}, "ConsistentRead": True},
        {"table_name": "items", "consistent_read": True},
    ),
    ("dynamodb", "PutItem", {"TableName": "items", "Item": {"pk": {"S": SECRET}}}, {"table_name": "items"}),
    (
        "dynamodb",
        "Query",
        {
            "TableName": "items",
            "IndexName": "by_collection",
            "Limit": 10,
            "ScanIndexForward": False,
            "Select": "COUNT",
            "ProjectionExpression": "pk",
            "KeyConditionExpression": "lk = :lk",
            "ExpressionAttributeValues": {":lk": {"S": SECRET}},
            "ExclusiveStartKey": {"pk": {"S": SECRET}},
        },
        {
            "table_name": "items",
            "index_name": "by_collection",
            "limit": 10,
            "scan_index_forward": False,
            "select": "COUNT",
            "projection_expression": "pk",
        },
    ),
    (
        "dynamodb",
        "BatchGetItem",
        {"RequestItems": {"items": {"Keys": [{"pk": {"S": SECRET}}]}}},
        {"table_names": ["items"]},
    ),
    (
        "dynamodb",
        "BatchExecuteStatement",
        {"Statements": [{"Statement": "UPDATE items SET d = ? WHERE pk = ?", "Parameters": [{"S": SECRET}]}]},
        {},
    ),
    ("firehose", "PutRecord", {"DeliveryStreamName": "log", "Record": {"Data": SECRET.encode()}}, {}),
    ("s3", "GetObject", {"Bucket": "b", "Key": f"owner/documents/c/{SECRET}"}, {"bucket_name": "b"}),
    (
        "s3",
        "PutObject",
        {"Bucket": "b", "Key": f"owner/documents/c/{SECRET}", "Body": SECRET.encode(), "Metadata": {"m": SECRET}},
        {"bucket_name": "b"},
    ),
    (
        "sqs",
        "ChangeMessageVisibility",
        {"QueueUrl": "https://q", "VisibilityTimeout": 5, "ReceiptHandle": SECRET},
        {"queue_url": "https://q", "visibility_timeout": 5},
    ),
]


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    with Daemon() as listening:
        monkeypatch.setenv(DAEMON, listening.address)
        monkeypatch.setenv("AWS_REGION", REGION)
        monkeypatch.setenv("LAMBDA_TASK_ROOT", "/var/task")
        process_tracing.cache_clear()
        yield listening
    process_tracing.cache_clear()


def make_tracing(kind: Kind) -> Tracing:
    if kind == "sdk":
        from aws_xray_sdk.core import xray_recorder
        from aws_xray_sdk.core.lambda_launcher import LambdaContext

        # Configure the X-Ray SDK as in Lambda, because an earlier test may have imported the SDK and so configured it
        # for the X-Ray daemon of that test.
        xray_recorder.configure(context=LambdaContext(), daemon_address=os.environ[DAEMON], streaming_threshold=0)
    tracing = process_tracing(kind)
    assert tracing is not None
    return tracing


def invoke(monkeypatch: pytest.MonkeyPatch, header: str | None = None) -> dict[str, str]:
    """Set the trace header of a new invocation, as Lambda's runtime does, and return the new trace."""
    trace = new_trace()
    monkeypatch.setenv(HEADER, trace["header"] if header is None else header)
    return trace


def trace_call(
    tracing: Tracing, status: int | None = 200, *, call: tuple[Any, ...] = CALLS[0], retries: int = 0
) -> bool:
    """Begin and end the span of one call to AWS, without making the call. Return whether the call had a span."""
    service, operation, parameters, _ = call
    span = tracing.begin(service, operation, parameters)
    if span:
        span.end(status, "R1" if status else None, retries)
    return span is not None


def without_ids(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in ("id", "start_time", "end_time")}


def test_the_test_daemon_refuses_what_xray_would() -> None:
    trace = new_trace()
    good = {
        "id": "53995c3f42cd8ad8",
        "name": "dynamodb",
        "type": "subsegment",
        "namespace": "aws",
        "trace_id": trace["trace_id"],
        "parent_id": trace["parent_id"],
        "start_time": 1.478293361271e9,
        "end_time": 1.478293361449e9,
    }
    assert violations_of(good) == []
    for name in good:
        assert violations_of({key: value for key, value in good.items() if key != name})
    wrong: dict[str, list[Any]] = {
        "id": ["53995c3f42cd8ad", "53995c3f42cd8adx", 5],
        "name": ["", "a" * 201, "a?b"],
        "type": ["segment"],
        "trace_id": ["1-581cf771-a006649127e371903a2de97", trace["parent_id"]],
        "end_time": [1.4e9, "1.478293361449e9", 1.478293361449e12],
        "fault": ["yes"],
        "in_progress": [True],
        "aws": [[], {"request_id": None}],
        "http": [{"status": 200}],
        "other": [1],
    }
    for name, values in wrong.items():
        for value in values:
            assert violations_of({**good, name: value}), f"{name} = {value}"


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[1])
def test_both_kinds_send_the_same_subsegment_below_the_invocations_segment(
    call: tuple[Any, ...], daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, operation, _, recorded = call
    trace = invoke(monkeypatch)
    expected = {
        "name": service,
        "type": "subsegment",
        "namespace": "aws",
        "trace_id": trace["trace_id"],
        "parent_id": trace["parent_id"],
        "in_progress": False,
        "http": {"response": {"status": 200}},
        "aws": {**METADATA, "operation": operation, "retries": 2, **recorded},
    }
    for kind in KINDS:
        assert trace_call(make_tracing(kind), call=call, retries=2)
        (document,) = daemon.received()
        assert without_ids(document) == expected, kind
        assert SECRET not in json.dumps(document)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[1])
def test_the_sdks_own_patch_of_botocore_records_the_same_and_s3_keys(call: tuple[Any, ...]) -> None:
    from aws_xray_sdk.ext.boto_utils import _extract_whitelisted_params

    service, operation, parameters, expected = call
    recorded: dict[str, Any] = {}
    _extract_whitelisted_params(service, operation, recorded, (operation, parameters), {}, {})
    assert (recorded.pop("key", None) is not None) == (service == "s3")
    if "table_names" in recorded:
        # The X-Ray SDK records a view of a dict's keys. Convert the view, because it doesn't equal a list.
        recorded["table_names"] = list(recorded["table_names"])
    assert recorded == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "flags"),
    [
        (200, set()),
        (304, set()),
        (400, {"error"}),
        (404, {"error"}),
        (429, {"error", "throttle"}),
        (500, {"fault"}),
        (503, {"fault"}),
        (None, {"fault"}),
    ],
)
def test_the_status_sets_the_flags_that_xray_defines_for_it(
    kind: Kind, status: int | None, flags: set[str], daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoke(monkeypatch)
    trace_call(make_tracing(kind), status)
    (document,) = daemon.received()
    assert {name for name in ("error", "throttle", "fault") if document.get(name)} == flags
    assert document.get("http") == ({"response": {"status": status}} if status else None)
    assert ("request_id" in document["aws"]) == bool(status)


ROOT_ID, SEGMENT = "1-67a1b2c3-4d5e6f708192a3b4c5d6e7f8", "53995c3f42cd8ad8"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "header",
    [
        "",
        ";",
        "Root",
        f"Root={ROOT_ID};Parent={SEGMENT};Sampled=0",
        f"Root={ROOT_ID};Parent={SEGMENT};Sampled=?",
        f"Root={ROOT_ID};Parent={SEGMENT};Sampled=",
        f"Root={ROOT_ID};Parent={SEGMENT}",
        f"Root={ROOT_ID};Sampled=1",
        f"Parent={SEGMENT};Sampled=1",
        f"Root={ROOT_ID};Parent={SEGMENT[1:]};Sampled=1",
        f"Root={ROOT_ID};Parent={SEGMENT[1:]}x;Sampled=1",
        f"Root={ROOT_ID[:-1]};Parent={SEGMENT};Sampled=1",
        f"Root={ROOT_ID[:-1]}x;Parent={SEGMENT};Sampled=1",
        f"Root={ROOT_ID.replace('-', '')}--;Parent={SEGMENT};Sampled=1",
        f"Root={ROOT_ID}=;Parent={SEGMENT};Sampled=1",
    ],
)
def test_an_unsampled_or_malformed_trace_header_sends_nothing(
    kind: Kind, header: str, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracing = make_tracing(kind)
    invoke(monkeypatch, header)
    assert not trace_call(tracing)
    assert daemon.received() == []


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_sent_outside_an_invocation(kind: Kind, daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    tracing = make_tracing(kind)
    monkeypatch.delenv(HEADER, raising=False)  # as during init, before the first invocation
    assert not trace_call(tracing)
    assert daemon.received() == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "header",
    [
        f"Root={ROOT_ID};Parent={SEGMENT};Sampled=1;Lineage=1:2a3b4c5d:0",
        f"Sampled=1;Parent={SEGMENT};Root={ROOT_ID}",
        f"Self=1-67a1b2c3-000000000000000000000000;Root={ROOT_ID};Parent={SEGMENT};Sampled=1",
    ],
)
def test_a_trace_header_may_hold_more_fields_in_any_order(
    kind: Kind, header: str, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoke(monkeypatch, header)
    assert trace_call(make_tracing(kind))
    (document,) = daemon.received()
    assert (document["trace_id"], document["parent_id"]) == (ROOT_ID, SEGMENT)


@pytest.mark.parametrize("kind", KINDS)
def test_each_invocation_has_its_own_trace_and_sampling_decision(
    kind: Kind, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracing = make_tracing(kind)
    first = new_trace()
    headers = [
        (first["trace_id"], first["parent_id"], 1),
        (first["trace_id"], "00000000000000aa", 1),  # a second invocation in the same trace
        (first["trace_id"], "00000000000000ab", 0),
        (ROOT_ID, SEGMENT, 0),
        (ROOT_ID, SEGMENT, 1),
        (first["trace_id"], first["parent_id"], 1),
    ]
    for root, parent, sampled in headers:
        invoke(monkeypatch, f"Root={root};Parent={parent};Sampled={sampled}")
        for _ in range(2):
            assert trace_call(tracing) == bool(sampled)
    received = [(document["trace_id"], document["parent_id"]) for document in daemon.received()]
    assert received == [(root, parent) for root, parent, sampled in headers if sampled for _ in range(2)]


@pytest.mark.parametrize("kind", KINDS)
def test_concurrent_calls_of_several_threads_are_siblings(
    kind: Kind, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, rounds = 4, 5
    tracing = make_tracing(kind)
    together = threading.Barrier(threads)

    def trace_one_call(_: int) -> None:
        service, operation, parameters, _recorded = CALLS[0]
        span = tracing.begin(service, operation, parameters)
        together.wait(10)  # wait, so that the calls of all threads overlap
        assert span
        span.end(200, "R1", 0)

    with ThreadPoolExecutor(threads) as pool:
        for _ in range(2):  # invoke twice, because the second invocation reuses the threads of the first
            trace = invoke(monkeypatch)
            list(pool.map(trace_one_call, range(threads * rounds)))
            documents = daemon.received()
            assert len({document["id"] for document in documents}) == threads * rounds
            assert {document["parent_id"] for document in documents} == {trace["parent_id"]}
            assert {document["trace_id"] for document in documents} == {trace["trace_id"]}


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_daemon_fails_no_call_and_may_start_later(
    kind: Kind, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracing = make_tracing(kind)
    invoke(monkeypatch)
    port = daemon.port
    with daemon:
        pass
    for _ in range(3):
        assert trace_call(tracing)
    with Daemon(port) as later:
        assert trace_call(tracing)
        assert len(later.received()) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_parameter_that_isnt_json_does_not_fail_the_trace(
    kind: Kind, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoke(monkeypatch)
    assert trace_call(make_tracing(kind), call=("dynamodb", "GetItem", {"TableName": b"items"}, {}))
    assert trace_call(make_tracing(kind), call=("dynamodb", "BatchGetItem", {"RequestItems": None}, {}))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["{0}", "tcp:127.0.0.1:1 udp:{0}", "udp:{0} tcp:127.0.0.1:1"])
def test_the_daemons_address_has_two_forms(
    kind: Kind, form: str, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DAEMON, form.format(daemon.address))
    invoke(monkeypatch)
    assert trace_call(make_tracing(kind))
    assert len(daemon.received()) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "address", ["", "here", "here:", ":2000", "here:x", "here:-1", "udp:here:2000", "tcp:a:1 tcp:b:2", "a:1 b:2 c:3"]
)
def test_without_a_daemon_there_is_no_tracing(kind: Kind, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    process_tracing.cache_clear()
    monkeypatch.setenv(DAEMON, address)
    assert process_tracing(kind) is None
    monkeypatch.delenv(DAEMON)
    process_tracing.cache_clear()
    assert process_tracing(kind) is None
    process_tracing.cache_clear()


@pytest.mark.parametrize("kind", KINDS)
def test_tracing_is_made_once_per_process(kind: Kind, daemon: Daemon) -> None:
    assert make_tracing(kind) is make_tracing(kind)


def test_tracing_by_datagrams_loads_no_slow_modules(daemon: Daemon) -> None:
    command = [sys.executable, "-I", "-S", str(HERE / "loaded_by_tracing.py"), str(ROOT / "lambda_src"), daemon.address]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    slow = {"contextlib", "logging", "random", "dataclasses", "uuid", "inspect", "aws_xray_sdk", "botocore"}
    assert not slow & set(loaded)
    assert "readplane.aws.tracing" in loaded


class Runtime:
    """A process that runs the functions `write` and `read` as a Lambda sandbox does."""

    def __init__(self, client: str, daemon: Daemon) -> None:
        # Pass on only PATH and the variables that the fixture `calls` sets, so that the developer's shell doesn't
        # affect the test.
        env = {
            name: value for name, value in os.environ.items() if name in ("PATH", VARIABLE) or name.startswith("AWS_")
        }
        env |= {
            "PYTHONPATH": str(ROOT / "lambda_src"),
            "AWS_LAMBDA_FUNCTION_NAME": "demo",
            "LAMBDA_TASK_ROOT": "/var/task",
            "READPLANE_CLIENT": client,
            DAEMON: daemon.address,
        }
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "lambda_runtime.py")],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._read_line("ready")

    def __call__(self, function: str, trace: dict[str, str], event: Any) -> int:
        """Invoke a function with a trace header and an event, and return the HTTP status of its response."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps([function, trace["header"], event]) + "\n")
        self._process.stdin.flush()
        return int(self._read_line("answered"))

    def _read_line(self, word: str) -> str:
        assert self._process.stdout
        for line in self._process.stdout:
            if line.startswith(word):
                return line.removeprefix(word)
        raise AssertionError("the process ended")

    def close(self) -> None:
        self._process.communicate(timeout=10)


@pytest.fixture
def start(daemon: Daemon, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Runtime]]:
    request.getfixturevalue("calls")  # starts the fake AWS server that the functions call
    runtimes: list[Runtime] = []

    def start_runtime(client: str) -> Runtime:
        runtimes.append(Runtime(client, daemon))
        return runtimes[-1]

    yield start_runtime
    for runtime in runtimes:
        runtime.close()


def get(kind: str, item_id: str = "p-1", rest: str = "") -> Any:
    return api_event(
        "GET", f"/{kind}/products/{{item_id}}{rest}", {"item_id": item_id, "change_id": change().change_id}
    )


PUT = event("api") | {"body": "{}"}
REQUESTS: list[tuple[str, Any, int, list[tuple[str, str, int]]]] = [
    ("write", PUT, 202, [("firehose", "PutRecord", 200)]),
    ("write", PUT | {"body": "["}, 400, []),
    ("read", get("items"), 200, [("dynamodb", "GetItem", 200)]),
    ("read", get("items", "p-2"), 404, [("dynamodb", "GetItem", 200)]),
    ("read", get("items", rest="/changes/{change_id}"), 200, [("dynamodb", "BatchGetItem", 200)]),
    ("read", get("documents"), 200, [("s3", "GetObject", 200)]),
    ("read", get("documents", "p-2"), 404, [("s3", "GetObject", 404)]),
]


def test_each_request_is_one_trace_and_the_same_with_either_client(
    start: Callable[[str], Runtime], daemon: Daemon
) -> None:
    seen: dict[str, list[list[dict[str, Any]]]] = {}
    for _, name in CLIENTS:
        functions = start(name)
        assert daemon.received() == []  # init sends no trace, because init belongs to no request
        seen[name] = []
        for function, request, status, calls_made in REQUESTS:
            trace = new_trace()
            assert functions(function, trace, request) == status
            documents = daemon.received()
            # AWS itself writes the segments of API Gateway and of the function, and puts their ids into the trace
            # header. So the ids in the function's subsegments must equal those in the header.
            assert [document["trace_id"] for document in documents] == [trace["trace_id"]] * len(calls_made)
            assert [document["parent_id"] for document in documents] == [trace["parent_id"]] * len(calls_made)
            assert [
                (document["name"], document["aws"]["operation"], document["http"]["response"]["status"])
                for document in documents
            ] == calls_made
            assert all(document["start_time"] <= document["end_time"] for document in documents)
            seen[name].append([anonymous(document) for document in documents])
            assert functions(function, new_trace(sampled=0), request) == status
            assert daemon.received() == []
    assert seen["slim"] == seen["boto3"]


def anonymous(document: dict[str, Any]) -> dict[str, Any]:
    """Return an X-Ray document without its ids and times, so that the documents of two requests can be compared."""
    common = without_ids(document)
    for name in ("trace_id", "parent_id"):
        del common[name]
    common["aws"] = {name: value if name != "request_id" else bool(value) for name, value in common["aws"].items()}
    return common


def test_failed_calls_have_the_same_trace_with_either_client(
    aws: Aws, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # the socket doesn't listen, so the system refuses connections to it
        endpoints: dict[str, tuple[type[Exception], dict[str, Any]]] = {
            aws.url: (RefusedError, {"error": True, "http": {"response": {"status": 400}}}),
            f"http://127.0.0.1:{unused.getsockname()[1]}": (UnansweredError, {"fault": True}),
        }
        for endpoint, (failure, expected) in endpoints.items():
            monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
            for kind, name in CLIENTS:
                make_tracing(kind)
                monkeypatch.setenv("READPLANE_CLIENT", name)
                invoke(monkeypatch)
                with pytest.raises(failure):
                    make_client("dynamodb", attempts=1).call("GetItem", TableName="none", Key={"pk": {"S": SECRET}})
                (document,) = daemon.received()
                assert expected.items() <= document.items(), name
                assert ("error" in document, "fault" in document) == ("error" in expected, "fault" in expected)
                metadata = {name: value for name, value in document["aws"].items() if name != "request_id"}
                assert metadata == {"operation": "GetItem", "region": REGION, "table_name": "none", "retries": 0}
                assert ("request_id" in document["aws"]) == (failure is RefusedError)
