"""The artefacts: the same bytes wherever they are built, and complete: each handler works beside nothing else than the
layer and what the runtime brings."""

import http.server
import json
import os
import struct
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from ops.build import TARGETS, Target, build
from ops.console import ROOT, Failure
from tests.unit.support import ALICE, CLIENT_ID, api_event, settings_text

RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")
SCHEMAS = json.dumps({"products": {"type": "object", "required": ["name"]}}).encode()
AARCH64 = 183  # e_machine of ELF

# Sees the zips' content, the runtime's packages and the standard library; the sources must not even be looked at.
INVOKE = """
import json, os, sys
class Context:
    def get_remaining_time_in_millis(self): return 30_000
functions, layer, runtime, name, event = sys.argv[1:]
sys.path[:0] = [functions, layer, runtime]
import importlib, aws_xray_sdk.core, fastjsonschema, wrapt
module = importlib.import_module(f"readplane.handlers.{name}")
print(json.dumps({
    "answer": module.handler(json.loads(event), Context()),
    "came_from": sorted({path for m in list(sys.modules.values()) if (path := getattr(m, "__file__", None))}),
}))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """Both targets' zips, by name."""
    return {name: build(target)[:2] for name, target in TARGETS.items()}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[tuple[str, list[str]]]:
    """An AWS that has the schemas and takes every Firehose record and table request; and what it was asked."""
    asked: list[str] = []

    class Aws(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(self.path, SCHEMAS)

        def do_POST(self) -> None:
            target = self.headers["X-Amz-Target"]
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(target, b'{"RecordId":"1","Encrypted":false}' if "Firehose" in target else b"{}")

        def _answer(self, what: str, body: bytes) -> None:
            asked.append(what)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Aws) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
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
    }
    return common | own[function]


def unpack(artefact: Path, into: Path, *, without_sources: bool = False) -> Path:
    """Unpack a zip; its sources made useless, so that only byte-code can be what runs."""
    with zipfile.ZipFile(artefact) as archive:
        archive.extractall(into)
    for source in into.rglob("*.py") if without_sources else ():
        source.write_text("raise SystemExit('a source was used, not its byte-code')\n")
    return into


@pytest.fixture(scope="module")
def laid_out(built: dict[str, tuple[Path, Path]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """As in Lambda: the functions, the layer and the runtime's own packages, each in a folder."""
    runtime = tmp_path_factory.mktemp("runtime")
    for name in RUNTIME:
        spec = find_spec(name)
        assert spec and spec.origin
        found = Path(spec.origin)
        found = found.parent if found.name == "__init__.py" else found
        (runtime / found.name).symlink_to(found)
    laid = {}
    for name, (functions_zip, layer_zip) in built.items():
        folder = tmp_path_factory.mktemp(name)
        functions = unpack(functions_zip, folder / "task", without_sources=True)
        laid[name] = [functions, unpack(layer_zip, folder / "opt", without_sources=True) / "python", runtime]
    return laid


NOTHING_FAILED: dict[str, list[str]] = {"batchItemFailures": []}
# function, method and body of a request (None: an event without records), answer, the calls that it costs
CALLS: dict[str, tuple[str, tuple[str, str | None] | None, object, list[str]]] = {
    "write, bad body": ("write", ("PUT", "[1]"), 400, []),
    "write": ("write", ("PUT", '{"name":"Kettle"}'), 202, ["Firehose_20150804.PutRecord"]),
    "read": ("read", ("GET", None), 404, ["DynamoDB_20120810.GetItem"]),
    "apply": ("apply", None, NOTHING_FAILED, []),
    "publish": ("publish", None, NOTHING_FAILED, []),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("target", TARGETS)
def test_each_handler_works_beside_nothing_but_the_layer_and_the_runtime(
    target: str, call: str, laid_out: dict[str, list[Path]], endpoint: tuple[str, list[str]]
) -> None:
    function, request, expected, calls = CALLS[call]
    event: Any = {"Records": []}
    if request:
        method, body = request
        event = api_event(method, "/items/products/{item_id}", {"item_id": "p-1"}, claims={"sub": ALICE}, body=body)
    url, asked = endpoint
    asked.clear()
    environment = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": url,
        "READPLANE_SETTINGS": settings_text(settings(function)),
    }
    folders = laid_out[target]
    done = subprocess.run(
        [TARGETS[target].interpreter(), "-I", "-S", "-B", "-c", INVOKE, *folders, function, json.dumps(event)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout.splitlines()[-1])
    if isinstance(expected, int):
        assert shown["answer"]["statusCode"] == expected, shown["answer"]
        if expected >= 400:
            assert json.loads(shown["answer"]["body"])["status"] == expected
    else:
        assert shown["answer"] == expected
    assert [what for what in asked if not what.startswith("/log/config/schemas/")] == calls
    foreign = [path for path in shown["came_from"] if "site-packages" in path and not path.startswith(str(folders[2]))]
    assert not foreign, "everything comes from the zips, the runtime or the standard library"


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
    code = f"import os; os.umask({umask}); from ops.build import main; main(['--target={target.name}', '--dist=out'])"
    environment = {**os.environ, "TZ": zone, "SOURCE_DATE_EPOCH": clock[:4], "PYTHONHASHSEED": str(umask), "HOME": "/"}
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(copy)},
        check=True,
        capture_output=True,
        timeout=120,
    )
    return [(dist / path).read_bytes() for path in (target.functions_zip, target.layer_zip)]


@pytest.mark.parametrize("target", TARGETS)
def test_zips_are_the_same_whatever_folder_clock_or_umask(
    target: str, built: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    one = build_elsewhere(tmp_path / "a", TARGETS[target], 0o022, "1999", "Asia/Tokyo")
    other = build_elsewhere(tmp_path / "a longer name ü", TARGETS[target], 0o077, "2031", "America/Lima")
    assert one == other
    assert one == [path.read_bytes() for path in built[target]]


@pytest.mark.parametrize("target", TARGETS)
def test_zips_hold_sources_unchecked_byte_code_and_nothing_that_varies(
    target: str, built: dict[str, tuple[Path, Path]]
) -> None:
    for path, place in zip(built[target], ("/var/task", "/opt"), strict=True):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            assert names == sorted(names)
            assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
            assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}
            made_by = json.loads(archive.read("build.json"))
            sources = [name for name in names if name.endswith(".py")]
            compiled = [name for name in names if name.endswith(".pyc")]
            assert sources and len(compiled) == len(sources)
            for name in sources:
                folder, _, module = name.rpartition("/")
                (name_compiled,) = (n for n in compiled if n.startswith(f"{folder}/__pycache__/{module[:-3]}."))
                assert f"{place}/{name}".encode() in archive.read(name_compiled), "no path of the machine that built it"
            for name in compiled:
                assert struct.unpack("<I", archive.read(name)[4:8]) == (0b01,), f"{name} must be an unchecked hash pyc"
        assert made_by["target"] == target
        assert made_by["python"].startswith("3.13." if target == "arm64" else f"3.{sys.version_info.minor}.")
        assert not [n for n in names if n.endswith(("/INSTALLER", "/REQUESTED", "/direct_url.json"))]
        assert not [n for n in names if n.split("/")[1:2] in (["bin"], ["boto3"], ["botocore"], ["urllib3"])]


def test_the_layer_for_aws_holds_arm64_libraries_only(built: dict[str, tuple[Path, Path]]) -> None:
    with zipfile.ZipFile(built["arm64"][1]) as archive:
        libraries = [name for name in archive.namelist() if name.endswith(".so")]
        machines = {name: struct.unpack("<H", archive.read(name)[18:20])[0] for name in libraries}
    assert machines and set(machines.values()) == {AARCH64}, machines


def test_nothing_is_built_twice_and_a_zip_changed_by_hand_is_built_again(tmp_path: Path) -> None:
    copy = tmp_path / "lambda_src"
    (copy / "readplane").mkdir(parents=True)
    (copy / "readplane/a.py").write_text("A = 1\n")
    (copy / "requirements.txt").write_text("# nothing\n")
    target, dist = TARGETS["local"], tmp_path / "dist"

    def made() -> bool:
        return build(target, dist, tmp_path)[2]

    assert [made(), made()] == [True, False]
    (copy / "readplane/a.py").write_text("A = 2\n")
    assert [made(), made()] == [True, False]
    (dist / target.functions_zip).write_bytes(b"")
    assert [made(), made()] == [True, False]


def test_without_a_python_of_the_runtime_s_version_the_build_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("ops.build.AWS_PYTHON", "3.99")
    with pytest.raises(Failure, match=r"Python 3\.99[\s\S]*uv python install 3\.99"):
        build(TARGETS["arm64"], tmp_path)
