"""Tests that compare IAM tokens with those of botocore's signer, for the same time and credentials."""

import time
from datetime import UTC, datetime
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlencode, urlsplit

import boto3
import botocore.auth
import pytest
from botocore.credentials import Credentials
from botocore.model import ServiceId
from botocore.signers import RequestSigner
from hypothesis import given, settings
from hypothesis import strategies as st

from readplane.aws.faults import UnansweredError
from readplane.aws.iam_token import TOKEN_SECONDS, cache_token, database_token
from readplane.aws.slim import credentials

KEYS = credentials.Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None)
MOMENT = datetime(2026, 11, 28, 1, 2, 3, tzinfo=UTC)

regions = st.sampled_from(["eu-central-1", "us-gov-west-1", "cn-north-1"])
moments = st.datetimes(datetime(2001, 1, 1), datetime(2099, 12, 31)).map(
    lambda moment: moment.replace(tzinfo=UTC, microsecond=0)
)
secrets = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/+", min_size=16, max_size=40)
all_keys = st.builds(credentials.Credentials, st.just("AKIDEXAMPLE"), secrets, st.none() | secrets.map("{}==".format))
names = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,39}", fullmatch=True)
users = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=30)


def botocores_url(service: str, region: str, url: str, keys: credentials.Credentials, moment: datetime) -> str:
    """Return the URL as botocore presigns it."""
    no_handlers = mock.Mock(emit_until_response=mock.Mock(return_value=(None, None)))
    signer: Any = RequestSigner(ServiceId(service), region, service, "v4", Credentials(*keys), no_handlers)
    request = {"method": "GET", "url": url, "body": {}, "headers": {}, "context": {}}
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=moment):
        return str(signer.generate_presigned_url(request, "connect", region_name=region, expires_in=TOKEN_SECONDS))


def at(moment: datetime, keys: credentials.Credentials) -> Any:
    """Let tokens be signed at this moment, with these credentials."""
    clock = mock.Mock(gmtime=moment.timetuple, strftime=time.strftime)
    return mock.patch.multiple("readplane.aws.iam_token", time=clock, credentials=mock.Mock(current=lambda: keys))


@settings(max_examples=40)
@given(name=names, user=users, serverless=st.booleans(), keys=all_keys, region=regions, moment=moments)
def test_a_cache_token_is_the_url_that_botocore_presigns(
    name: str, user: str, serverless: bool, keys: credentials.Credentials, region: str, moment: datetime
) -> None:
    parameters = {"Action": "connect", "User": user} | ({"ResourceType": "ServerlessCache"} if serverless else {})
    query = urlencode(parameters).replace("+", "%20")
    theirs = botocores_url("elasticache", region, f"https://{name.lower()}/?{query}", keys, moment)
    with at(moment, keys):
        assert cache_token(name, user, serverless=serverless, region_name=region) == theirs.removeprefix("https://")


@settings(max_examples=40)
@given(host=names, port=st.integers(1150, 65_535), user=users, keys=all_keys, region=regions, moment=moments)
def test_a_database_token_is_the_one_that_botocore_generates(
    host: str, port: int, user: str, keys: credentials.Credentials, region: str, moment: datetime
) -> None:
    query = urlencode({"Action": "connect", "DBUser": user}).replace("+", "%20")
    name = f"{host.lower()}.cluster-ro-abc.{region}.rds.amazonaws.com"
    theirs = botocores_url("rds-db", region, f"https://{name}:{port}/?{query}", keys, moment)
    with at(moment, keys):
        assert database_token(name, port, user, region_name=region) == theirs.removeprefix("https://")


def test_a_database_token_equals_that_of_boto3s_rds_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS.secret_key)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session/token+==")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    host = "demo.cluster-ro-abc.eu-central-1.rds.amazonaws.com"
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=MOMENT):
        client = boto3.session.Session().client("rds", region_name="eu-central-1")
        theirs = client.generate_db_auth_token(host, 5432, "query")
    with mock.patch.object(time, "gmtime", MOMENT.timetuple):
        assert database_token(host, 5432, "query") == theirs


def test_a_token_names_its_user_and_is_valid_for_15_minutes() -> None:
    with at(MOMENT, KEYS._replace(token="session")):
        token = cache_token("Demo-Cache", "demo-read", serverless=True, region_name="eu-central-1")
    url = urlsplit(f"https://{token}")
    query = {name: value for name, (value,) in parse_qs(url.query).items()}
    signature = query.pop("X-Amz-Signature")
    assert len(signature) == 64
    assert url.netloc == "demo-cache"
    assert query == {
        "Action": "connect",
        "User": "demo-read",
        "ResourceType": "ServerlessCache",
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": "AKIDEXAMPLE/20261128/eu-central-1/elasticache/aws4_request",
        "X-Amz-Date": "20261128T010203Z",
        "X-Amz-Expires": "900",
        "X-Amz-SignedHeaders": "host",
        "X-Amz-Security-Token": "session",
    }


def test_the_region_is_the_functions_own_unless_another_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    with at(MOMENT, KEYS):
        assert "%2Feu-west-1%2F" in cache_token("demo", "read", serverless=False)
        assert "%2Feu-west-2%2F" in cache_token("demo", "read", serverless=False, region_name="eu-west-2")
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with at(MOMENT, KEYS), pytest.raises(ValueError, match="AWS_REGION must be set"):
        cache_token("demo", "read", serverless=False)


def test_without_credentials_there_is_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", credentials.URI):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UnansweredError, match="NoCredentialsError"):
        database_token("demo", 5432, "query", region_name="eu-central-1")
