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
    # GET 4.00, and 17 GB for 0.09 $ each
    "ten million documents straight from S3": ({"reads": {"s3_direct": 10 * M}}, 5.53),
    # API 35.00, GET 4.00, log 3.25, traces 2.50 + 12.483, transfer 1.53
    "ten million documents through the API": ({"reads": {"document": 10 * M}}, 58.763),
    # API 3.50, Lambda 0.20 + 0.1333, logs 0.525, traces 5.00, half a read unit 0.0625, transfer 0.153
    "a million items": ({"reads": {"item": M}}, 9.5738),
    # 41 KB a list: API 3.50, Lambda 0.20 + 0.40, logs 0.525, traces 5.00, 8.5 read units 1.0625, transfer 3.69
    "a million lists of 20 items of 2 KB": ({"reads": {"list": M}, "items": {"kb": 2, "in_list": 20}}, 14.3775),
    # API 24,453.10, log 3,250.00, traces 2,500.00 + 12.483, transfer 921.60 + 574.60
    "ten billion reads from the stage cache": ({"reads": {"stage_cache": 10_000 * M}}, 31711.783),
    # API 3.50, Lambda 0.20 + 0.10, logs 0.525, traces 5.00, ECPU 0.0023, transfer 0.153, and 0.9 GB for 55.188
    "a million items from a cache of 1 GB": ({"reads": {"cached_item": M}, "items": {"cached": M}}, 64.6683),
    # API 3.50, Lambda 0.20 + 0.20, logs 0.525, traces 5.00, transfer 4.59, and 2.78 ACU-hours for 0.3333
    "a million lists from the database": ({"reads": {"database_list": M}}, 14.3483),
    # API 3.50, Lambda 0.20 + 0.6133, logs 0.85, traces 5.00, items 0.125 + 1.25, document 5.00, Firehose 0.1383,
    # transfer 0.063, seven metrics 2.10
    "a million writes by clients": ({"writes": {"clients": M}}, 18.8396),
    # In the first Region 0.125 + 1.25 + 5.00 + 0.28 + 0.1383 + 0.014, in the second 1.25 + 5.00 + 0.2667 + 0.02, and
    # ten metrics 3.00
    "a million changes in two Regions": ({"writes": {"back_office": M}, "stack": {"regions": 2}}, 16.344),
    # Items 12.50 + 0.375, document 5.00, Lambda 0.28, Firehose 0.2766, Kinesis 0.014, five metrics 1.50
    "a million changes of 10 KB": ({"writes": {"back_office": M}, "items": {"kb": 10}}, 19.9456),
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


@pytest.mark.parametrize("features", [None, EVERYTHING, Features(cache=True, database=True)])
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
    assert result.per_million(WRITE) == pytest.approx(6.807, abs=0.001)


def test_a_million_writes_count_both_regions_and_stores_once() -> None:
    profile = profile_of({"writes": {"back_office": M}})
    result = estimate(profile, Features(regions=2, cache=True, change_stream=True), {}, price_list())
    # 6.807 and 6.537, and twice for `feed`: SQS 1.20, read 0.125, Lambda 0.20 + 0.133, log 0.20
    assert result.per_million(WRITE) == pytest.approx(6.807 + 6.537 + 2 * 1.858, abs=0.002)


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
        ({"writes": {"back_office": 1}, "stack": {"collections": 3}}, Features(cache=True, database=True), 5 + 4),
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


def test_a_plan_is_too_small_for_more_requests_or_gb() -> None:
    pro = price_list().flat_rates["Pro"]
    assert pro.covers(10 * M, 51_200)
    assert not pro.covers(10 * M + 1, 1) and not pro.covers(1, 51_201)


# --- What a plan has


def test_the_features_of_a_plan() -> None:
    assert features_of(plan_of()) == Features()
    assert features_of(plan_of(*FRONT)) == Features(edge=True, firewall=True)
    plan = plan_of(
        ("aws_api_gateway_rest_api", {}),
        ("aws_api_gateway_rest_api", {}),
        ("aws_api_gateway_stage", {"cache_cluster_enabled": True}),
        ("aws_wafv2_web_acl", {"scope": "REGIONAL", "rule": []}),
        ("aws_sqs_queue", {"name": "shop-feed-cache"}),
        ("aws_sqs_queue", {"name": "shop-feed-database"}),
        ("aws_elasticache_serverless_cache", {}),
        ("aws_rds_cluster", {}),
        ("aws_kinesis_stream", {}),
        ("aws_cognito_identity_pool", {}),
    )
    everything = {"lock", "stage_cache", "cache", "serverless_cache", "database", "aurora", "change_stream"}
    expected = dict.fromkeys([*everything, "identity_pool"], True)
    assert features_of(plan) == Features(regions=2)._replace(**expected)


def test_stores_of_your_own_bill_nothing_here() -> None:
    """`feed` writes into them, and that is billed: SQS 1.20, read 0.125, Lambda 0.333, log 0.20, for each."""
    features = Features(cache=True, database=True, change_stream=True)
    profile = profile_of({"reads": {"cached_item": M, "database_list": M}, "writes": {"back_office": M}})
    result = estimate(profile, features, {}, price_list())
    assert not result.services.keys() & {"ElastiCache", "Aurora"}
    feed_costs = [
        row.per_million for row in result.rows if row.title in ("changes in the item cache", "changes in the database")
    ]
    assert feed_costs == pytest.approx([1.858, 1.858], abs=0.001)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"reads": {"edge_miss": 1}}, "The profile has reads.edge_miss, and this plan has no `edge`."),
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
