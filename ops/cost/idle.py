"""What the resources of a plan cost in a month in which nobody uses them.

Each resource type of a plan is in exactly one of three tables: :data:`IDLE` (it costs money while idle),
:data:`BY_USE` (it costs money only when used) and :data:`FREE` (it never costs money).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from ops.console import CommandError

from .prices import HOURS
from .traffic import ACCESS_LOG, FIRST_TRACES, TRACED

SECONDS = HOURS * 3600
"""The seconds of a month."""

METRICS_OF_A_SOURCE = 10
"""How many custom metrics `poll` sends about a source with every poll (lambda_src/readplane/poll/report.py)."""

POLL_GB_SECONDS = 2.0
"""What one run of `poll` uses: 1 GB of memory for two seconds, most of which it waits for the back office."""

POLL_LOG_GB = 2.5e-6
"""What one run of `poll` logs: its own lines and those of Lambda, about 2.5 KB."""

FRESHNESS_GB_SECONDS = 0.2
"""What one run of `poll` uses that only reads the checkpoints."""

PROBE_GB_SECONDS = 0.25 * 0.25
"""GB-seconds of a run of the probe: 256 MB for a quarter of a second."""

PROBE_REQUESTS = 2
"""The requests to the API of a run of the probe. The one to the edge costs four cents a month and isn't counted."""

HEARTBEAT_GB_SECONDS = 0.02
"""GB-seconds of a run of `publish` that gets a heartbeat: 1 GB for 20 ms."""

SHORT_LOG_GB = 1e-6
"""What a short run of a function logs, about 1 KB."""

WRITES_OF_A_POLL = 4
"""Write request units of one poll: it takes its lease, saves its checkpoint, gives the lease back, and writes the
source's freshness."""

SQS_POLLERS = 5
"""How many requests Lambda always keeps open to an empty queue. Each waits 20 seconds.
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html"""

HEALTH_CHECKERS = 15
"""About so many checkers of Route 53 call an endpoint, and none waits for another.
https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html"""

QUEUE_REQUESTS = SQS_POLLERS * SECONDS / 20
"""The requests of a month with which Lambda asks an empty queue for messages."""

SERVERLESS_GB = 0.1
"""The least data that AWS bills for a serverless cache of Valkey, in GB."""

BOT_CONTROL = "AWSManagedRulesBotControlRuleSet"
"""The name of AWS's group of rules against bots, for which a web ACL pays extra."""

LARGEST_AMOUNT = 1e18
"""The largest amount of a month that is taken from a plan. A larger one is a slip."""

Quantities = Iterator[tuple[str, float]]
"""Names of prices, and how much of them a month needs."""


class Usage(NamedTuple):
    """What the resources of one type need in an idle month.

    resources: how many resources of this type the plan has
    quantities: the amounts by the names of their prices; empty if an idle month costs nothing
    """

    resources: int
    quantities: dict[str, float]


class PlannedResource(NamedTuple):
    """A resource that exists after a plan.

    address: what Terraform calls it, for error messages
    """

    kind: str
    values: dict[str, Any]
    address: str


def planned_resources(plan: Mapping[str, Any]) -> list[PlannedResource]:
    """Return each resource that exists after a plan.

    :param plan: a plan in Terraform's JSON format, as `terraform show -json` prints it
    :raises CommandError: if it is something else
    """
    changes = plan.get("resource_changes") if isinstance(plan, dict) else None
    try:
        if not isinstance(changes, list):
            raise TypeError(type(changes))
        return [
            PlannedResource(
                str(change["type"]), dict(change["change"]["after"] or {}), change.get("address", change["type"])
            )
            for change in changes
            if change["mode"] == "managed" and change["change"]["actions"] not in (["delete"], ["forget"])
        ]
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise CommandError("This is no plan. Make one with `terraform show -json plan.out > plan.json`.") from error


@contextmanager
def planned_values(resource: PlannedResource) -> Iterator[None]:
    """Read a resource's planned values in a `with` block.

    :raises CommandError: if the plan lacks one of them, or has another kind of value
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        value = f"the value `{error.args[0]}`" if isinstance(error, KeyError) else "a value"
        raise CommandError(
            f"The plan lacks {value} of {resource.address}, which decides what it costs. If the value is known only "
            "after `terraform apply`, plan again then."
        ) from error


def regions_of(kinds: Container[str]) -> int:
    """Return in how many Regions the stack of a plan runs.

    A plan may hold several stacks, so the number of APIs doesn't say it.
    """
    return 2 if "aws_dynamodb_table_replica" in kinds else 1


def usage_of(plan: Mapping[str, Any]) -> dict[str, Usage]:
    """Return what each resource type of a plan needs in an idle month.

    A type that none of the three tables lists needs nothing here; :func:`not_priced` names these types.

    :param plan: a plan in Terraform's JSON format, as `terraform show -json` prints it
    :raises CommandError: if it is something else, or lacks a value that decides what a resource costs
    """
    planned = planned_resources(plan)
    # An instance of a database has the capacity of its cluster.
    capacities: dict[Any, float] = {}
    for resource in planned:
        if resource.kind == "aws_rds_cluster":
            with planned_values(resource):
                (scaling,) = resource.values["serverlessv2_scaling_configuration"]
                capacities[resource.values.get("cluster_identifier")] = scaling["min_capacity"]
    counts = Counter(resource.kind for resource in planned)
    regions = regions_of(counts)
    usage = {kind: Usage(counts[kind], {}) for kind in sorted(counts)}
    for resource in planned:
        kind, values, _ = resource
        with planned_values(resource):
            if kind == "aws_rds_cluster_instance":
                # Before the cluster exists, the plan may not say which one it is. All have the same settings.
                cluster = values.get("cluster_identifier")
                values["min_capacity"] = capacities.get(cluster, max(capacities.values(), default=0))
            for price, amount in IDLE[kind](values, regions) if kind in IDLE else ():
                if not 0 <= amount <= LARGEST_AMOUNT:
                    raise ValueError(amount)
                usage[kind].quantities[price] = usage[kind].quantities.get(price, 0) + amount
    return usage


def not_priced(kinds: Iterable[str]) -> list[str]:
    """Return the resource types of a plan that none of the three tables lists. A root module of one's own has such."""
    return sorted(kind for kind in kinds if kind not in IDLE and kind not in BY_USE and kind not in FREE)


def require_priced(usage: Mapping[str, Usage]) -> None:
    """Check that the tables list every resource type of a stack.

    :raises CommandError: if they don't. The message names the types.
    """
    if unlisted := not_priced(usage):
        raise CommandError(f"List what these resource types cost in ops/cost/idle.py: {', '.join(unlisted)}.")


def _stage(values: Mapping[str, Any], _regions: int) -> Quantities:
    if values["cache_cluster_enabled"]:
        yield f"api_cache_{values['cache_cluster_size']}", HOURS


def _key(_values: Mapping[str, Any], _regions: int) -> Quantities:
    yield "kms_key", 1


def _alarm(values: Mapping[str, Any], _regions: int) -> Quantities:
    """Count each metric of an expression, as CloudWatch does."""
    yield "alarm_metric", max(sum(bool(query["metric"]) for query in values.get("metric_query") or ()), 1)


def _composite_alarm(_values: Mapping[str, Any], _regions: int) -> Quantities:
    yield "composite_alarm", 1


def _dashboard(_values: Mapping[str, Any], _regions: int) -> Quantities:
    yield "dashboard", 1


def _stream(values: Mapping[str, Any], _regions: int) -> Quantities:
    if values["stream_mode_details"][0]["stream_mode"] == "ON_DEMAND":
        yield "kinesis_on_demand_hour", HOURS
        return
    yield "kinesis_shard_hour", values["shard_count"] * HOURS
    if (values.get("retention_period") or 24) > 24:
        yield "kinesis_long_shard_hour", values["shard_count"] * HOURS


def _function(values: Mapping[str, Any], _regions: int) -> Quantities:
    """Count one version. SnapStart caches a snapshot of every version that exists."""
    if values.get("snap_start"):
        yield "snapshot_gb_second", values["memory_size"] / 1024 * SECONDS


def _mapping(values: Mapping[str, Any], _regions: int) -> Quantities:
    """Count the requests to an empty queue. Lambda reads streams for nothing, and only a queue has `scaling_config`."""
    if values.get("scaling_config"):
        yield "sqs_request", QUEUE_REQUESTS


def _schedule(values: Mapping[str, Any], regions: int) -> Quantities:
    """Count the runs of a schedule, which happen whether anything has changed or not.

    If two Regions can poll, each source has a schedule in both, but only one of them reads the back office. The other
    one counts as a whole poll too, so the sum is too high rather than too low.
    """
    name, runs = values["name"], runs_a_month(values["schedule_expression"])
    yield "schedule", runs
    if name.startswith("poll."):
        yield from _runs(runs, POLL_GB_SECONDS, POLL_LOG_GB)
        yield "dynamodb_write", runs * (WRITES_OF_A_POLL + regions - 1)
        yield "s3_put", runs * regions
        yield "custom_metric", METRICS_OF_A_SOURCE
    elif name == "freshness":
        yield from _runs(runs, FRESHNESS_GB_SECONDS, SHORT_LOG_GB)
    elif name == "heartbeat":
        # EventBridge Scheduler writes the row itself. DynamoDB replicates it, so `publish` runs in both Regions. In the
        # other Region it sends the metric ReplicationLag.
        yield from _runs(runs * 2, HEARTBEAT_GB_SECONDS, SHORT_LOG_GB)
        yield "dynamodb_write", runs * 2
        yield "custom_metric", 1
    elif name == "probe":
        # It also sends the metric ProbeFailed.
        yield from _runs(runs, PROBE_GB_SECONDS, SHORT_LOG_GB + PROBE_REQUESTS * ACCESS_LOG, 1 + PROBE_REQUESTS)
        yield "api_request", runs * PROBE_REQUESTS
        yield "custom_metric", 1
    else:
        yield "lambda_request", runs
        yield "trace", runs


def _runs(runs: float, gb_seconds: float, log_gb: float, traces: int = 1) -> Quantities:
    """Count runs of a function, fewer than one a second.

    X-Ray records the first one of each second, which is every one of them. A probe's requests to the API count as first
    ones too, so their sum is too high rather than too low.
    https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html

    :param gb_seconds: what one run uses
    :param log_gb: what it logs
    :param traces: its own trace, and those of the requests that it sends to the API
    """
    yield "lambda_request", runs
    yield "lambda_gb_second", runs * gb_seconds
    yield "log_gb", runs * log_gb
    yield "trace", runs * traces


def usage_of_source(regions: int) -> dict[str, float]:
    """Return what a source needs in a month that `poll` polls every minute, without its alarms."""
    return dict(_schedule({"name": "poll.x", "schedule_expression": "rate(1 minute)"}, regions))


def runs_a_month(expression: str) -> float:
    """Return how often a schedule runs in a month. Count every schedule other than `rate(…)` as once a day."""
    rate = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression)
    if not rate:
        return HOURS / 24
    return SECONDS / (int(rate[1]) * {"minute": 60, "hour": 3600, "day": 86400}[rate[2]])


def _web_acl(values: Mapping[str, Any], _regions: int) -> Quantities:
    """Count a web ACL, its rules and groups, and bot control, which AWS bills apart."""
    yield "waf_web_acl", 1
    yield "waf_rule", len(values["rule"])
    if has_bot_control(values):
        yield "waf_bot_control", 1


def has_bot_control(values: Mapping[str, Any]) -> bool:
    """Return whether a web ACL has AWS's group of rules against bots."""
    return any(BOT_CONTROL in str(rule["statement"]) for rule in values["rule"])


def _health_check(values: Mapping[str, Any], _regions: int) -> Quantities:
    """Count a health check, its options, and the requests of its checkers to the API.

    HTTPS is one option, and an interval of ten seconds another. A check of alarms or of other checks calls nothing.
    """
    yield "health_check", 1
    if values["type"] == "HTTPS":
        interval = values.get("request_interval") or 30
        requests = HEALTH_CHECKERS * SECONDS / interval
        yield "health_check_option", 1 + (interval == 10)
        yield "api_request", requests
        yield "log_gb", requests * ACCESS_LOG
        yield "trace", requests * TRACED + min(requests, FIRST_TRACES) * (1 - TRACED)


def usage_of_failover() -> dict[str, float]:
    """Return what the health checks of `api_failover` need in one Region in a month."""
    checks: list[dict[str, Any]] = [{"type": "HTTPS", "request_interval": 10}]
    checks += [{"type": "CLOUDWATCH_METRIC"}, {"type": "CALCULATED"}]
    total: Counter[str] = Counter()
    for check in checks:
        total.update(dict(_health_check(check, 1)))
    return dict(total)


def _database(_values: Mapping[str, Any], _regions: int) -> Quantities:
    """Count the secret with the password of the administrator. Storage and I/O are billed by use."""
    yield "secret", 1


def _database_instance(values: Mapping[str, Any], _regions: int) -> Quantities:
    """Count the least capacity. An instance with the least capacity 0 pauses."""
    yield "aurora_acu_hour", values["min_capacity"] * HOURS


def _proxy(_values: Mapping[str, Any], _regions: int) -> Quantities:
    """Count a proxy of Serverless v2, for which AWS bills at least 8 ACU."""
    yield "rds_proxy_acu_hour", 8 * HOURS


def _proxy_endpoint(values: Mapping[str, Any], _regions: int) -> Quantities:
    """Count an endpoint besides the proxy's own. AWS bills it as an interface endpoint in each subnet."""
    yield "interface_endpoint_hour", _subnets(values, "vpc_subnet_ids") * HOURS


def _serverless_cache(_values: Mapping[str, Any], _regions: int) -> Quantities:
    """Count the least data that AWS bills."""
    yield "elasticache_serverless_gb_hour", SERVERLESS_GB * HOURS


def _cache_nodes(values: Mapping[str, Any], _regions: int) -> Quantities:
    yield f"elasticache_{values['node_type']}_hour", values["num_cache_clusters"] * HOURS


def _dax(values: Mapping[str, Any], _regions: int) -> Quantities:
    yield f"{values['node_type']}_hour", values["replication_factor"] * HOURS


def _endpoint(values: Mapping[str, Any], _regions: int) -> Quantities:
    """Count an interface endpoint in each of its subnets. Gateway endpoints are free."""
    if values["vpc_endpoint_type"] == "Interface":
        yield "interface_endpoint_hour", _subnets(values, "subnet_ids") * HOURS


def _subnets(values: Mapping[str, Any], name: str) -> int:
    """Return the number of subnets. A plan doesn't say it before they exist: they are in two zones then."""
    return len(values.get(name) or ()) or 2


IDLE: Mapping[str, Callable[[Mapping[str, Any], int], Quantities]] = {
    "aws_api_gateway_stage": _stage,
    "aws_cloudwatch_composite_alarm": _composite_alarm,
    "aws_cloudwatch_dashboard": _dashboard,
    "aws_cloudwatch_metric_alarm": _alarm,
    "aws_kinesis_stream": _stream,
    "aws_kms_key": _key,
    "aws_lambda_event_source_mapping": _mapping,
    "aws_lambda_function": _function,
    "aws_dax_cluster": _dax,
    "aws_db_proxy": _proxy,
    "aws_db_proxy_endpoint": _proxy_endpoint,
    "aws_elasticache_replication_group": _cache_nodes,
    "aws_elasticache_serverless_cache": _serverless_cache,
    "aws_rds_cluster": _database,
    "aws_rds_cluster_instance": _database_instance,
    "aws_route53_health_check": _health_check,
    "aws_scheduler_schedule": _schedule,
    "aws_vpc_endpoint": _endpoint,
    "aws_wafv2_web_acl": _web_acl,
}
"""Resource type -> what it needs in an idle month. A function gets the planned values and the number of Regions."""

BY_USE: Mapping[str, str] = {
    "aws_api_gateway_rest_api": "per request",
    "aws_cloudfront_distribution": "per request and GB; 10 million requests and 1 TB a month are free",
    "aws_cloudwatch_log_delivery": "per GB of logs",
    "aws_cloudwatch_log_group": "per GB of logs",
    "aws_cognito_user_pool": "per active user",
    "aws_dynamodb_table": "per request and GB",
    "aws_flow_log": "per GB of logs",
    "aws_dynamodb_table_replica": "per request and GB",
    "aws_kinesis_firehose_delivery_stream": "per GB",
    "aws_s3_bucket": "per request and GB",
    "aws_s3_object": "a few KB; per request and GB",
    "aws_sns_topic": "per notification: e-mails 2 $ a 100,000, SMS by country",
    "aws_sqs_queue": "per request",
    "aws_lambda_invocation": "one request an apply",
}
"""Resource type -> how AWS bills its use. An idle month costs nothing, or less than a cent."""

_SETTING = "a setting of another resource"
_IAM = "IAM is free"

FREE: Mapping[str, str] = {
    "aws_acm_certificate": "public certificates are free",
    "aws_acm_certificate_validation": "waits for the certificate",
    "aws_api_gateway_account": _SETTING,
    "aws_api_gateway_api_key": "free",
    "aws_api_gateway_base_path_mapping": _SETTING,
    "aws_api_gateway_deployment": _SETTING,
    "aws_api_gateway_domain_name": "free; you pay for the hosted zone",
    "aws_api_gateway_method_settings": _SETTING,
    "aws_api_gateway_rest_api_put": _SETTING,
    "aws_api_gateway_usage_plan": "free",
    "aws_api_gateway_usage_plan_key": "free",
    "aws_api_gateway_vpc_link": "free; you pay for its load balancer",
    "aws_budgets_budget": "budgets without actions are free",
    "aws_cloudfront_cache_policy": _SETTING,
    "aws_cloudfront_origin_access_control": _SETTING,
    "aws_cloudfront_response_headers_policy": _SETTING,
    "aws_cloudwatch_log_delivery_destination": _SETTING,
    "aws_cloudwatch_log_delivery_source": _SETTING,
    "aws_cloudwatch_log_resource_policy": _SETTING,
    "aws_cloudwatch_log_stream": "part of its log group",
    "aws_codedeploy_app": "free for functions",
    "aws_codedeploy_deployment_config": _SETTING,
    "aws_codedeploy_deployment_group": "free for functions",
    "aws_cognito_identity_pool": "free; so are the credentials",
    "aws_cognito_identity_pool_provider_principal_tag": _SETTING,
    "aws_cognito_identity_pool_roles_attachment": _SETTING,
    "aws_cognito_resource_server": "part of the user pool",
    "aws_cognito_user_group": "part of the user pool",
    "aws_cognito_user_pool_client": "free without client credentials",
    "aws_cognito_user_pool_domain": "free",
    "aws_dax_parameter_group": _SETTING,
    "aws_dax_subnet_group": _SETTING,
    "aws_db_proxy_default_target_group": _SETTING,
    "aws_db_proxy_target": _SETTING,
    "aws_db_subnet_group": "free",
    "aws_default_security_group": _SETTING,
    "aws_elasticache_subnet_group": _SETTING,
    "aws_elasticache_user": "part of the cache",
    "aws_elasticache_user_group": "part of the cache",
    "aws_iam_role": _IAM,
    "aws_iam_role_policy": _IAM,
    "aws_iam_role_policy_attachment": _IAM,
    "aws_kms_alias": "part of the key",
    "aws_lambda_alias": "free",
    "aws_lambda_function_event_invoke_config": _SETTING,
    "aws_lambda_layer_version": "a few MB of code storage, of which 75 GB are free",
    "aws_lambda_permission": _SETTING,
    "aws_rds_cluster_parameter_group": "free",
    "aws_route_table": "free",
    "aws_route_table_association": _SETTING,
    "aws_route53_record": "free; you pay for the hosted zone",
    "aws_s3_bucket_lifecycle_configuration": _SETTING,
    "aws_s3_bucket_logging": _SETTING,
    "aws_s3_bucket_notification": _SETTING,
    "aws_s3_bucket_ownership_controls": _SETTING,
    "aws_s3_bucket_policy": _SETTING,
    "aws_s3_bucket_public_access_block": _SETTING,
    "aws_s3_bucket_server_side_encryption_configuration": _SETTING,
    "aws_s3_bucket_versioning": _SETTING,
    "aws_scheduler_schedule_group": "free",
    "aws_security_group": "free",
    "aws_sns_topic_policy": _SETTING,
    "aws_sns_topic_subscription": "billed by the topic's notifications",
    "aws_ssm_parameter": "standard parameters are free",
    "aws_subnet": "free",
    "aws_vpc": "free",
    "aws_vpc_security_group_egress_rule": _SETTING,
    "aws_vpc_security_group_ingress_rule": _SETTING,
    "aws_wafv2_ip_set": "part of its web ACL",
    "aws_wafv2_web_acl_association": _SETTING,
    "aws_wafv2_web_acl_logging_configuration": "billed by its log group",
    "terraform_data": "exists in Terraform's state only",
}
"""Resource type -> why it costs nothing."""
