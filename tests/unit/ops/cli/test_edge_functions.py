"""Test the commands `edge leftovers` and `edge logs`."""

import io
import json
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner, Result

from ops.cli import edge_functions
from ops.cli.main import main
from tests.fakes.moto_aws import Aws
from tests.unit.ops.cli.support import OUTPUTS

CURRENT, OLD, OLDER = (f"shop-edge-auth-{number:08x}" for number in (1, 2, 3))
FOREIGN = (
    "shop-edge-auth",
    "shop-edge-auth-0000000g",
    "shop-edge-auth-000000012",
    "my-shop-edge-auth-00000004",
    "shop-read",
)


class Refusing:
    """A boto3 client of Lambda that refuses to delete one function, as AWS does while CloudFront has copies of it."""

    def __init__(self, client: Any, function: str, message: str) -> None:
        self._client = client
        self._function = function
        self._message = message

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def delete_function(self, FunctionName: str) -> None:  # noqa: N803
        if FunctionName == self._function:
            error = {"Error": {"Code": "InvalidParameterValueException", "Message": self._message}}
            raise ClientError(error, "DeleteFunction")  # type: ignore[arg-type]
        self._client.delete_function(FunctionName=FunctionName)


@pytest.fixture
def functions(aws: Aws) -> Any:
    """Make functions of this stack and of others in moto. Return Lambda's client."""
    make: Any = boto3.client
    role = make("iam").create_role(RoleName="edge", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.py", "")
    client = make("lambda", region_name="us-east-1")
    for name in (CURRENT, OLD, OLDER, *FOREIGN):
        client.create_function(
            FunctionName=name, Role=role, Runtime="python3.13", Handler="a.b", Code={"ZipFile": archive.getvalue()}
        )
    return client


class Distributions:
    """A boto3 client of CloudFront that lists one distribution, whose second behaviour uses a function.

    moto can't do this: it drops the associations.
    """

    def __init__(self, function: str) -> None:
        arn = f"arn:aws:lambda:us-east-1:123456789012:function:{function}:3"
        association = {"LambdaFunctionARN": arn, "EventType": "viewer-request", "IncludeBody": False}
        none: dict[str, Any] = {"LambdaFunctionAssociations": {"Quantity": 0}}
        some = {"LambdaFunctionAssociations": {"Quantity": 1, "Items": [association]}, "PathPattern": "/documents/*"}
        behaviours = {"Quantity": 1, "Items": [some]}
        items = [
            {"Id": "E1", "DefaultCacheBehavior": none, "CacheBehaviors": behaviours},
            {"Id": "E2", "DefaultCacheBehavior": none, "CacheBehaviors": {"Quantity": 0}},
        ]
        self._pages = [{"DistributionList": {"Quantity": 2, "Items": items}}, {"DistributionList": {"Quantity": 0}}]

    def get_paginator(self, operation: str) -> Any:
        assert operation == "list_distributions"
        return SimpleNamespace(paginate=lambda: iter(self._pages))


def replace_client(monkeypatch: pytest.MonkeyPatch, service: str, stub: Any) -> None:
    make = edge_functions._client
    monkeypatch.setattr(edge_functions, "_client", lambda name, region: stub if name == service else make(name, region))


def run(tmp_path: Path, *words: str, **outputs: Any) -> Result:
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps({name: {"value": value} for name, value in (OUTPUTS | outputs).items()}))
    return CliRunner().invoke(main, ["--outputs", str(file), "edge", *words])


def names(client: Any) -> set[str]:
    return {entry["FunctionName"] for entry in client.list_functions()["Functions"]}


def rows(result: Result) -> dict[str, str]:
    """Return the last column of the table, by function."""
    lines = [line.split() for line in result.output.splitlines() if line.startswith("shop-edge-auth-")]
    return {words[0]: " ".join(words[2:]) for words in lines}


def test_only_functions_that_nothing_uses_are_deleted(
    functions: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_client(monkeypatch, "cloudfront", Distributions(OLD))
    before = names(functions)
    current = {"name": CURRENT, "arn": "x", "parameter": "/x", "role_arn": "x"}
    listed = run(tmp_path, "leftovers", edge_function=current)
    assert listed.exit_code == 0, listed.output
    assert rows(listed)[CURRENT] == "the Terraform state" and rows(listed)[OLDER] == "nothing"
    assert rows(listed)[OLD] == "distribution E1"
    assert "1 of 3 functions are leftovers; nothing was changed." in listed.output and names(functions) == before
    deleted = run(tmp_path, "leftovers", "--yes", edge_function=current)
    assert "Deleted: 1 of 1 leftovers." in deleted.output and names(functions) == before - {OLDER}


def test_a_destroyed_stack_is_named(functions: Any, tmp_path: Path) -> None:
    before = names(functions)
    result = CliRunner().invoke(main, ["edge", "leftovers", "--name", "shop", "--yes"])
    assert "Deleted: 3 of 3 leftovers." in result.output, result.output
    assert names(functions) == before - {CURRENT, OLD, OLDER} == set(FOREIGN)
    local = CliRunner().invoke(main, ["--stack", "demo", "edge", "leftovers", "--name", "shop", "--yes"])
    assert "Leave out --name or --stack." in str(local.exception), "the command must not reach AWS for a local run"


def test_a_function_that_cloudfront_still_has_waits(
    functions: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = "Lambda was unable to delete arn:…:1 because it is a replicated function. Please see our documentation"
    replace_client(monkeypatch, "lambda", Refusing(functions, OLD, message))
    result = run(tmp_path, "leftovers", "--yes")
    assert result.exit_code == 0 and "Deleted: 2 of 3 leftovers." in result.output
    assert f"{OLD} waits: CloudFront still has copies of it." in result.output and OLD in names(functions)
    replace_client(monkeypatch, "lambda", Refusing(functions, OLD, "another reason"))
    result = run(tmp_path, "leftovers", "--yes")
    assert result.exit_code != 0 and "another reason" in str(result.exception)


def test_without_the_list_of_distributions_nothing_is_deleted(
    functions: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = names(functions)

    def refuse(_: str) -> Any:
        error = {"Error": {"Code": "AccessDenied", "Message": "no"}}
        raise ClientError(error, "ListDistributions")  # type: ignore[arg-type]

    replace_client(monkeypatch, "cloudfront", SimpleNamespace(get_paginator=refuse))
    result = run(tmp_path, "leftovers", "--yes")
    assert result.exit_code != 0 and "nothing is known to be unused" in str(result.exception)
    assert names(functions) == before


GROUPS = {
    ("us-east-1", f"/readplane/edge-auth/{CURRENT}"): None,
    ("eu-west-1", f"/readplane/edge-auth/{OLD}"): None,
    ("eu-west-1", f"/aws/lambda/us-east-1.{CURRENT}"): 7,
    ("eu-west-1", "/readplane/edge-auth/shop-edge-auth-other"): None,
    ("eu-west-1", "/aws/lambda/shop-read"): None,
    ("ap-south-1", f"/readplane/edge-auth/{CURRENT}"): 30,
}
OURS = set(GROUPS) - {
    ("eu-west-1", "/readplane/edge-auth/shop-edge-auth-other"),
    ("eu-west-1", "/aws/lambda/shop-read"),
}


def retention(region: str, group: str) -> int | None:
    make: Any = boto3.client
    listed = make("logs", region_name=region).describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    days: int | None = listed[0].get("retentionInDays")
    return days


def test_the_log_groups_in_every_enabled_region_get_a_retention(aws: Aws, tmp_path: Path) -> None:
    make: Any = boto3.client
    for (region, group), days in GROUPS.items():
        client = make("logs", region_name=region)
        client.create_log_group(logGroupName=group)
        if days:
            client.put_retention_policy(logGroupName=group, retentionInDays=days)
    listed = run(tmp_path, "logs")
    assert listed.exit_code == 0, listed.output
    assert "3 of 4 log groups would get 30 days; nothing was changed." in listed.output
    assert all(retention(*place) == days for place, days in GROUPS.items())
    assert f"{'us-east-1':<10}  /readplane/edge-auth/{CURRENT}" in listed.output and "for ever" in listed.output
    result = run(tmp_path, "logs", "--region", "us-east-1", "--days", "14", "--yes")
    assert "Set to 14 days: 1 of 1 log groups." in result.output
    result = run(
        tmp_path, "logs", "--yes", *(f"--region={region}" for region in sorted({place[0] for place in GROUPS}))
    )
    assert "Set to 30 days: 3 of 4 log groups." in result.output
    assert {place: retention(*place) for place in OURS} == dict.fromkeys(OURS, 30)
    assert {retention(*place) for place in set(GROUPS) - OURS} == {None}, "other groups keep theirs"
    assert run(tmp_path, "logs", "--days", "8").exit_code == 2
