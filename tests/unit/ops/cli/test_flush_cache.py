"""Test the command `flush-cache`."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from ops.cli.probes import Clients
from ops.console import CommandError
from tests.fakes.moto_aws import REGION, Aws
from tests.unit.ops.cli.support import OUTPUTS, Run, objects

REPLICA = "eu-west-1"


class Gateway:
    """A stand-in for API Gateway in one Region."""

    def __init__(self, api_id: str, cached: bool = True) -> None:
        self.api_id = api_id
        self.cached = cached
        self.error: Exception | None = None
        self.flushes = 0

    def get_stage(self, *, restApiId: str, stageName: str) -> dict[str, Any]:  # noqa: N803
        assert (restApiId, stageName) == (self.api_id, "v1")
        if self.error:
            raise self.error
        return {"cacheClusterEnabled": True, "cacheClusterSize": "0.5"} if self.cached else {}

    def flush_stage_cache(self, *, restApiId: str, stageName: str) -> None:  # noqa: N803
        assert (restApiId, stageName) == (self.api_id, "v1")
        if self.error:
            raise self.error
        self.flushes += 1


class CloudFront:
    """A stand-in for CloudFront, which remembers the invalidations that it has carried out."""

    def __init__(self) -> None:
        self.batches: list[dict[str, Any]] = []
        self.error: Exception | None = None
        self._ids: dict[str, str] = {}

    def create_invalidation(self, *, DistributionId: str, InvalidationBatch: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        assert DistributionId == "E1"
        if self.error:
            raise self.error
        reference = InvalidationBatch["CallerReference"]
        if reference not in self._ids:  # otherwise CloudFront answers with the earlier invalidation
            self._ids[reference] = f"I{len(self._ids) + 1}"
            self.batches.append(InvalidationBatch)
        return {"Invalidation": {"Id": self._ids[reference]}}


class World:
    """The caches of a stack in two Regions."""

    def __init__(self) -> None:
        self.gateways = {REGION: Gateway("one"), REPLICA: Gateway("two")}
        self.cloudfront = CloudFront()


@pytest.fixture
def world(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> World:
    caches = World()
    outputs = {
        "replica_region": REPLICA,
        "replica_write_log_bucket": "log-2",
        "replica_documents_bucket": "documents-2",
        "primary": {"api": {"id": "one"}},
        "replica": {"api": {"id": "two"}},
        "edge_id": "E1",
    }
    for name, value in outputs.items():
        monkeypatch.setitem(OUTPUTS, name, value)

    def client(clients: Clients, service: str, region: str) -> Any:
        if service == "cloudfront":
            assert region == "us-east-1"
            return caches.cloudfront
        assert service == "apigateway"
        return caches.gateways[region]

    monkeypatch.setattr(Clients, "__call__", client)
    return caches


def flushes(world: World) -> list[int]:
    return [gateway.flushes for gateway in world.gateways.values()]


def test_every_cache_is_emptied_and_nothing_without_yes(world: World, run: Run) -> None:
    dry = run("flush-cache")
    assert dry.exit_code == 0 and dry.output.count("would empty the cache of 0.5 GB") == 2, dry.output
    assert "Would invalidate /* in the distribution E1." in dry.output
    assert flushes(world) == [0, 0] and not world.cloudfront.batches and not objects("config/audit/")
    result = run("flush-cache", "--yes", "--json")
    assert result.exit_code == 0 and flushes(world) == [1, 1]
    assert json.loads(result.stdout)["counts"] == {"api_caches": 2, "invalidated_paths": 1}
    (batch,) = world.cloudfront.batches
    assert batch["Paths"] == {"Quantity": 1, "Items": ["/*"]}
    assert len(objects("config/audit/")) == 1


def test_one_region_leaves_the_edge_and_a_path_leaves_the_apis(world: World, run: Run) -> None:
    assert run("flush-cache", "--region", REPLICA, "--yes").exit_code == 0
    assert flushes(world) == [0, 1] and not world.cloudfront.batches
    assert run("flush-cache", "--path", "/documents/b/*", "--path", "/documents/a/1", "--yes").exit_code == 0
    assert flushes(world) == [0, 1]
    assert world.cloudfront.batches[0]["Paths"]["Items"] == ["/documents/a/1", "/documents/b/*"]


def test_a_lost_region_doesnt_stop_the_others(world: World, run: Run) -> None:
    lost = world.gateways[REGION]
    lost.error = EndpointConnectionError(endpoint_url="https://secret")
    result = run("flush-cache", "--yes")
    assert isinstance(result.exception, CommandError) and "secret" not in str(result.exception)
    assert f"{REGION}: API Gateway doesn't show the stage (EndpointConnectionError)." in str(result.exception)
    assert flushes(world) == [0, 1] and len(world.cloudfront.batches) == 1
    make: Any = boto3.client
    (key,) = objects("config/audit/")
    assert json.loads(make("s3").get_object(Bucket="log", Key=key)["Body"].read())["outcome"] == "failed"
    assert run("flush-cache", "--yes").exit_code == 1 and len(world.cloudfront.batches) == 2, "each run invalidates"
    lost.error = None
    result = run("flush-cache", "--yes")
    assert result.exit_code == 0 and flushes(world) == [1, 3] and len(world.cloudfront.batches) == 3
    assert "CloudFront carries out the invalidation I3." in result.stderr


def test_a_refusal_of_cloudfront_fails_the_command(world: World, run: Run) -> None:
    world.cloudfront.error = ClientError({"Error": {"Code": "TooManyInvalidationsInProgress"}}, "CreateInvalidation")
    result = run("flush-cache", "--yes")
    assert "The edge isn't invalidated (TooManyInvalidationsInProgress)." in str(result.exception)
    assert flushes(world) == [1, 1]


def test_bad_input_is_one_sentence(world: World, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in (("--path", "documents"), ("--path", "/a*b"), ("--path", "/a", "--region", REGION)):
        assert run("flush-cache", *words).exit_code == 2
    result = run("flush-cache", "--region", "mars-1")
    assert isinstance(result.exception, CommandError) and "The stack isn't in mars-1." in str(result.exception)
    for gateway in world.gateways.values():
        gateway.cached = False
    result = run("flush-cache", "--region", REGION)
    assert "There is no cache to empty" in str(result.exception)


def test_a_stack_without_an_edge_has_no_paths(
    world: World, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.delitem(OUTPUTS, "edge_id")
    run: Run = request.getfixturevalue("run")
    assert "has no edge_id" in str(run("flush-cache", "--path", "/a").exception)
    assert run("flush-cache", "--yes").exit_code == 0 and flushes(world) == [1, 1]
