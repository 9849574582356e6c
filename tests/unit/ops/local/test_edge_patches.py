"""Test the stand-in for CloudFront in MiniStack's own process, with a bucket, a function and distributions.

The fixture starts an emulator, so these tests are slow ones (tests/unit/conftest.py).
"""

import copy
import functools
import http.client
import io
import json
import threading
import time
import urllib.error
import urllib.request
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner, Result

from ops.cli.main import main
from ops.console import CommandError
from ops.local import emulator, stack
from ops.local.edge_control import EdgeControl
from tests.unit.ops.local.edge_support import behaviour, bucket, functions, group, items, parameters

CODE = """
import json
import os

PROBLEM = {"content-type": [{"key": "Content-Type", "value": "application/problem+json"}]}

def handler(event, context):
    entry = event["Records"][0]["cf"]
    kind, request = entry["config"]["eventType"], entry["request"]
    if kind == "origin-response":
        response = entry["response"]
        if response["status"] == "403":
            return {"status": "404", "headers": PROBLEM, "body": "missing"}
        return response
    if request["headers"].get("authorization", [{}])[0].get("value") != "Bearer t":
        text = json.dumps([os.environ["AWS_REGION"], context.function_name])
        return {"status": "401", "headers": PROBLEM, "body": text}
    return request
"""


@functools.cache
def make_client(service: str, endpoint: str) -> Any:
    """Return a boto3 client of the emulator's root user."""
    make: Any = boto3.client
    return make(service, region_name="us-east-1", endpoint_url=endpoint, **emulator_keys())


def emulator_keys() -> dict[str, str]:
    return {name.lower(): value for name, value in emulator.CREDENTIALS.items()}


class Cloud(NamedTuple):
    """A running emulator, with a control of its stand-in."""

    emulator: emulator.Emulator
    control: EdgeControl
    policy: str
    access: str
    function: str

    def client(self, service: str) -> Any:
        return make_client(service, self.emulator.endpoint)


def trust(*services: str) -> str:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": list(services)}}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def publish(cloud: Any, name: str, **settings: Any) -> str:
    """Create a function and return the ARN of its version."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("edge.py", CODE)
    arguments = {"Runtime": "python3.13", "Handler": "edge.handler", "Timeout": 5, "MemorySize": 128} | settings
    code = {"ZipFile": archive.getvalue()}
    created = cloud("lambda").create_function(FunctionName=name, Code=code, Publish=True, **arguments)
    arn, version = str(created["FunctionArn"]), str(created["Version"])
    return arn.removesuffix(f":{version}") + f":{version}"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    home, patch = tmp_path_factory.mktemp("runs"), pytest.MonkeyPatch()
    patch.setattr(emulator, "folder", lambda name: home / name)
    started = emulator.start("edge", 0)
    try:

        def client(service: str) -> Any:
            return make_client(service, started.endpoint)

        role = client("iam").create_role(
            RoleName="edge", AssumeRolePolicyDocument=trust("lambda.amazonaws.com", "edgelambda.amazonaws.com")
        )["Role"]["Arn"]
        config = {"Name": "documents", "MinTTL": 0, "DefaultTTL": 0, "MaxTTL": 31_536_000}
        keys = {"ParametersInCacheKeyAndForwardedToOrigin": parameters()}
        policy = client("cloudfront").create_cache_policy(CachePolicyConfig=config | keys)["CachePolicy"]["Id"]
        control = {
            "Name": "documents",
            "SigningProtocol": "sigv4",
            "SigningBehavior": "always",
            "OriginAccessControlOriginType": "s3",
        }
        access = client("cloudfront").create_origin_access_control(OriginAccessControlConfig=control)
        arn = publish(client, "auth", Role=role)
        for name in ("first-docs", "second-docs"):
            client("s3").create_bucket(Bucket=name)
        yield Cloud(started, EdgeControl(started.endpoint), policy, access["OriginAccessControl"]["Id"], arn)
    finally:
        emulator.stop("edge")
        patch.undo()


def config(cloud: Cloud, **default: Any) -> dict[str, Any]:
    """Return a DistributionConfig with an origin group of two buckets."""
    origins = [bucket(name, "/public", OriginAccessControlId=cloud.access) for name in ("first-docs", "second-docs")]
    settings = behaviour(None, "pair", cloud.policy, **(functions(origin_response=cloud.function) | default))
    return {
        "CallerReference": uuid.uuid4().hex,
        "Comment": "",
        "Enabled": True,
        "Origins": items(*origins),
        "OriginGroups": items(group("pair", "first-docs", "second-docs")),
        "DefaultCacheBehavior": settings,
        "CustomErrorResponses": items(
            *[{"ErrorCode": code, "ErrorCachingMinTTL": 0} for code in (404, 500, 502, 503, 504)]
        ),
    }


def create(cloud: Cloud, **default: Any) -> str:
    """Create a distribution that may read both buckets, and serve it at the emulator's second port."""
    created = cloud.client("cloudfront").create_distribution(DistributionConfig=config(cloud, **default))[
        "Distribution"
    ]
    for name in ("first-docs", "second-docs"):
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "cloudfront.amazonaws.com"},
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{name}/*",
            "Condition": {"StringEquals": {"AWS:SourceArn": created["ARN"]}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        cloud.client("s3").put_bucket_policy(Bucket=name, Policy=policy)
        put(cloud, name, "x", name)
    cloud.control.choose(created["Id"])
    cloud.control.faults()
    cloud.control.shift_clock(0)
    identity: str = created["Id"]
    return identity


def put(cloud: Cloud, name: str, key: str, body: str) -> None:
    cloud.client("s3").put_object(Bucket=name, Key=f"public/{key}", Body=body, CacheControl="max-age=60")


class Seen(NamedTuple):
    """What a viewer sees of a response."""

    status: int
    body: bytes
    cache: str


def get(url: str, **headers: str) -> Seen:
    request = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return Seen(response.status, response.read(), response.headers["X-Cache"])
    except urllib.error.HTTPError as error:
        return Seen(error.code, error.read(), error.headers.get("X-Cache", ""))


def test_the_second_port_serves_the_chosen_distribution_through_the_cache(cloud: Cloud) -> None:
    create(cloud)
    url = cloud.emulator.edge_url
    assert get(f"{url}/x") == (200, b"first-docs", "Miss from cloudfront")
    put(cloud, "first-docs", "x", "changed")
    assert get(f"{url}/x") == (200, b"first-docs", "Hit from cloudfront")
    cloud.control.shift_clock(61)
    assert get(f"{url}/x").body == b"changed"
    put(cloud, "first-docs", "x", "again")
    cloud.control.clear()
    assert get(f"{url}/x").body == b"again"
    assert cloud.control.state()["fetches"]


def test_a_distribution_answers_by_its_own_name_at_the_first_port(cloud: Cloud) -> None:
    name = cloud.client("cloudfront").get_distribution(Id=create(cloud))["Distribution"]["DomainName"]
    assert get(f"{cloud.emulator.endpoint}/x", Host=name, X_Forwarded_Proto="https").status == 200
    assert get(f"{cloud.emulator.endpoint}/x", Host=name).status == 403, "the behaviour demands HTTPS"


def test_the_bucket_policy_counts_and_the_real_zip_turns_its_403_into_a_404(cloud: Cloud) -> None:
    create(cloud)
    assert get(f"{cloud.emulator.edge_url}/missing")[:2] == (404, b"missing")
    create(cloud)  # the policies of both buckets name this newer distribution
    for name in ("first-docs", "second-docs"):
        cloud.client("s3").delete_bucket_policy(Bucket=name)
    assert get(f"{cloud.emulator.edge_url}/x")[:2] == (404, b"missing")


def test_a_private_behaviour_is_closed_without_a_token_even_on_a_hit(cloud: Cloud) -> None:
    create(cloud, **functions(viewer_request=cloud.function))
    url = cloud.emulator.edge_url
    assert get(f"{url}/x", Authorization="Bearer t")[:2] == (200, b"first-docs")
    refused = get(f"{url}/x")
    assert refused.status == 401 and json.loads(refused.body) == ["eu-west-3", "us-east-1.auth"]
    assert get(f"{url}/x", Authorization="Bearer t").cache == "Hit from cloudfront"


def test_the_function_sees_the_path_and_repeated_headers_as_sent(cloud: Cloud) -> None:
    create(cloud)
    put(cloud, "first-docs", "a/b", "dots")
    connection = http.client.HTTPConnection("127.0.0.1", cloud.emulator.edge_port, timeout=10)
    connection.putrequest("GET", "/a/../a/b", skip_host=True)
    connection.putheader("Host", "localhost")
    connection.endheaders()
    assert connection.getresponse().status == 404, "the origin gets the raw path, which is no key"
    connection.close()


def test_a_bucket_answers_get_and_head_only(cloud: Cloud) -> None:
    create(cloud, LambdaFunctionAssociations=items())
    statuses = {}
    for method in ("GET", "HEAD", "OPTIONS"):
        connection = http.client.HTTPConnection("127.0.0.1", cloud.emulator.edge_port, timeout=10)
        connection.request(method, "/x")
        response = connection.getresponse()
        statuses[method] = (response.status, response.getheader("Content-Length"))
        connection.close()
    assert statuses["GET"] == statuses["HEAD"] == (200, "10")
    assert statuses["OPTIONS"][0] == 403


def test_a_fault_fails_over_and_its_end_comes_back(cloud: Cloud) -> None:
    create(cloud)
    url = cloud.emulator.edge_url
    cloud.control.faults({"origin": "first-*", "kind": "refuse"})
    assert get(f"{url}/x").body == b"second-docs"
    cloud.control.clear()
    cloud.control.faults({"origin": "*", "kind": "status", "status": 503})
    assert get(f"{url}/x").status == 503
    cloud.control.faults()
    assert get(f"{url}/x").body == b"first-docs", "the 503 isn't cached, because the distribution says so"


def test_an_update_takes_effect_at_once_and_keeps_the_cache(cloud: Cloud) -> None:
    identity = create(cloud)
    url = cloud.emulator.edge_url
    assert get(f"{url}/x").status == 200
    client = cloud.client("cloudfront")
    current = client.get_distribution_config(Id=identity)
    changed = copy.deepcopy(current["DistributionConfig"])
    changed["DefaultCacheBehavior"]["LambdaFunctionAssociations"] = functions(viewer_request=cloud.function)[
        "LambdaFunctionAssociations"
    ]
    client.update_distribution(Id=identity, IfMatch=current["ETag"], DistributionConfig=changed)
    assert get(f"{url}/x").status == 401
    assert get(f"{url}/x", Authorization="Bearer t").cache == "Hit from cloudfront"


def test_what_aws_refuses_is_refused_and_leaves_nothing_behind(cloud: Cloud) -> None:
    client = cloud.client("cloudfront")
    identity = create(cloud)
    known = {entry["Id"] for entry in client.list_distributions()["DistributionList"]["Items"]}
    wrong = functions(viewer_request=cloud.function.rpartition(":")[0])
    with pytest.raises(ClientError, match=r"isn't a numbered version\. Associate the ARN"):
        client.create_distribution(DistributionConfig=config(cloud, **wrong))
    assert {entry["Id"] for entry in client.list_distributions()["DistributionList"]["Items"]} == known
    current = client.get_distribution_config(Id=identity)
    changed = copy.deepcopy(current["DistributionConfig"])
    changed["DefaultCacheBehavior"]["LambdaFunctionAssociations"] = wrong["LambdaFunctionAssociations"]
    with pytest.raises(ClientError, match="isn't a numbered version"):
        client.update_distribution(Id=identity, IfMatch=current["ETag"], DistributionConfig=changed)
    assert client.get_distribution_config(Id=identity)["DistributionConfig"] == current["DistributionConfig"]


def test_a_function_with_an_environment_or_one_trust_is_refused(cloud: Cloud) -> None:
    role = cloud.client("iam").create_role(
        RoleName=f"r-{uuid.uuid4().hex[:6]}", AssumeRolePolicyDocument=trust("lambda.amazonaws.com")
    )["Role"]["Arn"]
    environment = {"Variables": {"A": "1"}}
    arn = publish(cloud.client, f"f-{uuid.uuid4().hex[:6]}", Role=role, Environment=environment, Timeout=6)
    with pytest.raises(ClientError) as error:
        create(cloud, **functions(viewer_request=arn))
    for reason in ("environment variables", "time-out of 6", "edgelambda.amazonaws.com can't assume"):
        assert reason in str(error.value)


def test_simultaneous_viewers_get_one_fetch(cloud: Cloud) -> None:
    identity = create(cloud)
    cloud.control.faults({"origin": "first-docs", "kind": "slow", "seconds": 0.3})
    seen: list[Seen] = []
    threads = [threading.Thread(target=lambda: seen.append(get(f"{cloud.emulator.edge_url}/x"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [entry.body for entry in seen] == [b"first-docs"] * 8
    assert cloud.control.state()["fetches"][identity] == {"first-docs": 1}


def test_the_edge_is_fast_enough_for_a_drill(cloud: Cloud) -> None:
    create(cloud, **functions(viewer_request=cloud.function))
    get(f"{cloud.emulator.edge_url}/x", Authorization="Bearer t")
    start = time.monotonic()
    for _ in range(50):
        assert get(f"{cloud.emulator.edge_url}/x", Authorization="Bearer t").status == 200
    assert time.monotonic() - start < 2.5


def test_a_port_without_a_distribution_and_a_wrong_change_say_so(cloud: Cloud, tmp_path: Path) -> None:
    cloud.control.choose("")
    assert get(f"{cloud.emulator.edge_url}/x")[:2] == (
        503,
        b"No distribution is chosen for this port. `python -m ops.local.up` chooses the stack's.\n",
    )
    with pytest.raises(CommandError, match="unknown: fault"):
        cloud.control._put(fault=[])
    with pytest.raises(CommandError, match="the kind is one of"):
        cloud.control.faults({"origin": "*", "kind": "explode"})


def probed(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> Result:
    """Run the command `edge probe` on the emulator's newest distribution."""
    for key, value in stack.environment(cloud.emulator.endpoint).items():
        monkeypatch.setenv(key, value)
    cors = {
        "AccessControlAllowOrigins": items("https://app.example.com"),
        "AccessControlAllowHeaders": items("Authorization"),
        "AccessControlAllowMethods": items("GET"),
        "AccessControlAllowCredentials": False,
        "OriginOverride": True,
    }
    policy = {
        "Name": f"p-{uuid.uuid4().hex[:6]}",
        "CorsConfig": cors,
        "SecurityHeadersConfig": {"ContentTypeOptions": {"Override": True}},
        "RemoveHeadersConfig": items({"Header": "x-amz-version-id"}),
    }
    made = cloud.client("cloudfront").create_response_headers_policy(ResponseHeadersPolicyConfig=policy)
    identity = create(cloud, ResponseHeadersPolicyId=made["ResponseHeadersPolicy"]["Id"])
    client = cloud.client("cloudfront")
    current = client.get_distribution_config(Id=identity)
    changed = copy.deepcopy(current["DistributionConfig"])
    private = functions(viewer_request=cloud.function, origin_response=cloud.function)
    changed["CacheBehaviors"] = items(behaviour("/documents/private/*", "pair", cloud.policy, **private))
    client.update_distribution(Id=identity, IfMatch=current["ETag"], DistributionConfig=changed)
    body = json.dumps({"text": "x" * 2_000})
    cloud.client("s3").put_object(
        Bucket="first-docs",
        Key="public/documents/c/x",
        Body=body,
        CacheControl="public, max-age=60",
        ContentType="application/json",
    )
    put(cloud, "first-docs", "documents/private/x", body)
    outputs = {"name": "shop", "region": "us-east-1", "items_table": "i", "write_log_bucket": "l"}
    outputs |= {"documents_bucket": "first-docs", "edge_id": identity, "edge_url": "https://d.example.com"}
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps({name: {"value": value} for name, value in outputs.items()}))
    return CliRunner().invoke(main, ["--outputs", str(file), "edge", "probe", *more])


def test_the_probe_finds_the_stand_in_as_its_rules_say(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = probed(cloud, tmp_path, monkeypatch, "--private", "/documents/private/x", "--json")
    outcomes = [json.loads(line) for line in ran.output.splitlines()]
    assert [outcome for outcome in outcomes if not outcome["same"]] == [] and ran.exit_code == 0
    assert 30 <= len(outcomes) <= 40
    rules = {outcome["rule"] for outcome in outcomes}
    assert {"freshness", "cache key", "compression", "limits", "raw path", "viewer-request event"} <= rules


def test_the_probe_reports_a_difference(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution that refuses nobody is found out, because the private document needs no token."""
    ran = probed(cloud, tmp_path, monkeypatch, "--private", "/documents/c/x")
    assert ran.exit_code == 1
    assert "DIFFERENT  a private document" in ran.output and "different. The rules: docs/edge-standin.md" in ran.output


def test_the_probe_says_what_it_needs(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.emulator.endpoint)
    file = tmp_path / "outputs.json"
    names = ("name", "region", "items_table", "documents_bucket", "write_log_bucket")
    file.write_text(json.dumps({name: {"value": "us-east-1"} for name in names}))
    ran = CliRunner().invoke(main, ["--outputs", str(file), "edge", "probe"])
    assert isinstance(ran.exception, CommandError) and "has no CloudFront distribution" in str(ran.exception)
    assert "--private" in CliRunner().invoke(main, ["edge", "probe", "--help"]).output
