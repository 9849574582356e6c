"""What the command `status` asks in each Region of a stack, and of its edge."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from ops.cli.dead_letters import PREFIX as SET_ASIDE
from ops.cli.deployments import running_deployment
from ops.cli.invoke import LIVE
from ops.cli.items_generations import generations, items_tables, second_table
from ops.cli.private_stores import count_messages
from ops.cli.probes import Clients, Probe, Result, State
from ops.cli.quarantine import PREFIX as QUARANTINE
from ops.cli.sources import describe_state
from ops.cli.target import RegionalStack, Target, checkpoints
from readplane.aws.boto import BotoClient
from readplane.clock import now_ms
from readplane.model.freshness import NEVER_POLLED
from readplane.model.keys import source_key, switch_key
from readplane.stores.table import MAX_KEYS, TableRecord, read_records

EDGE = "edge"
EDGE_REGION = "us-east-1"
"""The Region where CloudFront emits its metrics, and so where the alarms of the edge are."""

MAX_UNDELIVERED_SECONDS = 20 * 60
"""Firehose buffers for 15 minutes at most. The alarm on its freshness allows five more."""

MAX_BEHIND_MS = 60_000
"""How far behind `publish` and `apply-stream` may be, as in the alarms on them."""

MAX_WAITING_SECONDS = 15 * 60
"""The age of the oldest message that is too much, as in the alarm `apply-behind`."""

METRIC_MINUTES = 15
"""How far back to look for the newest value of a metric."""

READERS = ("apply", "apply-stream", "publish", "feed")
"""The functions that read a queue or a stream, by their names in the outputs."""

READING = ("Enabled", "Creating", "Enabling", "Updating")
"""The states of an event source mapping that reads, or soon will."""

RUNBOOK = re.compile(r"docs/runbooks/[a-z-]+\.md")
"""Matches the path of the runbook in the text of an alarm."""

TOPICS = ("-alarms", "-tickets")
"""What the names of a stack's topics end in."""

MAX_STATES = 5
"""The maximum number of stale sources in one Region whose checkpoints are read."""


STORES_STATUS = b'{"command": "status"}'
"""The event with which `feed` says which stores it reaches."""


class Metric(NamedTuple):
    """A metric of CloudWatch with its dimensions."""

    namespace: str
    name: str
    dimensions: dict[str, str]


class Resources(NamedTuple):
    """A stack's resources in one Region: the outputs `primary` or `replica`, and the same as a `RegionalStack`."""

    stack: RegionalStack
    is_replica: bool
    outputs: Mapping[str, Any]

    @property
    def region(self) -> str:
        """The Region's name."""
        return self.stack.region


def resources_of(target: Target) -> list[Resources]:
    """Return a stack's resources in each of its Regions."""
    found = []
    for stack in target.regions():
        is_replica = stack.region != target.region
        found.append(Resources(stack, is_replica, target.outputs.get("replica" if is_replica else "primary") or {}))
    return found


def regional_probes(target: Target, resources: Resources, clients: Clients, seconds: float) -> Iterator[Probe]:
    """Yield the probes of one Region. This makes the clients that they need, and asks nothing yet."""
    questions: dict[str, Callable[[], Result] | None] = {
        "api": _api(target, resources, seconds),
        "write log": _write_log(resources, clients),
        "queues": _queues(resources, clients),
        "dead letters": _dead_letters(resources, clients),
        "quarantine": _quarantine(resources, clients),
        "functions": _functions(target, resources, clients),
        "versions": _versions(target, resources, clients),
        "mappings": _mappings(target, resources, clients),
        "streams": _streams(resources, clients),
        "items": _items(target, resources, clients),
        "sources": _sources(target, resources),
        "stores": _stores(resources, clients),
        "alarms": _alarms(target, resources, clients),
        "subscriptions": _subscriptions(_topics(target, resources), clients, resources.region),
    }
    for subject, ask in questions.items():
        if ask is not None:
            yield Probe(resources.region, subject, ask)


def edge_probes(target: Target, clients: Clients, seconds: float) -> Iterator[Probe]:
    """Yield the probes of the edge. There are none without an edge."""
    url = target.outputs.get("edge_url")
    if not url:
        return
    yield Probe(EDGE, "api", lambda: health(url, seconds, locked_by_edge=False))
    primary = target.outputs.get("primary") or {}
    topic: str | None = primary.get("alarm_topic_arn")
    if topic is None or EDGE_REGION in [stack.region for stack in target.regions()]:
        return  # without alarms, or the Region's own probes see them
    name = f"{target.name}-{target.region}"
    partition, account = topic.split(":")[1], topic.split(":")[4]
    cloudwatch = clients("cloudwatch", EDGE_REGION)
    yield Probe(EDGE, "alarms", lambda: read_alarms(cloudwatch, f"{name}-", frozenset()))
    sns = clients("sns", EDGE_REGION)
    topics = [f"arn:{partition}:sns:{EDGE_REGION}:{account}:{name}{kind}" for kind in TOPICS]
    yield Probe(EDGE, "subscriptions", lambda: read_subscriptions(sns, topics))


def _api(target: Target, resources: Resources, seconds: float) -> Callable[[], Result] | None:
    domain = (resources.outputs.get("api") or {}).get("domain") or {}
    # If both Regions share a name, only the regional name leads to this Region.
    url = f"https://{domain['regional_name']}" if domain.get("regional_name") else None
    url = url or target.outputs.get("replica_api_url" if resources.is_replica else "api_url")
    if not url:
        return None
    return lambda: health(url, seconds, locked_by_edge=bool(target.outputs.get("edge_url")))


def health(url: str, seconds: float, *, locked_by_edge: bool) -> Result:
    """Ask GET /v1/health, which API Gateway answers by itself.

    :param url: a base URL without the stage
    :param locked_by_edge: whether the API may refuse everybody but the edge
    """
    started = time.monotonic()
    try:
        with urllib.request.urlopen(f"{url}/v1/health", timeout=seconds) as response:
            status = response.status
    except urllib.error.HTTPError as error:
        status = error.code
    milliseconds = round(1000 * (time.monotonic() - started))
    values = {"status": status, "milliseconds": milliseconds}
    if status == 403 and locked_by_edge:
        return "ok", "403: it answers, and is locked for everybody but the edge", values
    if status != 200:
        return "wrong", f"GET /v1/health responds {status}", values
    return "ok", f"200 after {milliseconds} ms", values


def newest_values(
    cloudwatch: Any, metrics: Mapping[str, Metric], now: datetime, *, minutes: int = 1
) -> dict[str, float | None]:
    """Return the maximum of each metric in its newest minutes with data; None if it has none in METRIC_MINUTES.

    :param metrics: the metrics by a name of the caller's
    :param minutes: over how many minutes with data the maximum goes
    """
    queries = [
        {
            "Id": f"m{number}",
            "Label": label,
            "MetricStat": {
                "Metric": {
                    "Namespace": metric.namespace,
                    "MetricName": metric.name,
                    "Dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions.items()],
                },
                "Period": 60,
                "Stat": "Maximum",
            },
        }
        for number, (label, metric) in enumerate(metrics.items())
    ]
    results = cloudwatch.get_metric_data(
        MetricDataQueries=queries,
        StartTime=now - timedelta(minutes=METRIC_MINUTES),
        EndTime=now,
        ScanBy="TimestampDescending",
    )["MetricDataResults"]
    found = {result["Id"]: result["Values"] for result in results}
    return {label: max(found.get(f"m{number}", [])[:minutes], default=None) for number, label in enumerate(metrics)}


def _now() -> datetime:
    return datetime.now(UTC)


def _write_log(resources: Resources, clients: Clients) -> Callable[[], Result] | None:
    stream = (resources.outputs.get("delivery_stream") or {}).get("name")
    if not stream:
        return None
    cloudwatch = clients("cloudwatch", resources.region)
    metric = Metric("AWS/Firehose", "DeliveryToS3.DataFreshness", {"DeliveryStreamName": stream})

    def ask() -> Result:
        age = newest_values(cloudwatch, {"age": metric}, _now())["age"]
        values = {"undelivered_seconds": age}
        if age is None:
            return "ok", f"nothing was delivered for {METRIC_MINUTES} minutes", values
        if age > MAX_UNDELIVERED_SECONDS:
            advice = "read the delivery stream's log; after 24 hours they are lost"
            return "wrong", f"accepted changes wait in Firehose for {seconds_text(age)}: {advice}", values
        return "ok", f"changes are delivered after {seconds_text(age)}", values

    return ask


def _queues(resources: Resources, clients: Clients) -> Callable[[], Result] | None:
    queues = {
        name: queue["url"]
        for name, queue in (resources.outputs.get("queues") or {}).items()
        if not name.endswith("_dead_letters")
    }
    if not queues:
        return None
    sqs, cloudwatch = clients("sqs", resources.region), clients("cloudwatch", resources.region)

    def ask() -> Result:
        waiting = {name: count_messages(sqs, url) for name, url in queues.items()}
        busy = {name: queues[name].rsplit("/", 1)[1] for name, count in waiting.items() if count}
        metrics = {
            name: Metric("AWS/SQS", "ApproximateAgeOfOldestMessage", {"QueueName": queue})
            for name, queue in busy.items()
        }
        ages = newest_values(cloudwatch, metrics, _now()) if metrics else {}
        values = {"waiting": waiting, "oldest_seconds": {name: age for name, age in ages.items() if age is not None}}
        if not busy:
            return "ok", "no messages wait", values
        text = ", ".join(
            f"{waiting[name]} for {spoken(name)}" + (f", the oldest {seconds_text(age)}" if age is not None else "")
            for name, age in ages.items()
        )
        late = [age for age in ages.values() if age is not None and age > MAX_WAITING_SECONDS]
        return ("wrong" if late else "ok"), f"messages wait: {text}", values

    return ask


def spoken(queue: str) -> str:
    """Return the name of a queue as the command `dead-letters` uses it."""
    return queue.removesuffix("_dead_letters").replace("_", "-")


def _dead_letters(resources: Resources, clients: Clients) -> Callable[[], Result] | None:
    queues = {
        spoken(name): queue["url"]
        for name, queue in (resources.outputs.get("queues") or {}).items()
        if name.endswith("_dead_letters")
    }
    if not queues:
        return None
    sqs, s3 = clients("sqs", resources.region), clients("s3", resources.region)

    def ask() -> Result:
        counts = {name: count_messages(sqs, url) for name, url in queues.items()}
        page = s3.list_objects_v2(Bucket=resources.stack.log_bucket, Prefix=SET_ASIDE)
        counts["batches of streams"] = len(page.get("Contents", []))
        more = " or more" if page.get("IsTruncated") else ""
        text = ", ".join(f"{count}{more if ' ' in name else ''} {name}" for name, count in counts.items() if count)
        values = {"dead_letters": counts}
        if not text:
            return "ok", "none", values
        return "wrong", f"{text}: ops/readplane dead-letters list --region {resources.region}", values

    return ask


def _quarantine(resources: Resources, clients: Clients) -> Callable[[], Result]:
    s3 = clients("s3", resources.region)

    def ask() -> Result:
        page = s3.list_objects_v2(Bucket=resources.stack.log_bucket, Prefix=QUARANTINE)
        reasons = Counter(entry["Key"].removeprefix(QUARANTINE).split("/")[0] for entry in page.get("Contents", []))
        more = " or more" if page.get("IsTruncated") else ""
        values = {"quarantined": dict(reasons), "is_complete": not more}
        if not reasons:
            return "ok", "empty", values
        kinds = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        command = "ops/readplane quarantine list" + (" --replica" if resources.is_replica else "")
        return "wrong", f"{reasons.total()}{more} entries ({kinds}): {command}", values

    return ask


def _functions(target: Target, resources: Resources, clients: Clients) -> Callable[[], Result] | None:
    functions = resources.outputs.get("functions") or {}
    if not functions:
        return None
    lambdas = clients("lambda", resources.region)

    def ask() -> Result:
        wrong = [
            f"{function['name'].removeprefix(f'{target.name}-')} is {state}"
            for function in functions.values()
            if (state := _broken_state(lambdas, function["name"], _called_alias(function)))
        ]
        values = {"functions": len(functions), "problems": wrong}
        return ("wrong", "; ".join(wrong), values) if wrong else ("ok", f"{len(functions)} are live", values)

    return ask


def _called_alias(function: Mapping[str, Any]) -> str:
    """Return the name of the alias that clients, queues, streams and schedules call: `live`, or CodeDeploy's alias.

    :param function: the function in the outputs `primary` and `replica`
    """
    name: str = function["alias_arn"].rpartition(":")[2]
    return name


def _broken_state(lambdas: Any, function: str, alias: str) -> str | None:
    """Return the state of a version that Lambda can't run, with the reason. None if Lambda can run it."""
    version = lambdas.get_function_configuration(FunctionName=function, Qualifier=alias)
    # Lambda puts a function that nobody has called for long to rest, and wakes it at the next call.
    if version.get("State", "Active") in ("Active", "Inactive"):
        return None
    return f"{version['State']} ({version.get('StateReasonCode', 'no reason given')})"


def _versions(target: Target, resources: Resources, clients: Clients) -> Callable[[], Result] | None:
    """Return a probe of the versions that clients get, if CodeDeploy brings new ones to them."""
    declared = (target.outputs.get("deployments") or {}).get(resources.region)
    if not declared:
        return None
    lambdas, codedeploy = clients("lambda", resources.region), clients("codedeploy", resources.region)

    def ask() -> Result:
        wrong: list[str] = []
        moving, behind = [], []
        for name, function in sorted(declared["functions"].items()):
            listed = lambdas.list_aliases(FunctionName=function["name"])["Aliases"]
            aliases = {alias["Name"]: alias for alias in listed}
            if absent := [alias for alias in (function["alias"], LIVE) if alias not in aliases]:
                wrong.append(f"{name} has no alias {absent[0]}: apply terraform/")
                continue
            released, live = aliases[function["alias"]], aliases[LIVE]
            if (released.get("RoutingConfig") or {}).get("AdditionalVersionWeights"):
                if running_deployment(codedeploy, declared["application"], function["group"]):
                    moving.append(name)
                else:
                    wrong.append(
                        f"{function['alias']} of {name} sends calls to two versions, but no deployment is running: "
                        "remove the weights (docs/upgrading.md)"
                    )
            elif released["FunctionVersion"] != live["FunctionVersion"]:
                behind.append(name)
                if state := _broken_state(lambdas, function["name"], LIVE):
                    wrong.append(f"Lambda can't run the newest version of {name} now: {state}")
        values = {"problems": wrong, "moving": moving, "behind": behind}
        if wrong:
            return "wrong", "; ".join(wrong), values
        texts = [f"CodeDeploy shifts {', '.join(moving)} now"] if moving else []
        texts += [f"{len(behind)} of {len(declared['functions'])} are behind: ops/readplane deploy"] if behind else []
        return "ok", "; ".join(texts) or "clients get the newest ones", values

    return ask


def mapping_problems(lambdas: Any, name: str, alias: str) -> tuple[int, list[str]]:
    """Look at the event source mappings of a function's alias.

    :param name: the function's name for the sentences
    :param alias: the alias's ARN
    :returns: how many there are, and a sentence for each that doesn't read
    """
    mappings = lambdas.list_event_source_mappings(FunctionName=alias)["EventSourceMappings"]
    wrong = [] if mappings else [f"{name} reads nothing, because it has no event source mapping: apply terraform/"]
    for mapping in mappings:
        source = str(mapping.get("EventSourceArn", "")).split(":", 5)[-1]
        if mapping.get("State") not in READING:
            wrong.append(f"{name} doesn't read {source}: its event source mapping is {mapping.get('State')}")
        elif str(mapping.get("LastProcessingResult", "")).startswith("PROBLEM"):
            wrong.append(f"{name} reads {source} with a problem: look at its event source mapping")
    return len(mappings), wrong


def _mappings(target: Target, resources: Resources, clients: Clients) -> Callable[[], Result] | None:
    functions = resources.outputs.get("functions") or {}
    readers = {function["name"]: function["alias_arn"] for key, function in functions.items() if key in READERS}
    if not readers:
        return None
    lambdas = clients("lambda", resources.region)

    def ask() -> Result:
        wrong: list[str] = []
        count = 0
        for function, alias in sorted(readers.items()):
            number, problems = mapping_problems(lambdas, function.removeprefix(f"{target.name}-"), alias)
            count, wrong = count + number, wrong + problems
        values = {"mappings": count, "problems": wrong}
        return ("wrong", "; ".join(wrong), values) if wrong else ("ok", f"{count} are enabled", values)

    return ask


def _streams(resources: Resources, clients: Clients) -> Callable[[], Result] | None:
    functions = resources.outputs.get("functions") or {}
    readers = {key: function["name"] for key, function in functions.items() if key in ("publish", "apply-stream")}
    if not readers:
        return None
    cloudwatch = clients("cloudwatch", resources.region)
    metrics = {key: Metric("AWS/Lambda", "IteratorAge", {"FunctionName": name}) for key, name in readers.items()}

    def ask() -> Result:
        ages = newest_values(cloudwatch, metrics, _now())
        values = {"behind_ms": ages}
        if all(age is None for age in ages.values()):
            return "ok", f"no batch for {METRIC_MINUTES} minutes", values
        text = ", ".join(f"{key} {seconds_text(age / 1000)}" for key, age in ages.items() if age is not None)
        late = any(age is not None and age > MAX_BEHIND_MS for age in ages.values())
        return ("wrong" if late else "ok"), f"behind the stream: {text}", values

    return ask


def _items(target: Target, resources: Resources, clients: Clients) -> Callable[[], Result]:
    dynamodb = clients("dynamodb", resources.region)

    def ask() -> Result:
        tables = {name: _table_states(dynamodb, name, resources.region) for name in items_tables(target)}
        role = "building" if generations(target).building else "former"
        texts = []
        for name, states in tables.items():
            label = f"{role} {name}" if name == second_table(target) else name
            texts.append(f"{label}: {', '.join(f'{region} {state}' for region, state in sorted(states.items()))}")
        usable = all(state in ("ACTIVE", "UPDATING") for states in tables.values() for state in states.values())
        return ("ok" if usable else "wrong"), "; ".join(texts), {"tables": tables}

    return ask


def _table_states(dynamodb: Any, name: str, region: str) -> dict[str, str]:
    """Return the state of a table's replica in each Region, as one Region shows it."""
    try:
        described = dynamodb.describe_table(TableName=name)["Table"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return {region: "MISSING"}
    replicas = {each["RegionName"]: each.get("ReplicaStatus", "ACTIVE") for each in described.get("Replicas", [])}
    return {region: described["TableStatus"], **replicas}


def _sources(target: Target, resources: Resources) -> Callable[[], Result] | None:
    declared: Mapping[str, Mapping[str, Any]] = target.outputs.get("sources") or {}
    if not declared:
        return None
    client = BotoClient("dynamodb", region=resources.region)
    can_poll = bool(target.outputs.get("replica_poll_function" if resources.is_replica else "poll_function"))
    saved = checkpoints(target, replica=resources.is_replica) if can_poll else None

    def ask() -> Result:
        ages = _ages(client, target, sorted(declared))
        late: list[str] = []
        values: dict[str, dict[str, Any]] = {}
        for name, (staleness, polled_in) in ages.items():
            budget = declared[name]["staleness_budget"]
            values[name] = {"staleness": staleness, "staleness_budget": budget, "polled_in": polled_in}
            if staleness is None or staleness > budget:
                age = "was never read" if staleness is None else f"is {seconds_text(staleness)} old, allowed {budget} s"
                # Only the Region that polls the source knows more. Ask about few sources: the time is limited.
                state = ""
                if saved is not None and polled_in == resources.region and len(late) < MAX_STATES:
                    state = describe_state(saved.get_checkpoint(name), declared[name]["breaker_failures"])
                late.append(f"{name} {age}" + (f" ({state})" if state else ""))
        command = "ops/readplane sources list" + (" --replica" if resources.is_replica else "")
        if late:
            return "wrong", f"{'; '.join(late)}: {command}", {"sources": values}
        oldest = max(values, key=lambda name: values[name]["staleness"] / max(1, values[name]["staleness_budget"]))
        text = f"{oldest} {values[oldest]['staleness']} s of {values[oldest]['staleness_budget']} s"
        return "ok", f"{len(values)} within their staleness budget, the nearest to it: {text}", {"sources": values}

    return ask


def _ages(client: BotoClient, target: Target, names: list[str]) -> dict[str, tuple[int | None, str]]:
    """Return how old each source's items are in seconds, and which Region polls the source, as one Region knows it.

    The age is None if the source was never read completely.
    """
    records: dict[str, TableRecord] = {}
    for start in range(0, len(names), MAX_KEYS // 2):
        keys = [key(name) for name in names[start : start + MAX_KEYS // 2] for key in (source_key, switch_key)]
        read = read_records(
            client,
            target.outputs["items_table"],
            keys,
            "pk, fresh_as_of, #region",
            consistent=True,
            names={"#region": "region"},
        )
        records |= {record["pk"]["S"]: record for record in read}
    found, now = {}, now_ms()
    for name in names:
        fresh_as_of = records.get(source_key(name), {}).get("fresh_as_of", {}).get("S")
        staleness_ms = NEVER_POLLED._replace(fresh_as_of=fresh_as_of).staleness_ms(now)
        polled_in = records.get(switch_key(name), {}).get("region", {}).get("S") or target.region
        found[name] = (None if staleness_ms is None else staleness_ms // 1000, polled_in)
    return found


def _stores(resources: Resources, clients: Clients) -> Callable[[], Result] | None:
    function = (resources.outputs.get("functions") or {}).get("feed")
    if not function:
        return None
    lambdas = clients("lambda", resources.region)

    def ask() -> Result:
        response = lambdas.invoke(FunctionName=f"{function['name']}:{_called_alias(function)}", Payload=STORES_STATUS)
        answer = json.loads(response["Payload"].read() or b"null") or {}
        if "FunctionError" in response:
            # The error's text may hold data, so only its class is shown.
            return "wrong", f"`feed` failed ({answer.get('errorType', 'no reason given')}): read its log"
        reachable = {store: bool(state.get("reachable")) for store, state in answer.items()}
        commands = {"cache": "ops/readplane cache status", "database": "ops/readplane relational status"}
        lost = [f"`feed` can't reach the {store}: {commands.get(store)}" for store, up in reachable.items() if not up]
        if lost:
            return "wrong", "; ".join(lost), {"stores": reachable}
        return "ok", f"`feed` reaches the {' and the '.join(sorted(reachable))}", {"stores": reachable}

    return ask


def _topics(target: Target, resources: Resources) -> list[str]:
    """Return the ARNs of the topics that the alarms of a Region notify."""
    prefix = "replica_" if resources.is_replica else ""
    arns = {target.outputs.get(f"{prefix}{kind}_topic_arn") for kind in ("alarm", "ticket")}
    return sorted(arn for arn in arns | {resources.outputs.get("alarm_topic_arn")} if arn)


def _alarms(target: Target, resources: Resources, clients: Clients) -> Callable[[], Result] | None:
    topics = frozenset(_topics(target, resources))
    if not topics:
        return lambda: ("ok", "the stack has no alarms, because the variable alarms is false")
    cloudwatch = clients("cloudwatch", resources.region)
    return lambda: read_alarms(cloudwatch, f"{target.name}-", topics)


def read_alarms(cloudwatch: Any, prefix: str, topics: frozenset[str]) -> Result:
    """Return which alarms are on.

    :param prefix: what the names of the stack's alarms begin with. The names of another stack's may begin with it too.
    :param topics: the stack's topics. Another stack's alarms don't notify them. Empty to count every alarm.
    """
    pages = cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=prefix, StateValue="ALARM", AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    listed = [
        alarm
        for page in pages
        for kind in ("MetricAlarms", "CompositeAlarms")
        for alarm in page.get(kind, [])
        if alarm["StateValue"] == "ALARM"  # an emulator may ignore that filter beside a prefix
    ]
    # The name of the stack `shop-2` begins with `shop-`, too. What its alarms notify shows its name.
    notified = {arn.rsplit(":", 1)[1] for alarm in listed for arn in alarm.get("AlarmActions", []) if arn not in topics}
    others = {name.rpartition("-")[0] for name in notified if name.endswith(TOPICS)} if topics else set()
    foreign = tuple(f"{name}-" for name in others if f"{name}-".startswith(prefix) and f"{name}-" != prefix)
    on = sorted((alarm for alarm in listed if not alarm["AlarmName"].startswith(foreign)), key=lambda x: x["AlarmName"])
    if not on:
        return "ok", "none is on", {"alarms": {}}
    texts, values = [], {}
    for alarm in on:
        since = alarm["StateUpdatedTimestamp"].astimezone(UTC)
        runbook = RUNBOOK.search(alarm.get("AlarmDescription", ""))
        page = runbook.group() if runbook else None
        texts.append(f"{alarm['AlarmName']} since {since:%Y-%m-%d %H:%M}" + (f" ({page})" if page else ""))
        values[alarm["AlarmName"]] = {"since": since.isoformat(timespec="seconds"), "runbook": page}
    return "wrong", ", ".join(texts), {"alarms": values}


def _subscriptions(topics: list[str], clients: Clients, region: str) -> Callable[[], Result] | None:
    if not topics:
        return None
    sns = clients("sns", region)
    return lambda: read_subscriptions(sns, topics)


def read_subscriptions(sns: Any, topics: list[str]) -> tuple[State, str, dict[str, Any]]:
    """Return whether everybody has confirmed their subscription. Only the protocol and the count are shown."""
    confirmed, pending = 0, Counter[str]()
    for topic in topics:
        for page in sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic):
            for subscription in page["Subscriptions"]:
                # SNS calls it "PendingConfirmation", and "Deleted" until it has removed it.
                if subscription["SubscriptionArn"] == "PendingConfirmation":
                    pending[subscription["Protocol"]] += 1
                elif subscription["SubscriptionArn"].startswith("arn:"):
                    confirmed += 1
    values = {"confirmed": confirmed, "unconfirmed": dict(pending)}
    if pending:
        kinds = ", ".join(f"{count} {protocol}" for protocol, count in sorted(pending.items()))
        text = f"{kinds} not confirmed, so the alarms don't reach them: follow the link in SNS's message"
        return "wrong", f"{text}. SNS removes them after two days; then apply again", values
    return "ok", f"{confirmed} confirmed" if confirmed else "nobody subscribes to the stack's topics", values


def seconds_text(seconds: float) -> str:
    """Return a duration as a short text: `4 s`, `3 min`, `2 h` or `5 days`."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{round(seconds / size)} {unit}"
    return f"{round(seconds)} s"
