"""What the command `doctor` checks in an AWS account before a stack is applied to it.

Each check asks one question of AWS and changes nothing. It is `ok`, `wrong` with what to do, or `unknown`, for example
because a permission is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from ops.cli.items_generations import name_of_table
from ops.cli.probes import Clients, Probe, Result
from ops.cli.status_probes import EDGE_REGION, read_subscriptions

ACCOUNT = "account"

EXPRESSION = """\
jsonencode({\
 name = var.name,\
 items_generation = var.items.live,\
 regions = { primary = var.region, replica = local.replica_region },\
 throttle_rate = var.throttle.rate,\
 reserved = merge(\
 { for f, x in var.functions : f => x.reserved_concurrency if try(x.reserved_concurrency, null) != null },\
 local.query_concurrency > 0 ? { query = local.query_concurrency } : {}),\
 absent = { for role, polls in { primary = true, replica = var.poll.in_replica } : role => concat(\
 polls && length(var.sources) > 0 ? [] : ["poll", "apply_stream"],\
 try(var.cache.dax == null, false) || var.relational != null ? [] : ["feed"]) },\
 snap_start = [for f, x in var.functions : f if try(x.snap_start, false)],\
 alarms = var.alarms,\
 notify = var.notify,\
 tickets = var.tickets,\
 alarm_actions = { primary = var.alarm_actions, replica = var.replica_alarm_actions },\
 domains = var.domains,\
 has_edge = var.edge != null,\
 edge_domain = try(var.edge.domain, null),\
 email = var.sign_in.email,\
 user_pool_arn = try(var.user_pool.arn, null),\
 network = var.network,\
 kms_keys = var.kms_keys,\
 code_buckets = var.code_buckets,\
 access_log_buckets = var.access_log_buckets,\
 cache = [for kind in ["serverless", "nodes", "dax"] : kind if try(var.cache[kind], null) != null],\
 has_aurora = try(var.relational.aurora, null) != null\
})
"""
"""The settings of a stack that the checks need, as HCL over its variables.

absent: the functions of the variable `functions` that a Region lacks (terraform/modules/region/concurrency.tf)
"""

MIN_CONCURRENCY = 100
"""With fewer concurrent executions than this, a few clients at once are throttled. A new account may have 10."""

UNRESERVED = 100
"""Lambda keeps this many executions for functions that reserve nothing."""

CONCURRENCY_QUOTA = "--service-code lambda --quota-code L-B99A9384"
"""What the AWS CLI calls the quota of concurrent executions."""

MAX_CODE_SHARE = 0.8
"""The share of an account's storage for code above which an apply may soon fail."""

MAX_VERSIONS = 10
"""How many versions of a function with SnapStart are reasonable. Each costs about 2 $ a month at 512 MB."""

FAST_FIREHOSE = ("us-east-1", "us-west-2", "eu-west-1")
"""The Regions where Firehose takes 2,000 requests a second by default. It takes 1,000 in every other Region."""

MIN_CERTIFICATE_DAYS = 30

MIN_ADDRESSES = 16
"""How many free addresses each subnet needs: for the interfaces of the functions and of the stores."""

MAX_LAMBDA_INTERFACES = 200
"""Lambda's quota is 250 network interfaces in a VPC."""

DEFAULT_VPCS = 5
"""AWS's default quota of VPCs in a Region."""

MAX_SKEW_SECONDS = 60
"""AWS refuses signatures that are 5 minutes off."""


class Account(NamedTuple):
    """The AWS account that the credentials belong to.

    id: its number
    partition: `aws`, `aws-us-gov` or `aws-cn`
    home: the Region of the partition that every account has
    skew_seconds: how far this machine's clock is ahead of AWS's
    """

    id: str
    partition: str
    home: str
    skew_seconds: float


Settings = Mapping[str, Any]
"""The value of EXPRESSION."""

Check = Callable[[], Result]


def all_checks(settings: Settings, account: Account, clients: Clients) -> Iterator[Probe]:
    """Yield every check that these settings need. This makes the clients, and asks nothing yet."""
    yield Probe(ACCOUNT, "clock", lambda: check_clock(account.skew_seconds))
    yield from _account_checks(settings, account, clients)
    for role, region in settings["regions"].items():
        if region is not None:
            yield from _regional_checks(settings, account, clients, role, region)
    regions = [region for region in settings["regions"].values() if region]
    if settings["has_edge"] and EDGE_REGION not in regions:
        lambdas = clients("lambda", EDGE_REGION)
        yield Probe(EDGE_REGION, "concurrency", lambda: check_concurrency(lambdas, settings["name"], {}))


def _account_checks(settings: Settings, account: Account, clients: Clients) -> Iterator[Probe]:
    """Yield the checks of what belongs to no Region, and of what is named by its ARN."""
    iam, route53 = clients("iam", account.home), clients("route53", account.home)
    regions = [region for region in settings["regions"].values() if region]
    ec2 = clients("ec2", account.home)
    yield Probe(ACCOUNT, "Regions", lambda: check_regions(ec2, regions))
    yield Probe(ACCOUNT, "service-linked roles", lambda: check_linked_roles(iam, linked_roles(settings)))
    edge = settings["edge_domain"]
    if edge and edge["certificate_arn"]:
        acm = clients("acm", EDGE_REGION)
        yield Probe(EDGE_REGION, "certificate", lambda: check_certificate(acm, edge["certificate_arn"], [edge["name"]]))
    if edge and edge["zone_id"]:
        yield Probe(ACCOUNT, "DNS zone of the edge", lambda: check_zone(route53, edge["zone_id"], [edge["name"]]))
    for role, domain in settings["domains"].items():
        if domain and domain["hosted_zone_id"]:
            yield Probe(ACCOUNT, f"DNS zone of domains.{role}", _zone_check(route53, domain))
    if settings["email"]:
        arn = settings["email"]["ses_arn"]
        ses = clients("sesv2", arn.split(":")[3])
        yield Probe(arn.split(":")[3], "e-mail", lambda: check_email(ses, arn.split("identity/", 1)[1]))
    if settings["user_pool_arn"]:
        arn_of_pool = settings["user_pool_arn"]
        cognito = clients("cognito-idp", settings["regions"]["primary"])
        yield Probe(settings["regions"]["primary"], "user pool", lambda: check_user_pool(cognito, arn_of_pool))


def _zone_check(route53: Any, domain: Mapping[str, Any]) -> Check:
    return lambda: check_zone(route53, domain["hosted_zone_id"], names_of(domain))


def names_of(domain: Mapping[str, Any]) -> list[str]:
    """Return the names of an API's domain: the one that clients use, and the one of its Region."""
    return [name for name in (domain["name"], domain.get("regional_name")) if name]


def _regional_checks(settings: Settings, account: Account, clients: Clients, role: str, region: str) -> Iterator[Probe]:
    """Yield the checks of one Region.

    :param role: `primary` or `replica`
    """
    name = settings["name"]
    lambdas, gateway, s3 = (clients(service, region) for service in ("lambda", "apigateway", "s3"))
    dynamodb = clients("dynamodb", region)
    buckets = [f"{name}-{kind}-{account.id}-{region}" for kind in ("write-log", "documents")]
    absent = settings["absent"][role]
    reserved = {function: count for function, count in settings["reserved"].items() if function not in absent}
    buckets += [f"{name}-site-{account.id}-{region}"] if settings["has_edge"] else []
    checks: dict[str, Check] = {
        "concurrency": lambda: check_concurrency(lambdas, name, reserved),
        "code storage": lambda: check_code_storage(lambdas.get_account_settings()),
        "API Gateway": lambda: check_gateway(gateway.get_account(), settings["throttle_rate"]),
        "Firehose": lambda: check_firehose(region, settings["throttle_rate"]),
        "bucket names": lambda: check_buckets(s3, buckets),
        "backups": lambda: check_backups(dynamodb, name_of_table(name, settings["items_generation"])),
    }
    if settings["snap_start"]:
        functions = [name_of_function(name, function) for function in settings["snap_start"]]
        checks["versions"] = lambda: check_versions(lambdas, functions)
    domain = settings["domains"].get(role)
    if domain:
        acm = clients("acm", region)
        checks["certificate"] = lambda: check_certificate(acm, domain["certificate_arn"], names_of(domain))
    if key := (settings["kms_keys"] or {}).get(role):
        kms = clients("kms", region)
        checks["KMS key"] = lambda: check_key(kms, key)
    if existing_buckets := [bucket for bucket in _given_buckets(settings, role) if bucket]:
        checks["buckets of yours"] = lambda: check_given_buckets(s3, existing_buckets)
    checks |= _alarm_checks(settings, account, clients, role, region) if settings["alarms"] else {}
    network = (settings["network"] or {}).get(role)
    if network:
        ec2 = clients("ec2", region)
        checks["network"] = lambda: check_network(ec2, network, name)
    for subject, check in checks.items():
        yield Probe(region, subject, check)


def _given_buckets(settings: Settings, role: str) -> list[str | None]:
    place = (settings["code_buckets"] or {}).get(role) or {}
    return [place.get("bucket"), (settings["access_log_buckets"] or {}).get(role)]


def _alarm_checks(settings: Settings, account: Account, clients: Clients, role: str, region: str) -> dict[str, Check]:
    """Return the checks of whom the alarms of a Region reach."""
    sns = clients("sns", region)
    topic = f"arn:{account.partition}:sns:{region}:{account.id}:{settings['name']}"
    people = len(settings["notify"]["emails"]) + len(settings["notify"]["phone_numbers"])
    actions = settings["alarm_actions"][role]
    checks: dict[str, Check] = {
        "subscriptions": lambda: check_subscriptions(sns, f"{topic}-alarms", people, bool(actions)),
    }
    tickets = settings["tickets"]
    if tickets:
        more = tickets["replica_alarm_actions" if role == "replica" else "alarm_actions"]
        checks["tickets"] = lambda: check_subscriptions(sns, f"{topic}-tickets", len(tickets["emails"]), bool(more))
        actions = [*actions, *more]
    if settings["notify"]["phone_numbers"]:
        checks["SMS"] = lambda: check_sms(sns, settings["notify"]["phone_numbers"])
    if actions:
        checks["topics of yours"] = lambda: check_topics(sns, actions)
    return checks


def check_clock(skew_seconds: float) -> Result:
    """Compare this machine's clock with that of AWS."""
    values = {"skew_seconds": round(skew_seconds)}
    if abs(skew_seconds) <= MAX_SKEW_SECONDS:
        return "ok", f"{abs(skew_seconds):.0f} s off AWS's", values
    side = "ahead of" if skew_seconds > 0 else "behind"
    advice = "set it by NTP, because AWS refuses signatures that are 5 minutes off"
    return "wrong", f"this machine's clock is {abs(skew_seconds):.0f} s {side} AWS's: {advice}", values


def check_regions(ec2: Any, regions: Sequence[str]) -> Result:
    """Check that the account may use each Region."""
    listed = ec2.describe_regions(AllRegions=True)["Regions"]
    states = {region["RegionName"]: region.get("OptInStatus") for region in listed}
    if absent := [region for region in regions if region not in states]:
        return "wrong", f"there is no Region {', '.join(absent)} in this partition: correct region or replica.region"
    if closed := [region for region in regions if states[region] == "not-opted-in"]:
        return "wrong", f"{', '.join(closed)} is off in this account: enable it under Account, AWS Regions"
    return "ok", f"{', '.join(regions)} can be used"


def linked_roles(settings: Settings) -> list[str]:
    """Return the service-linked roles that AWS services need for these settings."""
    wanted = {
        "AWSServiceRoleForDynamoDBReplication": settings["regions"]["replica"] is not None,
        "AWSServiceRoleForAPIGateway": any(settings["domains"].values()),
        "AWSServiceRoleForLambdaReplicator": settings["has_edge"],
        "AWSServiceRoleForCloudFrontLogger": settings["has_edge"],
        "AWSServiceRoleForElastiCache": bool({"serverless", "nodes"}.intersection(settings["cache"])),
        "AWSServiceRoleForDAX": "dax" in settings["cache"],
        "AWSServiceRoleForRDS": settings["has_aurora"],
        "AWSServiceRoleForAmazonCognitoIdpEmailService": settings["email"] is not None,
    }
    return sorted(role for role, is_wanted in wanted.items() if is_wanted)


def check_linked_roles(iam: Any, names: Sequence[str]) -> Result:
    """Say which service-linked roles AWS will make at the first apply. It makes them by itself."""
    absent = []
    for name in names:
        try:
            iam.get_role(RoleName=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchEntity":
                raise
            absent.append(name)
    if not absent:
        return "ok", f"{len(names)} of {len(names)} exist", {"absent": []}
    text = f"AWS makes {', '.join(absent)}, if whoever applies has iam:CreateServiceLinkedRole"
    return "ok", text, {"absent": absent}


def name_of_function(name: str, function: str) -> str:
    """Return the name in AWS of a stack's function.

    :param name: the stack's name
    :param function: the function's name in the variable `functions`
    """
    return f"{name}-{function.replace('_', '-')}"


def check_concurrency(lambdas: Any, name: str, reserved: Mapping[str, int]) -> Result:
    """Check the executions that nobody in the account has reserved against what the functions will reserve.

    Other stacks and other teams may reserve some of the account's quota too.

    :param name: the stack's name
    :param reserved: function -> the executions that it reserves
    """
    limits = lambdas.get_account_settings()["AccountLimit"]
    quota, free = limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"]
    total = sum(reserved.values())
    missing = total - sum(_reserved_already(lambdas, name_of_function(name, function)) for function in reserved)
    values = {"quota": quota, "unreserved": free, "reserved": total}
    target = max(1000, quota + missing + UNRESERVED - free)
    more = f"aws service-quotas request-service-quota-increase {CONCURRENCY_QUOTA} --desired-value {target}"
    if missing > 0 and free - missing < UNRESERVED:
        text = (
            f"the functions reserve {missing} executions more, {free} of the account's {quota} are unreserved, and "
            f"{UNRESERVED} must stay so: reserve fewer, or"
        )
        return "wrong", f"{text} {more}", values
    if quota < MIN_CONCURRENCY:
        return "wrong", f"only {quota} functions may run at once, so a few clients are throttled: {more}", values
    return "ok", f"{quota} functions may run at once" + (f", {total} reserved" if total else ""), values


def _reserved_already(lambdas: Any, function: str) -> int:
    """Return the executions that a function reserves now: 0 if it reserves none, or doesn't exist yet."""
    try:
        reserved: int = lambdas.get_function_concurrency(FunctionName=function).get("ReservedConcurrentExecutions", 0)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return 0
    return reserved


def check_code_storage(answer: Mapping[str, Any]) -> Result:
    """Check that there is room for more versions of the functions.

    :param answer: Lambda's GetAccountSettings
    """
    used, limit = answer["AccountUsage"]["TotalCodeSize"], answer["AccountLimit"]["TotalCodeSize"]
    text = f"{used / 2**30:.1f} of {limit / 2**30:.0f} GB are used"
    values = {"used_bytes": used, "limit_bytes": limit}
    if used > MAX_CODE_SHARE * limit:
        return "wrong", f"{text}: delete old versions of functions and layers", values
    return "ok", text, values


def check_gateway(answer: Mapping[str, Any], rate: float) -> Result:
    """Check the role with which API Gateway writes logs, and the account's limit of requests.

    :param answer: API Gateway's GetAccount
    :param rate: throttle.rate
    """
    limit = answer.get("throttleSettings", {}).get("rateLimit")
    values = {"rate_limit": limit}
    if not answer.get("cloudwatchRoleArn"):
        text = "API Gateway has no role for its logs, so the first apply would stop: apply terraform/examples/account"
        return "wrong", text, values
    if limit is not None and rate > limit:
        text = f"the account takes {limit:g} requests a second, less than throttle.rate {rate:g}: lower it, or ask AWS"
        return "wrong", text, values
    return "ok", "it has a role for logs" + (f", and takes {limit:g} requests a second" if limit else ""), values


def check_firehose(region: str, rate: float) -> Result:
    """Compare throttle.rate with what Firehose takes by default. AWS has no call that says what this account has."""
    requests, mebibytes = (2000, 5) if region in FAST_FIREHOSE else (1000, 1)
    default = f"{requests} writes or {mebibytes} MiB a second, unless AWS has raised that"
    values = {"requests": requests, "mebibytes": mebibytes}
    if rate > requests:
        text = f"it takes {default}, and throttle.rate is {rate:g}: compare with the account's quota, or writes get 503"
        return "unknown", text, values
    return "ok", f"it takes {default}", values


def check_buckets(s3: Any, names: Sequence[str]) -> Result:
    """Check that the names of the stack's buckets are free, or the account's own."""
    owned, doubtful = [], []
    for name in names:
        status = _bucket_status(s3, name)
        if status == 200:
            owned.append(name)
        elif status != 404:
            doubtful.append(name)
    if doubtful:
        text = "belong to somebody else, or the permission s3:ListBucket is missing. If they do, choose another name"
        return "unknown", f"{', '.join(doubtful)}: {text}"
    if owned:
        return "ok", f"this account has {', '.join(owned)}, of a live stack or of an earlier one"
    return "ok", f"{len(names)} names are free"


def _bucket_status(s3: Any, name: str) -> int:
    """Return the HTTP status of HeadBucket: 200 if the bucket is the account's own, and 404 if there is none."""
    try:
        s3.head_bucket(Bucket=name)
    except ClientError as error:
        return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
    return 200


def check_given_buckets(s3: Any, names: Sequence[str]) -> Result:
    """Check that buckets exist that the settings name."""
    if absent := [name for name in names if _bucket_status(s3, name) != 200]:
        return "wrong", f"{', '.join(absent)} can't be read: make the bucket in this Region, or correct its name"
    return "ok", f"{', '.join(names)} can be read"


def check_backups(dynamodb: Any, table: str) -> Result:
    """Check that the items table can be restored to any second, if the table exists."""
    try:
        described = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("TableNotFoundException", "ResourceNotFoundException"):
            raise
        return "ok", "there is no items table yet"
    state = described.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
    if state == "ENABLED":
        return "ok", f"{table} can be restored to any second of 35 days"
    return "wrong", f"point-in-time recovery of {table} is off, although Terraform turns it on: apply terraform/"


def check_versions(lambdas: Any, functions: Sequence[str]) -> Result:
    """Count the versions of the functions with SnapStart, because AWS bills each for as long as it exists."""
    counts = {}
    for function in functions:
        try:
            pages = lambdas.get_paginator("list_versions_by_function").paginate(FunctionName=function)
            counts[function] = sum(version["Version"] != "$LATEST" for page in pages for version in page["Versions"])
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
    many = [f"{function} {count}" for function, count in counts.items() if count > MAX_VERSIONS]
    if many:
        text = f"old versions cost about 2 $ a month each with SnapStart: delete some ({', '.join(many)})"
        return "wrong", text, {"versions": counts}
    return "ok", f"{sum(counts.values())} versions of functions with SnapStart", {"versions": counts}


def check_certificate(acm: Any, arn: str, names: Sequence[str]) -> Result:
    """Check that a certificate is issued, covers the names and doesn't expire soon."""
    try:
        certificate = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return "wrong", "there is no such certificate in this Region: request it here, or correct certificate_arn"
    if certificate["Status"] != "ISSUED":
        advice = "prove that the name is yours (ACM shows the DNS record), and wait"
        return "wrong", f"the certificate is {certificate['Status']}: {advice}"
    patterns = [certificate["DomainName"], *certificate.get("SubjectAlternativeNames", [])]
    if uncovered := [name for name in names if not any(covers(pattern, name) for pattern in patterns)]:
        return "wrong", f"the certificate doesn't cover {', '.join(uncovered)}: request another one with these names"
    left: timedelta = certificate["NotAfter"] - datetime.now(UTC)
    if left < timedelta(days=MIN_CERTIFICATE_DAYS):
        return "wrong", f"the certificate expires in {left.days} days: look in ACM for why it isn't renewed"
    return "ok", f"it covers {', '.join(names)} for {left.days} days"


def covers(pattern: str, name: str) -> bool:
    """Return whether a name of a certificate covers a host name. A `*` stands for exactly one label."""
    pattern, name = pattern.lower(), name.lower()
    return pattern == name or (pattern.startswith("*.") and name.partition(".")[2] == pattern[2:])


def check_zone(route53: Any, zone_id: str, names: Sequence[str]) -> Result:
    """Check that a Route 53 zone is public and holds the names."""
    try:
        zone = route53.get_hosted_zone(Id=zone_id)["HostedZone"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchHostedZone":
            raise
        return "wrong", "there is no such zone in this account: correct the id"
    zone_name = zone["Name"].rstrip(".")
    if zone.get("Config", {}).get("PrivateZone"):
        return "wrong", f"the zone {zone_name} is private, so clients don't see it: name a public one"
    if outside := [name for name in names if name != zone_name and not name.endswith(f".{zone_name}")]:
        return "wrong", f"the zone {zone_name} doesn't hold {', '.join(outside)}: correct the id or the name"
    return "ok", f"the zone {zone_name} holds {', '.join(names)}"


def check_email(ses: Any, identity: str) -> Result:
    """Check that Cognito may send with an identity of SES to everybody."""
    if not ses.get_account().get("ProductionAccessEnabled"):
        return (
            "wrong",
            "the account is in the SES sandbox of this Region, so only verified addresses get e-mails: ask AWS",
        )
    try:
        is_verified = ses.get_email_identity(EmailIdentity=identity).get("VerifiedForSendingStatus")
    except ClientError as error:
        if error.response["Error"]["Code"] != "NotFoundException":
            raise
        return "wrong", "SES doesn't have the identity of sign_in.email.ses_arn: create and verify it"
    if not is_verified:
        return "wrong", "SES hasn't verified the identity of sign_in.email.ses_arn: follow its instructions"
    return "ok", "SES sends to everybody"


def check_user_pool(cognito: Any, arn: str) -> Result:
    """Check that the user pool exists that the settings name."""
    try:
        cognito.describe_user_pool(UserPoolId=arn.rpartition("/")[2])
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return "wrong", "there is no such user pool: correct user_pool.arn"
    return "ok", "it exists"


def check_key(kms: Any, arn: str) -> Result:
    """Check that a customer managed key can be used."""
    try:
        key = kms.describe_key(KeyId=arn)["KeyMetadata"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NotFoundException":
            raise
        return "wrong", "there is no such key: correct kms_keys"
    if key["KeyState"] != "Enabled":
        return "wrong", f"the key is {key['KeyState']}: enable it, or name another one in kms_keys"
    return "ok", "it is enabled"


def check_subscriptions(sns: Any, topic: str, expected: int, has_actions: bool) -> Result:
    """Check that everybody whom a topic shall reach has confirmed, if the topic exists.

    :param expected: how many addresses and numbers the settings name
    :param has_actions: whether the alarms also notify topics of the team
    """
    try:
        state, text, values = read_subscriptions(sns, [topic])
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("NotFound", "NotFoundException"):
            raise
        if not expected and not has_actions:
            return "wrong", "they would reach nobody: set addresses (notify, tickets) or topics, or alarms = false"
        return "ok", f"there is no topic yet; each of the {expected} addresses gets a message to confirm"
    found = values["confirmed"] + sum(values["unconfirmed"].values())
    if state == "ok" and found < expected:
        text = (
            f"{expected - found} of {expected} addresses aren't subscribed, because SNS removes whoever didn't confirm"
        )
        return "wrong", f"{text} within two days: apply again", values
    if state == "ok" and not found and not has_actions:
        return (
            "wrong",
            "they reach nobody: set addresses (notify, tickets) or topics, or subscribe to the stack's topic",
            values,
        )
    return state, text, values


def check_topics(sns: Any, arns: Sequence[str]) -> Result:
    """Check that the topics exist that the alarms notify in addition."""
    absent = []
    for arn in arns:
        try:
            sns.get_topic_attributes(TopicArn=arn)
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("NotFound", "NotFoundException"):
                raise
            absent.append(arn.rpartition(":")[2])
    if absent:
        text = "correct alarm_actions and tickets"
        return "wrong", f"there is no topic {', '.join(absent)} in this Region: {text}"
    return "ok", f"{len(arns)} exist"


def check_sms(sns: Any, numbers: Sequence[str]) -> Result:
    """Check that SNS may send text messages to the numbers in notify, and has money for them."""
    limit = sns.get_sms_attributes(attributes=["MonthlySpendLimit"])["attributes"].get("MonthlySpendLimit", "1")
    values = {"monthly_spend_limit": limit}
    spend = f"SNS spends at most {limit} $ a month on text messages"
    if not sns.get_sms_sandbox_account_status()["IsInSandbox"]:
        return "ok", f"{spend}; send a test message", values
    pages = sns.get_paginator("list_sms_sandbox_phone_numbers").paginate()
    verified = {
        entry["PhoneNumber"] for page in pages for entry in page["PhoneNumbers"] if entry["Status"] == "Verified"
    }
    if missing := [number for number in numbers if number not in verified]:
        text = f"the account is in the SMS sandbox, and {len(missing)} of {len(numbers)} numbers aren't verified there"
        return "wrong", f"{text}: verify them in this Region, or ask AWS to leave the sandbox", values
    return "ok", f"all numbers are verified in the SMS sandbox; {spend}", values


def check_network(ec2: Any, network: Mapping[str, Any], name: str) -> Result:
    """Check the availability zones of a new VPC, or the free addresses and interfaces of an existing one.

    :param name: the stack's name, which is the name of a VPC that an earlier apply made
    """
    if network.get("create"):
        return _check_new_network(ec2, network["create"]["zones"], name)
    existing = network["existing"]
    subnets = ec2.describe_subnets(SubnetIds=existing["subnet_ids"])["Subnets"]
    if foreign := [subnet["SubnetId"] for subnet in subnets if subnet["VpcId"] != existing["vpc_id"]]:
        return "wrong", f"{', '.join(foreign)} isn't in {existing['vpc_id']}: correct network"
    free = {subnet["SubnetId"]: subnet["AvailableIpAddressCount"] for subnet in subnets}
    values: dict[str, Any] = {"free_addresses": free}
    if full := [f"{subnet} {count}" for subnet, count in free.items() if count < MIN_ADDRESSES]:
        return "wrong", f"too few free addresses ({', '.join(full)}): name larger subnets", values
    filters = [
        {"Name": "vpc-id", "Values": [existing["vpc_id"]]},
        {"Name": "interface-type", "Values": ["lambda"]},
    ]
    pages = ec2.get_paginator("describe_network_interfaces").paginate(Filters=filters)
    interfaces = sum(len(page["NetworkInterfaces"]) for page in pages)
    values |= {"lambda_interfaces": interfaces}
    if interfaces > MAX_LAMBDA_INTERFACES:
        return (
            "wrong",
            f"Lambda has {interfaces} network interfaces in the VPC, and may have 250: ask AWS for more",
            values,
        )
    return "ok", f"at least {min(free.values())} free addresses in each subnet", values


def _check_new_network(ec2: Any, zones: Sequence[str], name: str) -> Result:
    listed = ec2.describe_availability_zones()["AvailabilityZones"]
    usable = {zone["ZoneName"] for zone in listed if zone["State"] == "available"}
    if absent := sorted(set(zones) - usable):
        return "wrong", f"this account can't use {', '.join(absent)}: it has {', '.join(sorted(usable))}"
    vpcs = [vpc for page in ec2.get_paginator("describe_vpcs").paginate() for vpc in page["Vpcs"]]
    has_own = any({"Key": "Name", "Value": name} in vpc.get("Tags", []) for vpc in vpcs)
    values = {"vpcs": len(vpcs)}
    if len(vpcs) >= DEFAULT_VPCS and not has_own:
        return (
            "unknown",
            f"there are {len(vpcs)} VPCs, and an account may have {DEFAULT_VPCS}, unless AWS raised it",
            values,
        )
    return "ok", f"{', '.join(zones)} can be used; {len(vpcs)} VPCs exist", values
