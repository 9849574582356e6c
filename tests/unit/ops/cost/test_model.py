"""Test what ops/cost computes from a profile and a plan: sums by hand, and that more of anything never costs less."""

import inspect
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.console import ROOT, CommandError
from ops.cost.idle import IDLE, Usage, usage_of, usage_of_failover
from ops.cost.model import (
    FIRST_REQUESTS,
    METRICS_OF_CHANGES,
    METRICS_OF_FEED,
    READ,
    WRITE,
    Estimate,
    Features,
    assumed_features,
    check,
    estimate,
    features_of,
    service,
)
from ops.cost.prices import price_list
from ops.cost.profile import FIELDS, READS, profile_of
from ops.cost.report import flat_rates, report
from ops.cost.stacks import read_stacks
from ops.cost.toggles import FREE_WHILE_IDLE, OUTSIDE, toggle_costs, toggles
from readplane.apply import objects
from readplane.apply.tally import METRIC
from readplane.feed import messages
from readplane.publish import handler as publish_handler
from tests.unit.ops.cost.plans import plan_of

M = 1_000_000


def month(values: dict[str, Any], *, free_tier: bool = False) -> Estimate:
    """Return what a month of traffic costs, without a stack."""
    profile = profile_of(values)
    return estimate(profile, assumed_features(profile), {}, price_list(), free_tier=free_tier)


# --- Sums by hand

# X-Ray traces every API request while there is at most one a second, for 5 $ a million. Of more, it traces the first
# 2,628,000 of a month, and a twentieth of the others.
BY_HAND = {
    # CloudFront 10.00, and 17 GB for 0.085 $ each
    "ten million documents at the edge": ({"reads": {"edge_public": 10 * M}}, 11.445),
    # CloudFront 1.00 + 0.1445, Lambda@Edge 0.60 and 375 GB-seconds for 0.00005001 $ each
    "a million private documents at the edge": ({"reads": {"edge_private": M}}, 1.7633),
    # CloudFront 1.00 + 0.1445, GET 0.40, and after it Lambda@Edge once for 0.6188
    "a million public documents that the edge gets from S3": ({"reads": {"edge_miss": M}}, 2.1633),
    # Lambda@Edge twice: it also checks the token
    "a million private documents that the edge gets from S3": ({"reads": {"edge_private_miss": M}}, 2.7820),
    # GET 4.00, and 17 GB for 0.09 $ each
    "ten million documents straight from S3": ({"reads": {"s3_direct": 10 * M}}, 5.53),
    # API 35.00, GET 4.00, log 3.25, traces 2.50 + 12.483, transfer 1.53
    "ten million documents through the API": ({"reads": {"document": 10 * M}}, 58.763),
    # API 3.50, Lambda 0.20 + 0.1333, logs 0.525, traces 5.00, half a read unit 0.0625, transfer 0.153
    "a million items": ({"reads": {"item": M}}, 9.5738),
    # 41 KB a list: API 3.50, Lambda 0.20 + 0.40, logs 0.525, traces 5.00, 8.5 read units 1.0625, transfer 3.69
    "a million lists of 20 items of 2 KB": ({"reads": {"list": M}, "items": {"kb": 2, "in_list": 20}}, 14.3775),
    # A page has at most 1,034 KB: API 3.50, Lambda 0.20 + 0.40, logs 0.525, traces 5.00, 133 read units 16.625,
    # 1,035 GB of transfer 93.15
    "a million lists of 200 items of 10 KB": ({"reads": {"list": M}, "items": {"kb": 10, "in_list": 200}}, 119.40),
    # API 24,453.10, log 3,250.00, traces 2,500.00 + 12.483, transfer 921.60 + 574.60
    "ten billion reads from the stage cache": ({"reads": {"stage_cache": 10_000 * M}}, 31711.783),
    # API 3.50, Lambda 0.20 + 0.10, logs 0.525, traces 5.00, ECPU 0.0023, transfer 0.153, and 0.9 GB for 55.188
    "a million items from a cache of 1 GB": ({"reads": {"cached_item": M}, "items": {"cached": M}}, 64.6683),
    # API 3.50, Lambda 0.20 + 0.20, logs 0.525, traces 5.00, transfer 4.59, and 2.78 ACU-hours for 0.3333
    "a million lists from the database": ({"reads": {"database_list": M}}, 14.3483),
    # API 3.50, `write` 0.20 + 0.3333, `apply` 0.0133, `publish` 0.20 + 0.2667, logs 0.85 + 0.20, traces 5.00 of the
    # API and 0.25 of `publish`, items 0.0625 + 1.25, document 5.00, Firehose 0.1383, transfer 0.063, seven metrics 2.10
    "a million writes by clients": ({"writes": {"clients": M}}, 19.4271),
    # `publish` in each Region 0.20 + 0.2667 with its log 0.20 and traces 0.25. In the first Region also 0.0625 + 1.25 +
    # 5.00 + 0.0133 + 0.1383 + 0.014, in the second 1.25 + 5.00 + 0.02, and ten metrics 3.00
    "a million changes in two Regions": ({"writes": {"back_office": M}, "stack": {"regions": 2}}, 17.5815),
    # Items 12.50 + 0.1875, document 5.00, `publish` 0.9167, `apply` 0.0133, Firehose 0.2766, Kinesis 0.014, five
    # metrics 1.50
    "a million changes of 10 KB": ({"writes": {"back_office": M}, "items": {"kb": 10}}, 20.4081),
    # DynamoDB 5.00 + 2.00, S3 0.23
    "a million stored items of 10 KB": ({"items": {"stored": M, "kb": 10}}, 7.23),
    "20,000 users": ({"stack": {"active_users": 20_000}}, 300.0),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_month_by_hand(name: str) -> None:
    values, cost = BY_HAND[name]
    assert month(values).total == pytest.approx(cost, abs=0.0005)


@pytest.mark.parametrize(
    ("values", "cost"),
    [
        ({"reads": {"edge_public": 10 * M}}, 0.0),
        # 10 million more requests, and nothing for 34 GB
        ({"reads": {"edge_public": 20 * M}}, 10.0),
        # 17 GB of 100 GB are free
        ({"reads": {"s3_direct": 10 * M}}, 4.0),
        ({"stack": {"active_users": 20_000}}, 150.0),
        # API 3.50, half a read unit 0.0625, 900,000 traces 4.50; Lambda, logs and transfer are free
        ({"reads": {"item": M}}, 8.0625),
    ],
)
def test_a_month_by_hand_with_the_free_tier(values: dict[str, Any], cost: float) -> None:
    assert month(values, free_tier=True).total == pytest.approx(cost, abs=0.0005)


FRONT: list[tuple[str, dict[str, Any]]] = [
    ("aws_api_gateway_rest_api", {}),
    ("aws_api_gateway_stage", {"cache_cluster_enabled": False}),
    ("aws_cloudfront_distribution", {}),
    ("aws_wafv2_web_acl", {"scope": "CLOUDFRONT", "rule": [{"statement": []}] * 9}),
]


def test_a_month_of_a_plan_by_hand() -> None:
    """The firewall 14.00 idle. API 3.50, GET 0.40, log 0.325, traces 5.00, CloudFront 1.00 + 0.1445, WAF 0.60."""
    plan = plan_of(*FRONT)
    profile = profile_of({"reads": {"document": M}})
    result = estimate(profile, features_of(plan), usage_of(plan), price_list())
    assert result.total == pytest.approx(24.9695, abs=0.0005)
    assert result.idle == pytest.approx(14.00)
    assert result.services["WAF"] == pytest.approx(14.60)
    assert "data transfer" not in result.services


BOTS = {"statement": [{"managed_rule_group_statement": [{"name": "AWSManagedRulesBotControlRuleSet"}]}]}


def plan_with_acl(acl: dict[str, Any]) -> dict[str, Any]:
    """Return the plan of FRONT with another web ACL at the edge."""
    own_acl = {"scope": "CLOUDFRONT", "rule": [{"statement": []}] * 9} | acl
    return plan_of(
        *(resource for resource in FRONT if resource[0] != "aws_wafv2_web_acl"), ("aws_wafv2_web_acl", own_acl)
    )


def test_bot_control_costs_each_request_to_the_edge() -> None:
    """24.9695 as above, the group 1.00 + 10.00 idle, and 1.00 $ a million requests. 10 million are free."""
    plan = plan_with_acl({"rule": [{"statement": []}] * 9 + [BOTS]})
    profile = profile_of({"reads": {"document": M}})
    result = estimate(profile, features_of(plan), usage_of(plan), price_list())
    assert result.total == pytest.approx(24.9695 + 11.00 + 1.00, abs=0.0005)
    free = estimate(profile, features_of(plan), usage_of(plan), price_list(), free_tier=True)
    assert free.prices["waf_bot_request"] == 0
    # 100 million: ACL 14.00, group 11.00, requests 60.00 + 100.00
    many = estimate(profile_of({"reads": {"document": 100 * M}}), features_of(plan), usage_of(plan), price_list())
    assert many.services["WAF"] == pytest.approx(185.00)


@pytest.mark.parametrize(
    ("limit", "kb", "steps"), [(16, 40, 0), (32, 16, 0), (32, 17, 1), (64, 40, 2), (64, 200, 3), (48, 200, 2)]
)
def test_a_longer_body_that_the_firewall_sees_costs_each_write(limit: int, kb: float, steps: int) -> None:
    """AWS bills each 16 KB beyond the first that a body has and that the limit admits. A read has no body."""
    body = [{"cloudfront": [{"default_size_inspection_limit": f"KB_{limit}"}]}]
    features = features_of(plan_with_acl({"association_config": [{"request_body": body}]}))
    values = {"reads": {"document": M}, "writes": {"clients": M}, "items": {"kb": kb}}
    result = estimate(profile_of(values), features, {}, price_list())
    assert result.services["WAF"] == pytest.approx(2 * 0.60 + 0.30 * steps)


def test_a_lock_judges_what_reaches_the_api() -> None:
    """Once at the edge and once at the API: 1.20 $ a million. A read at the edge is judged once."""
    features = Features(edge=True, firewall=True, lock=True)
    for path, requests in {"document": 2, "edge_public": 1}.items():
        result = estimate(profile_of({"reads": {path: M}}), features, {}, price_list())
        assert result.services["WAF"] == pytest.approx(0.60 * requests)


# --- More of anything never costs less

COUNTS = st.one_of(st.just(0.0), st.floats(1, 1e12))
NUMBERS = {
    **{("reads", name): COUNTS for name in READS},
    ("writes", "clients"): COUNTS,
    ("writes", "back_office"): COUNTS,
    ("items", "stored"): COUNTS,
    ("items", "kb"): st.floats(0.01, 400),
    ("items", "in_list"): st.floats(1, 200),
    ("items", "cached"): COUNTS,
    ("stack", "regions"): st.integers(1, 2),
    ("stack", "collections"): st.floats(0, 40),
    ("stack", "active_users"): COUNTS,
}


def test_every_input_of_a_profile_is_drawn() -> None:
    assert NUMBERS.keys() == {(section, name) for section, names in FIELDS.items() for name in names}


def _total(numbers: dict[tuple[str, str], float], features: Features | None, free_tier: bool) -> float:
    values: dict[str, dict[str, float]] = {}
    for (section, name), number in numbers.items():
        values.setdefault(section, {})[name] = number
    profile = profile_of(values)
    assumed = assumed_features(profile)
    if features:
        assumed = features._replace(regions=assumed.regions)
    return estimate(profile, assumed, {}, price_list(), free_tier=free_tier).total


EVERYTHING = Features(1, *[True] * (len(Features._fields) - 1))


@pytest.mark.parametrize("features", [None, EVERYTHING, Features(cache=True, fed_cache=True, database=True)])
@pytest.mark.parametrize("free_tier", [False, True])
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_more_of_any_input_never_costs_less(free_tier: bool, features: Features | None, data: st.DataObject) -> None:
    numbers: dict[tuple[str, str], Any] = {key: data.draw(strategy, key[1]) for key, strategy in NUMBERS.items()}
    total = _total(numbers, features, free_tier)
    for key, strategy in NUMBERS.items():
        more = numbers | {key: max(numbers[key], data.draw(strategy, f"more {key[1]}"))}
        assert _total(more, features, free_tier) >= total * (1 - 1e-12), key


def test_less_is_free_and_the_free_tier_never_costs_more() -> None:
    assert month({}).total == 0
    for values, _ in BY_HAND.values():
        assert 0 <= month(values, free_tier=True).total <= month(values).total


def test_a_higher_price_never_costs_less() -> None:
    profile = profile_of({"reads": dict.fromkeys(READS, 3e9), "writes": {"clients": 1e6}, "items": {"stored": 1e6}})
    result = estimate(profile, EVERYTHING, {}, price_list())
    for name, usd in result.prices.items():
        dearer = price_list().with_prices([f"{name}={price_list().prices[name].usd * 2:.12f}"])
        more = estimate(profile, EVERYTHING, {}, dearer).total - result.total
        assert more == pytest.approx(usd, rel=1e-4), name


# --- The parts of an estimate


@pytest.mark.parametrize("free_tier", [False, True])
def test_services_and_rows_add_up_to_the_total(free_tier: bool) -> None:
    profile = profile_of({"reads": dict.fromkeys(READS, 5e8), "writes": {"clients": 1e6, "back_office": 1e6}})
    for stack in read_stacks().values():
        result = estimate(profile, EVERYTHING, stack, price_list(), free_tier=free_tier)
        assert sum(result.services.values()) == pytest.approx(result.total)
        assert sum(row.usd for row in result.rows) == pytest.approx(result.total)


def test_a_million_of_a_mixture_is_the_mean() -> None:
    result = month({"reads": {"edge_public": 3 * M, "s3_direct": M}, "writes": {"back_office": M}})
    # (3 x 1.1445 + 0.553) / 4
    assert result.per_million(READ) == pytest.approx(0.9966, abs=0.0001)
    assert result.per_million(WRITE) == pytest.approx(7.3948, abs=0.001)


def test_a_million_of_a_kind_includes_its_share_of_the_first_traces() -> None:
    """X-Ray records every request of both millions: 4.75 $ more for each. Reads at the edge aren't traced."""
    assert month({"reads": {"item": M}}).per_million(READ) == pytest.approx(9.5738, abs=0.0005)
    both = month({"reads": {"item": M}, "writes": {"clients": M}})
    assert both.per_million(READ) == pytest.approx(9.5738, abs=0.0005)
    # 12.5771 and 4.75
    assert both.per_million(WRITE) == pytest.approx(17.3271, abs=0.0005)
    # (9.5738 + 1.1445) / 2
    mixed = month({"reads": {"item": M, "edge_public": M}})
    assert mixed.per_million(READ) == pytest.approx(5.3592, abs=0.0005)


def test_a_million_writes_count_both_regions_and_stores_once() -> None:
    profile = profile_of({"writes": {"back_office": M}})
    features = Features(regions=2, cache=True, fed_cache=True, change_stream=True)
    result = estimate(profile, features, {}, price_list())
    # 7.3948 and 7.1867, and twice for `feed`: SQS 1.20, read 0.125, Lambda 0.20 + 0.2667, log 0.20, traces 0.25
    assert result.per_million(WRITE) == pytest.approx(7.3948 + 7.1867 + 2 * 2.2417, abs=0.002)


def test_metrics_of_changes_are_those_that_the_functions_send() -> None:
    handled = re.findall(r'metrics=\{"(RecordsHandled)"', inspect.getsource(objects))
    published = re.findall(r'metrics=\{"(DocumentsPublished)"', inspect.getsource(publish_handler))
    assert len(METRIC) + len(handled) + len(published) == METRICS_OF_CHANGES
    (event_text,) = re.findall(r'"keys_fed",(.+?)store=store', inspect.getsource(messages), re.DOTALL)
    assert len(re.findall(r'"[A-Z]\w+":', event_text)) == METRICS_OF_FEED


@pytest.mark.parametrize(
    ("values", "features", "metrics"),
    [
        ({"writes": {"clients": 1}, "stack": {"collections": 3}}, Features(), 5 + 1 + 3),
        ({"writes": {"clients": 1}, "stack": {"collections": 3}}, Features(regions=2), 2 * (5 + 1 + 3)),
        ({"writes": {"back_office": 1}, "stack": {"collections": 3}}, Features(fed_cache=True, database=True), 5 + 4),
        ({"writes": {"back_office": 1}, "stack": {"collections": 3}}, Features(cache=True), 5),
        ({"reads": {"item": 1}, "stack": {"collections": 3}}, Features(cache=True), 0),
    ],
)
def test_custom_metrics_of_changes(values: dict[str, Any], features: Features, metrics: int) -> None:
    """Each metric is billed for each Region, and `ChangesAccepted` for the stack and each collection."""
    result = estimate(profile_of(values), features, {}, price_list())
    assert result.amounts.get("custom_metric", 0) == metrics


def test_every_price_has_a_service() -> None:
    for name in price_list().prices:
        assert service(name)


def test_each_resource_type_belongs_to_one_variable() -> None:
    """So the variables add up to the idle stack."""
    kinds = [kind for toggle in toggles() for kind in toggle.kinds]
    assert sorted(kinds) == sorted(IDLE)
    for stack in read_stacks().values():
        planned = sum(toggle.planned for toggle in toggle_costs(stack, price_list()))
        assert planned == pytest.approx(sum(price_list().cost(usage.quantities) for usage in stack.values()))


@pytest.mark.parametrize(
    ("setting", "cost"),
    [
        ('cache_size = "0.5"', 14.60),
        ("customer_managed_key = true", 1.00),
        ("cache = { serverless = {} }", 6.132 + 0.2628),
        ("cache = { nodes = {} }", 18.688 + 0.2628),
        ("cache = { dax = {} }", 87.60),
        ("relational = { aurora = {} }: a writer and a reader, besides", 87.60),
        ("relational.aurora.proxy, with its endpoint in two zones", 87.60 + 14.60),
        ("api_failover = {}", 3.50 + 28.5467),
        ("firewall = {} (once for all Regions), and web_acl locks", 14.00),
    ],
)
def test_the_smallest_setting_of_a_variable_by_hand(setting: str, cost: float) -> None:
    smallest = {toggle.setting: toggle.smallest for toggle in toggle_costs({}, price_list())}
    assert smallest[setting] == pytest.approx(cost, abs=0.0005)


def test_health_checks_use_up_the_first_traces_of_a_second() -> None:
    """They cost 32.05 $, and leave no first request of a second to the million reads: 0.25 $ of traces remain."""
    checks = {"aws_route53_health_check": Usage(3, usage_of_failover())}
    result = estimate(profile_of({"reads": {"stage_cache": M}}), Features(stage_cache=True), checks, price_list())
    assert result.idle == pytest.approx(32.0467, abs=0.001)
    assert result.total == pytest.approx(32.0467 + 4.228, abs=0.001)


def test_traces_of_schedules_leave_the_first_requests_of_a_second() -> None:
    """`poll` has 43,800 traces for 0.219 $, and every one of the million reads is still recorded: 4.75 $."""
    source = usage_of(plan_of(("aws_scheduler_schedule", {"name": "poll.x", "schedule_expression": "rate(1 minute)"})))
    result = estimate(profile_of({"reads": {"stage_cache": 3 * M}}), Features(), source, price_list())
    (first,) = [row for row in result.rows if row.title == FIRST_REQUESTS]
    assert first.times == 2_628_000


def test_settings_begin_with_a_variable_that_exists() -> None:
    files = (ROOT / "terraform/modules/settings").glob("variables_*.tf")
    declared = {name for file in files for name in re.findall(r'^variable "(\w+)"', file.read_text(), re.MULTILINE)}
    setting_names = [*FREE_WHILE_IDLE, *OUTSIDE, *(toggle.setting for toggle in toggles())]
    variables = {word[0] for setting in setting_names if (word := re.match(r"[a-z_]{4,}", setting))}
    assert len(variables) > 15
    assert variables <= declared


# --- Flat-rate plans


def test_flat_rates_stand_beside_the_edge() -> None:
    plans = {plan.name: plan for plan in flat_rates(month({"reads": {"edge_public": 10 * M}}), price_list())}
    assert [(name, plan.usd, plan.covered) for name, plan in plans.items()] == [
        ("Free", 0, False),
        ("Pro", 15, True),
        ("Business", 200, True),
        ("Premium", 1000, True),
    ]
    assert plans["Pro"].instead == pytest.approx(11.445)
    assert flat_rates(month({"reads": {"document": M}}), price_list()) == []


def test_a_flat_rate_is_instead_of_the_firewall_too() -> None:
    """CloudFront 11.445 and the firewall's requests 6.00; with a plan also its web ACL 5.00 and nine rules 9.00.

    The lock of the API stays, and so does bot control.
    """
    profile = profile_of({"reads": {"edge_public": 10 * M}})
    features = Features(edge=True, firewall=True, lock=True)
    (instead,) = {plan.instead for plan in flat_rates(estimate(profile, features, {}, price_list()), price_list())}
    assert instead == pytest.approx(17.445)
    lock = ("aws_wafv2_web_acl", {"scope": "REGIONAL", "rule": [{"statement": []}] * 2})
    plan = plan_of(*FRONT, lock)
    result = estimate(profile, features_of(plan), usage_of(plan), price_list())
    assert result.edge == pytest.approx(31.445)
    assert result.total == pytest.approx(31.445 + 7.00)
    bots = plan_with_acl({"rule": [{"statement": []}] * 9 + [BOTS]})
    with_bots = estimate(profile, features_of(bots), usage_of(bots), price_list())
    assert with_bots.edge == pytest.approx(31.445 + 1.00)


def test_a_plan_is_too_small_for_more_requests_or_gb() -> None:
    pro = price_list().flat_rates["Pro"]
    assert pro.covers(10 * M, 51_200)
    assert not pro.covers(10 * M + 1, 1) and not pro.covers(1, 51_201)


# --- What a plan has


def test_the_features_of_a_plan() -> None:
    assert features_of(plan_of()) == Features()
    assert features_of(plan_of(*FRONT)) == Features(edge=True, firewall=True, firewall_rules=9)
    plan = plan_of(
        ("aws_dynamodb_table_replica", {}),
        ("aws_api_gateway_stage", {"cache_cluster_enabled": True}),
        ("aws_wafv2_web_acl", {"scope": "REGIONAL", "rule": []}),
        ("aws_sqs_queue", {"name": "shop-feed-cache"}),
        ("aws_sqs_queue", {"name": "shop-feed-database"}),
        ("aws_elasticache_serverless_cache", {}),
        ("aws_rds_cluster", {}),
        ("aws_kinesis_stream", {"stream_mode_details": [{"stream_mode": "ON_DEMAND"}], "retention_period": 48}),
        ("aws_cognito_identity_pool", {}),
    )
    everything = {"lock", "stage_cache", "cache", "fed_cache", "serverless_cache", "database", "aurora"}
    expected = dict.fromkeys([*everything, "change_stream", "on_demand", "identity_pool"], True)
    assert features_of(plan) == Features(regions=2, retention_hours=48)._replace(**expected)


def test_two_stacks_of_a_plan_are_in_one_region() -> None:
    """terraform/examples/several_stacks makes two APIs with one call of the module."""
    apis = [("aws_api_gateway_rest_api", dict[str, Any]())] * 2
    source = ("aws_scheduler_schedule", {"name": "poll.x", "schedule_expression": "rate(1 minute)"})
    assert features_of(plan_of(*apis)).regions == 1
    poll = usage_of(plan_of(*apis, source))["aws_scheduler_schedule"].quantities
    assert poll["s3_put"] == 43_800
    replica = ("aws_dynamodb_table_replica", dict[str, Any]())
    poll = usage_of(plan_of(*apis, replica, source))["aws_scheduler_schedule"].quantities
    assert poll["s3_put"] == 2 * 43_800


def test_dax_reads_the_items_itself() -> None:
    """`feed` writes into no DAX, so a change costs no more, and there is no metric of `feed`."""
    plan = plan_of(("aws_dax_cluster", {"node_type": "dax.t3.small", "replication_factor": 3}))
    result = estimate(profile_of({"writes": {"clients": M}}), features_of(plan), {}, price_list())
    assert result.total == pytest.approx(month({"writes": {"clients": M}}).total)
    assert "changes in the item cache" not in {row.title for row in result.rows}
    check(profile_of({"reads": {"cached_item": M}}), features_of(plan))


def test_a_change_stream_on_demand_bills_gigabytes() -> None:
    """100 million changes of 10 KB are 953.67 GB: in 76.29, out to two readers 76.29, and the hours 29.20.

    A week instead of a day: for six days 0.10 $ a GB and month, 953.67 x 144 / 730 x 0.10 = 18.81.
    """
    values = {"writes": {"back_office": 100 * M}, "items": {"kb": 10}}
    for hours, more in ((24, 0.0), (168, 18.812)):
        stream = {"stream_mode_details": [{"stream_mode": "ON_DEMAND"}], "retention_period": hours}
        plan = plan_of(("aws_kinesis_stream", stream))
        result = estimate(profile_of(values), features_of(plan), usage_of(plan), price_list())
        assert result.services["Kinesis"] == pytest.approx(76.294 + 76.294 + 29.20 + more, abs=0.002)


def test_stores_of_your_own_bill_nothing_here() -> None:
    """`feed` writes into them: SQS 1.20, read 0.125, Lambda 0.20 + 0.2667, log 0.20, traces 0.25, for each."""
    features = Features(cache=True, fed_cache=True, database=True, change_stream=True)
    profile = profile_of({"reads": {"cached_item": M, "database_list": M}, "writes": {"back_office": M}})
    result = estimate(profile, features, {}, price_list())
    assert not result.services.keys() & {"ElastiCache", "Aurora"}
    feed_costs = [
        row.per_million for row in result.rows if row.title in ("changes in the item cache", "changes in the database")
    ]
    assert feed_costs == pytest.approx([2.2417, 2.2417], abs=0.001)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"reads": {"edge_miss": 1}}, "The profile has reads.edge_miss, and this plan has no `edge`."),
        ({"reads": {"edge_private_miss": 1}}, "The profile has reads.edge_private_miss, and this plan has no `edge`."),
        ({"reads": {"s3_direct": 1}}, "The profile has reads.s3_direct, and this plan has no `identity_pool`."),
        ({"reads": {"stage_cache": 1}}, "The profile has reads.stage_cache, and this plan has no `cache_size`."),
        ({"reads": {"cached_item": 1}}, "The profile has reads.cached_item, and this plan has no `cache`."),
        ({"reads": {"database_list": 1}}, "reads.database_list, and this plan has no `relational`."),
        ({"items": {"cached": 1}}, "The profile has items.cached, and this plan has no `cache`."),
        ({"writes": {"back_office": 1}}, "this plan has no source with a change stream."),
        ({"stack": {"regions": 2}}, "stack.regions = 2, and this plan has 1."),
    ],
)
def test_a_profile_that_the_stack_cannot_serve_is_an_error(values: dict[str, Any], message: str) -> None:
    profile = profile_of(values)
    with pytest.raises(CommandError, match=re.escape(message)):
        check(profile, Features())
    check(profile, EVERYTHING._replace(regions=profile.regions or 1))


# --- The text


def test_a_line_of_the_report_is_at_most_120_characters() -> None:
    stack = {kind: entry for stack in read_stacks().values() for kind, entry in stack.items()}
    profile = profile_of({"reads": dict.fromkeys(READS, 1e12), "writes": {"clients": 1e12, "back_office": 1e12}})
    result = estimate(profile, EVERYTHING, stack, price_list())
    assert max(map(len, report(result, stack, [], price_list(), free_tier=False))) <= 120
