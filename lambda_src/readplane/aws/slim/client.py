"""The stores' client for a client's path: the few calls that are made there, without an SDK.

It starts several times faster than boto3 and costs a third of the CPU per call (docs/performance.md). What it doesn't
know it doesn't do: the services are DynamoDB, Firehose, SQS (any operation of their JSON protocols) and S3's GetObject
and PutObject.
"""

import itertools
import json
import os
import re
import time
from binascii import b2a_base64
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple
from zlib import crc32

from ..faults import RefusedError, UnansweredError, pause
from ..tracing import tracing
from . import credentials
from .connection import ConnectionPool, HttpResponse
from .endpoint import Endpoint, endpoint, region
from .signing import Signer, uri_encode_path

BACKOFF_SECONDS = 0.05
"""The longest wait before the second try; it doubles with each further one."""
THROTTLED_SECONDS = 0.25
"""The same, when AWS asked for fewer requests."""

_LONGEST_SECONDS = 5.0

# What botocore's standard mode takes for throttling, and for a passing fault.
_THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_PASSING = frozenset({"ReplicatedWriteConflictException", "RequestTimeout", "RequestTimeoutException"})
_PASSING_STATUS = frozenset({500, 502, 503, 504})
# How AWS says that the request's time isn't its own.
_SKEWED = frozenset(
    {
        "AuthFailure",
        "InvalidSignatureException",
        "RequestExpired",
        "RequestInTheFuture",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    }
)
_SKEW_SECONDS = 240  # AWS allows 5 minutes; 15 for S3
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException"})

_skew = 0.0  # what to add to this machine's clock, for the whole process


class AwsRequest(NamedTuple):
    """What a service is asked; ``headers`` are all signed, their names in lower case."""

    method: str
    host: str
    path: str
    headers: dict[str, str]
    body: bytes
    sha256: str


class SlimClient:
    """:class:`~readplane.aws.client.Client` of our own."""

    def __init__(self, service: str, *, attempts: int = 3, read_timeout: float = 5, connections: int = 10) -> None:
        """See :func:`readplane.aws.client.client`. Connects to nothing, and looks for no credentials yet.

        :raises ValueError: for an unknown service, and when the environment holds no Region or a bad URL.
        """
        self._name = service
        self._where = endpoint(service)
        self._service = _S3(self._where) if service == "s3" else _Json(service, self._where)
        self._signer = Signer(service, region())
        self._attempts = attempts
        self._read_timeout = read_timeout
        self._connections = connections
        self._pools: dict[str, ConnectionPool] = {}
        self._tracing = tracing("datagrams")

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """See :class:`~readplane.aws.client.Client`.

        :raises ValueError: for an S3 operation or parameter that isn't known here.
        """
        request = self._service.request(operation, parameters)
        span = self._tracing.begin(self._name, operation, parameters) if self._tracing else None
        told = _Told()
        try:
            return self._result(operation, request, told)
        finally:
            if span:
                span.end(told.status, told.request_id, told.retries)

    def _result(self, operation: str, request: AwsRequest, told: "_Told") -> dict[str, Any]:
        attempts, mended = self._attempts, False
        for attempt in itertools.count(1):
            told.retries = attempt - 1
            try:
                who, skew = credentials.current(), _skew
                answer = self._send(request, who, skew)
                told.heard(answer)
                if answer.status < 300:
                    return self._service.read(operation, answer)
                refusal = self._service.refusal(answer)
            except UnansweredError as fault:
                told.missed(fault)
                if attempt >= attempts:
                    fault.sent = told.sent
                    raise
                longest = BACKOFF_SECONDS
            else:
                if not mended and _mend(refusal.code, answer, who, skew):
                    # AWS did nothing yet, so even a caller who allows one attempt loses nothing by another.
                    mended, attempts = True, attempts + 1
                    longest = 0.0
                else:
                    longest = _longest_pause(refusal)
                if attempt >= attempts or longest < 0:
                    raise refusal
            pause(min(longest * 2 ** (attempt - 1), _LONGEST_SECONDS))
        raise AssertionError

    def _send(self, request: AwsRequest, who: credentials.Credentials, skew: float) -> HttpResponse:
        headers = request.headers | {"x-amz-date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + skew))}
        if who.token:
            headers["x-amz-security-token"] = who.token
        authorization = self._signer.authorization(
            request.method, request.path, (), headers, request.sha256, who.access_key, who.secret_key
        )
        lines = [
            f"{request.method} {request.path} HTTP/1.1",
            *(f"{name}: {value}" for name, value in headers.items()),
            f"authorization: {authorization}",
            "user-agent: readplane",
            "accept-encoding: identity",
        ]
        if request.method != "GET":
            lines.append(f"content-length: {len(request.body)}")
        if trace := _trace():
            lines.append(f"x-amzn-trace-id: {trace}")
        head = "\r\n".join([*lines, "", ""]).encode()
        # A request that a closed connection swallowed is sent again at once, as all our calls may be made twice: reads,
        # conditional or idempotent writes, lines whose applying is idempotent. Not where the caller counts the tries.
        return self._pool(request.host).exchange(head + request.body, again=self._attempts > 1)

    def _pool(self, authority: str) -> ConnectionPool:
        pool = self._pools.get(authority)
        if pool is None:
            where = self._where
            fresh = ConnectionPool(
                where.host if where.custom else authority,  # S3's buckets have hosts of their own
                where.port,
                secure=where.secure,
                read_timeout=self._read_timeout,
                connections=self._connections,
            )
            pool = self._pools.setdefault(authority, fresh)
        return pool


class _Told:
    """What is known of a call so far."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.request_id: str | None = None
        self.retries = 0
        self.sent = False

    def heard(self, answer: HttpResponse) -> None:
        self.sent = True
        self.status = answer.status
        self.request_id = answer.headers.get("x-amzn-requestid") or answer.headers.get("x-amz-request-id")

    def missed(self, fault: UnansweredError) -> None:
        self.sent = self.sent or fault.sent
        self.status = None


class _Json:
    """AWS's JSON protocols: DynamoDB's, Firehose's and SQS's.

    ``request`` puts a call into HTTP; ``read`` takes what AWS gave, ``refusal`` its error, and both raise
    :class:`UnansweredError` when that isn't whole.
    """

    def __init__(self, service: str, where: Endpoint) -> None:
        if service not in _TARGETS:
            raise ValueError(f"no service {service}")
        version, self._target = _TARGETS[service]
        self._type = f"application/x-amz-json-{version}"
        self._host = where.authority
        self._path = where.path or "/"

    def request(self, operation: str, parameters: Mapping[str, Any]) -> AwsRequest:
        body = _encode(parameters).encode()
        headers = {"host": self._host, "content-type": self._type, "x-amz-target": f"{self._target}.{operation}"}
        return AwsRequest("POST", self._host, self._path, headers, body, sha256(body).hexdigest())

    def read(self, operation: str, answer: HttpResponse) -> dict[str, Any]:
        return _members(answer)

    def refusal(self, answer: HttpResponse) -> RefusedError:
        members = _members(answer)
        # SQS's own codes, as its older protocol had them and boto3 gives them, come in a header of their own.
        query = answer.headers.get("x-amzn-query-error", "").partition(";")[0]
        told = query or members.get("__type") or answer.headers.get("x-amzn-errortype") or str(answer.status)
        code = str(told).partition(":")[0].rpartition("#")[2]
        return RefusedError(code, answer.status, members)


_TARGETS = {
    "dynamodb": ("1.0", "DynamoDB_20120810"),
    "firehose": ("1.1", "Firehose_20150804"),
    "sqs": ("1.0", "AmazonSQS"),
}


def _blob(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return b2a_base64(value, newline=False).decode()
    raise TypeError(f"a parameter can't be of type {type(value).__name__}")


_encode = json.JSONEncoder(separators=(",", ":"), default=_blob).encode


def _members(answer: HttpResponse) -> dict[str, Any]:
    body = answer.body.rest()
    # DynamoDB's checksum of what it sent, which AWS's SDKs compare too.
    if answer.headers.get("x-amz-crc32", (told := str(crc32(body)))) != told:
        raise UnansweredError("ChecksumError", sent=True)
    try:
        members = json.loads(body) if body else {}
    except ValueError as error:
        if answer.status < 300:
            raise UnansweredError("ResponseParserError", sent=True) from error
        members = {}  # an error of something in between, which knows no JSON; its status is told
    return members if isinstance(members, dict) else {}


class _S3:
    """S3's GetObject and PutObject, with the methods of :class:`_Json`."""

    def __init__(self, where: Endpoint) -> None:
        self._where = where

    def request(self, operation: str, parameters: Mapping[str, Any]) -> AwsRequest:
        rest = dict(parameters)
        try:
            method, names = _S3_OPERATIONS[operation]
            bucket, key, body = rest.pop("Bucket"), rest.pop("Key"), b""
            headers = {f"{_META}{name.lower()}": value for name, value in rest.pop("Metadata", {}).items()}
            if method == "PUT":
                body = rest.pop("Body")
            headers |= {names[name]: value for name, value in rest.items()}
        except KeyError as unknown:
            raise ValueError(f"s3: {operation} isn't known here, or not with or without {unknown}") from unknown
        if not bucket or not key:
            raise ValueError("s3: Bucket and Key must not be empty")  # that would be another operation
        if any(mark in text for item in headers.items() for text in item for mark in "\r\n"):
            raise ValueError("s3: a header can't hold a line break")
        digest = sha256(body)
        if method == "PUT":
            # S3 compares it with what it keeps, and takes nothing without into a bucket with Object Lock.
            headers["x-amz-checksum-sha256"] = b2a_base64(digest.digest(), newline=False).decode()
        host, path = self._place(bucket, uri_encode_path(key))
        headers |= {"host": host, "x-amz-content-sha256": digest.hexdigest()}
        return AwsRequest(method, host, path, headers, body, digest.hexdigest())

    def read(self, operation: str, answer: HttpResponse) -> dict[str, Any]:
        headers = answer.headers
        if operation == "PutObject":
            answer.body.rest()
            return {"ETag": headers["etag"]} if "etag" in headers else {}
        told: dict[str, Any] = {member: headers[name] for name, member in _S3_MEMBERS if name in headers}
        told["Metadata"] = {name[len(_META) :]: headers[name] for name in headers if name.startswith(_META)}
        told["Body"] = answer.body
        return told

    def refusal(self, answer: HttpResponse) -> RefusedError:
        found = re.search(rb"<Code>([^<]+)</Code>", answer.body.rest())
        return RefusedError(found[1].decode() if found else str(answer.status), answer.status)

    def _place(self, bucket: str, path: str) -> tuple[str, str]:
        # A bucket's own host is what AWS wants. Its wildcard certificate covers no name with a dot, and emulators
        # seldom have such hosts.
        where = self._where
        if where.custom or "." in bucket:
            return where.authority, f"{where.path}/{bucket}/{path}"
        return f"{bucket}.{where.authority}", f"/{path}"


_META = "x-amz-meta-"
_S3_OPERATIONS: dict[str, tuple[str, dict[str, str]]] = {
    "GetObject": ("GET", {"IfNoneMatch": "if-none-match"}),
    "PutObject": ("PUT", {"ContentType": "content-type", "CacheControl": "cache-control"}),
}
_S3_MEMBERS = (("etag", "ETag"), ("content-type", "ContentType"), ("cache-control", "CacheControl"))


def _longest_pause(refusal: RefusedError) -> float:
    """Seconds to wait at most before the second try; negative where there is nothing to wait for."""
    if refusal.code in _THROTTLED or refusal.status == 429:
        return THROTTLED_SECONDS
    if refusal.code in _PASSING or refusal.status in _PASSING_STATUS:
        return BACKOFF_SECONDS
    return -1


def _mend(code: str, answer: HttpResponse, who: credentials.Credentials, skew: float) -> bool:
    """Mend what AWS refused the request for before it looked inside: its time, or expired credentials.

    Compared is what this request was signed with: another thread may have mended the same already.
    """
    if code in _EXPIRED:
        return credentials.expired(who)
    if code not in _SKEWED:
        return False
    global _skew
    from email.utils import parsedate_to_datetime  # only here, and not cheap

    try:
        off = parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time()
    except (KeyError, ValueError):
        return False
    if abs(off - skew) < _SKEW_SECONDS:
        return False  # the clock isn't why
    _skew = off
    return True


def _trace() -> str:
    """The invocation's trace, for Lambda's detection of functions that call themselves in a circle."""
    trace = os.environ.get("_X_AMZN_TRACE_ID", "")
    return trace if "AWS_LAMBDA_FUNCTION_NAME" in os.environ and trace.isascii() and trace.isprintable() else ""
