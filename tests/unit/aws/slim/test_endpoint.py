"""Tests of the slim client's endpoints.

In every Region of the supported AWS partitions, the slim client must use the same endpoints as botocore, unless
environment variables set other endpoints.
"""

from functools import cache
from typing import Any

import botocore.session
import pytest
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import EndpointProviderError

from readplane.aws.slim.endpoint import Endpoint, endpoint, parse

SERVICES: dict[str, dict[str, str]] = {"dynamodb": {}, "firehose": {}, "s3": {"Bucket": "docs"}, "sqs": {}, "ssm": {}}
PARTITIONS = ("aws", "aws-cn", "aws-eusc", "aws-us-gov")


@cache
def loader() -> Any:
    return botocore.session.Session().get_component("data_loader")


@cache
def rules(service: str) -> Any:
    """Return botocore's endpoint resolver for a service. It follows the rules that AWS publishes."""
    provider: Any = EndpointProvider
    return provider(loader().load_service_model(service, "endpoint-rule-set-1"), loader().load_data("partitions"))


@cache
def regions(service: str) -> list[tuple[str, str]]:
    """Return the partition and the name of each Region that offers the service."""
    session = botocore.session.Session()
    return [(partition, name) for partition in PARTITIONS for name in session.get_available_regions(service, partition)]


@pytest.mark.parametrize("fips", [True, False])
@pytest.mark.parametrize("dual_stack", [True, False])
@pytest.mark.parametrize("service", SERVICES)
def test_every_region_has_botocores_endpoint(
    monkeypatch: pytest.MonkeyPatch, service: str, dual_stack: bool, fips: bool
) -> None:
    monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", str(dual_stack).lower())
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", str(fips))
    compared = 0
    for partition, region in regions(service):
        monkeypatch.setenv("AWS_REGION", region)
        parameters = {"Region": region, "UseDualStack": dual_stack, "UseFIPS": fips, **SERVICES[service]}
        try:
            theirs = rules(service).resolve_endpoint(**parameters).url
        except EndpointProviderError:
            assert (service, partition, fips) == ("s3", "aws-cn", True)  # S3 has no FIPS endpoints in China
            continue
        host = ".".join([*SERVICES[service].values(), endpoint(service).authority])
        assert theirs == f"https://{host}"
        compared += 1
    assert compared > 30


def test_an_isolated_partition_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-isob-east-1")
    with pytest.raises(ValueError, match="us-isob-east-1"):
        endpoint("dynamodb")


def test_the_environment_must_name_a_region_and_aws_region_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(ValueError, match="AWS_REGION"):
        endpoint("dynamodb")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert endpoint("sqs").host == "sqs.eu-west-1.amazonaws.com"
    monkeypatch.setenv("AWS_REGION", "eu-west-2")
    assert endpoint("sqs").host == "sqs.eu-west-2.amazonaws.com"


def test_an_address_from_the_environment_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_a_url_is_parsed_to_host_port_and_authority(url: str, host: str, port: int, authority: str) -> None:
    address = parse(url, "X")
    assert (address.host, address.port, address.authority) == (host, port, authority)


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
def test_a_malformed_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="X must be"):
        parse(url, "X")
