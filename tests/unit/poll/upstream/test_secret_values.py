"""Tests that back offices' secrets are read from AWS and cached for five minutes."""

import json
from typing import Any

import boto3
import pytest

from readplane.aws.boto import BotoClient
from readplane.poll.errors import SecretError
from readplane.poll.source.settings import StoredSecret
from readplane.poll.upstream.secret_values import REUSE_SECONDS, AwsSecretValues
from tests.fakes.moto_aws import Aws

VALUE = "s3cret-of-the-back-office"


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


def secret(arn: str, field: str | None = None) -> StoredSecret:
    return StoredSecret(arn, field)


def in_secrets_manager(**content: Any) -> str:
    manager: Any = boto3.client("secretsmanager")
    arn: str = manager.create_secret(Name="back-office", **content)["ARN"]
    return arn


def test_a_secret_is_read_once_in_five_minutes(aws: Aws, clock: Clock) -> None:
    arn = in_secrets_manager(SecretString=VALUE)
    secrets = AwsSecretValues(BotoClient, clock=clock)
    value, calls = aws.during(lambda: [secrets.get_secret(secret(arn)) for _ in range(3)])
    assert value == [VALUE] * 3 and calls == ["GetSecretValue"]
    clock.time = REUSE_SECONDS - 1
    assert aws.during(lambda: secrets.get_secret(secret(arn))) == (VALUE, [])
    clock.time = REUSE_SECONDS
    assert aws.during(lambda: secrets.get_secret(secret(arn))) == (VALUE, ["GetSecretValue"])


def test_refreshing_reads_a_rotated_secret(aws: Aws, clock: Clock) -> None:
    arn = in_secrets_manager(SecretString=VALUE)
    secrets = AwsSecretValues(clock=clock)
    assert secrets.get_secret(secret(arn)) == VALUE
    boto3.client("secretsmanager").put_secret_value(SecretId=arn, SecretString="new")
    assert [secrets.get_secret(secret(arn)), secrets.refresh_secret(secret(arn)), secrets.get_secret(secret(arn))] == [
        VALUE,
        "new",
        "new",
    ]


def test_one_field_of_a_secrets_json_is_read(aws: Aws, clock: Clock) -> None:
    arn = in_secrets_manager(SecretString=json.dumps({"user": "u", "password": VALUE, "port": 1}))
    secrets = AwsSecretValues(clock=clock)
    names = ("user", "password")
    values, calls = aws.during(lambda: tuple(secrets.get_secret(secret(arn, name)) for name in names))
    assert values == ("u", VALUE) and calls == ["GetSecretValue"]
    for field in ("token", "port"):
        with pytest.raises(SecretError, match="field"):
            secrets.get_secret(secret(arn, field))


@pytest.mark.parametrize("name", ["/readplane/back-office", "back-office"])
def test_a_parameter_is_read_decrypted(aws: Aws, clock: Clock, name: str) -> None:
    ssm: Any = boto3.client("ssm")
    ssm.put_parameter(Name=name, Type="SecureString", Value=VALUE)
    arn = ssm.get_parameter(Name=name)["Parameter"]["ARN"]
    value, calls = aws.during(lambda: AwsSecretValues(clock=clock).get_secret(secret(arn)))
    assert value == VALUE and calls == ["GetParameter"]


@pytest.mark.parametrize("content", [VALUE, f"[{VALUE!r}]", json.dumps([VALUE])])
def test_a_secret_without_fields_is_an_error_that_does_not_quote_it(aws: Aws, clock: Clock, content: str) -> None:
    arn = in_secrets_manager(SecretString=content)
    with pytest.raises(SecretError) as caught:
        AwsSecretValues(clock=clock).get_secret(secret(arn, "password"))
    error: BaseException | None = caught.value
    assert VALUE not in str(error) and error is not None and error.__cause__ is None


def test_a_binary_secret_is_an_error(aws: Aws, clock: Clock) -> None:
    arn = in_secrets_manager(SecretBinary=b"\0\1")
    with pytest.raises(SecretError, match="binary"):
        AwsSecretValues(clock=clock).get_secret(secret(arn))


@pytest.mark.parametrize("service", ["secretsmanager", "ssm"])
def test_a_missing_secret_is_an_error_with_the_code_of_aws(aws: Aws, clock: Clock, service: str) -> None:
    kind = "parameter" if service == "ssm" else "secret:"
    name = "SSM Parameter Store" if service == "ssm" else "Secrets Manager"
    with pytest.raises(SecretError, match=rf"{name} doesn't return the secret \(.*NotFound"):
        AwsSecretValues(clock=clock).get_secret(secret(f"arn:aws:{service}:eu-central-1:123456789012:{kind}/gone"))


def test_no_response_of_aws_is_an_error(monkeypatch: pytest.MonkeyPatch, aws: Aws, clock: Clock) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    secrets = AwsSecretValues(lambda service: BotoClient(service, attempts=1), clock=clock)
    with pytest.raises(SecretError, match="no response"):
        secrets.get_secret(secret("arn:aws:secretsmanager:eu-central-1:123456789012:secret:x"))
