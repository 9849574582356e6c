"""Tests that compare signatures with AWS's published test vectors and, for random requests, with botocore's."""

import json
import re
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import unquote

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from readplane.aws.slim.signing import Signer, canonical_request, uri_encode, uri_encode_path

VECTORS: dict[str, dict[str, str]] = json.loads((Path(__file__).parent / "sigv4/vectors.json").read_text("utf-8"))
ACCESS_KEY, SECRET_KEY = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

LEFT_OUT = {
    # In these cases, the signer must normalise the path, but the slim client's signer never does. A signer for S3 must
    # not normalise paths, because an object's key can contain `..`. For the other services, the slim client's paths are
    # fixed and already normal.
    "get-relative": "normalisation",
    "get-relative-relative": "normalisation",
    "get-slash": "normalisation",
    "get-slash-dot-slash": "normalisation",
    "get-slash-pointless-dot": "normalisation",
    "get-slashes": "normalisation",
    # These cases send a header twice, but none of the slim client's requests does that.
    "get-header-key-duplicate": "a header twice",
    "get-header-value-order": "a header twice",
    # This case sends a header over several lines, but RFC 9112 (section 5.2) forbids that.
    "get-header-value-multiline": "a header over several lines",
}


def parse_request(request: str) -> tuple[str, str, list[tuple[str, str]], dict[str, str], bytes]:
    """Parse the request of a test vector. Return its method, path, query, headers and body."""
    head, _, body = request.partition("\n\n")
    first, *lines = head.strip("\n").split("\n")
    method, _, rest = first.partition(" ")
    path, _, query = rest.removesuffix(" HTTP/1.1").partition("?")
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    headers = {line.partition(":")[0].lower(): line.partition(":")[2] for line in lines}
    return method, path, [(unquote(name), unquote(value)) for name, _, value in pairs], headers, body.encode()


@pytest.mark.parametrize("name", VECTORS)
def test_a_vector_of_the_suite_is_signed_as_it_says(name: str) -> None:
    vector = VECTORS[name]
    method, path, query, headers, body = parse_request(vector["req"])
    # Copy the session token from the canonical request of the test vector. The vector's request lacks the token,
    # because the token belongs to the credentials.
    if token := re.search(r"^x-amz-security-token:(.*)$", vector["creq"], re.MULTILINE):
        headers["x-amz-security-token"] = token[1]
    digest = sha256(body).hexdigest()

    canonical, signed = canonical_request(method, path, query, headers, digest)
    assert canonical == vector["creq"]
    assert signed == vector["creq"].splitlines()[-2]
    signer = Signer("service", "us-east-1")
    assert signer.authorization(method, path, query, headers, digest, ACCESS_KEY, SECRET_KEY) == vector["authz"]


def test_every_other_vector_is_left_out_for_a_stated_reason() -> None:
    assert not VECTORS.keys() & LEFT_OUT.keys()
    assert len(VECTORS) + len(LEFT_OUT) == 34  # AWS's test suite has 34 cases


# Generate no control characters, because header values can't hold them. Generate spaces, because signing must replace
# several spaces in a row with one.
texts = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=20)
tokens = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=12).filter(
    # Generate no header that botocore leaves unsigned because a proxy may change it. Generate no `host`, because the
    # test sets it. Generate no `date`, because botocore would send it instead of `x-amz-date`.
    lambda name: name not in ("host", "date", *botocore.auth.SIGNED_HEADERS_BLACKLIST)
)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
moments = st.datetimes(datetime(2001, 1, 1), datetime(2099, 12, 31)).map(lambda moment: moment.replace(tzinfo=UTC))
keys = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/+", min_size=16, max_size=40)


@pytest.mark.parametrize("service", ["dynamodb", "firehose", "sqs", "s3", "ssm"])
@given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE"]),
    key=names,
    query=st.dictionaries(names, texts, max_size=4),
    extra=st.dictionaries(tokens, texts, max_size=5),
    body=st.binary(max_size=100),
    token=st.none() | keys,
    secret=keys,
    region=st.sampled_from(["eu-central-1", "us-gov-west-1", "cn-north-1"]),
    moment=moments,
)
def test_any_request_is_signed_as_botocore_signs_it(
    service: str,
    method: str,
    key: str,
    query: dict[str, str],
    extra: dict[str, str],
    body: bytes,
    token: str | None,
    secret: str,
    region: str,
    moment: datetime,
) -> None:
    # For all services but S3, remove leading and trailing dots from the key. Otherwise botocore would normalise the
    # path, and its signature would differ from the slim client's, because the slim client never normalises a path.
    path = f"/{uri_encode_path(key)}" if service == "s3" else f"/{uri_encode(key.strip('.'))}"
    request: Any = AWSRequest(method, f"https://a.example{path}", headers=dict(extra), data=body, params=query)
    auth_of: Any = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=moment):
        auth_of(Credentials(ACCESS_KEY, secret, token), service, region).add_auth(request)

    digest = sha256(body).hexdigest()
    headers = {**extra, "host": "a.example", "x-amz-date": moment.strftime("%Y%m%dT%H%M%SZ")}
    if token:
        headers["x-amz-security-token"] = token
    if service == "s3":
        headers["x-amz-content-sha256"] = digest
    ours = Signer(service, region).authorization(method, path, query.items(), headers, digest, ACCESS_KEY, secret)
    assert ours == request.headers["Authorization"]


@given(st.lists(st.tuples(st.sampled_from(["one", "two"]), st.sampled_from(["20260101", "20260102"])), max_size=8))
def test_a_cached_key_signs_like_a_new_one(uses: list[tuple[str, str]]) -> None:
    cached = Signer("dynamodb", "eu-central-1")
    for secret, day in uses:
        headers = {"host": "a.example", "x-amz-date": f"{day}T000000Z"}
        fresh = Signer("dynamodb", "eu-central-1")
        assert cached.authorization("POST", "/", (), headers, "", ACCESS_KEY, secret) == fresh.authorization(
            "POST", "/", (), headers, "", ACCESS_KEY, secret
        )


@given(names)
def test_encoding_keeps_only_the_unreserved_characters(text: str) -> None:
    encoded = uri_encode(text)
    assert unquote(encoded) == text
    assert set(encoded) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%")
    assert uri_encode_path(f"a/{text}") == "a/" + "/".join(uri_encode(part) for part in text.split("/"))
