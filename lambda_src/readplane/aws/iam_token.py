"""IAM tokens: the short-lived passwords with which IAM identities log in to ElastiCache and to RDS.

A token is a presigned GET request, without its scheme. AWS's documentation gives the form: "Authenticating with IAM"
in the ElastiCache guide, and "Connecting using IAM authentication" in the Aurora guide. This module signs tokens
locally, so a function in a VPC without a way to AWS's APIs can log in. tests/unit/aws/test_iam_token.py compares the
tokens with botocore's.
"""

import time
from hashlib import sha256

from .slim import credentials
from .slim.endpoint import region
from .slim.signing import ALGORITHM, Signer, canonical_request, uri_encode

TOKEN_SECONDS = 900
"""How long a token is valid for logging in, in seconds. AWS allows no more. A connection outlives its token."""


def cache_token(cache_name: str, user: str, *, serverless: bool, region_name: str | None = None) -> str:
    """Return a token with which a user logs in to an ElastiCache cache.

    :param cache_name: the name of the serverless cache, or the id of the replication group. ElastiCache stores both in
        lower case, and a token with another spelling is refused, so the token contains the name in lower case.
    :param user: the ElastiCache user's id, which must equal the user's name.
    :param serverless: whether the cache is serverless.
    :param region_name: the cache's AWS Region; ``None`` for the Region of the Lambda function.
    :raises UnansweredError: if there are no credentials.
    :raises ValueError: if no Region is given and the environment names none.
    """
    kind = [("ResourceType", "ServerlessCache")] if serverless else []
    return _token("elasticache", cache_name.lower(), [("Action", "connect"), ("User", user), *kind], region_name)


def database_token(host: str, port: int, user: str, *, region_name: str | None = None) -> str:
    """Return a token with which a user logs in to a database in RDS or Aurora.

    :param host: the endpoint to which the client connects. A custom DNS name isn't possible, because RDS compares it.
    :param user: the database user.
    :param region_name: the database's AWS Region; ``None`` for the Region of the Lambda function.
    :raises UnansweredError: if there are no credentials.
    :raises ValueError: if no Region is given and the environment names none.
    """
    return _token("rds-db", f"{host}:{port}", [("Action", "connect"), ("DBUser", user)], region_name)


def _token(service: str, host: str, parameters: list[tuple[str, str]], region_name: str | None) -> str:
    keys, signer = credentials.current(), Signer(service, region_name or region())
    at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    query = [
        *parameters,
        ("X-Amz-Algorithm", ALGORITHM),
        ("X-Amz-Credential", f"{keys.access_key}/{signer.scope(at)}"),
        ("X-Amz-Date", at),
        ("X-Amz-Expires", f"{TOKEN_SECONDS}"),
        ("X-Amz-SignedHeaders", "host"),
    ]
    if keys.token:
        query.append(("X-Amz-Security-Token", keys.token))
    request, _ = canonical_request("GET", "/", query, {"host": host}, sha256(b"").hexdigest())
    query.append(("X-Amz-Signature", signer.signature(request, at, keys.secret_key)))
    return f"{host}/?" + "&".join(f"{name}={uri_encode(value)}" for name, value in query)
