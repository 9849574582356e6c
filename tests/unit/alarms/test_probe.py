"""The planned stack calls its own API every minute in each Region, under the names that clients use."""

import base64
import json
import zlib
from typing import Any

import pytest

from readplane.config import VARIABLE
from tests.unit.alarms.plan import NAME, Plan, Resource

pytestmark = pytest.mark.slow  # because Terraform plans the stack


def only(resources: Any, **values: str) -> Resource:
    """Return the only resource with these values."""
    resource: Resource
    (resource,) = [each for each in resources if all(each.values[name] == value for name, value in values.items())]
    return resource


def settings_of(function: Resource) -> dict[str, Any]:
    text = function.values["environment"][0]["variables"][VARIABLE]
    settings: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(text), 31))
    return settings


@pytest.mark.parametrize("region", ["primary", "replica"])
def test_the_probe_requests_health_and_the_document_of_the_public_source(plan: Plan, region: str) -> None:
    probe = only(plan.of_type("aws_lambda_function", region), function_name=f"{NAME}-probe")
    settings = settings_of(probe)["requests"]
    requests = {name: request["url"] for name, request in settings.items()}
    # The freshness of a source is missing until the first poll.
    assert all(request["may_be_missing"] is (name != "health") for name, request in settings.items())
    document = "/documents/sources/stock"  # prices are for authenticated callers
    assert requests["health"].startswith("https://") and requests["health"].endswith("/v1/health")
    assert requests["document"] == requests["health"].removesuffix("/health") + document
    if region == "primary":
        assert requests["edge"].startswith("https://") and requests["edge"].endswith(document)
        assert "/v1" not in requests["edge"]
    assert set(requests) == {"health", "document"} | ({"edge"} if region == "primary" else set())


@pytest.mark.parametrize("region", ["primary", "replica"])
def test_a_schedule_calls_the_probe_every_minute_and_nobody_repeats_a_call(plan: Plan, region: str) -> None:
    schedule = only(plan.of_type("aws_scheduler_schedule", region), group_name=f"{NAME}_probe")
    assert schedule.values["schedule_expression"] == "rate(1 minute)"
    assert schedule.values["flexible_time_window"][0]["mode"] == "OFF"
    assert schedule.values["target"][0]["retry_policy"][0]["maximum_retry_attempts"] == 0
    calls = only(plan.of_type("aws_lambda_function_event_invoke_config", region), function_name=f"{NAME}-probe")
    assert (calls.values["maximum_retry_attempts"], calls.values["maximum_event_age_in_seconds"]) == (0, 60)


@pytest.mark.parametrize("region", ["primary", "replica"])
def test_the_schedule_may_call_the_probe_and_nothing_else(plan: Plan, region: str) -> None:
    policy = only(plan.of_type("aws_iam_role_policy", region), name="call-probe")
    statements = json.loads(policy.values["policy"])["Statement"]
    assert [statement["Action"] for statement in statements] == [["lambda:InvokeFunction"], ["kms:Decrypt"]]
    (role,) = [
        each for each in plan.of_type("aws_iam_role", region) if str(each.values["name"]).endswith("-probe-schedule")
    ]
    (trust,) = json.loads(role.values["assume_role_policy"])["Statement"]
    assert trust["Condition"]["ArnEquals"]["aws:SourceArn"].endswith(f":schedule-group/{NAME}_probe")
