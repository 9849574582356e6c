"""What the firewall's own rules do with requests, evaluated over the web ACLs that Terraform plans."""

import json
from typing import Any

import pytest

from tests.fakes.web_acl import RATE_BASED, Block, Request, WebAcl, fields_of
from tests.unit.stacks import FIREWALL, PlannedStacks

pytestmark = pytest.mark.slow  # because Terraform plans the web ACLs

LARGEST_BODY = b"'; DROP TABLE items; -- <script>alert(1)</script>".ljust(256 * 1024, b"x")
"""A body as large as an item may be, which looks like an attack at its beginning."""

ALLOWED, DENIED, DENIED_V6 = "203.0.113.7", "198.51.100.200", "2001:db8:0:1::7"
"""Addresses in the sets of the run `everything_on`."""


def web_acl(stacks: PlannedStacks, run: str, kind: str = "edge", action: str | None = None) -> WebAcl:
    """Return a planned web ACL.

    :param action: the action that each rule gets instead of its own, if it counts
    """
    changes = stacks[FIREWALL][run]["resource_changes"]
    planned: list[tuple[str, dict[str, Any]]] = [(change["address"], change["change"]["after"]) for change in changes]
    (values,) = [after for address, after in planned if address == f"aws_wafv2_web_acl.{kind}[0]"]
    ip_sets = {after["arn"]: after["addresses"] for address, after in planned if "aws_wafv2_ip_set" in address}
    if action == "block":
        response = {"response_code": 403, "custom_response_body_key": "refused", "response_header": []}
        block = [{"allow": [], "count": [], "block": [{"custom_response": [response]}]}]
        rules = [
            rule | {"action": block} if rule["action"] and rule["action"][0]["count"] else rule
            for rule in values["rule"]
        ]
        values = values | {"rule": rules}
    return WebAcl(values, ip_sets)


@pytest.fixture
def default(planned_stacks: PlannedStacks) -> WebAcl:
    return web_acl(planned_stacks, "by_default")


@pytest.fixture
def counting(planned_stacks: PlannedStacks) -> WebAcl:
    return web_acl(planned_stacks, "everything_on")


@pytest.fixture
def refusing(planned_stacks: PlannedStacks) -> WebAcl:
    return web_acl(planned_stacks, "everything_on", action="block")


@pytest.fixture
def lock(planned_stacks: PlannedStacks) -> WebAcl:
    return web_acl(planned_stacks, "lock", "lock")


def test_the_largest_body_passes_every_rule_of_the_stack(default: WebAcl, refusing: WebAcl) -> None:
    """AWS WAF sees the beginning of such a body only, and a rule on it would refuse honest items."""
    for acl in (default, refusing):
        verdict = acl.judge(Request(body=LARGEST_BODY))
        assert verdict.action == "allow" and verdict.rule is None


def test_no_rule_of_the_stack_looks_into_a_body_or_a_token(default: WebAcl, refusing: WebAcl) -> None:
    """The rules on attacks aren't evaluated here, so this shows that a body can't match them."""
    for acl in (default, refusing):
        own = [rule for rule in acl.rules if rule["action"]]
        fields = {field for rule in own if not rule["statement"][0][RATE_BASED] for field in _fields(rule)}
        assert fields == {"uri_path", "query_string", "headers"}


def _fields(rule: Block) -> list[str]:
    statement = rule["statement"][0]
    return [] if statement["geo_match_statement"] or statement["not_statement"] else list(fields_of(statement))


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (Request(path="/" + "x" * 1023), None),
        (Request(path="/" + "x" * 1024), 414),
        (Request(query="x" * 2048), None),
        (Request(query="x" * 2049), 414),
    ],
)
def test_a_long_path_or_query_is_refused(default: WebAcl, request_: Request, status: int | None) -> None:
    verdict = default.judge(request_)
    assert verdict.status == status
    if status:
        assert json.loads(verdict.body or "")["status"] == status


def test_a_client_gets_no_more_than_its_limit_and_learns_when_to_come_back(default: WebAcl) -> None:
    verdicts = [default.judge(Request(), now=n / 100) for n in range(3001)]
    assert {verdict.action for verdict in verdicts[:3000]} == {"allow"}
    assert (verdicts[3000].rule, verdicts[3000].status, verdicts[3000].headers) == (
        "rate_ip",
        429,
        {"Retry-After": "300"},
    )
    assert default.judge(Request(address="192.0.2.2"), now=31).action == "allow"
    assert default.judge(Request(), now=31 + 300).action == "allow"


def test_one_token_from_many_addresses_is_limited_and_another_is_not(default: WebAcl) -> None:
    def judge(number: int, token: str) -> str | None:
        headers = {"authorization": token}
        return default.judge(Request(address=f"10.0.{number // 250}.{number % 250}", headers=headers)).rule

    assert {judge(number, "Bearer a") for number in range(1500)} == {None}
    assert judge(1500, "Bearer a") == "rate_token"
    assert judge(1501, "Bearer b") is None


def test_requests_without_a_token_count_by_address_only(default: WebAcl) -> None:
    assert {default.judge(Request(address=f"10.0.{n // 250}.{n % 250}")).rule for n in range(1600)} == {None}


@pytest.mark.parametrize("address", [DENIED, DENIED_V6])
def test_a_denied_address_is_refused(refusing: WebAcl, address: str) -> None:
    assert refusing.judge(Request(address=address))[:3] == ("block", "deny", 403)


def test_a_country_that_is_not_in_the_list_is_refused(refusing: WebAcl) -> None:
    assert refusing.judge(Request(country="US"))[:3] == ("block", "countries", 403)
    assert refusing.judge(Request(country="AT")).action == "allow"


def test_no_rule_refuses_an_allowed_address(refusing: WebAcl) -> None:
    """An address in `allow` may be the team's own load test, from any country and at any rate."""
    request = Request(address=ALLOWED, country="US", path="/" + "x" * 5000)
    assert {refusing.judge(request)[:2] for _ in range(200)} == {("allow", "allow")}


def test_a_rule_that_counts_lets_the_request_pass_to_the_next_rule(counting: WebAcl) -> None:
    request = Request(address=DENIED, country="US", path="/" + "x" * 5000, headers={"authorization": "Bearer a"})
    verdicts = [counting.judge(request) for _ in range(101)]
    assert {verdict.action for verdict in verdicts} == {"allow"}
    assert verdicts[0].counted == ("deny", "countries", "size")
    assert verdicts[-1].counted == ("deny", "countries", "size", "rate_ip", "rate_token")


@pytest.mark.parametrize(
    ("path", "referer", "action"),
    [
        ("/v1/items/notes", None, "block"),
        ("/v1/items/notes", "https://example.com/", "block"),
        ("/v1/items/notes", "", "block"),
        ("/v1/items/notes", "First", "block"),
        ("/v1/items/notes", "first ", "block"),
        ("/v1/items/notes", "first", "allow"),
        ("/v1/items/notes", "second", "allow"),
        ("/v1/health", None, "allow"),
        ("/v1/health/../items/notes", None, "block"),
        ("/v1/Health", None, "block"),
    ],
)
def test_only_the_edge_and_the_health_check_pass_the_lock(
    lock: WebAcl, path: str, referer: str | None, action: str
) -> None:
    headers = {} if referer is None else {"referer": referer}
    verdict = lock.judge(Request(path=path, headers=headers))
    assert verdict.action == action
    if action == "block":
        assert verdict.status == 403 and json.loads(verdict.body or "")["title"] == "Forbidden"


def test_the_lock_bounds_the_query_and_no_body(lock: WebAcl) -> None:
    edge = {"referer": "first"}
    assert lock.judge(Request(query="x" * 8193, headers=edge)).rule == "size"
    assert lock.judge(Request(query="x" * 8192, headers=edge, body=LARGEST_BODY)).action == "allow"
