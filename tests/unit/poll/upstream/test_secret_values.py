import json
from typing import Any

import boto3
import pytest

from readplane.aws.boto import BotoClient
from readplane.poll.errors import SecretError
from readplane.poll.source.settings import SecretHeader
from readplane.poll.upstream.secret_values import KEPT_SECONDS, AwsSecretValues
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


def secret(arn: str, field: str | None = None) -> SecretHeader:
    return SecretHeader(arn, "X-Key", "{secret}", field)


def in_secrets_manager(**content: Any) -> str:
    manager: Any = boto3.client("secretsmanager")
    arn: str = manager.create_secret(Name="back-office", **content)["ARN"]
    return arn


def test_a_secret_is_read_once_in_five_minutes(aws: Aws, clock: Clock) -> None:
    arn = in_secrets_manager(SecretString=VALUE)
    secrets = AwsSecretValues(BotoClient, clock=clock)
    value, calls = aws.during(lambda: [secrets.get(secret(arn)) for _ in range(3)])
    assert value == [VALUE] * 3 and calls == ["GetSecretValue"]
    clock.time = KEPT_SECONDS - 1
    assert aws.during(lambda: secrets.get(secret(arn))) == (VALUE, [])
    clock.time = KEPT_SECONDS
    assert aws.during(lambda: secrets.get(secret(arn))) == (VALUE, ["GetSecretValue"])


def test_a_rotated_secret_is_read_when_asked(aws: Aws, clock: Clock) -> None:
    arn = in_secrets_manager(SecretString=VALUE)
    secrets = AwsSecretValues(clock=clock)
    assert secrets.get(secret(arn)) == VALUE
    boto3.client("secretsmanager").put_secret_value(SecretId=arn, SecretString="new")
    assert [secrets.get(secret(arn)), secrets.refresh(secret(arn)), secrets.get(secret(arn))] == [VALUE, "new", "new"]


def test_one_field_of_a_secrets_json(aws: Aws, clock: Clock) -> None:
    arn = in_secrets_manager(SecretString=json.dumps({"user": "u", "password": VALUE, "port": 1}))
    secrets = AwsSecretValues(clock=clock)
    names = ("user", "password")
    values, calls = aws.during(lambda: tuple(secrets.get(secret(arn, name)) for name in names))
    assert values == ("u", VALUE) and calls == ["GetSecretValue"]
    for field in ("token", "port"):
        with pytest.raises(SecretError, match="field"):
            secrets.get(secret(arn, field))


@pytest.mark.parametrize("name", ["/readplane/back-office", "back-office"])
def test_a_parameter_is_read_decrypted(aws: Aws, clock: Clock, name: str) -> None:
    ssm: Any = boto3.client("ssm")
    ssm.put_parameter(Name=name, Type="SecureString", Value=VALUE)
    arn = ssm.get_parameter(Name=name)["Parameter"]["ARN"]
    value, calls = aws.during(lambda: AwsSecretValues(clock=clock).get(secret(arn)))
    assert value == VALUE and calls == ["GetParameter"]


@pytest.mark.parametrize("content", [VALUE, f"[{VALUE!r}]", json.dumps([VALUE])])
def test_what_has_no_fields_is_told_without_its_text(aws: Aws, clock: Clock, content: str) -> None:
    arn = in_secrets_manager(SecretString=content)
    with pytest.raises(SecretError) as caught:
        AwsSecretValues(clock=clock).get(secret(arn, "password"))
    error: BaseException | None = caught.value
    assert VALUE not in str(error) and error is not None and error.__cause__ is None


def test_binary_is_no_header(aws: Aws, clock: Clock) -> None:
    arn = in_secrets_manager(SecretBinary=b"\0\1")
    with pytest.raises(SecretError, match="binary"):
        AwsSecretValues(clock=clock).get(secret(arn))


@pytest.mark.parametrize("service", ["secretsmanager", "ssm"])
def test_what_is_not_there_is_told_by_its_code(aws: Aws, clock: Clock, service: str) -> None:
    kind = "parameter" if service == "ssm" else "secret:"
    with pytest.raises(SecretError, match=f"{service} doesn't give it .*NotFound"):
        AwsSecretValues(clock=clock).get(secret(f"arn:aws:{service}:eu-central-1:123456789012:{kind}/gone"))


def test_no_answer_is_told(monkeypatch: pytest.MonkeyPatch, aws: Aws, clock: Clock) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    secrets = AwsSecretValues(lambda service: BotoClient(service, attempts=1), clock=clock)
    with pytest.raises(SecretError, match="no answer"):
        secrets.get(secret("arn:aws:secretsmanager:eu-central-1:123456789012:secret:x"))
