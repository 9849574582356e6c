"""The implementations that the benchmarks measure: Readplane from its zips, and the references with other tools."""

import base64
import compileall
import gzip
import hashlib
import json
import runpy
import shutil
import sysconfig
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks.load import CHECKPOINTS, CLIENT_ID, PARAMETER_FILE, SOURCE, TABLE

ROOT = Path(__file__).parents[2]
ZIPS = ROOT / "dist" / "local"
HOT_ZIPS = (ROOT / "dist" / "hot-arm64.zip", ZIPS / "hot.zip")

OURS, CLIENT, POWERTOOLS = "readplane", "boto3_client", "powertools"
"""The names of the implementations that the goals compare: Readplane, boto3's client and Powertools."""
FLOOR = "constant"
OURS_ON_BOTO3, RESOURCE, CHALICE, FASTAPI = "readplane_boto3", "boto3_resource", "chalice", "fastapi"
POOL, UNTRACED_POOL = "boto3_pool", "boto3_pool_untraced"
PROXY, POLL = "proxy", "poll"
EDGE, EDGE_PYJWT, EDGE_PYJWT_BOTO3 = "readplane_edge", "pyjwt", "pyjwt_boto3"


LABELS = {
    FLOOR: "constant handler",
    OURS: "Readplane",
    OURS_ON_BOTO3: "Readplane, READPLANE_CLIENT=boto3",
    CLIENT: "boto3 client + X-Ray SDK",
    RESOURCE: "boto3 resource + X-Ray patch_all",
    CHALICE: "Chalice + X-Ray SDK",
    POWERTOOLS: "Powertools + Tracer",
    FASTAPI: "FastAPI + Mangum + X-Ray SDK",
    POOL: "boto3, 32 threads + X-Ray SDK",
    UNTRACED_POOL: "boto3, 32 threads, not traced",
    PROXY: "proxy with requests",
    POLL: "Readplane",
    EDGE: "Readplane",
    EDGE_PYJWT: "PyJWT + cryptography, settings in the code",
    EDGE_PYJWT_BOTO3: "PyJWT + cryptography, settings by boto3",
}
"""What the tables and charts call each measured implementation."""


class Subject(NamedTuple):
    """One implementation that the benchmarks measure. It has its own row in the tables.

    name: the implementation's key in the results.
    module: the name of the handler's module. It contains ``{}`` in place of the function's name, such as `read`.
    path: the folders to put on ``sys.path``.
    env: the environment variables that only this implementation needs.
    """

    name: str
    module: str
    path: tuple[str, ...]
    env: dict[str, str]

    @property
    def label(self) -> str:
        """The name of this implementation in the tables."""
        return LABELS.get(self.name, self.name)


def unpack(folder: Path) -> None:
    """Prepare all measured implementations: unpack Readplane's zips, and compile the other implementations.

    Readplane's zips hold byte-code. The other implementations are compiled to byte-code too, as pip compiles a package
    when it installs the package.

    :raises FileNotFoundError: if a zip is missing because ``make build`` hasn't run, or if compiling fails.
    """
    for name in ("hot", "layer", "functions", "edge_auth"):
        with zipfile.ZipFile(ZIPS / f"{name}.zip") as artefact:
            artefact.extractall(folder / name)
    shutil.copytree(Path(__file__).parent / "references", folder / "references" / "references")
    if not compileall.compile_dir(folder / "references", quiet=1):
        raise FileNotFoundError("The references can't be compiled.")


def subjects(folder: Path, schemas: str) -> dict[str, Subject]:
    """Return the implementations of `read` and `write`, in the order of the tables. Call :func:`unpack` first.

    Each implementation trusts the same certificate authorities as on AWS, because the time to load them is part of a
    cold start. Each implementation also trusts the authority that signs the certificate of the fake AWS server.

    :param schemas: the JSON Schemas of the collections, as JSON.
    """
    site = sysconfig.get_path("purelib")
    ours = (str(folder / "hot"), str(folder / "layer" / "python"))
    roots = runpy.run_path(str(ROOT / "lambda_src" / "readplane" / "aws" / "slim" / "roots.py"))["PEM"]
    small = _trusting(folder, "amazon", roots)
    large = _trusting(folder, "botocore", (Path(site) / "botocore" / "cacert.pem").read_text())
    settings = {"READPLANE_SETTINGS": _settings(schemas)}
    theirs = (str(folder / "references"), site)

    def reference(name: str, **env: str) -> Subject:
        return Subject(name, f"references.{{}}_{name}", theirs, large | env)

    handlers = "readplane.{}.handler"
    rows = [
        reference(FLOOR),
        Subject(OURS, handlers, ours, small | settings),
        Subject(OURS_ON_BOTO3, handlers, (*ours, site), large | settings | _BOTO3),
        reference(CLIENT),
        reference(RESOURCE),
        reference(CHALICE),
        reference(POWERTOOLS, POWERTOOLS_SERVICE_NAME="demo", POWERTOOLS_LOG_LEVEL="INFO"),
        reference(FASTAPI),
    ]
    return {subject.name: subject for subject in rows}


def pools(folder: Path) -> dict[str, Subject]:
    """Return two implementations of bulk apply with boto3 and a thread pool: one with X-Ray tracing and one without."""
    path = (str(folder / "references"), sysconfig.get_path("purelib"))
    module = f"references.{{}}_{POOL}"
    rows = [
        Subject(POOL, module, path, {"TRACED": "yes"}),
        Subject(UNTRACED_POOL, module, path, {}),
    ]
    return {subject.name: subject for subject in rows}


def back_office_subjects(folder: Path, schemas: str) -> dict[str, Subject]:
    """Return what the benchmarks with a back office run: Readplane's `read` and `apply`, its `poll`, and the proxy.

    On AWS, `poll` imports its libraries from Lambda's runtime and from layers. In the benchmarks, `poll` imports the
    libraries that are installed for the Python interpreter that runs the benchmarks.

    :param schemas: the JSON Schemas of the collections, as JSON.
    """
    theirs = (str(folder / "references"), sysconfig.get_path("purelib"))
    env = {"READPLANE_SETTINGS": _settings(schemas, _POLL_SETTINGS)}
    path = (str(folder / "functions"), str(folder / "layer" / "python"))
    ours = subjects(folder, schemas)[OURS]
    rows = [
        ours._replace(env=ours.env | env),
        Subject(POLL, "readplane.{}.handler", path, env),
        Subject(PROXY, f"references.{{}}_{PROXY}", theirs, {}),
    ]
    return {subject.name: subject for subject in rows}


def edge_subjects(folder: Path) -> dict[str, Subject]:
    """Return the implementations of `edge_auth`, in the order of the tables. Call :func:`unpack` first."""
    site = sysconfig.get_path("purelib")
    roots = runpy.run_path(str(ROOT / "lambda_src" / "readplane" / "aws" / "slim" / "roots.py"))["PEM"]
    small = _trusting(folder, "amazon", roots)
    large = _trusting(folder, "botocore", (Path(site) / "botocore" / "cacert.pem").read_text())
    theirs = (str(folder / "references"), site)
    rows = [
        Subject(FLOOR, "references.read_constant", theirs, {}),
        Subject(EDGE, "readplane.{}.handler", (str(folder / "edge_auth"),), small),
        Subject(EDGE_PYJWT, "references.{}_pyjwt", theirs, large | {"PARAMETER": str(folder / PARAMETER_FILE)}),
        Subject(EDGE_PYJWT_BOTO3, "references.{}_pyjwt", theirs, large),
    ]
    return {subject.name: subject for subject in rows}


def hot_zip() -> Path:
    """Return the path of the zip with `read`, `write` and `apply`: the zip for AWS if it exists, else the local one."""
    return next(path for path in HOT_ZIPS if path.exists())


def _trusting(folder: Path, name: str, roots: str) -> dict[str, str]:
    bundle = folder / f"ca-{name}.pem"
    bundle.write_text(f"{roots}\n{(folder / 'ca.pem').read_text()}")
    return {"AWS_CA_BUNDLE": str(bundle)}


_BOTO3 = {"READPLANE_CLIENT": "boto3"}


_POLL_SETTINGS: dict[str, Any] = {
    "checkpoints_table": CHECKPOINTS,
    "stream": "changes",
    "documents": [{"region": "eu-central-1", "bucket": "bucket"}],
    "sources": {SOURCE: {"collection": "products", "staleness_budget": 60}},
}


def poll_settings(subject: Subject, content: str) -> str:
    """Return the settings, compressed, with which `poll` reads its sources from the S3 object ``sources.json``.

    :param content: the content of the object.
    """
    digest = hashlib.sha256(content.encode()).hexdigest()
    config = {"bucket": "bucket", "key": "sources.json", "version_id": "null", "sha256": digest}
    return changed_settings(subject, config=config)


def changed_settings(subject: Subject, **members: Any) -> str:
    """Return a subject's settings, compressed, with other values of some members."""
    settings = json.loads(gzip.decompress(base64.b64decode(subject.env["READPLANE_SETTINGS"])))
    return _compressed(settings | members)


def _settings(schemas: str, poll_settings: dict[str, Any] | None = None) -> str:
    settings: dict[str, Any] = {
        "name": "demo",
        "client_ids": [CLIENT_ID],
        "cors_origins": [],
        "delivery_stream": "log",
        "schemas": {
            "bucket": "bucket",
            "key": "schemas.json",
            "version_id": "null",
            "sha256": hashlib.sha256(schemas.encode()).hexdigest(),
        },
        "items_table": TABLE,
        "items_index": "by_collection",
        "pending_seconds": 900,
        "horizon_days": 30,
        "queue_url": "https://sqs.eu-central-1.amazonaws.com/123456789012/demo-apply",
        "log_bucket": "bucket",
        "quarantine_prefix": "quarantine/",
        # Without a cache_ttl, because `read` returns a 304 only on routes that API Gateway doesn't cache.
        "collections": {"products": {"read": "public", "write_groups": ["editors"]}},
        **(poll_settings or {}),
    }
    return _compressed(settings)


def _compressed(settings: dict[str, Any]) -> str:
    return base64.b64encode(gzip.compress(json.dumps(settings).encode())).decode()
