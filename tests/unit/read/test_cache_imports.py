"""Test which modules `read` imports for its item cache. Each import makes every cold start slower."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from ops.console import ROOT
from tests.unit.support import settings_text

SETTINGS: dict[str, Any] = {
    "name": "demo",
    "client_ids": [],
    "cors_origins": [],
    "items_table": "t",
    "items_index": "i",
    "documents_bucket": None,
    "pending_seconds": 900,
    "horizon_days": 30,
    "collections": {"products": {"read": "public"}},
}
CACHE = {
    "engine": "valkey",
    "host": "localhost",
    "port": 6379,
    "tls": True,
    "user": "read",
    "iam_name": "demo",
    "serverless": True,
    "generation": 1,
    "collections": ["products"],
}
DAX = {"engine": "dax", "endpoint": "daxs://demo", "ttl_seconds": 30, "collections": ["products"]}

PROGRAM = """
import json, sys
from readplane.read.handler import handler

handler.start()
print(json.dumps(sorted(sys.modules)))
"""


def modules(cache: dict[str, Any] | None) -> set[str]:
    """Return the names of the modules that a process has imported after the init of `read`."""
    settings = SETTINGS if cache is None else SETTINGS | {"cache": cache}
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "lambda_src"),
        "READPLANE_SETTINGS": settings_text(settings),
        "AWS_REGION": "eu-central-1",
    }
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.fixture(scope="module")
def without() -> set[str]:
    return modules(None)


def test_the_cache_needs_three_more_modules(without: set[str]) -> None:
    added = modules(CACHE | {"iam_name": None}) - without
    assert added == {"readplane.model.cache_entry", "readplane.stores.item_cache", "readplane.stores.resp"}


def test_without_a_cache_nothing_of_it_is_imported(without: set[str]) -> None:
    cache = {
        "readplane.model.cache_entry",
        "readplane.stores.item_cache",
        "readplane.stores.resp",
        "readplane.stores.dax",
    }
    assert not without & {*cache, "readplane.aws.iam_token"}


def test_the_client_of_dax_is_not_imported_at_init(without: set[str]) -> None:
    added = modules(DAX) - without
    assert "readplane.stores.dax" in added
    assert not {name for name in added if name.partition(".")[0] in ("amazondax", "boto3", "botocore")}
