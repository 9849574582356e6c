"""Where the slim client finds AWS: as botocore does, in every Region of the partitions that it knows."""

from functools import cache
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from readplane.stores.endpoint import Endpoint, endpoint, parse

CALLS: dict[str, tuple[str, dict[str, str]]] = {
    "dynamodb": ("GetItem", {}),
    "firehose": ("PutRecord", {}),
    "s3": ("GetObject", {"Bucket": "docs", "Key": "k"}),
    "sqs": ("ChangeMessageVisibility", {}),
}
PARTITIONS = ("aws", "aws-cn", "aws-eusc", "aws-us-gov")


@cache
def session() -> Any:
    return botocore.session.Session()


def theirs(service: str, region: str) -> str | None:
    """The host that botocore resolves; ``None`` where it knows of none."""
    # DynamoDB's hosts per account need its number, which Lambda doesn't give; S3 in us-east-1 has a legacy host besides.
    config: Any = Config(account_id_endpoint_mode="disabled", s3={"us_east_1_regional_endpoint": "regional"})
    operation, parameters = CALLS[service]
    try:
        client = session().create_client(service, region_name=region, config=config)
        model = client.meta.service_model.operation_model(operation)
        url: str = client._ruleset_resolver.construct_endpoint(model, parameters, {}).url
    except BotoCoreError:
        return None
    return url


@pytest.mark.parametrize("fips", ["true", "false"])
@pytest.mark.parametrize("dual_stack", ["true", "false"])
@pytest.mark.parametrize("service", CALLS)
def test_every_region_of_botocores(monkeypatch: pytest.MonkeyPatch, service: str, dual_stack: str, fips: str) -> None:
    monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", dual_stack)
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", fips)
    compared = 0
    for partition in PARTITIONS:
        for region in session().get_available_regions(service, partition):
            expected = theirs(service, region)
            if expected is None:
                assert partition == "aws-cn"  # which has no FIPS endpoints
                continue
            monkeypatch.setenv("AWS_REGION", region)
            bucket = "docs." if service == "s3" else ""
            assert f"https://{bucket}{endpoint(service).authority}" == expected
            compared += 1
    assert compared > 30


def test_an_isolated_partition_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-isob-east-1")
    with pytest.raises(ValueError, match="us-isob-east-1"):
        endpoint("dynamodb")


def test_a_region_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(ValueError, match="AWS_REGION"):
        endpoint("dynamodb")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert endpoint("sqs").host == "sqs.eu-west-1.amazonaws.com"
    monkeypatch.setenv("AWS_REGION", "eu-west-2")
    assert endpoint("sqs").host == "sqs.eu-west-2.amazonaws.com"


def test_an_address_of_ones_own_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:4566/")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://s3.local/base/")
    assert endpoint("dynamodb") == Endpoint(False, "localhost", 4566, "", True)
    assert endpoint("s3") == Endpoint(True, "s3.local", 443, "/base", True)


@pytest.mark.parametrize(
    ("url", "host", "port", "authority"),
    [
        ("http://localhost", "localhost", 80, "localhost"),
        ("http://localhost:80", "localhost", 80, "localhost"),
        ("https://localhost:443", "localhost", 443, "localhost"),
        ("https://localhost:80", "localhost", 80, "localhost:80"),
        ("http://[::1]:4566", "::1", 4566, "[::1]:4566"),
        ("https://[fd00::1]/", "fd00::1", 443, "[fd00::1]"),
    ],
)
def test_urls(url: str, host: str, port: int, authority: str) -> None:
    where = parse(url, "X")
    assert (where.host, where.port, where.authority) == (host, port, authority)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:4566",
        "ftp://localhost",
        "http://",
        "http://a b",
        "http://u:p@host",
        "http://::1",
        "http://h:port",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="X must be"):
        parse(url, "X")
