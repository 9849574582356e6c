"""Run the failover drill and `compare-regions` against the applied stack, through the stand-in for CloudFront.

`make test-drill` sets READPLANE_DRILL=long. Then the drills take five minutes in all and try every fault. Without it,
they try two faults in some 10 seconds.
"""

import copy
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import requests

from ops.cli.drill_faults import FAULTS, LOST_HOST, switch_state
from ops.local.edge_control import EdgeControl
from tests.local.pipeline import items, new_change, now_ms
from tests.local.support import Local, eventually
from tests.local.test_ops import readplane

LONG = os.environ.get("READPLANE_DRILL") == "long"
CHOSEN = list(FAULTS) if LONG else ["refuse", "503"]
SECONDS = 40 if LONG else 5
RATES = ("--reads", "50", "--writes", "5")

pytestmark = pytest.mark.quiet


@pytest.fixture(autouse=True)
def no_fault_stays(stack: Local) -> Iterator[None]:
    """End the faults, also those of a drill that was killed."""
    yield
    EdgeControl(stack.stack.endpoint).faults()


def drill(stack: Local, folder: Path, fault: str) -> tuple[int, str, dict[str, Any]]:
    """Run a drill. Return its exit code, its output and its JSON report."""
    words = ("drill", "failover", "--fault", fault, "--seconds", str(SECONDS), *RATES, "--folder", str(folder))
    code, output = readplane(stack, *words)
    assert (folder / "report.json").exists(), output
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return code, output, report


@pytest.mark.parametrize("fault", CHOSEN)
def test_clients_lose_no_document_and_no_accepted_write_when_the_primary_region_is_away(
    stack: Local, tmp_path: Path, fault: str
) -> None:
    code, output, report = drill(stack, tmp_path, fault)
    assert code == 0 and report["met"], output
    plan = FAULTS[fault].plan
    assert list(report["reads"]) == ["authenticated", "owner", "public"]
    for entry in report["reads"].values():
        assert entry["sent"] > 15 * SECONDS, "the three classes take turns at 50 reads a second"
        assert entry["failed_after_failover"] == 0 or not plan.promised, output
    if plan.promised:
        assert (report["failover"] is not None) == plan.origins_lost, output
    writes = report["writes"]
    assert writes["accepted"] == writes["sent"] > 4 * SECONDS and writes["lost"] == [], output
    # If the API refuses or answers 503, the client repeats writes at the other Region's. If it doesn't connect or
    # answer, CloudFront waits for up to 30 s, and the API is back by then.
    repeats = fault in ("refuse", "503", "api", "flapping")
    assert (writes["repeated"] > 0) == repeats or fault in ("unreachable", "hang"), output
    assert report["different"] == []
    ET.parse(tmp_path / "chart.svg")
    assert (tmp_path / "report.txt").read_text() in output


@contextmanager
def changed_distribution(stack: Local, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Change the configuration of the stack's distribution, and put it back afterwards."""
    cloudfront: Any = stack.root().client("cloudfront")
    identity = stack.outputs.edge_id
    deployed = cloudfront.get_distribution_config(Id=identity)
    config = copy.deepcopy(deployed["DistributionConfig"])
    change(config)
    updated = cloudfront.update_distribution(Id=identity, IfMatch=deployed["ETag"], DistributionConfig=config)
    try:
        yield
    finally:
        cloudfront.update_distribution(
            Id=identity, IfMatch=updated["ETag"], DistributionConfig=deployed["DistributionConfig"]
        )


def remove_origin_groups(config: dict[str, Any]) -> None:
    """Let every behaviour use the origin of the primary Region alone."""
    groups = {entry["Id"] for entry in config["OriginGroups"]["Items"]}
    for behaviour in [config["DefaultCacheBehavior"], *config["CacheBehaviors"]["Items"]]:
        if behaviour["TargetOriginId"] in groups:
            behaviour["TargetOriginId"] += "-primary"
    config["OriginGroups"] = {"Quantity": 0}


def lose_the_primary_region(config: dict[str, Any]) -> None:
    """Change what Terraform changes if edge.drill is primary_unreachable (terraform/modules/edge/distribution.tf)."""
    for origin in config["Origins"]["Items"]:
        if origin["Id"].endswith("-primary"):
            del origin["S3OriginConfig"]
            origin["DomainName"], origin["OriginAccessControlId"] = LOST_HOST, ""
            origin["CustomOriginConfig"] = {
                "HTTPPort": 80,
                "HTTPSPort": 443,
                "OriginProtocolPolicy": "https-only",
                "OriginSslProtocols": {"Quantity": 1, "Items": ["TLSv1.2"]},
                "OriginReadTimeout": 30,
                "OriginKeepaliveTimeout": 5,
            }


def test_without_origin_groups_the_same_drill_fails(stack: Local, tmp_path: Path) -> None:
    with changed_distribution(stack, remove_origin_groups):
        code, output, report = drill(stack, tmp_path, "refuse")
    assert code == 1 and not report["met"] and report["failover"] is None, output
    assert all(entry["failed_after_failover"] > 0 for entry in report["reads"].values()), output


def test_the_replica_serves_documents_while_edge_drill_is_on(stack: Local) -> None:
    assert stack.api(stack.alice)("PUT", "/items/profiles/drill", {"display_name": "A"}).status_code == 202
    cloudfront: Any = stack.root().client("cloudfront")

    def read() -> int:
        headers = {"Authorization": f"Bearer {stack.alice.access_token}"}
        return requests.get(
            f"{stack.outputs.edge_url}/documents/profiles/drill", headers=headers, timeout=30
        ).status_code

    def replica_fetches() -> int:
        fetches = EdgeControl(stack.stack.endpoint).state()["fetches"][stack.outputs.edge_id]
        return int(fetches.get("documents-owner-replica", 0))

    storage = stack.root(replica=True).client("s3")
    key = f"owner/documents/profiles/{stack.alice.sub}/drill"
    bucket = str(stack.outputs.replica_documents_bucket)
    eventually(lambda: read() == 200)
    eventually(lambda: "Contents" in storage.list_objects_v2(Bucket=bucket, Prefix=key))
    with changed_distribution(stack, lose_the_primary_region):
        before = replica_fetches()
        assert read() == 200
        assert replica_fetches() == before + 1
        assert switch_state(cloudfront.get_distribution(Id=stack.outputs.edge_id)["Distribution"]) == (True, True)
    assert read() == 200
    assert switch_state(cloudfront.get_distribution(Id=stack.outputs.edge_id)["Distribution"]) == (False, True)


COLLECTION = "tariffs"
"""A collection that no client and no source writes, so nothing else differs in it."""


def differences(stack: Local) -> tuple[int, list[tuple[str, str, str]]]:
    """Run `compare-regions`. Return its exit code, and the kind, key and version in the replica of each difference."""
    code, output = readplane(stack, "compare-regions", "--whole", "--collection", COLLECTION, "--grace", "0", "--json")
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return code, [(line["kind"], line["key"], line["replica"]) for line in lines]


def test_a_document_that_one_region_lacks_is_a_difference(stack: Local) -> None:
    written = new_change(f"differs-{now_ms()}", "{}", collection=COLLECTION)
    items(stack).apply(written)
    key = f"public/documents/{COLLECTION}/{written.item_id}"
    places = [
        (stack.root(replica=replica).client("s3"), str(bucket))
        for replica, bucket in (
            (False, stack.outputs.documents_bucket),
            (True, stack.outputs.replica_documents_bucket),
        )
    ]
    for storage, bucket in places:
        eventually(lambda: "Contents" in storage.list_objects_v2(Bucket=bucket, Prefix=key))
    assert differences(stack) == (0, [])

    storage, bucket = places[1]
    storage.delete_object(Bucket=bucket, Key=key)
    assert differences(stack) == (1, [("document", key, "missing")])
    # Nothing stays different for the next run.
    storage.put_object(Bucket=bucket, Key=key, Body=b"{}", Metadata={"readplane-version": written.version})
