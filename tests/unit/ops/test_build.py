"""The artefacts: the same bytes wherever they are built, and complete: each handler works beside nothing else than the
zips that it is deployed with and, where it calls AWS with boto3, what the runtime brings. What a client waits for at a
cold start is bounded here too."""

import gzip
import http.server
import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ops.build.zips import HOT, REQUIREMENTS, TARGETS, Target, Zips, _wheels, build, hot_files
from ops.console import ROOT, CommandError
from readplane.aws.client import CLIENTS
from tests.unit.support import ALICE, CLIENT_ID, api_event, change, settings_text

RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")
SCHEMAS = json.dumps({"products": {"type": "object", "required": ["name"]}}).encode()
LOG_OBJECT = gzip.compress(b"".join(change(f"p-{number}").line() for number in range(3)))  # enough to be a batch
AARCH64 = 183  # e_machine of ELF
HOT_BYTES = 100_000
HOT_MODULES = 110
TOO_DEAR = (  # each costs a cold start milliseconds and can be done without
    *("aws_xray_sdk", "boto3", "botocore", "wrapt"),
    *("asyncio", "dataclasses", "inspect", "logging", "random", "subprocess", "tempfile", "traceback", "uuid"),
    *("concurrent.futures.process", "multiprocessing", "urllib.request", "xml"),
)

# Sees the given folders and the standard library; the sources must not even be looked at.
INVOKE = """
import sys, site
bare = set(sys.modules)
import json
class Context:
    def get_remaining_time_in_millis(self): return 30_000
folders, name, event = map(json.loads, sys.argv[1:])
sys.path[:0] = folders
import importlib.machinery
module = importlib.import_module(f"readplane.{name}.handler")
answer = module.handler(event, Context())
print(json.dumps({
    "answer": answer,
    "modules": sorted(set(sys.modules) - bare),
    "came_from": sorted({path for m in list(sys.modules.values()) if (path := getattr(m, "__file__", None))}),
    "boto3": importlib.machinery.PathFinder.find_spec("boto3") is not None,
}))
"""


@pytest.fixture(scope="module")
def built() -> dict[str, Zips]:
    """Both targets' zips, by name."""
    return {name: build(target)[0] for name, target in TARGETS.items()}


class Aws(NamedTuple):
    """Stands in for AWS."""

    url: str
    asked: list[str]  # by path, or by operation
    traces: socket.socket  # what the X-Ray daemon was sent

    def traced(self) -> list[str]:
        """The names of the subsegments since the last time."""
        names = []
        while True:
            try:
                names.append(json.loads(self.traces.recv(65536).split(b"\n", 1)[1])["name"])
            except BlockingIOError:
                return names


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    """An AWS that has the schemas and one log object, and takes every change and table request."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(self.path, LOG_OBJECT if self.path.startswith("/log/log/") else SCHEMAS)

        def do_POST(self) -> None:
            operation = self.headers["X-Amz-Target"].rpartition(".")[2]
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told: dict[str, Any] = {}
            if operation == "PutRecord":
                told = {"RecordId": "1", "Encrypted": False}
            elif operation == "BatchGetItem":
                told = {"Responses": {}, "UnprocessedKeys": {}}
            elif operation == "BatchExecuteStatement":
                told = {"Responses": [{"TableName": "items"} for _ in request["Statements"]]}
            self._answer(operation, json.dumps(told).encode())

        def _answer(self, what: str, body: bytes) -> None:
            asked.append(what)
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
        yield Aws(f"http://127.0.0.1:{server.server_port}", asked, daemon)
        server.shutdown()


def settings(function: str) -> dict[str, Any]:
    products = {"products": {"read": "public", "write_groups": ["editors"], "cache_ttl": 0}}
    common = {"function": function, "name": "readplane", "region": "eu-central-1", "collections": products}
    clients = {"client_ids": [CLIENT_ID], "cors_origins": []}
    schemas = {"bucket": "log", "key": "config/schemas/s.json", "sha256": sha256(SCHEMAS).hexdigest()}
    own: dict[str, dict[str, Any]] = {
        "write": {**clients, "delivery_stream": "stream", "schemas": schemas},
        "read": {**clients, "items_table": "items", "items_index": "by_collection", "documents_bucket": None}
        | {"pending_seconds": 900, "horizon_days": 30},
        "apply": {
            "items_table": "items",
            "queue_url": "http://localhost/queue",
            "log_bucket": "log",
            "horizon_days": 30,
        }
        | {"quarantine_prefix": "quarantine/"},
        "publish": {"items_table": "items", "documents_bucket": "documents", "horizon_days": 30},
        "backend_auth": {"keys": [f"{sha256(b'the key').hexdigest()}/crm"]},
        "poll": {"items_table": "items", "items_index": "by_collection", "checkpoints_table": "checkpoints"}
        | {"stream": "changes", "log_bucket": "log", "quarantine_prefix": "quarantine/", "horizon_days": 30}
        | {"documents": [{"region": "eu-central-1", "bucket": "documents"}], "schemas": schemas},
    }
    return common | own[function]


def unpack(artefact: Path, into: Path, *, without_sources: bool = False) -> Path:
    """Unpack a zip; its sources made useless, so that only byte-code can be what runs."""
    with zipfile.ZipFile(artefact) as archive:
        archive.extractall(into)
    for source in into.rglob("*.py") if without_sources else ():
        source.write_text("raise SystemExit('a source was used, not its byte-code')\n")
    return into


class Laid(NamedTuple):
    """One target's artefacts as Lambda lays them out, each a folder for sys.path."""

    hot: Path
    functions: Path
    layer: Path
    poll_layer: Path
    runtime: Path


@pytest.fixture(scope="module")
def laid_out(built: dict[str, Zips], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Laid]:
    """Both targets' artefacts, and the runtime's own packages."""
    runtime = tmp_path_factory.mktemp("runtime")
    for name in RUNTIME:
        spec = find_spec(name)
        assert spec and spec.origin
        found = Path(spec.origin)
        found = found.parent if found.name == "__init__.py" else found
        (runtime / found.name).symlink_to(found)
    laid = {}
    for name, zips in built.items():
        folder = tmp_path_factory.mktemp(name)
        hot, functions = unpack(zips.hot, folder / "hot"), unpack(zips.functions, folder / "functions")
        layer, poll_layer = (
            unpack(path, folder / path.stem, without_sources=True) / "python" for path in (zips.layer, zips.poll_layer)
        )
        laid[name] = Laid(hot, functions, layer, poll_layer, runtime)
    return laid


NOTHING_FAILED: dict[str, list[str]] = {"batchItemFailures": []}
CHANGE = {"eventTime": "2026-11-21T12:00:00.000Z", "s3": {"object": {"key": "log/a.gz"}}}
MESSAGE = {"messageId": "m", "receiptHandle": "r", "attributes": {"ApproximateReceiveCount": "1"}}
NOTIFICATION = {"Records": [MESSAGE | {"body": json.dumps({"Records": [CHANGE]})}]}


def request(method: str, body: str | None = None) -> Any:
    return api_event(method, "/items/products/{item_id}", {"item_id": "p-1"}, claims={"sub": ALICE}, body=body)


SOURCE = {
    "name": "products",
    "mode": "changes",
    "collection": "products",
    "url": "https://erp.example.com/products",
    "function": "readplane.poll.source.functions.columns:ColumnsAndRows",
    "schedule": "rate(1 minute)",
    "staleness_budget": 600,
}


# function, event, answer or its status, the calls that it costs beside those of its start
CALLS: dict[str, tuple[str, Any, object, list[str]]] = {
    "write, bad body": ("write", request("PUT", "[1]"), 400, []),
    "write": ("write", request("PUT", '{"name":"Kettle"}'), 202, ["PutRecord"]),
    "read": ("read", request("GET"), 404, ["GetItem"]),
    "apply": ("apply", NOTIFICATION, NOTHING_FAILED, ["/log/log/a.gz", "BatchGetItem", "BatchExecuteStatement"]),
    "publish": ("publish", {"Records": []}, NOTHING_FAILED, []),
    "poll": ("poll", {"validate": [SOURCE]}, {"problems": []}, []),
}
CLIENTS_WAIT_FOR = [call for call in CALLS if call not in ("publish", "poll")]


def invoke(target: str, folders: list[Path], call: str, aws: Aws, **variables: str) -> dict[str, Any]:
    """Call a function in an interpreter that sees the folders and nothing else, and check its answer.

    :returns: the modules that were loaded, and where from.
    """
    function, event, expected, calls = CALLS[call]
    aws.asked.clear()
    aws.traced()
    environment = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{aws.traces.getsockname()[1]}",
        "_X_AMZN_TRACE_ID": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
        "READPLANE_SETTINGS": settings_text(settings(function)),
    }
    words = [json.dumps([str(folder) for folder in folders]), json.dumps(function), json.dumps(event)]
    done = subprocess.run(
        [TARGETS[target].interpreter(), "-I", "-S", "-B", "-c", INVOKE, *words],
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if isinstance(expected, int):
        assert shown["answer"]["statusCode"] == expected, shown["answer"]
        if expected >= 400:
            assert json.loads(shown["answer"]["body"])["status"] == expected
    else:
        assert shown["answer"] == expected, done.stdout
    assert [what for what in aws.asked if not what.startswith("/log/config/schemas/")] == calls
    return shown


def hot_folders(laid: Laid, call: str) -> list[Path]:
    """What Terraform gives a function with the slim client."""
    return [laid.hot, laid.layer] if CALLS[call][0] == "write" else [laid.hot]


@pytest.mark.parametrize("call", CLIENTS_WAIT_FOR)
@pytest.mark.parametrize("target", TARGETS)
def test_what_a_client_waits_for_works_without_boto3(
    target: str, call: str, laid_out: dict[str, Laid], aws: Aws
) -> None:
    shown = invoke(target, hot_folders(laid_out[target], call), call, aws)
    assert not shown["boto3"]
    assert not [path for path in shown["came_from"] if "site-packages" in path]


@pytest.mark.parametrize("call", CLIENTS_WAIT_FOR)
@pytest.mark.parametrize("target", TARGETS)
def test_a_cold_start_loads_few_modules_and_none_that_are_dear(
    target: str, call: str, laid_out: dict[str, Laid], aws: Aws
) -> None:
    modules = invoke(target, hot_folders(laid_out[target], call), call, aws)["modules"]
    assert aws.traced() or not CALLS[call][3], "tracing is part of it"
    dear = [name for name in modules if name in TOO_DEAR or name.partition(".")[0] in TOO_DEAR]
    # Nobody waits for `apply`, and its pool of threads (concurrent.futures) logs.
    assert not set(dear) - ({"logging", "traceback"} if call == "apply" else set())
    assert len(modules) <= HOT_MODULES, modules


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("target", TARGETS)
def test_each_handler_works_with_either_client_beside_the_layer_and_the_runtime(
    target: str, call: str, client: str, laid_out: dict[str, Laid], aws: Aws
) -> None:
    laid = laid_out[target]
    own = laid.hot if call in CLIENTS_WAIT_FOR else laid.functions
    layers = [laid.layer, laid.poll_layer] if call == "poll" else [laid.layer]
    shown = invoke(target, [own, *layers, laid.runtime], call, aws, READPLANE_CLIENT=client)
    assert ("boto3" in shown["modules"]) == (client == "boto3" or call not in CLIENTS_WAIT_FOR)
    foreign = [
        path for path in shown["came_from"] if "site-packages" in path and not path.startswith(str(laid.runtime))
    ]
    assert not foreign, "everything comes from the zips, the runtime or the standard library"


@pytest.mark.parametrize("target", TARGETS)
def test_the_check_of_api_keys_starts_fast_and_needs_its_zip_alone(
    target: str, laid_out: dict[str, Laid], aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/v1"
    event = {"headers": {"x-api-key": "another"}, "methodArn": f"{stage}/GET/backends/crm/x"}
    refused = {"Effect": "Deny", "Action": "execute-api:Invoke", "Resource": [f"{stage}/*"]}
    answer = {"principalId": "nobody", "policyDocument": {"Version": "2012-10-17", "Statement": [refused]}}
    monkeypatch.setitem(CALLS, "backend_auth", ("backend_auth", event, answer, []))
    shown = invoke(target, [laid_out[target].functions], "backend_auth", aws)
    assert not shown["boto3"] and len(shown["modules"]) <= HOT_MODULES


@pytest.mark.parametrize("target", TARGETS)
def test_the_hot_zip_is_small(target: str, built: dict[str, Zips]) -> None:
    assert built[target].hot.stat().st_size <= HOT_BYTES


@pytest.mark.parametrize("target", TARGETS)
def test_a_traceback_tells_files_and_lines_of_the_sources(target: str, laid_out: dict[str, Laid]) -> None:
    code = f"import sys; sys.path.insert(0, {str(laid_out[target].hot)!r}); from readplane.config import load"
    done = subprocess.run(
        [TARGETS[target].interpreter(), "-I", "-S", "-c", f"{code}; load(lambda given: given)"],
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    name, line = re.findall(r'File "/var/task/(readplane/config\.py)", line (\d+)', done.stderr)[-1]
    assert (ROOT / "lambda_src" / name).read_text().splitlines()[int(line) - 1].lstrip().startswith("raise ")


PACKAGE = {
    "__init__.py": "",
    "handlers/__init__.py": "",
    "handlers/hot.py": "import json\nimport p.near\nfrom ..stores import aws\n",
    "handlers/cold.py": "from ..stores.far import Far\n",
    "near.py": "from . import __version__\nfrom .data.all import *\n",
    "stores/__init__.py": "from .base import Base\n",
    "stores/aws.py": "def client():\n    from .slim import Slim\n    return Slim()\n",
    "stores/base.py": "class Base: ...\n",
    "stores/slim.py": "from ..stores.base import Base\n",
    "stores/far.py": "",
    "stores/roots.pem": "-----",
    "data/__init__.py": "",
    "data/all.py": "",
    "cold/__init__.py": "",
    "cold/table.json": "{}",
}


def package(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "p" / name).write_text(text)
    return folder / "p"


def test_the_hot_files_are_what_is_imported_anywhere_and_the_data_beside_it(tmp_path: Path) -> None:
    place = package(tmp_path, PACKAGE)
    found = {path.relative_to(place).as_posix() for path in hot_files(place, ["p.handlers.hot"])}
    assert found == set(PACKAGE) - {"handlers/cold.py", "stores/far.py", "cold/__init__.py", "cold/table.json"}


@pytest.mark.parametrize("line", ["import p.gone", "from .gone import x", "from ..stores.gone import x"])
def test_an_import_of_a_module_that_is_not_there_fails_the_build(line: str, tmp_path: Path) -> None:
    place = package(tmp_path, PACKAGE | {"stores/slim.py": f"def f():\n    {line}\n"})
    with pytest.raises(CommandError, match=r"p\.(stores\.)?gone is imported, and there is no such module"):
        hot_files(place, ["p.handlers.hot"])


def test_terraform_gives_the_hot_zip_to_the_functions_that_it_is_made_for() -> None:
    text = (ROOT / "terraform/modules/region/functions.tf").read_text()
    (functions,) = re.findall(r"^  hot = (\[.*\])$", text, re.M)
    assert sorted(HOT) == sorted(f"readplane.{function}.handler" for function in json.loads(functions))


def build_elsewhere(folder: Path, target: Target, umask: int, clock: str, zone: str) -> list[bytes]:
    """Build from a copy of the inputs in another folder, as another user on another day would."""
    copy, dist = folder / "project", folder / "out"
    for name in ("lambda_src", "ops"):
        for source in sorted((ROOT / name).rglob("*"), reverse=clock > "2030"):
            if source.is_file() and "__pycache__" not in source.parts:
                to = copy / source.relative_to(ROOT)
                to.parent.mkdir(parents=True, exist_ok=True)
                to.write_bytes(source.read_bytes())
                to.chmod(source.stat().st_mode & ~umask)
                os.utime(to, (int(clock[:4]) * 31_000_000 // 1000,) * 2)
    cache = ROOT / "dist/.wheels"
    (dist / ".wheels").parent.mkdir(parents=True)
    (dist / ".wheels").symlink_to(cache)  # the wheels are inputs, pinned by hash
    code = (
        f"import os; os.umask({umask}); from ops.build.zips import main; main(['--target={target.name}', '--dist=out'])"
    )
    environment = {**os.environ, "TZ": zone, "SOURCE_DATE_EPOCH": clock[:4], "PYTHONHASHSEED": str(umask), "HOME": "/"}
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(copy)},
        check=True,
        capture_output=True,
        timeout=120,
    )
    return [path.read_bytes() for path in target.zips(dist)]


@pytest.mark.parametrize("target", TARGETS)
def test_zips_are_the_same_whatever_folder_clock_or_umask(target: str, built: dict[str, Zips], tmp_path: Path) -> None:
    one = build_elsewhere(tmp_path / "a", TARGETS[target], 0o022, "1999", "Asia/Tokyo")
    other = build_elsewhere(tmp_path / "a longer name ü", TARGETS[target], 0o077, "2031", "America/Lima")
    assert one == other
    assert one == [path.read_bytes() for path in built[target]]


@pytest.mark.parametrize("target", TARGETS)
def test_zips_hold_unchecked_byte_code_and_nothing_that_varies(target: str, built: dict[str, Zips]) -> None:
    for path, place in zip(built[target], ("/var/task", "/var/task", "/opt", "/opt"), strict=True):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            assert names == sorted(names)
            assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
            assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}
            assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_DEFLATED}
            made_by = json.loads(archive.read("build.json"))
            sources = {name for name in names if name.endswith(".py")}
            compiled = {name: archive.read(name) for name in names if name.endswith(".pyc")}
        # x/__pycache__/y.cpython-313.pyc or x/y.pyc -> x/y.py
        of = {name: re.sub(r"(?:__pycache__/)?(\w+)(?:\.cpython-\d+)?\.pyc$", r"\1.py", name) for name in compiled}
        for name, content in compiled.items():
            assert struct.unpack("<I", content[4:8]) == (0b01,), f"{name} must be an unchecked hash pyc"
            assert f"{place}/{of[name]}".encode() in content, "no path of the machine that built it"
        assert compiled and len(set(of.values())) == len(compiled)
        if place == "/opt":
            assert set(of.values()) == sources, "libraries: the byte-code beside every source"
        else:
            assert not sources and not [name for name in names if "__pycache__" in name], "ours: the byte-code alone"
        assert made_by["target"] == target and made_by["zlib"] == zlib.ZLIB_RUNTIME_VERSION
        assert made_by["python"].startswith("3.13." if target == "arm64" else f"3.{sys.version_info.minor}.")
        assert not [n for n in names if n.endswith(("/INSTALLER", "/REQUESTED", "/direct_url.json"))]
        assert not [n for n in names if n.split("/")[1:2] in (["bin"], ["boto3"], ["botocore"], ["urllib3"])]


@pytest.mark.parametrize("target", TARGETS)
def test_our_byte_code_has_no_docstrings_and_the_functions_are_all_there(target: str, built: dict[str, Zips]) -> None:
    with zipfile.ZipFile(built[target].functions) as archive:
        names = set(archive.namelist()) - {"build.json"}
        assert b"Answers a client's reads" not in archive.read("readplane/read/handler.pyc")
    source = ROOT / "lambda_src"
    files = [p for p in (source / "readplane").rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert names == {re.sub(r"\.py$", ".pyc", path.relative_to(source).as_posix()) for path in files}
    with zipfile.ZipFile(built[target].hot) as archive:
        assert set(archive.namelist()) - {"build.json"} < names


@pytest.mark.parametrize("layer", ["layer", "poll_layer"])
def test_the_layers_for_aws_hold_arm64_libraries_only(built: dict[str, Zips], layer: str) -> None:
    with zipfile.ZipFile(getattr(built["arm64"], layer)) as archive:
        libraries = [name for name in archive.namelist() if name.endswith(".so")]
        machines = {name: struct.unpack("<H", archive.read(name)[18:20])[0] for name in libraries}
    assert machines and set(machines.values()) == {AARCH64}, machines


def test_no_layer_ships_what_the_runtime_brings_or_another_layer_has(built: dict[str, Zips]) -> None:
    ships = {}
    for layer in ("layer", "poll_layer"):
        with zipfile.ZipFile(getattr(built["arm64"], layer)) as archive:
            names = {parts[1] for name in archive.namelist() if len(parts := name.split("/")) > 2}
        ships[layer] = {name for name in names if not name.endswith(".dist-info")}
        assert ships[layer] and not ships[layer] & set(RUNTIME)
    assert not ships["layer"] & ships["poll_layer"]


def test_nothing_is_built_twice_and_a_zip_changed_by_hand_is_built_again(tmp_path: Path) -> None:
    copy = tmp_path / "lambda_src"
    for name in ("read", "write", "apply"):
        (copy / f"readplane/{name}").mkdir(parents=True)
        for module in ("__init__", "handler"):
            (copy / f"readplane/{name}/{module}.py").touch()
    (copy / "readplane/__init__.py").touch()
    (copy / "readplane/a.py").write_text("A = 1\n")
    for path in REQUIREMENTS.values():
        (tmp_path / path).write_text("# nothing\n")
    target, dist = TARGETS["local"], tmp_path / "dist"

    def made() -> bool:
        return build(target, dist, tmp_path)[1]

    assert [made(), made()] == [True, False]
    (copy / "readplane/a.py").write_text("A = 2\n")
    assert [made(), made()] == [True, False]
    for path in target.zips(dist):
        path.write_bytes(b"")
        assert [made(), made()] == [True, False]


def test_two_first_builds_at_once_both_find_their_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(command: Sequence[object]) -> None:
        partial = Path(str(command[-1]))
        # The other build is done a moment earlier.
        for folder in (partial, partial.with_suffix("")):
            folder.mkdir(parents=True)
            (folder / "a.whl").touch()

    monkeypatch.setattr("ops.build.zips.run_tool", download)
    target = TARGETS["local"]
    (wheel,) = _wheels(target, target.interpreter(), ROOT / REQUIREMENTS["layer"], tmp_path)
    assert wheel.exists() and list((tmp_path / ".wheels").iterdir()) == [wheel.parent]


def test_without_a_python_of_the_runtime_s_version_the_build_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("ops.build.zips.AWS_PYTHON", "3.99")
    with pytest.raises(CommandError, match=r"Python 3\.99[\s\S]*uv python install 3\.99"):
        build(TARGETS["arm64"], tmp_path)
