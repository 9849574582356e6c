"""Test the command `doctor`: each check against recorded answers of AWS, and which settings need which check."""

import copy
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from click.testing import CliRunner

from ops.cli import doctor_checks as checks
from ops.cli.doctor import find_account
from ops.cli.doctor_checks import EXPRESSION, Account, all_checks, covers
from ops.cli.main import main
from ops.cli.planned_sources import evaluate
from ops.cli.probes import Clients, Result, ask_probe
from ops.console import CommandError
from tests.fakes.moto_aws import REGION

REPLICA = "eu-west-1"
ACCOUNT = Account("111122223333", "aws", "us-east-1", 0.4)
PEOPLE = {"emails": ["a@example.com", "b@example.com"], "phone_numbers": ["+49151"]}
BARE: dict[str, Any] = {
    "name": "shop",
    "regions": {"primary": REGION, "replica": None},
    "throttle_rate": 500,
    "reserved": {},
    "absent": {"primary": [], "replica": []},
    "snap_start": [],
    "alarms": False,
    "notify": {"emails": [], "phone_numbers": []},
    "tickets": None,
    "alarm_actions": {"primary": [], "replica": []},
    "domains": {"primary": None, "replica": None},
    "items_generation": 1,
    "has_edge": False,
    "edge_domain": None,
    "email": None,
    "user_pool_arn": None,
    "network": None,
    "kms_keys": {"primary": None, "replica": None},
    "code_buckets": None,
    "access_log_buckets": {"primary": None, "replica": None},
    "cache": [],
    "has_aurora": False,
}


def error(code: str, status: int = 400) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Operation")  # type: ignore[typeddict-item]


class Recorded:
    """A client of boto3 with recorded answers: operation -> an answer, an error, or a function of the parameters.

    A paginator returns the answer as its only page.
    """

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        return lambda **parameters: self._answer(operation, parameters)

    def get_paginator(self, operation: str) -> Any:
        return SimpleNamespace(paginate=lambda **parameters: [self._answer(operation, parameters)])

    def _answer(self, operation: str, parameters: Mapping[str, Any]) -> Any:
        answer = self._answers[operation]
        if callable(answer):
            answer = answer(**parameters)
        if isinstance(answer, Exception):
            raise answer
        return answer


def lambda_account(quota: int = 1000, used: float = 0.1, unreserved: int | None = None) -> dict[str, Any]:
    return {
        "AccountLimit": {
            "ConcurrentExecutions": quota,
            "UnreservedConcurrentExecutions": quota if unreserved is None else unreserved,
            "TotalCodeSize": 2**30,
        },
        "AccountUsage": {"TotalCodeSize": int(used * 2**30)},
    }


def concurrency(reserved: Mapping[str, int], quota: int = 1000, others: int = 0, **own: int) -> Result:
    """Check the concurrency of the stack `shop`.

    :param others: the executions that the account's other functions reserve
    :param own: the executions that this stack's functions reserve already; the others don't exist yet
    """

    def get_function_concurrency(FunctionName: str) -> Any:  # noqa: N803
        function = FunctionName.removeprefix("shop-").replace("-", "_")
        if function not in own:
            return error("ResourceNotFoundException")
        return {"ReservedConcurrentExecutions": own[function]} if own[function] else {}

    account = lambda_account(quota, unreserved=quota - others - sum(own.values()))
    lambdas = Recorded(get_account_settings=account, get_function_concurrency=get_function_concurrency)
    return checks.check_concurrency(lambdas, "shop", reserved)


def buckets(**statuses: int) -> Recorded:
    def head(Bucket: str) -> Any:  # noqa: N803
        status = statuses.get(Bucket, 404)
        return {} if status == 200 else error(str(status), status)

    return Recorded(head_bucket=head)


def certificate(days: int = 100, status: str = "ISSUED", names: tuple[str, ...] = ("api.example.com",)) -> Recorded:
    described = {
        "Status": status,
        "DomainName": names[0],
        "SubjectAlternativeNames": list(names),
        "NotAfter": datetime.now(UTC) + timedelta(days=days, hours=1),
    }
    return Recorded(describe_certificate={"Certificate": described})


def zone(name: str = "example.com.", *, private: bool = False) -> Recorded:
    return Recorded(get_hosted_zone={"HostedZone": {"Name": name, "Config": {"PrivateZone": private}}})


def topic(confirmed: int, pending: int = 0) -> Recorded:
    subscriptions = [{"SubscriptionArn": "arn:aws:sns:r:1:t:u", "Protocol": "email"}] * confirmed
    subscriptions += [{"SubscriptionArn": "PendingConfirmation", "Protocol": "email"}] * pending
    return Recorded(list_subscriptions_by_topic={"Subscriptions": subscriptions})


def sms(is_in_sandbox: bool, *verified: str) -> Recorded:
    return Recorded(
        get_sms_attributes={"attributes": {"MonthlySpendLimit": "1"}},
        get_sms_sandbox_account_status={"IsInSandbox": is_in_sandbox},
        list_sms_sandbox_phone_numbers={
            "PhoneNumbers": [{"PhoneNumber": number, "Status": "Verified"} for number in verified]
            + [{"PhoneNumber": "+1", "Status": "Pending"}]
        },
    )


def existing_network(addresses: int = 200, interfaces: int = 3, vpc: str = "vpc-1") -> Recorded:
    return Recorded(
        describe_subnets={
            "Subnets": [{"SubnetId": "s-1", "VpcId": vpc, "AvailableIpAddressCount": addresses}],
        },
        describe_network_interfaces={"NetworkInterfaces": [{}] * interfaces},
    )


def new_network(vpcs: int = 1, *, own: bool = False) -> Recorded:
    tags = [{"Key": "Name", "Value": "shop"}] if own else []
    return Recorded(
        describe_availability_zones={
            "AvailabilityZones": [
                {"ZoneName": "eu-central-1a", "State": "available"},
                {"ZoneName": "eu-central-1b", "State": "available"},
                {"ZoneName": "eu-central-1c", "State": "impaired"},
            ]
        },
        describe_vpcs={"Vpcs": [{"Tags": tags}] * vpcs},
    )


EXISTING = {"existing": {"vpc_id": "vpc-1", "subnet_ids": ["s-1"]}}
CREATE = {"create": {"zones": ["eu-central-1a", "eu-central-1b"]}}
REGIONS = Recorded(
    describe_regions={
        "Regions": [
            {"RegionName": REGION, "OptInStatus": "opt-in-not-required"},
            {"RegionName": "eu-south-1", "OptInStatus": "not-opted-in"},
        ]
    }
)
DENIED = error("AccessDenied")

CASES: list[tuple[str, Callable[[], Result], str]] = [
    ("ok", lambda: checks.check_clock(-2.0), "2 s off"),
    ("wrong", lambda: checks.check_clock(400.0), "400 s ahead of AWS's: set it by NTP"),
    ("wrong", lambda: checks.check_clock(-90.0), "90 s behind"),
    ("ok", lambda: checks.check_regions(REGIONS, [REGION]), "can be used"),
    ("wrong", lambda: checks.check_regions(REGIONS, [REGION, "mars-1"]), "there is no Region mars-1"),
    ("wrong", lambda: checks.check_regions(REGIONS, ["eu-south-1"]), "eu-south-1 is off in this account: enable it"),
    ("ok", lambda: checks.check_linked_roles(Recorded(get_role={}), ["a", "b"]), "2 of 2 exist"),
    ("ok", lambda: checks.check_linked_roles(Recorded(get_role=error("NoSuchEntity")), ["a"]), "iam:CreateService"),
    ("ok", lambda: concurrency({"read": 100}), "1000 functions may run at once, 100"),
    ("wrong", lambda: concurrency({}, 10), "only 10 functions may run at once"),
    ("wrong", lambda: concurrency({"read": 901}), "reserve 901 executions more, 1000 of the account's 1000 are"),
    ("wrong", lambda: concurrency({"read": 950}), "--desired-value 1050"),
    ("ok", lambda: concurrency({"read": 900}), "900 reserved"),
    # Another stack in the account reserves 850, so Lambda would refuse the 60 of this one.
    ("wrong", lambda: concurrency({"query": 60}, others=850), "reserve 60 executions more, 150 of the account's 1000"),
    ("wrong", lambda: concurrency({"query": 60}, others=850, query=0), "100 must stay so: reserve fewer, or aws"),
    ("ok", lambda: concurrency({"query": 50}, others=850), "50 reserved"),
    # After its own apply the same stack is ok, and so is a smaller reservation.
    ("ok", lambda: concurrency({"query": 50}, others=850, query=50), "50 reserved"),
    ("ok", lambda: concurrency({"query": 40, "apply_stream": 10}, others=850, query=30, apply_stream=20), "50 res"),
    ("wrong", lambda: concurrency({"query": 51}, others=850, query=50), "reserve 1 executions more, 100 of"),
    ("ok", lambda: checks.check_code_storage(lambda_account(used=0.79)), "0.8 of 1 GB"),
    ("wrong", lambda: checks.check_code_storage(lambda_account(used=0.81)), "delete old versions"),
    ("wrong", lambda: checks.check_gateway({}, 500), "apply terraform/examples/account"),
    (
        "wrong",
        lambda: checks.check_gateway({"cloudwatchRoleArn": "a", "throttleSettings": {"rateLimit": 99.0}}, 500),
        "99",
    ),
    (
        "ok",
        lambda: checks.check_gateway({"cloudwatchRoleArn": "a", "throttleSettings": {"rateLimit": 1e4}}, 500),
        "1000",
    ),
    ("ok", lambda: checks.check_firehose("us-east-1", 2000), "2000 writes or 5 MiB"),
    ("ok", lambda: checks.check_firehose(REGION, 1000), "1000 writes or 1 MiB"),
    ("unknown", lambda: checks.check_firehose(REGION, 1001), "compare with the account's quota"),
    ("ok", lambda: checks.check_buckets(buckets(), ["a", "b"]), "2 names are free"),
    ("ok", lambda: checks.check_buckets(buckets(a=200), ["a", "b"]), "this account has a"),
    ("unknown", lambda: checks.check_buckets(buckets(a=200, b=403), ["a", "b"]), "b: belong to somebody else"),
    ("ok", lambda: checks.check_given_buckets(buckets(a=200), ["a"]), "can be read"),
    ("wrong", lambda: checks.check_given_buckets(buckets(a=200), ["a", "b"]), "b can't be read"),
    (
        "ok",
        lambda: checks.check_backups(Recorded(describe_continuous_backups=error("TableNotFoundException")), "t"),
        "yet",
    ),
    (
        "ok",
        lambda: checks.check_backups(
            Recorded(
                describe_continuous_backups={
                    "ContinuousBackupsDescription": {
                        "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED"}
                    }
                }
            ),
            "t",
        ),
        "can be restored",
    ),
    (
        "wrong",
        lambda: checks.check_backups(Recorded(describe_continuous_backups={"ContinuousBackupsDescription": {}}), "t"),
        "is off",
    ),
    (
        "ok",
        lambda: checks.check_versions(Recorded(list_versions_by_function=error("ResourceNotFoundException")), ["f"]),
        "0 versions",
    ),
    (
        "ok",
        lambda: checks.check_versions(
            Recorded(list_versions_by_function={"Versions": [{"Version": "$LATEST"}] + [{"Version": "1"}] * 10}), ["f"]
        ),
        "10 versions",
    ),
    (
        "wrong",
        lambda: checks.check_versions(Recorded(list_versions_by_function={"Versions": [{"Version": "1"}] * 11}), ["f"]),
        "delete some (f 11)",
    ),
    ("ok", lambda: checks.check_certificate(certificate(), "arn", ["api.example.com"]), "for 100 days"),
    ("wrong", lambda: checks.check_certificate(certificate(29), "arn", ["api.example.com"]), "expires in 29 days"),
    (
        "wrong",
        lambda: checks.check_certificate(certificate(status="PENDING_VALIDATION"), "arn", []),
        "PENDING_VALIDATION",
    ),
    ("wrong", lambda: checks.check_certificate(certificate(), "arn", ["www.example.com"]), "cover www.example.com"),
    (
        "wrong",
        lambda: checks.check_certificate(
            Recorded(describe_certificate=error("ResourceNotFoundException")), "arn", ["api.example.com"]
        ),
        "there is no such certificate in this Region",
    ),
    ("ok", lambda: checks.check_zone(zone(), "Z1", ["api.example.com", "example.com"]), "holds"),
    ("wrong", lambda: checks.check_zone(zone(), "Z1", ["api.notexample.com"]), "doesn't hold api.notexample.com"),
    ("wrong", lambda: checks.check_zone(zone(private=True), "Z1", []), "is private"),
    ("wrong", lambda: checks.check_zone(Recorded(get_hosted_zone=error("NoSuchHostedZone")), "Z1", []), "no such zone"),
    (
        "ok",
        lambda: checks.check_email(
            Recorded(
                get_account={"ProductionAccessEnabled": True}, get_email_identity={"VerifiedForSendingStatus": True}
            ),
            "example.com",
        ),
        "sends to everybody",
    ),
    ("wrong", lambda: checks.check_email(Recorded(get_account={}), "example.com"), "in the SES sandbox"),
    (
        "wrong",
        lambda: checks.check_email(
            Recorded(get_account={"ProductionAccessEnabled": True}, get_email_identity=error("NotFoundException")), "x"
        ),
        "doesn't have the identity",
    ),
    (
        "wrong",
        lambda: checks.check_email(Recorded(get_account={"ProductionAccessEnabled": True}, get_email_identity={}), "x"),
        "hasn't verified",
    ),
    ("ok", lambda: checks.check_user_pool(Recorded(describe_user_pool={}), "arn/p"), "exists"),
    (
        "wrong",
        lambda: checks.check_user_pool(Recorded(describe_user_pool=error("ResourceNotFoundException")), "arn/p"),
        "no such user pool",
    ),
    ("ok", lambda: checks.check_key(Recorded(describe_key={"KeyMetadata": {"KeyState": "Enabled"}}), "arn"), "enabled"),
    (
        "wrong",
        lambda: checks.check_key(Recorded(describe_key={"KeyMetadata": {"KeyState": "PendingDeletion"}}), "arn"),
        "the key is PendingDeletion",
    ),
    ("wrong", lambda: checks.check_key(Recorded(describe_key=error("NotFoundException")), "arn"), "no such key"),
    ("ok", lambda: checks.check_subscriptions(topic(2), "t", 2, False), "2 confirmed"),
    ("wrong", lambda: checks.check_subscriptions(topic(1, 1), "t", 2, False), "1 email not confirmed"),
    ("wrong", lambda: checks.check_subscriptions(topic(1), "t", 2, False), "1 of 2 addresses aren't subscribed"),
    ("wrong", lambda: checks.check_subscriptions(topic(0), "t", 0, False), "they reach nobody"),
    ("ok", lambda: checks.check_subscriptions(topic(0), "t", 0, True), "nobody subscribes"),
    (
        "ok",
        lambda: checks.check_subscriptions(Recorded(list_subscriptions_by_topic=error("NotFound")), "t", 2, False),
        "each of the 2 addresses gets a message",
    ),
    (
        "wrong",
        lambda: checks.check_subscriptions(Recorded(list_subscriptions_by_topic=error("NotFound")), "t", 0, False),
        "would reach nobody",
    ),
    ("ok", lambda: checks.check_topics(Recorded(get_topic_attributes={}), ["arn:t"]), "1 exist"),
    ("wrong", lambda: checks.check_topics(Recorded(get_topic_attributes=error("NotFound")), ["arn:t"]), "no topic t"),
    ("ok", lambda: checks.check_sms(sms(False), ["+49"]), "at most 1 $ a month"),
    ("ok", lambda: checks.check_sms(sms(True, "+49"), ["+49"]), "all numbers are verified"),
    ("wrong", lambda: checks.check_sms(sms(True), ["+49", "+1"]), "2 of 2 numbers aren't verified"),
    ("ok", lambda: checks.check_network(existing_network(), EXISTING, "shop"), "at least 200 free addresses"),
    ("wrong", lambda: checks.check_network(existing_network(15), EXISTING, "shop"), "too few free addresses (s-1 15)"),
    ("wrong", lambda: checks.check_network(existing_network(vpc="vpc-2"), EXISTING, "shop"), "s-1 isn't in vpc-1"),
    (
        "wrong",
        lambda: checks.check_network(existing_network(interfaces=201), EXISTING, "shop"),
        "201 network interfaces",
    ),
    ("ok", lambda: checks.check_network(new_network(), CREATE, "shop"), "1 VPCs exist"),
    ("ok", lambda: checks.check_network(new_network(5, own=True), CREATE, "shop"), "5 VPCs exist"),
    ("unknown", lambda: checks.check_network(new_network(5), CREATE, "shop"), "an account may have 5"),
    (
        "wrong",
        lambda: checks.check_network(new_network(), {"create": {"zones": ["eu-central-1c"]}}, "shop"),
        "this account can't use eu-central-1c",
    ),
]


@pytest.mark.parametrize(("state", "ask", "text"), CASES, ids=[f"{state} {text[:30]}" for state, _, text in CASES])
def test_each_check_says_what_it_found_and_what_to_do(state: str, ask: Callable[[], Result], text: str) -> None:
    found = ask()
    assert found[0] == state and text in found[1], found
    # A sentence that says what is wrong also says what to do.
    assert state != "wrong" or any(word in found[1] for word in (":", "set ", "delete")), found[1]


REFUSED: list[Callable[[Recorded], Result]] = [
    lambda client: checks.check_linked_roles(client, ["a"]),
    lambda client: checks.check_backups(client, "t"),
    lambda client: checks.check_versions(client, ["f"]),
    lambda client: checks.check_certificate(client, "arn", []),
    lambda client: checks.check_zone(client, "Z1", []),
    lambda client: checks.check_user_pool(client, "arn/p"),
    lambda client: checks.check_key(client, "arn"),
    lambda client: checks.check_subscriptions(client, "t", 1, False),
    lambda client: checks.check_topics(client, ["arn:t"]),
]


@pytest.mark.parametrize("check", REFUSED)
def test_a_missing_permission_is_never_taken_for_something_absent(check: Callable[[Recorded], Result]) -> None:
    class Denying(Recorded):
        def _answer(self, operation: str, parameters: Mapping[str, Any]) -> Any:
            raise DENIED

    with pytest.raises(ClientError):
        check(Denying())


def test_a_wildcard_covers_one_label() -> None:
    assert covers("*.example.com", "API.example.com") and covers("a.example.com", "a.example.com")
    for name in ("example.com", "a.b.example.com", "aexample.com"):
        assert not covers("*.example.com", name)


class AnyClients(Clients):
    """Makes no clients. Remembers which ones a check asks for."""

    def __init__(self) -> None:
        self.services: set[tuple[str, str]] = set()

    def __call__(self, service: str, region: str) -> Any:
        self.services.add((service, region))
        return Recorded()


def subjects(**settings: Any) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Return the places and subjects of the checks for some settings, and the clients that they need."""
    clients = AnyClients()
    found = {(probe.place, probe.subject) for probe in all_checks(copy.deepcopy(BARE) | settings, ACCOUNT, clients)}
    return found, clients.services


def test_only_what_the_settings_need_is_checked() -> None:
    bare, _ = subjects()
    always = {"concurrency", "code storage", "API Gateway", "Firehose", "bucket names", "backups"}
    account = {("account", name) for name in ("clock", "Regions", "service-linked roles")}
    assert bare == {(REGION, name) for name in always} | account

    domain = {"name": "a.example.com", "certificate_arn": "arn", "hosted_zone_id": "Z1", "regional_name": None}
    full, services = subjects(
        regions={"primary": REGION, "replica": REPLICA},
        snap_start=["read"],
        alarms=True,
        notify=PEOPLE,
        tickets={"emails": ["t@example.com"], "alarm_actions": [], "replica_alarm_actions": ["arn:x"]},
        alarm_actions={"primary": ["arn:y"], "replica": []},
        domains={"primary": domain, "replica": domain},
        has_edge=True,
        edge_domain={"name": "www.example.com", "certificate_arn": "arn", "zone_id": "Z2"},
        email={"ses_arn": "arn:aws:ses:eu-west-1:1:identity/example.com"},
        user_pool_arn="arn:aws:cognito-idp:eu-central-1:1:userpool/p",
        network={"primary": CREATE, "replica": EXISTING},
        kms_keys={"primary": "arn", "replica": "arn"},
        code_buckets={"primary": {"bucket": "a"}, "replica": {"bucket": "b"}, "edge": {"bucket": "c"}},
    )
    more = {
        "versions",
        "certificate",
        "KMS key",
        "buckets of yours",
        "subscriptions",
        "tickets",
        "topics of yours",
        "SMS",
    }
    for region in (REGION, REPLICA):
        assert {subject for place, subject in full if place == region} >= always | more | {"network"}
    assert full >= {("us-east-1", "certificate"), ("us-east-1", "concurrency"), ("account", "DNS zone of the edge")}
    assert full >= {(REPLICA, "e-mail"), (REGION, "user pool"), ("account", "DNS zone of domains.replica")}
    assert ("acm", "us-east-1") in services and ("sesv2", REPLICA) in services


def test_the_service_linked_roles_follow_from_the_settings() -> None:
    assert checks.linked_roles(BARE) == []
    more = BARE | {"regions": {"primary": REGION, "replica": REPLICA}, "cache": ["nodes"], "has_aurora": True}
    assert checks.linked_roles(more) == [
        "AWSServiceRoleForDynamoDBReplication",
        "AWSServiceRoleForElastiCache",
        "AWSServiceRoleForRDS",
    ]
    assert checks.linked_roles(BARE | {"cache": ["dax"]}) == ["AWSServiceRoleForDAX"]


class Sts(AnyClients):
    """Clients whose STS answers as a test says."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self._answer = answer

    def __call__(self, service: str, region: str) -> Any:
        super().__call__(service, region)
        return Recorded(get_caller_identity=self._answer)


def test_the_account_and_the_clock_come_from_the_first_call() -> None:
    ahead = datetime.now(UTC) - timedelta(seconds=120)
    answer = {"Account": "1", "ResponseMetadata": {"HTTPHeaders": {"date": format_datetime(ahead, usegmt=True)}}}
    sts = Sts(answer)
    account = find_account(sts, REGION)
    assert (account.id, account.partition, account.home) == (
        "1",
        "aws",
        "us-east-1",
    ) and 118 < account.skew_seconds < 125
    assert sts.services == {("sts", "us-east-1")}, "the stack's own Region may be off in this account"
    assert find_account(Sts(answer), "us-gov-east-1").home == "us-gov-west-1"
    for fault, text in (
        (error("SignatureDoesNotMatch"), "Is this machine's clock right?"),
        (error("ExpiredToken"), "AWS refuses the credentials (ExpiredToken)."),
        (EndpointConnectionError(endpoint_url="https://secret"), "AWS doesn't answer (EndpointConnectionError)."),
    ):
        with pytest.raises(CommandError) as caught:
            find_account(Sts(fault), REGION)
        assert text in str(caught.value) and "secret" not in str(caught.value)


EVERYTHING = """
name   = "shop"
region = "eu-central-1"
replica = { region = "eu-west-1" }
collections = { products = { read = "public", cache = true } }
cache = { nodes = {} }
edge  = {}
network = {
  primary = { create = { cidr = "10.20.0.0/20", zones = ["eu-central-1a", "eu-central-1b"] } }
  replica = { create = { cidr = "10.21.0.0/20", zones = ["eu-west-1a", "eu-west-1b"] } }
}
functions = {
  read = { reserved_concurrency = 100, snap_start = true }
  poll = { reserved_concurrency = 10 }
}
notify    = { emails = ["ops@example.com"] }
tickets   = { emails = ["team@example.com"] }
"""


def test_terraform_evaluates_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "a.tfvars"
    file.write_text(EVERYTHING)
    settings = evaluate((file,), EXPRESSION)
    assert settings.keys() == BARE.keys()
    assert settings["cache"] == ["nodes"] and settings["reserved"] == {"read": 100, "poll": 10} and settings["has_edge"]
    assert settings["regions"] == {"primary": REGION, "replica": REPLICA} and settings["snap_start"] == ["read"]
    assert settings["absent"] == {"primary": ["poll", "apply_stream"], "replica": ["poll", "apply_stream"]}
    clients = AnyClients()
    found = {(probe.place, probe.subject) for probe in all_checks(settings, ACCOUNT, clients)}
    assert {(region, "network") for region in (REGION, REPLICA)} | {(REGION, "tickets")} <= found


def test_a_function_that_a_region_lacks_reserves_nothing_there() -> None:
    """Otherwise the replica Region would lack executions for `poll` for ever, because only the primary one has it."""
    settings = BARE | {
        "regions": {"primary": REGION, "replica": REPLICA},
        "reserved": {"read": 100, "poll": 10},
        "absent": {"primary": ["feed"], "replica": ["poll", "apply_stream", "feed"]},
    }

    class Clients(AnyClients):
        def __call__(self, service: str, region: str) -> Any:
            super().__call__(service, region)
            return Recorded(get_account_settings=lambda_account(), get_function_concurrency={})

    probes = [probe for probe in all_checks(settings, ACCOUNT, Clients()) if probe.subject == "concurrency"]
    assert {probe.place: ask_probe(probe).values["reserved"] for probe in probes} == {REGION: 110, REPLICA: 100}


def test_the_command_prints_every_check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "a.tfvars"
    file.write_text("")
    date = format_datetime(datetime.now(UTC), usegmt=True)
    answers = {
        "sts": Recorded(get_caller_identity={"Account": "1", "ResponseMetadata": {"HTTPHeaders": {"date": date}}}),
        "lambda": Recorded(get_account_settings=lambda_account()),
        "apigateway": Recorded(get_account={"cloudwatchRoleArn": "arn"}),
        "s3": buckets(),
        "dynamodb": Recorded(describe_continuous_backups=DENIED),
        "ec2": REGIONS,
        "iam": Recorded(),
        "route53": Recorded(),
    }
    monkeypatch.setattr(Clients, "__call__", lambda clients, service, region: answers[service])
    monkeypatch.setattr("ops.cli.doctor.evaluate", lambda files, expression: BARE)
    monkeypatch.setattr("ops.cli.doctor.require_credentials", lambda: None)

    def run(*words: str) -> Any:
        return CliRunner().invoke(main, ["doctor", "--var-file", str(file), *words])

    result = run("--json")
    lines = {line["subject"]: line for line in map(json.loads, result.output.splitlines())}
    assert result.exit_code == 1 and len(lines) == 9
    assert [subject for subject, line in lines.items() if line["state"] != "ok"] == ["backups"]
    assert lines["backups"]["text"] == "no permission: Operation"
    answers["dynamodb"] = Recorded(describe_continuous_backups=error("TableNotFoundException"))
    result = run()
    assert result.exit_code == 0 and "Everything is ok." in result.output
    answers["lambda"] = Recorded(get_account_settings=lambda_account(10))
    result = run()
    assert result.exit_code == 1 and "1 wrong, 0 unknown, 8 ok. Correct what is wrong" in result.output


def test_bad_input_is_one_sentence(tmp_path: Path) -> None:
    assert CliRunner().invoke(main, ["doctor"]).exit_code == 2
    file = tmp_path / "a.tfvars"
    file.write_text('name = "aws-shop"\nregion = "eu-central-1"\ncollections = {}\n')
    result = CliRunner().invoke(main, ["doctor", "--var-file", str(file)])
    assert isinstance(result.exception, CommandError) and "Choose a name without" in str(result.exception)
