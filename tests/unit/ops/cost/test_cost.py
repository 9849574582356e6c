"""Test what ops/cost says about plans and traffic, and that README.md says the same."""

import inspect
import json
import re
import subprocess
import sys
from typing import Any

import pytest

from ops.console import ROOT, CommandError
from ops.cost.idle import BY_USE, FREE, IDLE, METRICS_OF_A_SOURCE, Usage, runs_a_month, usage_of, usage_of_source
from ops.cost.prices import HOURS, price_list
from ops.cost.stacks import read_stacks
from ops.cost.tables import NAMES, UNITS, dollars, example_lines, pages, report
from ops.cost.traffic import EDGE_REQUESTS, EXAMPLE, REQUESTS, STORED_MILLION
from readplane.poll.report import report_poll


def plan_of(*resources: tuple[str, dict[str, Any]], actions: tuple[str, ...] = ("create",)) -> dict[str, Any]:
    return {
        "resource_changes": [
            {"mode": "managed", "type": kind, "change": {"actions": list(actions), "after": values}}
            for kind, values in resources
        ]
    }


def monthly(*resources: tuple[str, dict[str, Any]]) -> float:
    return sum(price_list().cost(usage.quantities) for usage in usage_of(plan_of(*resources)).values())


# --- The prices


def test_each_price_names_the_page_of_aws_that_states_it() -> None:
    for price in price_list().prices.values():
        assert price.source.startswith("https://aws.amazon.com/")
        assert price.usd > 0 and price.per >= 1 and price.unit


def test_each_price_is_used() -> None:
    used = {name for quantities in (*REQUESTS.values(), *EDGE_REQUESTS.values(), STORED_MILLION) for name in quantities}
    used |= {name for name, _ in UNITS.values()} | usage_of_source(1).keys()
    used |= {name for stack in read_stacks().values() for usage in stack.values() for name in usage.quantities}
    sizes = {name for name in price_list().prices if name.startswith("api_cache_")}
    rare = {"kinesis_long_shard_hour", "kinesis_on_demand_hour"}
    rare |= {"aurora_acu_hour", "rds_proxy_acu_hour", "secret", "interface_endpoint_hour"}
    nodes = {name for name in price_list().prices if name.startswith("elasticache_cache.")}
    rare |= {"elasticache_serverless_gb_hour", "dax.t3.small_hour"}
    assert used | sizes | nodes | rare == price_list().prices.keys()


# --- Every resource type


def test_each_resource_type_is_in_one_table() -> None:
    assert not IDLE.keys() & BY_USE.keys()
    assert not IDLE.keys() & FREE.keys()
    assert not BY_USE.keys() & FREE.keys()
    assert IDLE.keys() == NAMES.keys()


def test_each_resource_type_of_the_modules_is_in_a_table() -> None:
    """Without this test, a type that only some settings plan, such as a VPC link, could lack a price."""
    declared = {
        kind
        for path in (ROOT / "terraform/modules").rglob("*.tf")
        for kind in re.findall(r'^resource "(\w+)"', path.read_text(), re.MULTILINE)
    }
    assert len(declared) > 40
    assert sorted(declared - {*IDLE, *BY_USE, *FREE}) == []


def test_a_resource_type_in_no_table_is_an_error() -> None:
    with pytest.raises(CommandError, match="aws_nat_gateway"):
        usage_of(plan_of(("aws_iam_role", {}), ("aws_nat_gateway", {})))


def test_data_sources_and_deleted_resources_cost_nothing() -> None:
    plan = plan_of(("aws_kms_key", {}), actions=("delete",))
    plan["resource_changes"].append(
        {"mode": "data", "type": "aws_nat_gateway", "change": {"actions": ["read"], "after": {}}}
    )
    assert usage_of(plan) == {}


# --- Hand-computed costs of idle resources


def test_cost_of_a_cache_cluster() -> None:
    assert monthly(
        ("aws_api_gateway_stage", {"cache_cluster_enabled": True, "cache_cluster_size": "0.5"})
    ) == pytest.approx(14.60)
    assert monthly(("aws_api_gateway_stage", {"cache_cluster_enabled": False, "cache_cluster_size": None})) == 0


def test_cost_of_two_keys() -> None:
    assert monthly(("aws_kms_key", {}), ("aws_kms_key", {})) == pytest.approx(2.00)


def test_an_alarm_costs_as_much_as_its_expression_has_metrics() -> None:
    queries = [{"metric": [{}]}, {"metric": [{}]}, {"metric": []}, {"metric": None}]
    assert monthly(("aws_cloudwatch_metric_alarm", {"metric_query": queries})) == pytest.approx(0.20)
    assert monthly(("aws_cloudwatch_metric_alarm", {"metric_query": []})) == pytest.approx(0.10)


def test_cost_of_the_health_checks_of_a_region() -> None:
    """AWS bills HTTPS and the short interval of the first one. The other two have no options."""
    first: dict[str, Any] = {"type": "HTTPS", "request_interval": 10}
    checks = [first, {"type": "CLOUDWATCH_METRIC"}, {"type": "CALCULATED"}]
    assert monthly(*(("aws_route53_health_check", check) for check in checks)) == pytest.approx(3.50)
    assert monthly(("aws_route53_health_check", {"type": "HTTPS", "request_interval": 30})) == pytest.approx(1.50)


def test_cost_of_a_web_acl() -> None:
    """AWS bills the web ACL, each rule and each group, and bot control once more."""
    own: dict[str, Any] = {"statement": [{"managed_rule_group_statement": []}]}
    bots = {"statement": [{"managed_rule_group_statement": [{"name": "AWSManagedRulesBotControlRuleSet"}]}]}
    assert monthly(("aws_wafv2_web_acl", {"rule": [own] * 9})) == pytest.approx(14.00)
    assert monthly(("aws_wafv2_web_acl", {"rule": [own] * 9 + [bots]})) == pytest.approx(25.00)


def test_cost_of_a_database() -> None:
    """Two instances of half an ACU, and the secret. A cluster that pauses costs only the secret while it is idle."""

    def database(least: float) -> list[tuple[str, dict[str, Any]]]:
        cluster = {"cluster_identifier": "d", "serverlessv2_scaling_configuration": [{"min_capacity": least}]}
        return [("aws_rds_cluster", cluster), *(("aws_rds_cluster_instance", {"cluster_identifier": "d"}),) * 2]

    assert monthly(*database(0.5)) == pytest.approx(88.00)
    assert monthly(*database(0)) == pytest.approx(0.40)


def test_cost_of_a_database_proxy() -> None:
    """The proxy has one more endpoint, for the readers, in two zones."""
    endpoint = ("aws_db_proxy_endpoint", {"vpc_subnet_ids": ["a", "b"]})
    assert monthly(("aws_db_proxy", {}), endpoint) == pytest.approx(87.60 + 14.60)


def test_cost_of_an_item_cache() -> None:
    """A serverless cache that is nearly empty, two nodes, and three nodes of DAX."""
    nodes = {"node_type": "cache.t4g.micro", "num_cache_clusters": 2}
    assert monthly(("aws_elasticache_serverless_cache", {})) == pytest.approx(6.13, abs=0.01)
    assert monthly(("aws_elasticache_replication_group", nodes)) == pytest.approx(18.69, abs=0.01)
    dax = {"node_type": "dax.t3.small", "replication_factor": 3}
    assert monthly(("aws_dax_cluster", dax)) == pytest.approx(87.60)


@pytest.mark.parametrize(
    ("resource", "option", "cost"),
    [
        (("aws_elasticache_replication_group", "cache.r6g.large"), "cache.r6g.large=0.1648", 240.61),
        (("aws_dax_cluster", "dax.r5.large"), "dax.r5.large=0.25", 365.00),
    ],
)
def test_a_node_without_a_price_gets_one_on_the_command_line(
    resource: tuple[str, str], option: str, cost: float
) -> None:
    kind, node_type = resource
    usage = usage_of(plan_of((kind, {"node_type": node_type, "num_cache_clusters": 2, "replication_factor": 2})))
    with pytest.raises(CommandError, match=re.escape(f"--price {node_type}=…")):
        list(report(usage, price_list()))
    (line, *_) = report(usage, price_list().with_prices([option]))
    assert line.endswith(f" {dollars(cost)}")


def test_every_missing_price_is_named_at_once() -> None:
    groups = [{"node_type": node_type, "num_cache_clusters": 1} for node_type in ("cache.x.large", "cache.y.large")]
    usage = usage_of(plan_of(*(("aws_elasticache_replication_group", group) for group in groups)))
    with pytest.raises(CommandError, match=re.escape("--price cache.x.large=… --price cache.y.large=…")):
        list(report(usage, price_list()))


def test_another_price_replaces_one_of_the_file() -> None:
    prices = price_list().with_prices(["aurora_acu_hour=0.14", "dynamodb_write=0.7"])
    assert prices.cost({"aurora_acu_hour": 100, "dynamodb_write": 1e6}) == pytest.approx(14.7)
    assert price_list().prices["aurora_acu_hour"].usd == 0.12


@pytest.mark.parametrize("text", ["", "cache.r6g.large", "cache.r6g.large=", "cache.r6g.large=-1", "x=1", "cache=1"])
def test_a_price_in_another_form_is_an_error(text: str) -> None:
    with pytest.raises(CommandError, match=f"--price {re.escape(text)}: "):
        price_list().with_prices([text])


def test_the_readme_shows_what_both_stores_cost_idle_in_two_regions() -> None:
    """6.13 $ of the cache, two instances of half an ACU for 43.80 $ each, and a secret for 0.40 $, in each Region."""
    (stores,) = [
        stack for title, stack in read_stacks().items() if title.endswith("with a serverless cache and a database")
    ]
    kinds = {"aws_elasticache_serverless_cache": 12.26, "aws_rds_cluster_instance": 175.20, "aws_rds_cluster": 0.80}
    for kind, cost in kinds.items():
        assert price_list().cost(stores[kind].quantities) == pytest.approx(cost, abs=0.01)
    assert stores["aws_vpc"].resources == 2 and "aws_nat_gateway" not in stores


def test_cost_of_the_endpoints_of_a_network() -> None:
    """A gateway endpoint is free, and an interface endpoint costs the same in each zone."""
    gateway = ("aws_vpc_endpoint", {"vpc_endpoint_type": "Gateway"})
    interface = ("aws_vpc_endpoint", {"vpc_endpoint_type": "Interface", "subnet_ids": ["a", "b"]})
    assert monthly(gateway, interface) == pytest.approx(14.60)


def test_cost_of_a_dashboard() -> None:
    assert monthly(("aws_cloudwatch_dashboard", {})) == pytest.approx(3.00)


@pytest.mark.parametrize(
    ("mode", "shards", "hours", "cost"),
    [
        ("PROVISIONED", 1, 24, 10.95),
        ("PROVISIONED", 3, 24, 32.85),
        ("PROVISIONED", 1, 48, 25.55),
        ("ON_DEMAND", None, 24, 29.20),
    ],
)
def test_cost_of_the_change_stream(mode: str, shards: int | None, hours: int, cost: float) -> None:
    stream = {"stream_mode_details": [{"stream_mode": mode}], "shard_count": shards, "retention_period": hours}
    assert monthly(("aws_kinesis_stream", stream)) == pytest.approx(cost)


def test_cost_of_a_snapshot() -> None:
    """Half a GB for 2,628,000 seconds."""
    function = {"memory_size": 512, "snap_start": [{"apply_on": "PublishedVersions"}]}
    assert monthly(("aws_lambda_function", function)) == pytest.approx(1.977, abs=0.001)
    assert monthly(("aws_lambda_function", function | {"snap_start": []})) == 0


def test_cost_of_an_empty_queue() -> None:
    """Five requests at once, each of 20 seconds, are 657,000 a month."""
    mapping = {"scaling_config": [{"maximum_concurrency": 10}]}
    assert monthly(("aws_lambda_event_source_mapping", mapping)) == pytest.approx(0.2628)
    assert monthly(("aws_lambda_event_source_mapping", {"scaling_config": []})) == 0


def test_cost_of_a_source() -> None:
    """Per month 43,800 polls: 1.17 $ of Lambda, 3.00 $ of metrics, 0.44 $ of S3 in two Regions, 0.24 $ for the rest."""
    assert price_list().cost(usage_of_source(2)) == pytest.approx(4.85, abs=0.01)
    assert 4 < price_list().cost(usage_of_source(1)) < 5


def test_cost_of_a_heartbeat() -> None:
    """43,800 rows: 0.04 $ of the schedule, 0.05 $ of writes, 0.03 $ of runs and logs, and 0.30 $ of a metric."""
    heartbeat = {"name": "heartbeat", "schedule_expression": "rate(1 minute)"}
    assert monthly(("aws_scheduler_schedule", heartbeat)) == pytest.approx(0.43, abs=0.01)


def test_a_source_has_as_many_metrics_as_poll_sends() -> None:
    names = re.findall(r'"([A-Z]\w+)":', inspect.getsource(report_poll))
    assert len(names) == METRICS_OF_A_SOURCE


@pytest.mark.parametrize(
    ("expression", "runs"),
    [
        ("rate(1 minute)", HOURS * 60),
        ("rate(5 minutes)", HOURS * 12),
        ("rate(2 hours)", HOURS / 2),
        ("rate(1 day)", HOURS / 24),
        ("cron(0 3 * * ? *)", HOURS / 24),
    ],
)
def test_runs_of_a_schedule(expression: str, runs: float) -> None:
    assert runs_a_month(expression) == pytest.approx(runs)


# --- Hand-computed costs of traffic


@pytest.mark.parametrize(
    ("title", "cost"),
    [
        # API 3.50, access log 0.325, traces 0.25, transfer 0.153
        ("reads from the stage cache", 4.228),
        # and one GET of S3: 0.40
        ("reads of a document", 4.628),
        # API, log, traces, transfer as above; Lambda 0.20 + 0.133, its log 0.20, half a read unit 0.0625
        ("reads of an item", 4.824),
        # Lambda 0.20 + 0.40, ten read units 1.25, 51 KB of transfer 4.59
        ("lists of 50 items", 10.715),
        # Lambda 0.20 + 0.333 + 0.28, logs 0.85, traces 0.25, Firehose 0.138, items 1.375, document 5, transfer 0.063
        ("writes", 11.991),
        ("changes at a back office", 6.807),
        ("changes, in a second Region", 6.537),
    ],
)
def test_cost_of_a_million(title: str, cost: float) -> None:
    assert price_list().cost(REQUESTS[title]) * 1e6 == pytest.approx(cost, abs=0.002)


def test_each_request_of_the_example_has_a_cost() -> None:
    assert EXAMPLE.keys() == REQUESTS.keys()
    lines = dict(example_lines({"aws_kms_key": Usage(1, {"kms_key": 1})}))
    assert lines["the idle stack"] == 1
    assert lines["20,000 active users"] == pytest.approx(150)


# --- The pages


def test_the_pages_have_current_tables() -> None:
    for path, text in pages(read_stacks()).items():
        assert path.read_text() == text


def test_the_command_prints_a_plan(tmp_path: Any) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(plan_of(("aws_kms_key", {}), ("aws_iam_role", {}))))
    done = subprocess.run(
        [sys.executable, "-m", "ops.cost", plan], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert re.search(r"aws_kms_key +1  1\.00 \$", done.stdout)
    assert re.search(r"aws_iam_role +1  IAM is free", done.stdout)
    assert re.search(r"together, idle +1\.00 \$", done.stdout)
    assert "list prices in us-east-1" in done.stdout


def test_a_price_without_a_plan_is_a_wrong_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ops.cost", "--price", "aurora_acu_hour=1"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 2 and "--price belongs to a plan" in done.stderr


def test_a_document_from_the_edge_costs_less_than_one_from_the_api() -> None:
    cost = price_list().cost
    hit, checked, missed = (cost(quantities) for quantities in EDGE_REQUESTS.values())
    assert hit < checked < missed < cost(REQUESTS["reads of a document"]) / 2
    # 1 $ for a million requests, and 0.085 $ for each of 1.7 GB
    assert round(hit * 1e6, 4) == round(1 + 1.7 * 0.085, 4)
    # 0.60 $ for a million runs, and 0.00005001 $ for each of 375 GB-seconds
    assert round((checked - hit) * 1e6, 4) == round(0.6 + 375 * 0.00005001, 4)
