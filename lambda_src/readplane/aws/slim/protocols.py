"""The protocols of AWS's services: how to turn parameters into a request, and a response into a result or an error.

``JsonProtocol`` is for DynamoDB, Firehose, SQS and SSM. ``S3Protocol`` is for S3. Both classes have the same three
methods: ``make_request``, ``read_result`` and ``read_error``. ``read_result`` and ``read_error`` raise
:class:`UnansweredError` if the response is incomplete or damaged.
"""

import json
import re
from binascii import b2a_base64
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from zlib import crc32

from ..faults import RefusedError, UnansweredError
from .connection import HttpResponse
from .endpoint import Endpoint
from .signing import uri_encode_path


class AwsRequest:
    """An HTTP request to AWS before the client signs it.

    This class isn't a NamedTuple, because defining a NamedTuple adds 0.1 ms to every cold start.

    :ivar method: the HTTP method.
    :ivar host: the value of the ``Host`` header. The client has one connection pool per host.
    :ivar path: the percent-encoded path.
    :ivar query: the names and values of the query parameters, not encoded.
    :ivar headers: the header values by name in lower case. The client signs all of them.
    :ivar body: the bytes of the body.
    :ivar payload_sha256: the body's SHA-256 in hex.
    """

    __slots__ = ("body", "headers", "host", "method", "path", "payload_sha256", "query")

    def __init__(
        self,
        method: str,
        host: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        payload_sha256: str,
        query: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.method = method
        self.host = host
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.payload_sha256 = payload_sha256


_TARGETS = {
    "dynamodb": ("1.0", "DynamoDB_20120810"),
    "firehose": ("1.1", "Firehose_20150804"),
    "sqs": ("1.0", "AmazonSQS"),
    "ssm": ("1.1", "AmazonSSM"),
}
"""For each AWS service: its version of the JSON protocol, and the text that precedes the operation's name in the
``X-Amz-Target`` header."""


class JsonProtocol:
    """AWS's JSON protocol. It works for every operation of DynamoDB, Firehose, SQS and SSM."""

    def __init__(self, service: str, endpoint: Endpoint) -> None:
        if service not in _TARGETS:
            raise ValueError(f"no service {service}")
        version, self._target = _TARGETS[service]
        self._content_type = f"application/x-amz-json-{version}"
        self._host = endpoint.authority
        self._path = endpoint.path or "/"

    def make_request(self, operation: str, parameters: Mapping[str, Any]) -> AwsRequest:
        """Return the HTTP request that calls an operation, such as ``GetItem``."""
        body = _encode(parameters).encode()
        headers = {
            "host": self._host,
            "content-type": self._content_type,
            "x-amz-target": f"{self._target}.{operation}",
        }
        return AwsRequest("POST", self._host, self._path, headers, body, sha256(body).hexdigest())

    def read_result(self, operation: str, response: HttpResponse) -> dict[str, Any]:  # noqa: ARG002 (S3 needs it)
        """Return an operation's result from AWS's response, which has a status below 300."""
        return _read_members(response)

    def read_error(self, response: HttpResponse) -> RefusedError:
        """Return the error that AWS's response reports. The response has a status of 300 or more."""
        members = _read_members(response)
        # SQS has two codes for each error. Prefer the code of its older protocol, which SQS sends in the header
        # ``x-amzn-query-error``, because boto3 reports that code, too.
        sqs_code = response.headers.get("x-amzn-query-error", "").partition(";")[0]
        code = sqs_code or members.get("__type") or response.headers.get("x-amzn-errortype") or str(response.status)
        return RefusedError(str(code).partition(":")[0].rpartition("#")[2], response.status, members)


def _encode_blob(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return b2a_base64(value, newline=False).decode()
    raise TypeError(f"a parameter can't be of type {type(value).__name__}")


_encode = json.JSONEncoder(separators=(",", ":"), default=_encode_blob).encode


def _read_members(response: HttpResponse) -> dict[str, Any]:
    body = response.body.read_rest()
    # DynamoDB sends a checksum of its response. Verify the checksum, as AWS's SDKs do.
    if "x-amz-crc32" in response.headers and response.headers["x-amz-crc32"] != str(crc32(body)):
        raise UnansweredError("ChecksumError", sent=True)
    try:
        members = json.loads(body) if body else {}
    except ValueError as error:
        if response.status < 300:
            raise UnansweredError("ResponseParserError", sent=True) from error
        members = {}  # the body isn't JSON (such as a proxy's HTML page), so the HTTP status becomes the error code
    return members if isinstance(members, dict) else {}


_METADATA_PREFIX = "x-amz-meta-"
_S3_OPERATIONS: dict[str, tuple[str, dict[str, str]]] = {
    "GetObject": ("GET", {"IfNoneMatch": "if-none-match"}),
    "PutObject": (
        "PUT",
        {"ContentType": "content-type", "CacheControl": "cache-control", "IfNoneMatch": "if-none-match"},
    ),
}
"""For each S3 operation: its HTTP method, and the name of the header that carries each optional parameter.

GetObject also takes ``VersionId``, which is a parameter of the query."""
_S3_MEMBERS = (("etag", "ETag"), ("content-type", "ContentType"), ("cache-control", "CacheControl"))
"""The response headers that become members of GetObject's result, or of the error for a 304. Each row holds a header's
name and the member's name."""


def _s3_members(headers: Mapping[str, str]) -> dict[str, str]:
    return {member: headers[name] for name, member in _S3_MEMBERS if name in headers}


class S3Protocol:
    """The protocol of S3, for the operations GetObject and PutObject."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def make_request(self, operation: str, parameters: Mapping[str, Any]) -> AwsRequest:
        """Return the HTTP request that calls an operation, such as ``GetObject``.

        :raises ValueError: for an unknown operation or parameter, an empty bucket or key, or a line break in a header.
        """
        optional = dict(parameters)
        try:
            method, header_names = _S3_OPERATIONS[operation]
            bucket, key, body = optional.pop("Bucket"), optional.pop("Key"), b""
            metadata = optional.pop("Metadata", {})
            headers = {f"{_METADATA_PREFIX}{name.lower()}": value for name, value in metadata.items()}
            query: tuple[tuple[str, str], ...] = ()
            if method == "PUT":
                body = optional.pop("Body")
            elif "VersionId" in optional:
                query = (("versionId", optional.pop("VersionId")),)
            headers |= {header_names[name]: value for name, value in optional.items()}
        except KeyError as name:
            raise ValueError(f"s3: {operation} is unknown, or its parameter {name} is missing or unknown") from name
        if not bucket or not key:
            # With an empty bucket or key, the request would call another operation, such as a listing of the bucket.
            raise ValueError("s3: Bucket and Key must not be empty")
        if any(mark in text for header in headers.items() for text in header for mark in "\r\n"):
            raise ValueError("s3: a header can't hold a line break")
        digest = sha256(body)
        if method == "PUT":
            # Send a checksum, because S3 verifies it, and because a bucket with Object Lock refuses an object without
            # one.
            headers["x-amz-checksum-sha256"] = b2a_base64(digest.digest(), newline=False).decode()
        host, path = self._address(bucket, uri_encode_path(key))
        headers |= {"host": host, "x-amz-content-sha256": digest.hexdigest()}
        return AwsRequest(method, host, path, headers, body, digest.hexdigest(), query)

    def read_result(self, operation: str, response: HttpResponse) -> dict[str, Any]:
        """Return an operation's result from S3's response, which has a status below 300.

        For GetObject, this method doesn't read the object's content. The result's ``Body`` is a stream for the caller.
        """
        headers = response.headers
        if operation == "PutObject":
            response.body.read_rest()
            return {"ETag": headers["etag"]} if "etag" in headers else {}
        result: dict[str, Any] = _s3_members(headers)
        result["Metadata"] = {
            name.removeprefix(_METADATA_PREFIX): headers[name] for name in headers if name.startswith(_METADATA_PREFIX)
        }
        result["Body"] = response.body
        return result

    def read_error(self, response: HttpResponse) -> RefusedError:
        """Return the error that S3's response reports. The response has a status of 300 or more."""
        code = re.search(rb"<Code>([^<]+)</Code>", response.body.read_rest())
        # A 304 has no body. Its headers say which copy of the object the caller may go on using.
        members = _s3_members(response.headers) if response.status == 304 else None
        return RefusedError(code[1].decode() if code else str(response.status), response.status, members)

    def _address(self, bucket: str, path: str) -> tuple[str, str]:
        # Put the bucket's name into the host name, as AWS wants it. In two cases, put it into the path instead. First,
        # if the bucket's name contains a dot, AWS's wildcard certificate wouldn't cover the host name. Second, a custom
        # endpoint, such as an emulator, seldom has a host name for each bucket.
        endpoint = self._endpoint
        if endpoint.custom or "." in bucket:
            return endpoint.authority, f"{endpoint.path}/{bucket}/{path}"
        return f"{bucket}.{endpoint.authority}", f"/{path}"
