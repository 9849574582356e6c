"""Who is measured: ours from the built artefact, and the references."""

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

from tests.benchmarks.load import CHECKPOINTS, CLIENT_ID, SOURCE, TABLE

ROOT = Path(__file__).parents[2]
ZIPS = ROOT / "dist" / "local"
HOT_ZIPS = (ROOT / "dist" / "hot-arm64.zip", ZIPS / "hot.zip")

OURS, CLIENT, POWERTOOLS = "readplane", "boto3_client", "powertools"
"""Those that the goals name."""
FLOOR = "constant"
POOL = "boto3_pool"
PROXY, POLL = "proxy", "poll"


class Subject(NamedTuple):
    """One row of the tables. ``module`` is the handler's; ``{}`` in it stands for the function."""

    name: str
    label: str
    module: str
    path: tuple[str, ...]
    env: dict[str, str]


def unpack(folder: Path) -> None:
    """Lay out everything with its byte-code: ours from the zips, the references compiled as pip compiles.

    :raises FileNotFoundError: where ``make build`` hasn't been run.
    """
    for name in ("hot", "layer", "functions"):
        with zipfile.ZipFile(ZIPS / f"{name}.zip") as artefact:
            artefact.extractall(folder / name)
    shutil.copytree(Path(__file__).parent / "references", folder / "references" / "references")
    if not compileall.compile_dir(folder / "references", quiet=1):
        raise FileNotFoundError("the references can't be compiled")


def subjects(folder: Path, schemas: str) -> dict[str, Subject]:
    """Everybody who serves requests, in the order of the tables; :func:`unpack` comes first.

    Each trusts what it trusts on AWS, which it pays for at every cold start, and the fake's authority besides.
    """
    site = sysconfig.get_path("purelib")
    ours = (str(folder / "hot"), str(folder / "layer" / "python"))
    roots = runpy.run_path(str(ROOT / "lambda_src" / "readplane" / "stores" / "amazon_roots.py"))["PEM"]
    small = _trusting(folder, "amazon", roots)
    large = _trusting(folder, "botocore", (Path(site) / "botocore" / "cacert.pem").read_text())
    settings = {"READPLANE_SETTINGS": _settings(schemas)}
    theirs = (str(folder / "references"), site)

    def reference(name: str, label: str, **env: str) -> Subject:
        return Subject(name, label, f"references.{{}}_{name}", theirs, large | env)

    handlers = "readplane.{}.handler"
    found = [
        reference(FLOOR, "constant handler"),
        Subject(OURS, "Readplane", handlers, ours, small | settings),
        Subject(
            "readplane_boto3", "Readplane, READPLANE_CLIENT=boto3", handlers, (*ours, site), large | settings | _BOTO3
        ),
        reference(CLIENT, "boto3 client + X-Ray SDK"),
        reference("boto3_resource", "boto3 resource + X-Ray patch_all"),
        reference("chalice", "Chalice + X-Ray SDK"),
        reference(POWERTOOLS, "Powertools + Tracer", POWERTOOLS_SERVICE_NAME="demo", POWERTOOLS_LOG_LEVEL="INFO"),
        reference("fastapi", "FastAPI + Mangum + X-Ray SDK"),
    ]
    return {subject.name: subject for subject in found}


def pools(folder: Path) -> dict[str, Subject]:
    """The references of the bulk side."""
    path = (str(folder / "references"), sysconfig.get_path("purelib"))
    module = f"references.{{}}_{POOL}"
    found = [
        Subject(POOL, "boto3, 32 threads + X-Ray SDK", module, path, {"TRACED": "yes"}),
        Subject(f"{POOL}_untraced", "boto3, 32 threads, not traced", module, path, {}),
    ]
    return {subject.name: subject for subject in found}


def synced(folder: Path, schemas: str) -> dict[str, Subject]:
    """Who takes part where a back office feeds the items: ours as told of it, ``poll``, and the proxy.

    The libraries that Lambda's runtime and the layers bring ``poll`` are the interpreter's own here.
    """
    theirs = (str(folder / "references"), sysconfig.get_path("purelib"))
    env = {"READPLANE_SETTINGS": _settings(schemas, **_SYNC)}
    path = (str(folder / "functions"), str(folder / "layer" / "python"))
    ours = subjects(folder, schemas)[OURS]
    found = [
        ours._replace(env=ours.env | env),
        Subject(POLL, "Readplane", "readplane.{}.handler", path, env),
        Subject(PROXY, "proxy with requests", f"references.{{}}_{PROXY}", theirs, {}),
    ]
    return {subject.name: subject for subject in found}


def hot_zip() -> Path:
    """The zip of the hot functions, the one for AWS if it has been built."""
    return next(path for path in HOT_ZIPS if path.exists())


def _trusting(folder: Path, name: str, roots: str) -> dict[str, str]:
    bundle = folder / f"ca-{name}.pem"
    bundle.write_text(f"{roots}\n{(folder / 'ca.pem').read_text()}")
    return {"AWS_CA_BUNDLE": str(bundle)}


_BOTO3 = {"READPLANE_CLIENT": "boto3"}


_SYNC: dict[str, Any] = {
    "checkpoints_table": CHECKPOINTS,
    "stream": "changes",
    "documents": [{"region": "eu-central-1", "bucket": "bucket"}],
    "sources": {SOURCE: {"collection": "products", "staleness_budget": 60}},
}


def _settings(schemas: str, **more: Any) -> str:
    settings: dict[str, Any] = {
        "name": "demo",
        "client_ids": [CLIENT_ID],
        "cors_origins": [],
        "delivery_stream": "log",
        "schemas": {
            "bucket": "bucket",
            "key": "schemas.json",
            "sha256": hashlib.sha256(schemas.encode()).hexdigest(),
        },
        "items_table": TABLE,
        "items_index": "by_collection",
        "pending_seconds": 900,
        "horizon_days": 30,
        "queue_url": "https://sqs.eu-central-1.amazonaws.com/123456789012/demo-apply",
        "log_bucket": "bucket",
        "quarantine_prefix": "quarantine/",
        "collections": {"products": {"read": "public", "write_groups": ["editors"], "cache_ttl": 60}},
        **more,
    }
    return base64.b64encode(gzip.compress(json.dumps(settings).encode())).decode()
