"""Test the command `status`: a calm stack, a stack with every fault, and a Region that doesn't answer."""

import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from ops.cli import status_probes
from ops.cli.probes import Clients, Finding, Probe, ask_probe, collapse, run_probes
from ops.cli.status_probes import health, read_subscriptions, seconds_text
from ops.console import CommandError
from readplane.aws.boto import BotoClient
from readplane.aws.faults import RefusedError, UnansweredError
from readplane.clock import now_ms
from readplane.model.freshness import Freshness
from readplane.model.timestamp import rfc3339
from readplane.poll.checkpoint import Position
from readplane.poll.sourced_items import DynamoSourcedItems
from tests.fakes.moto_aws import REGION, Aws
from tests.unit.ops.cli.support import OUTPUTS, Run

REPLICA = "eu-west-1"
READERS = ("apply", "apply-stream", "publish", "feed")


class Lambdas:
    """A stand-in for the Lambda service of one Region."""

    def __init__(self) -> None:
        self.alias = "live"
        self.mapping: dict[str, Any] = {"State": "Enabled", "EventSourceArn": "arn:aws:sqs:r:1:queue"}
        self.state = "Active"
        self.newest_state = "Active"
        self.stores: dict[str, Any] = {"cache": {"reachable": True}, "database": {"reachable": True}}
        self.failed = False

    def get_function_configuration(self, *, FunctionName: str, Qualifier: str) -> dict[str, Any]:  # noqa: N803
        state = self.state if Qualifier == self.alias else self.newest_state
        return {"State": state, "StateReasonCode": "ImageAccessDenied"}

    def list_event_source_mappings(self, *, FunctionName: str) -> dict[str, Any]:  # noqa: N803
        assert FunctionName.endswith(f":{self.alias}")
        return {"EventSourceMappings": [self.mapping] if self.mapping else []}

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        assert FunctionName == f"shop-feed:{self.alias}" and json.loads(Payload) == {"command": "status"}
        answer = {"errorType": "StoreFaultError", "errorMessage": "secret"} if self.failed else self.stores
        response: dict[str, Any] = {"Payload": io.BytesIO(json.dumps(answer).encode())}
        return response | ({"FunctionError": "Unhandled"} if self.failed else {})


class Health(BaseHTTPRequestHandler):
    """Serves `GET /v1/health` with the status in `status`, by port."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/v1/health" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


class World(NamedTuple):
    """The test stack's stand-ins: Lambda by Region, and the topics' ARNs by Region."""

    lambdas: dict[str, Lambdas]
    topics: dict[str, str]
    urls: dict[tuple[str, str], str]


def make_client(service: str, region: str) -> Any:
    make: Any = boto3.client
    return make(service, region_name=region)


@pytest.fixture
def api() -> Iterator[str]:
    """Serve the API's health, and return the base URL."""
    Health.status = 200
    server = HTTPServer(("127.0.0.1", 0), Health)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def world(aws: Aws, api: str, monkeypatch: pytest.MonkeyPatch) -> World:
    """Build a calm stack in two Regions."""
    topics, urls, roles = {}, {}, {}
    make_client("s3", REPLICA).create_bucket(Bucket="log-2", CreateBucketConfiguration={"LocationConstraint": REPLICA})
    table = {
        "TableName": "items",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    make_client("dynamodb", REPLICA).create_table(**table)
    for role, region in (("primary", REGION), ("replica", REPLICA)):
        sqs, sns = make_client("sqs", region), make_client("sns", region)
        queues = {}
        for name in ("apply", "apply_dead_letters", "feed_cache", "feed_cache_dead_letters"):
            url = sqs.create_queue(QueueName=f"shop-{name.replace('_', '-')}")["QueueUrl"]
            queues[name] = {"url": url, "arn": "arn"}
            urls[region, name] = url
        topics[region] = sns.create_topic(Name="shop-alarms")["TopicArn"]
        roles[role] = {
            "region": region,
            "api": {"id": "a", "domain": None},
            "functions": {
                name: {"name": f"shop-{name}", "alias_arn": f"arn:aws:lambda:{region}:1:function:shop-{name}:live"}
                for name in ("read", "write", *READERS)
            },
            "queues": queues,
            "delivery_stream": {"name": "shop-write-log", "arn": "arn"},
            "alarm_topic_arn": topics[region],
        }
    outputs = {
        **roles,
        "replica_region": REPLICA,
        "replica_write_log_bucket": "log-2",
        "replica_documents_bucket": "documents-2",
        "api_url": api,
        "replica_api_url": api,
    }
    for name, value in outputs.items():
        monkeypatch.setitem(OUTPUTS, name, value)
    lambdas = {REGION: Lambdas(), REPLICA: Lambdas()}
    usual = Clients.__call__

    def client(clients: Clients, service: str, region: str) -> Any:
        return lambdas[region] if service == "lambda" else usual(clients, service, region)

    monkeypatch.setattr(Clients, "__call__", client)
    return World(lambdas, topics, urls)


def set_freshness(region: str, seconds: int) -> None:
    """Write the freshness of the source `products`, as `poll` and the replication do."""
    freshness = Freshness(rfc3339(now_ms() - 1000 * seconds), "closed", rfc3339(now_ms()))
    items = DynamoSourcedItems(BotoClient("dynamodb", region=region), "items", horizon_ms=1)
    items.put_freshness("products", freshness, Position(None, None, None))


def put_metric(region: str, namespace: str, name: str, dimension: tuple[str, str], value: float) -> None:
    """Emit a value of a metric, two minutes ago."""
    entry = {
        "MetricName": name,
        "Dimensions": [{"Name": dimension[0], "Value": dimension[1]}],
        "Value": value,
        "Timestamp": datetime.now(UTC) - timedelta(minutes=2),
    }
    make_client("cloudwatch", region).put_metric_data(Namespace=namespace, MetricData=[entry])


def put_alarm(cloudwatch: Any, name: str, **fields: Any) -> None:
    """Create an alarm on any metric.

    :param fields: more arguments of PutMetricAlarm
    """
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        MetricName="m",
        Namespace="n",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        Statistic="Sum",
        **fields,
    )


def lines_of(output: str) -> dict[tuple[str, str], dict[str, Any]]:
    lines = [json.loads(line) for line in output.splitlines()]
    return {(line["place"], line["subject"]): line for line in lines}


def test_a_calm_stack_is_ok_in_every_region(world: World, run: Run) -> None:
    for region in (REGION, REPLICA):
        set_freshness(region, 5)
    result = run("status")
    assert result.exit_code == 0, result.output
    assert "Everything is ok." in result.output and "WRONG" not in result.output
    for text in ("200 after", "no messages wait", "is empty", "6 are live", "4 are enabled", "within their staleness"):
        assert text.replace("is ", "") in result.output, text
    lines = lines_of(run("status", "--json").output)
    subjects = {subject for place, subject in lines if place == REGION}
    assert len(subjects) == 13 and {subject for place, subject in lines if place == REPLICA} == subjects
    assert all(line["state"] == "ok" for line in lines.values())
    only = lines_of(run("status", "--json", "--region", REPLICA).output)
    assert {place for place, _ in only} == {REPLICA}


def break_everything(world: World) -> None:
    """Cause every fault that `status` knows, in the replica Region."""
    sqs, s3 = make_client("sqs", REPLICA), make_client("s3", REPLICA)
    sqs.send_message(QueueUrl=world.urls[REPLICA, "apply"], MessageBody="x")
    sqs.send_message(QueueUrl=world.urls[REPLICA, "feed_cache_dead_letters"], MessageBody="x")
    put_metric(REPLICA, "AWS/SQS", "ApproximateAgeOfOldestMessage", ("QueueName", "shop-apply"), 7200)
    put_metric(REPLICA, "AWS/Firehose", "DeliveryToS3.DataFreshness", ("DeliveryStreamName", "shop-write-log"), 7200)
    put_metric(REPLICA, "AWS/Lambda", "IteratorAge", ("FunctionName", "shop-publish"), 180_000)
    s3.put_object(Bucket="log-2", Key="aws/lambda/batch", Body=b"{}")
    for name in ("expired/a", "expired/b", "invalid/c"):
        s3.put_object(Bucket="log-2", Key=f"quarantine/{name}", Body=b"{}")
    lambdas = world.lambdas[REPLICA]
    lambdas.state, lambdas.mapping = "Failed", lambdas.mapping | {"State": "Disabled"}
    lambdas.stores = {"cache": {"reachable": False, "fault": "ConnectionRefusedError"}, "database": {"reachable": True}}
    set_freshness(REPLICA, 3 * 3600)
    cloudwatch = make_client("cloudwatch", REPLICA)
    for name, actions in (
        ("shop-publish-behind", [world.topics[REPLICA]]),
        ("shop-api-errors", []),  # only the composite alarm notifies
        ("shop-2-clients", [world.topics[REPLICA].replace("shop-alarms", "shop-2-alarms")]),  # another stack's
        ("shop-2-api-errors", []),
    ):
        put_alarm(
            cloudwatch,
            name,
            AlarmDescription="Documents lag. Runbook: docs/runbooks/publish-behind.md." if actions else "",
            AlarmActions=actions,
        )
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")


def test_every_fault_is_found_and_the_other_region_is_ok(world: World, run: Run) -> None:
    set_freshness(REGION, 5)
    break_everything(world)
    result = run("status", "--json")
    assert result.exit_code == 1
    lines = lines_of(result.output)
    assert {place for (place, _), line in lines.items() if line["state"] != "ok"} == {REPLICA}
    found = {subject: line for (place, subject), line in lines.items() if place == REPLICA and line["state"] == "wrong"}
    texts = {subject: line["text"] for subject, line in found.items()}
    expected = {
        "write log": "wait in Firehose for 2 h",
        "queues": "1 for apply, the oldest 2 h",
        "dead letters": f"1 feed-cache, 1 batches of streams: ops/readplane dead-letters list --region {REPLICA}",
        "quarantine": "3 entries (2 expired, 1 invalid): ops/readplane quarantine list --replica",
        "functions": "apply is Failed (ImageAccessDenied)",
        "mappings": "publish doesn't read queue: its event source mapping is Disabled",
        "streams": "publish 3 min",
        "sources": "products is 3 h old, allowed 600 s: ops/readplane sources list --replica",
        "stores": "`feed` can't reach the cache: ops/readplane cache status",
        "alarms": "shop-api-errors since",
    }
    assert texts.keys() == expected.keys()
    for subject, text in expected.items():
        assert text in texts[subject], texts[subject]
    assert "shop-2" not in texts["alarms"] and list(found["alarms"]["alarms"]) == [
        "shop-api-errors",
        "shop-publish-behind",
    ]
    assert "(docs/runbooks/publish-behind.md)" in texts["alarms"]
    assert found["alarms"]["alarms"]["shop-api-errors"]["runbook"] is None
    shown = run("status").output
    assert shown.count("WRONG") == len(expected) and "10 wrong, 0 unknown, 16 ok." in shown
    world.lambdas[REPLICA].failed = True
    store = lines_of(run("status", "--json").output)[REPLICA, "stores"]
    assert "`feed` failed (StoreFaultError)" in store["text"] and "secret" not in json.dumps(store)


class Deployed:
    """The aliases and deployments of a stack whose functions CodeDeploy deploys.

    versions: the version that clients get of each function; the newest one is 4
    weights: the weights of another version, by function
    running: the deployment groups with a running deployment
    """

    def __init__(self) -> None:
        self.versions = {"write": "4", "apply": "4"}
        self.weights: dict[str, dict[str, float]] = {}
        self.running: set[str] = set()
        self.absent = ""

    def list_aliases(self, *, FunctionName: str) -> dict[str, Any]:  # noqa: N803
        name = FunctionName.removeprefix("shop-")
        released: dict[str, Any] = {"Name": "released-1", "FunctionVersion": self.versions[name]}
        if name in self.weights:
            released["RoutingConfig"] = {"AdditionalVersionWeights": self.weights[name]}
        aliases = [{"Name": "live", "FunctionVersion": "4"}, released]
        return {"Aliases": [alias for alias in aliases if alias["Name"] != self.absent]}

    def list_deployments(
        self,
        *,
        applicationName: str,  # noqa: N803
        deploymentGroupName: str,  # noqa: N803
        includeOnlyStatuses: list[str],  # noqa: N803
    ) -> dict[str, Any]:
        assert applicationName == "shop" and "InProgress" in includeOnlyStatuses
        return {"deployments": ["d-1"] if deploymentGroupName in self.running else []}


@pytest.fixture
def deployed(world: World, monkeypatch: pytest.MonkeyPatch) -> Deployed:
    """Let CodeDeploy deploy two functions of the primary Region."""
    deployed = Deployed()
    functions = {
        name: {"name": f"shop-{name}", "group": name, "alias": "released-1", "alarms": []} for name in deployed.versions
    }
    monkeypatch.setitem(OUTPUTS, "deployments", {REGION: {"application": "shop", "functions": functions}})
    for function in OUTPUTS["primary"]["functions"].values():  # type: ignore[index]
        monkeypatch.setitem(function, "alias_arn", function["alias_arn"].replace(":live", ":released-1"))
    world.lambdas[REGION].alias = "released-1"
    monkeypatch.setattr(Lambdas, "list_aliases", lambda _self, **parameters: deployed.list_aliases(**parameters), False)
    usual = Clients.__call__

    def client(clients: Clients, service: str, region: str) -> Any:
        return deployed if service == "codedeploy" else usual(clients, service, region)

    monkeypatch.setattr(Clients, "__call__", client)
    return deployed


def status_of(run: Run, subject: str) -> tuple[str, str]:
    """Return the state and the text of a line about the primary Region."""
    line = lines_of(run("status", "--json").output)[REGION, subject]
    return line["state"], line["text"]


def test_the_version_that_clients_get_is_looked_at(deployed: Deployed, world: World, run: Run) -> None:
    assert status_of(run, "functions") == ("ok", "6 are live")
    world.lambdas[REGION].newest_state = "Failed"  # no client gets it, and `deploy` is done
    assert status_of(run, "functions")[0] == status_of(run, "versions")[0] == "ok"
    world.lambdas[REGION].state = "Failed"
    state, text = status_of(run, "functions")
    assert state == "wrong" and "write is Failed (ImageAccessDenied)" in text


def test_the_versions_of_a_stack_with_canary_deployments_are_shown(deployed: Deployed, world: World, run: Run) -> None:
    assert status_of(run, "versions") == ("ok", "clients get the newest ones")
    deployed.versions["write"] = "3"
    assert status_of(run, "versions") == ("ok", "1 of 2 are behind: ops/readplane deploy")
    deployed.weights["write"] = {"4": 0.1}
    state, text = status_of(run, "versions")
    assert state == "wrong" and text.startswith("released-1 of write sends calls to two versions, but no deployment is")
    deployed.running.add("write")
    assert status_of(run, "versions") == ("ok", "CodeDeploy shifts write now")
    deployed.weights.clear()
    world.lambdas[REGION].newest_state = "Failed"
    state, text = status_of(run, "versions")
    assert state == "wrong" and "can't run the newest version of write now: Failed (ImageAccessDenied)" in text
    deployed.absent = "released-1"
    assert status_of(run, "versions")[1] == (
        "apply has no alias released-1: apply terraform/; write has no alias released-1: apply terraform/"
    )


@pytest.mark.parametrize("role", ["building", "former"])
def test_the_second_items_table_is_shown(
    world: World, role: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setitem(OUTPUTS, "second_items_table", "shop-items-2")
    monkeypatch.setitem(OUTPUTS, "items_generations", {"live": 1, "building": None, "former": None, role: 2})
    run: Run = request.getfixturevalue("run")
    make_client("dynamodb", REGION).create_table(
        TableName="shop-items-2",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    lines = lines_of(run("status", "--json").output)
    complete, incomplete = lines[REGION, "items"], lines[REPLICA, "items"]
    assert (complete["state"], complete["text"]) == (
        "ok",
        f"items: {REGION} ACTIVE; {role} shop-items-2: {REGION} ACTIVE",
    )
    assert (incomplete["state"], incomplete["tables"]) == (
        "wrong",
        {"items": {REPLICA: "ACTIVE"}, "shop-items-2": {REPLICA: "MISSING"}},
    )


def test_the_edge_has_alarms_and_topics_of_its_own_in_us_east_1(
    world: World, api: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setitem(OUTPUTS, "edge_url", api)
    monkeypatch.setitem(OUTPUTS, "ticket_topic_arn", world.topics[REGION])
    run: Run = request.getfixturevalue("run")
    sns, cloudwatch = make_client("sns", "us-east-1"), make_client("cloudwatch", "us-east-1")
    for kind in ("alarms", "tickets"):
        arn = sns.create_topic(Name=f"shop-{REGION}-{kind}")["TopicArn"]
        sns.subscribe(TopicArn=arn, Protocol="email", Endpoint="ops@example.com")
    put_alarm(cloudwatch, f"shop-{REGION}-edge-errors")
    lines = lines_of(run("status", "--json").output)
    assert {subject: line["state"] for (place, subject), line in lines.items() if place == "edge"} == {
        "api": "ok",
        "alarms": "ok",
        "subscriptions": "ok",
    }
    assert lines["edge", "subscriptions"]["confirmed"] == 2
    cloudwatch.set_alarm_state(AlarmName=f"shop-{REGION}-edge-errors", StateValue="ALARM", StateReason="test")
    lines = lines_of(run("status", "--json").output)
    assert f"shop-{REGION}-edge-errors since" in lines["edge", "alarms"]["text"]
    assert not [place for place, _ in lines_of(run("status", "--json", "--region", REGION).output) if place == "edge"]


def test_only_the_region_that_polls_a_stale_source_says_more(world: World, run: Run) -> None:
    for region in (REGION, REPLICA):
        set_freshness(region, 3600)
    lines = lines_of(run("status", "--json").output)
    assert "(never polled): ops/readplane sources list" in lines[REGION, "sources"]["text"]
    assert "never polled" not in lines[REPLICA, "sources"]["text"]
    assert lines[REPLICA, "sources"]["sources"]["products"]["polled_in"] == REGION


def test_a_region_that_is_silent_is_one_line(world: World, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    set_freshness(REGION, 5)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:  # it accepts connections, and says nothing
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        usual = Clients.__call__
        config = Config(connect_timeout=5, read_timeout=5, retries={"total_max_attempts": 1})

        def client(clients: Clients, service: str, region: str) -> Any:
            make: Any = boto3.client
            if region == REPLICA:
                return make(service, region_name=region, endpoint_url=url, config=config)
            return usual(clients, service, region)

        class SilentClient(BotoClient):
            def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
                if self._client.meta.region_name == REPLICA:
                    raise UnansweredError("ReadTimeoutError", sent=True)
                return super().call(operation, **parameters)

        monkeypatch.setattr(Clients, "__call__", client)
        monkeypatch.setattr(status_probes, "BotoClient", SilentClient)
        started = time.monotonic()
        result = run("status", "--json", "--timeout", "1")
        elapsed = time.monotonic() - started
    lines = lines_of(result.output)
    assert result.exit_code == 1 and elapsed < 6, elapsed
    assert [key for key in lines if key[0] == REPLICA] == [(REPLICA, "api"), (REPLICA, "everything")]
    line = lines[REPLICA, "everything"]
    assert line["state"] == "unknown" and "doesn't answer (no answer within 1 s, 12 checks)" in line["text"]
    assert all(line["state"] == "ok" for (place, _), line in lines.items() if place == REGION)


@pytest.mark.parametrize(
    ("error", "text", "answered"),
    [
        (ClientError({"Error": {"Code": "AccessDenied"}}, "DescribeAlarms"), "no permission: DescribeAlarms", True),
        (ClientError({"Error": {"Code": "Throttling"}}, "GetItem"), "AWS refuses GetItem (Throttling)", True),
        (RefusedError("ValidationException", 400), "AWS refuses a call (ValidationException)", True),
        (UnansweredError("ReadTimeoutError", sent=True), "no answer (ReadTimeoutError)", False),
        (ConnectionRefusedError("secret"), "no answer (ConnectionRefusedError)", False),
        (CommandError("Apply terraform/ first."), "Apply terraform/ first.", True),
        (KeyError("secret"), "the check itself failed (KeyError); report it as a bug", True),
    ],
)
def test_a_probe_that_fails_is_a_line(error: Exception, text: str, answered: bool) -> None:
    def ask() -> Any:
        raise error

    finding = ask_probe(Probe(REGION, "queues", ask))
    assert (finding.state, finding.text, finding.answered) == ("unknown", text, answered)


def test_each_probe_has_its_own_time() -> None:
    def slow() -> Any:
        time.sleep(5)

    probes = [Probe(REGION, str(number), slow) for number in range(20)] + [Probe(REGION, "fast", lambda: ("ok", ""))]
    started = time.monotonic()
    findings = run_probes(probes, 0.3)
    assert time.monotonic() - started < 2
    assert [finding.state for finding in findings] == ["unknown"] * 20 + ["ok"]


def test_a_region_collapses_only_if_no_aws_service_answers() -> None:
    silent = [Finding("a", name, "unknown", "no answer", answered=False) for name in ("items", "queues")]
    api, denied = Finding("a", "api", "ok", "200"), Finding("a", "alarms", "unknown", "no permission")
    other = Finding("b", "items", "ok", "")
    assert collapse([*silent, denied, other]) == [*silent, denied, other]
    for first, places in ((api, ["a api", "a everything", "b items"]), (silent[0], ["a everything", "b items"])):
        collapsed = collapse([first, *silent, other])
        assert [f"{finding.place} {finding.subject}" for finding in collapsed] == places


def test_the_api_may_be_locked_for_everybody_but_the_edge(api: str) -> None:
    assert health(api, 2, locked_by_edge=True)[0] == "ok"
    for status, locked, state in ((403, True, "ok"), (403, False, "wrong"), (500, True, "wrong")):
        Health.status = status
        assert health(api, 2, locked_by_edge=locked)[0] == state


def test_a_subscription_that_nobody_confirmed_is_wrong_and_its_address_is_not_shown() -> None:
    subscriptions = [
        {"SubscriptionArn": "PendingConfirmation", "Protocol": "email", "Endpoint": "ops@example.com"},
        {"SubscriptionArn": "arn:aws:sns:r:1:t:u", "Protocol": "sms", "Endpoint": "+49"},
        {"SubscriptionArn": "Deleted", "Protocol": "email", "Endpoint": "x"},
    ]

    class Sns:
        def get_paginator(self, operation: str) -> "Sns":
            assert operation == "list_subscriptions_by_topic"
            return self

        def paginate(self, *, TopicArn: str) -> list[dict[str, Any]]:  # noqa: N803
            return [{"Subscriptions": subscriptions}]

    state, text, values = read_subscriptions(Sns(), ["arn"])
    assert (
        state == "wrong" and "1 email not confirmed" in text and values == {"confirmed": 1, "unconfirmed": {"email": 1}}
    )
    assert "example.com" not in text + json.dumps(values)


def test_bad_input_is_one_sentence(world: World, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run("status", "--region", "mars-1")
    assert isinstance(result.exception, CommandError) and f"It is in {REGION}, {REPLICA}." in str(result.exception)
    assert run("status", "--timeout", "0").exit_code == 2
    monkeypatch.setattr("ops.cli.probes.boto3.session.Session.get_credentials", lambda self: None)
    result = run("status")
    assert isinstance(result.exception, CommandError) and "There are no AWS credentials." in str(result.exception)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 days")]
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text
