"""Apply the network and the private stores of AWS to the emulator, and destroy them again.

The plans in terraform/tests are made with a mocked provider, which accepts what no service would. Here the provider
sends its real requests. No server is behind the emulator's databases and caches, so nobody connects to them.

DAX is missing, because the emulator, MiniStack 1.5.33, doesn't have its API: ``CreateSubnetGroup`` and
``CreateParameterGroup`` of DAX get the status 400.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest

from ops.console import ROOT
from ops.local import emulator
from ops.local import stack as local_stack
from ops.terraform import environment, init, terraform

Client = Callable[[str], Any]

NAME = "private-stores-test"


@pytest.fixture
def endpoint() -> Iterator[str]:
    """Start an emulator, and return its URL."""
    try:
        yield emulator.start(NAME).endpoint
    finally:
        emulator.stop(NAME)
        shutil.rmtree(emulator.folder(NAME), ignore_errors=True)


@pytest.fixture
def run(endpoint: str, tmp_path: Path) -> Callable[..., str]:
    """Return a function that runs Terraform in a folder with the stores, and returns its output."""
    shutil.copy(Path(__file__).with_name("private_stores.tf"), tmp_path / "main.tf")
    shutil.copytree(ROOT / "terraform/modules", tmp_path / "modules")
    shutil.copy(ROOT / "terraform/.terraform.lock.hcl", tmp_path)
    env = environment(tmp_path / "data") | local_stack.environment(endpoint)
    init(tmp_path, env)

    def run(*words: str) -> str:
        command = [terraform(), f"-chdir={tmp_path}", *words]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout

    return run


@pytest.fixture
def client(endpoint: str) -> Client:
    """Return a function that returns the client of a service at the emulator."""
    session: Any = boto3.Session(
        emulator.CREDENTIALS["AWS_ACCESS_KEY_ID"],
        emulator.CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )
    return partial(session.client, endpoint_url=endpoint)


def database(client: Client) -> tuple[list[Any], list[Any]]:
    """Return the clusters and the instances of RDS."""
    rds = client("rds")
    return rds.describe_db_clusters()["DBClusters"], rds.describe_db_instances()["DBInstances"]


def caches(client: Client) -> tuple[list[Any], list[Any]]:
    """Return the serverless caches and the replication groups of ElastiCache."""
    elasticache = client("elasticache")
    return (
        elasticache.describe_serverless_caches()["ServerlessCaches"],
        elasticache.describe_replication_groups()["ReplicationGroups"],
    )


def vpcs(client: Client) -> list[Any]:
    """Return the VPCs, other than the default one of the account."""
    return [vpc for vpc in client("ec2").describe_vpcs()["Vpcs"] if not vpc["IsDefault"]]


def test_the_stores_are_made_and_destroyed(run: Callable[..., str], client: Client) -> None:
    run("apply", "-auto-approve", "-input=false", "-no-color")

    connections = json.loads(run("output", "-json", "connections"))
    assert connections["nodes"]["host"] and connections["serverless"]["host"]
    assert connections["database"]["feed"]["host"] != connections["database"]["query"]["host"]

    [cluster], instances = database(client)
    assert (cluster["Engine"], cluster["IAMDatabaseAuthenticationEnabled"]) == ("aurora-postgresql", True)
    assert sorted(instance["DBInstanceIdentifier"] for instance in instances) == [
        "stores-database-1",
        "stores-database-2",
        "stores-database-3",
    ]
    [serverless], [group] = caches(client)
    assert (serverless["Engine"], serverless["UserGroupId"]) == ("valkey", "serverless-cache")
    assert (len(group["MemberClusters"]), group["AutomaticFailover"]) == (2, "enabled")
    [vpc] = vpcs(client)
    assert vpc["CidrBlock"] == "10.20.0.0/20"

    # Without -refresh=false, the provider refuses to plan, because the emulator forgets the prefix lists of rules.
    run("destroy", "-refresh=false", "-auto-approve", "-input=false", "-no-color")
    assert (database(client), caches(client), vpcs(client)) == (([], []), ([], []), [])
