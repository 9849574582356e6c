"""Test what ops/cost says about plans and traffic, and that README.md says the same."""

import datetime as dt
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from ops.console import ROOT, CommandError
from ops.cost.__main__ import main
from ops.cost.idle import (
    BY_USE,
    FREE,
    IDLE,
    METRICS_OF_A_SOURCE,
    not_priced,
    require_priced,
    runs_a_month,
    usage_of,
    usage_of_failover,
    usage_of_source,
)
from ops.cost.prices import HOURS, OLDEST_MONTHS, price_list
from ops.cost.stacks import read_stacks, without_checks
from ops.cost.tables import NAMES, UNITS, pages
from ops.cost.toggles import OUTSIDE, toggles
from ops.cost.traffic import (
    EDGE_REQUESTS,
    PAGE_KB,
    PRIVATE_REQUESTS,
    REQUESTS,
    Sizes,
    change_stream,
    private_requests,
    requests,
    stored_items,
)
from readplane.poll.report import report_poll
from readplane.stores.items import PAGE_BYTES
from tests.unit.ops.cost.plans import plan_of


def monthly(*resources: tuple[str, dict[str, Any]]) -> float:
    return sum(price_list().cost(usage.quantities) for usage in usage_of(plan_of(*resources)).values())


# --- The prices


def test_each_price_names_the_page_of_aws_that_states_it() -> None:
    for price in price_list().prices.values():
        assert price.source.startswith("https://aws.amazon.com/")
        assert price.usd > 0 and price.per >= 1 and price.unit
    for plan in price_list().flat_rates.values():
        assert plan.source.startswith("https://docs.aws.amazon.com/")


def test_each_price_is_used() -> None:
    counted = (*REQUESTS.values(), *EDGE_REQUESTS.values(), *PRIVATE_REQUESTS.values(), stored_items(Sizes()))
    used = {name for quantities in counted for name in quantities}
    used |= change_stream(Sizes(), on_demand=True, retention_hours=200).keys()
    used |= {name for name, _ in UNITS.values()} | usage_of_source(1).keys()
    used |= {name for stack in read_stacks().values() for usage in stack.values() for name in usage.quantities}
    used |= {name for toggle in toggles() for name in toggle.smallest} | {n for o in OUTSIDE.values() for n in o}
    sizes = {name for name in price_list().prices if name.startswith("api_cache_")}
    nodes = {name for name in price_list().prices if name.startswith("elasticache_cache.")}
    rare = {"kinesis_long_shard_hour", "kinesis_on_demand_hour", "composite_alarm", "aurora_gb_month"}
    assert used | sizes | nodes | rare == price_list().prices.keys()


def test_the_prices_are_less_than_a_year_old() -> None:
    """This fails on purpose. Compare each price with the page that it names, then set the date of prices.json."""
    assert 0 <= price_list().months_old(dt.date.today()) < OLDEST_MONTHS


@pytest.mark.parametrize(
    ("today", "months"), [((2026, 11, 30), 0), ((2026, 12, 1), 1), ((2027, 10, 31), 11), ((2027, 11, 1), 12)]
)
def test_the_age_of_the_prices(today: tuple[int, int, int], months: int) -> None:
    assert price_list()._replace(date="2026-11").months_old(dt.date(*today)) == months


def test_the_tiers_of_each_price_rise_and_get_cheaper() -> None:
    for name, price in price_list().prices.items():
        starts = [0, *(above for above, _ in price.tiers)]
        assert starts == sorted(set(starts)), name
        dollars = [price.usd, *(usd for _, usd in price.tiers)]
        assert dollars == sorted(set(dollars), reverse=True), name
        # AWS gives what is free at the price of the first tier.
        assert not price.tiers or price.free <= price.tiers[0][0], name


@pytest.mark.parametrize(
    ("name", "units", "listed", "free"),
    [
        # 333 million at 3.50 $, 667 million at 2.80 $, 9 billion at 2.38 $ a million
        ("api_request", 10e9, 1165.50 + 1867.60 + 21420.00, 1165.50 + 1867.60 + 21420.00),
        # 10 TB at 0.085 $, 40 TB at 0.08 $, 10 TB at 0.06 $ a GB; 1 TB is free
        ("cloudfront_gb", 61_440, 870.40 + 3276.80 + 614.40, 783.36 + 3276.80 + 614.40),
        ("transfer_out_gb", 20_480, 921.60 + 870.40, 912.60 + 870.40),
        ("lambda_request", 3e6, 0.60, 0.40),
        ("lambda_request", 0.5e6, 0.10, 0),
        ("dashboard", 2, 6, 0),
    ],
)
def test_tiers_and_free_units(name: str, units: float, listed: float, free: float) -> None:
    price = price_list().prices[name]
    assert price.monthly(units) == pytest.approx(listed, abs=0.005)
    assert price.monthly(units, free_tier=True) == pytest.approx(free, abs=0.005)


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


def test_a_resource_type_in_no_table_costs_nothing_here_and_is_named() -> None:
    usage = usage_of(plan_of(("aws_iam_role", {}), ("random_password", {}), ("aws_kms_key", {})))
    assert not_priced(usage) == ["random_password"]
    assert sum(price_list().cost(entry.quantities) for entry in usage.values()) == pytest.approx(1.00)


def test_a_stack_of_the_project_may_have_no_such_type() -> None:
    usage = usage_of(plan_of(("aws_iam_role", {}), ("aws_nat_gateway", {})))
    with pytest.raises(CommandError, match=r"in ops/cost/idle\.py: aws_nat_gateway\."):
        require_priced(usage)
    for stack in read_stacks().values():
        require_priced(stack)


def test_data_sources_and_deleted_resources_cost_nothing() -> None:
    plan = plan_of(("aws_kms_key", {}), actions=("delete",))
    plan["resource_changes"].append(
        {"mode": "data", "type": "aws_nat_gateway", "change": {"actions": ["read"], "after": {}}}
    )
    assert usage_of(plan) == {}


@pytest.mark.parametrize(
    "plan",
    [
        [],
        {},
        {"resource_changes": {}},
        {"format_version": "1.2"},
        "plan",
        None,
        {"resource_changes": [{}]},
        {"resource_changes": [1]},
        {"resource_changes": [{"mode": "managed", "type": "aws_kms_key", "change": None}]},
        {"resource_changes": [{"mode": "managed", "type": "aws_kms_key", "change": {"actions": [], "after": 1}}]},
    ],
)
def test_something_else_than_a_plan_is_an_error(plan: Any) -> None:
    with pytest.raises(CommandError, match="This is no plan"):
        usage_of(plan)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("aws_wafv2_web_acl", {"scope": "REGIONAL"}, "the value `rule`"),
        ("aws_api_gateway_stage", {}, "the value `cache_cluster_enabled`"),
        ("aws_kinesis_stream", {"stream_mode_details": [], "shard_count": 1}, "a value"),
        (
            "aws_kinesis_stream",
            {"stream_mode_details": [{"stream_mode": "PROVISIONED"}], "shard_count": 10**400},
            "a value",
        ),
        ("aws_rds_cluster", {}, "the value `serverlessv2_scaling_configuration`"),
        ("aws_scheduler_schedule", {"name": "poll.x", "schedule_expression": "rate(0 minutes)"}, "a value"),
        ("aws_lambda_function", {"snap_start": [{}], "memory_size": "many"}, "a value"),
    ],
)
def test_a_plan_without_a_value_that_decides_a_cost_is_an_error(kind: str, values: Any, message: str) -> None:
    """Terraform leaves a value out of a plan if it is unknown until the apply."""
    plan = plan_of((kind, values))
    plan["resource_changes"][0]["address"] = f"module.shop.{kind}.this"
    with pytest.raises(CommandError, match=rf"The plan lacks {message} of module\.shop\.{kind}\.this, which decides"):
        usage_of(plan)


def test_an_unknown_type_of_any_kind_is_named() -> None:
    assert not_priced(usage_of(plan_of(([1], {}), (None, {})))) == ["None", "[1]"]  # type: ignore[arg-type]


def test_a_forgotten_resource_costs_nothing_here() -> None:
    assert usage_of(plan_of(("aws_kms_key", {}), actions=("forget",))) == {}


def test_a_first_plan_does_not_say_subnets_and_clusters() -> None:
    """Their identifiers are unknown until the resources exist. Two subnets count, and the capacity of the cluster."""
    cluster = {"serverlessv2_scaling_configuration": [{"min_capacity": 0.5}]}
    endpoint = {"vpc_endpoint_type": "Interface"}
    assert monthly(("aws_vpc_endpoint", endpoint)) == pytest.approx(14.60)
    assert monthly(("aws_db_proxy_endpoint", {})) == pytest.approx(14.60)
    assert monthly(("aws_rds_cluster", cluster), ("aws_rds_cluster_instance", {})) == pytest.approx(0.40 + 43.80)


def test_checks_are_left_out_of_the_copy_that_is_planned() -> None:
    """`terraform test` fails where `terraform apply` only warns, and a stack that works costs money."""
    files = [path for path in (ROOT / "terraform/modules").rglob("*.tf") if '\ncheck "' in path.read_text()]
    assert files
    for path in files:
        text = path.read_text()
        rest = without_checks(text)
        assert "\ncheck " not in rest
        assert len(re.findall(r"^}", text, re.MULTILINE)) - len(re.findall(r"^}", rest, re.MULTILINE)) == text.count(
            '\ncheck "'
        )
        assert [line for line in text.splitlines() if line.startswith("resource ")] == [
            line for line in rest.splitlines() if line.startswith("resource ")
        ]


# --- Hand-computed costs of idle resources


def test_cost_of_a_composite_alarm() -> None:
    assert monthly(("aws_cloudwatch_composite_alarm", {})) == pytest.approx(0.50)


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
    """AWS bills HTTPS and the short interval of the first one. The other two have no options, and call nothing.

    15 checkers call the API 3,942,000 times a month: 13.797 $, logs 1.2812 $, and 2,693,700 traces for 13.4685 $.
    """
    first: dict[str, Any] = {"type": "HTTPS", "request_interval": 10}
    checks = [first, {"type": "CLOUDWATCH_METRIC"}, {"type": "CALCULATED"}]
    assert monthly(*(("aws_route53_health_check", check) for check in checks)) == pytest.approx(
        3.50 + 28.5467, abs=0.001
    )
    assert usage_of_failover().keys() == {"health_check", "health_check_option", "api_request", "log_gb", "trace"}
    assert price_list().cost(usage_of_failover()) == pytest.approx(32.0467, abs=0.001)
    # Every 30 seconds: 1,314,000 calls for 4.599 $, logs 0.4271 $, and as many traces for 6.57 $
    slower = {"type": "HTTPS", "request_interval": 30}
    assert monthly(("aws_route53_health_check", slower)) == pytest.approx(1.50 + 11.5961, abs=0.001)


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
        price_list().monthly(usage[kind].quantities)
    (monthly,) = price_list().with_prices([option]).monthly(usage[kind].quantities).values()
    assert monthly == pytest.approx(cost, abs=0.005)


def test_every_missing_price_is_named_at_once() -> None:
    groups = [{"node_type": node_type, "num_cache_clusters": 1} for node_type in ("cache.x.large", "cache.y.large")]
    usage = usage_of(plan_of(*(("aws_elasticache_replication_group", group) for group in groups)))
    with pytest.raises(CommandError, match=re.escape("--price cache.x.large=… --price cache.y.large=…")):
        price_list().monthly(usage["aws_elasticache_replication_group"].quantities)


def test_another_price_has_the_same_discounts() -> None:
    """Twice the price is twice the cost, in each tier."""
    twice = price_list().with_prices(["api_request=7"]).prices["api_request"]
    for units in (1e6, 1e9, 1e11):
        assert twice.monthly(units) == pytest.approx(2 * price_list().prices["api_request"].monthly(units))


def test_another_price_replaces_one_of_the_file() -> None:
    prices = price_list().with_prices(["aurora_acu_hour=0.14", "dynamodb_write=0.7"])
    assert prices.cost({"aurora_acu_hour": 100, "dynamodb_write": 1e6}) == pytest.approx(14.7)
    assert price_list().prices["aurora_acu_hour"].usd == 0.12


@pytest.mark.parametrize(
    "text", ["", "cache.r6g.large", "cache.r6g.large=", "cache.r6g.large=-1", "x=1", "cache=1", f"trace={10**400}"]
)
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
    """Per month 43,800 polls: Lambda 0.0088 + 1.1680, ten metrics 3.00, and 87,600 documents in two Regions 0.438.

    The schedule 0.0438, 219,000 writes 0.1369, logs 0.0548, and as many traces as polls 0.219.
    """
    assert price_list().cost(usage_of_source(2)) == pytest.approx(5.0693, abs=0.0005)
    # One Region: a document 0.219 and a write 0.0274 fewer for each poll
    assert price_list().cost(usage_of_source(1)) == pytest.approx(4.8229, abs=0.0005)


def test_cost_of_a_heartbeat() -> None:
    """43,800 rows in each of two Regions: the schedule 0.0438, 87,600 writes 0.0548, and a metric 0.30.

    87,600 runs of `publish`: requests 0.0175, 1,752 GB-seconds 0.0234, logs 0.0438, traces 0.438.
    """
    heartbeat = {"name": "heartbeat", "schedule_expression": "rate(1 minute)"}
    assert monthly(("aws_scheduler_schedule", heartbeat)) == pytest.approx(0.9213, abs=0.0005)


def test_cost_of_a_probe() -> None:
    """43,800 runs with two requests to the API each: 0.3066, and their access log 0.0285.

    The schedule 0.0438, a metric 0.30, Lambda 0.0088 + 0.0365, its log 0.0219, and three traces of each run 0.657.
    """
    probe = {"name": "probe", "schedule_expression": "rate(1 minute)"}
    assert monthly(("aws_scheduler_schedule", probe)) == pytest.approx(1.4030, abs=0.0005)


def test_cost_of_the_freshness_of_sources() -> None:
    """43,800 runs: the schedule 0.0438, Lambda 0.0088 + 0.1168, log 0.0219, traces 0.219."""
    freshness = {"name": "freshness", "schedule_expression": "rate(1 minute)"}
    assert monthly(("aws_scheduler_schedule", freshness)) == pytest.approx(0.4103, abs=0.0005)


@pytest.mark.parametrize("name", ["poll.x", "sweep.x", "freshness", "heartbeat", "probe", "daily"])
def test_x_ray_records_every_run_of_a_schedule(name: str) -> None:
    """There is fewer than one a second."""
    schedule = {"name": name, "schedule_expression": "rate(1 minute)"}
    usage = usage_of(plan_of(("aws_scheduler_schedule", schedule)))["aws_scheduler_schedule"]
    assert usage.quantities["trace"] >= usage.quantities["lambda_request"] >= HOURS * 60


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
        # API 3.50; `write` 0.20 + 0.3333 with its logs 0.85 and traces 0.25; `publish` 0.20 + 0.2667 with its log 0.20
        # and traces 0.25; `apply` 0.0133; Firehose 0.1383, items 0.0625 + 1.25, document 5.00, transfer 0.063
        ("writes", 12.5771),
        # `publish` 0.9167, `apply` 0.0133, Kinesis 0.014, Firehose 0.1383, items 0.0625 + 1.25, document 5.00
        ("changes at a back office", 7.3948),
        # `publish` 0.9167, items 1.25, document 5.00, transfer 0.02
        ("changes, in a second Region", 7.1867),
    ],
)
def test_cost_of_a_million(title: str, cost: float) -> None:
    assert price_list().cost(REQUESTS[title]) * 1e6 == pytest.approx(cost, abs=0.002)


def test_a_page_ends_at_a_mebibyte() -> None:
    """Of 200 items of 10 KB, a page has at most 1,034 KB. 1,035 KB of transfer are 93.15 $ a million at first."""
    assert PAGE_BYTES == PAGE_KB * 1024
    sizes = Sizes(10, 200)
    for lists in (
        requests(sizes)["lists of 200 items"],
        private_requests(sizes)["lists of 200 items from the database"],
    ):
        assert lists["transfer_out_gb"] * 1e6 == pytest.approx(1035)
    # A shorter list isn't cut: 100 items of 10 KB.
    assert requests(Sizes(10, 100))["lists of 100 items"]["transfer_out_gb"] * 1e6 == pytest.approx(1001)
    assert requests(sizes)["lists of 200 items"]["dynamodb_read"] == 0.5 * (259 + 7)


def test_a_change_stream_bills_the_time_after_a_day_and_after_a_week() -> None:
    """A change of 1 KB kept for ten days: six days and three days of GB-months, of which one has 730 hours."""
    gigabytes = 1024 / 2**30
    amounts = change_stream(Sizes(), on_demand=True, retention_hours=240)
    assert amounts["kinesis_on_demand_gb_month"] == pytest.approx(gigabytes * 144 / 730)
    assert amounts["kinesis_long_gb_month"] == pytest.approx(gigabytes * 72 / 730)
    with_shards = change_stream(Sizes(), retention_hours=240)
    assert with_shards == {"kinesis_put": 1.0, "kinesis_long_gb_month": amounts["kinesis_long_gb_month"]}
    assert change_stream(Sizes()) == {"kinesis_put": 1.0}


# --- The pages


def test_the_pages_have_current_tables() -> None:
    for path, text in pages(read_stacks()).items():
        assert path.read_text() == text


def test_a_page_that_is_not_current_fails_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "costs.md"
    monkeypatch.setattr("ops.cost.__main__.pages", lambda _: {page: "new"})
    with pytest.raises(CommandError, match=r"costs\.md aren't current"):
        main(["--check"])
    main(["--docs"])
    assert main(["--check"]) == 0 and page.read_text() == "new"
    page.write_text("old")
    with pytest.raises(CommandError, match="make docs"):
        main(["--check"])


def test_a_document_from_the_edge_costs_less_than_one_from_the_api() -> None:
    cost = price_list().cost
    hit, checked, missed, private_missed = (cost(quantities) for quantities in EDGE_REQUESTS.values())
    assert hit < checked < missed < cost(REQUESTS["reads of a document"]) / 2
    assert missed < private_missed < cost(REQUESTS["reads of a document"])
    # 1 $ for a million requests, and 0.085 $ for each of 1.7 GB
    assert round(hit * 1e6, 4) == round(1 + 1.7 * 0.085, 4)
    # 0.60 $ for a million runs, and 0.00005001 $ for each of 375 GB-seconds
    assert round((checked - hit) * 1e6, 4) == round(0.6 + 375 * 0.00005001, 4)
