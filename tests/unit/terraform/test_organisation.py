"""Checks of every resource of a stack that keeps an organisation's rules (terraform/tests/adoption.tftest.hcl)."""

from typing import Any

import pytest

from tests.unit.stacks import ORGANISATION, PlannedStacks

Resource = dict[str, Any]


@pytest.fixture(scope="module")
def resources(planned_stacks: PlannedStacks) -> list[Resource]:
    """Return every resource of the run `organisation` with its planned attributes."""
    changes = planned_stacks[ORGANISATION]["organisation"]["resource_changes"]
    return [change for change in changes if change["mode"] == "managed"]


def planned(resources: list[Resource], kind: str) -> dict[str, Resource]:
    """Return the planned attributes of every resource of one type, by the resource's address."""
    return {change["address"]: change["change"]["after"] for change in resources if change["type"] == kind}


def test_every_role_has_the_path_and_the_permissions_boundary(resources: list[Resource]) -> None:
    roles = planned(resources, "aws_iam_role")
    assert len(roles) > 20, "both Regions have roles"
    for address, role in roles.items():
        assert role["path"] == "/platform/", address
        assert role["permissions_boundary"] == "arn:aws:iam::111122223333:policy/boundary", address


def test_s3_logs_the_requests_to_every_bucket(resources: list[Resource]) -> None:
    buckets = planned(resources, "aws_s3_bucket")
    logs = planned(resources, "aws_s3_bucket_logging")
    assert len(buckets) == len(logs) == 4
    for address in buckets:
        log = logs[address.replace("aws_s3_bucket.this", "aws_s3_bucket_logging.this[0]")]
        region = "eu-west-1" if "module.replica" in address else "eu-central-1"
        assert log["target_bucket"] == f"logs-{region}", address


def test_a_stack_sets_nothing_for_the_whole_account(resources: list[Resource]) -> None:
    assert not planned(resources, "aws_api_gateway_account")
    assert not planned(resources, "aws_cognito_user_pool"), "the team has a pool already"
