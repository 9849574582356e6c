"""The protocols of AWS's services, which turn parameters into a request, and a response into a result or an error.

``JsonProtocol`` is for DynamoDB, Firehose and SQS. ``S3Protocol`` is for S3. Both have the same three methods:
``make_request``, ``read_result`` and ``read_error``. The last two raise :class:`UnansweredError` if the response is
incomplete or damaged.
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
    """An HTTP request before it is signed.

    It is no NamedTuple, because defining one adds 0.1 ms to every cold start.

    :ivar method: the HTTP method.
    :ivar host: the value of the ``Host`` header. The client has a connection pool for each host.
    :ivar path: the percent-encoded path.
    :ivar headers: the header values by name in lower case. All of them are signed.
    :ivar body: the body's bytes.
    :ivar payload_sha256: the body's SHA-256 in hex.
    """

    __slots__ = ("body", "headers", "host", "method", "path", "payload_sha256")

    def __init__(
        self, method: str, host: str, path: str, headers: dict[str, str], body: bytes, payload_sha256: str
    ) -> None:
        self.method = method
        self.host = host
        self.path = path
        self.headers = headers
        self.body = body
        self.payload_sha256 = payload_sha256


_TARGETS = {
    "dynamodb": ("1.0", "DynamoDB_20120810"),
    "firehose": ("1.1", "Firehose_20150804"),
    "sqs": ("1.0", "AmazonSQS"),
}
"""Each service's version of the JSON protocol, and its prefix of the operation in the ``X-Amz-Target`` header."""


class JsonProtocol:
    """AWS's JSON protocol, for any operation of DynamoDB, Firehose or SQS."""

    def __init__(self, service: str, endpoint: Endpoint) -> None:
        if service not in _TARGETS:
            raise ValueError(f"no service {service}")
        version, self._target = _TARGETS[service]
        self._content_type = f"application/x-amz-json-{version}"
        self._host = endpoint.authority
        self._path = endpoint.path or "/"

    def make_request(self, operation: str, parameters: Mapping[str, Any]) -> AwsRequest:
        """Return the request that calls an operation."""
        body = _encode(parameters).encode()
        headers = {
            "host": self._host,
            "content-type": self._content_type,
            "x-amz-target": f"{self._target}.{operation}",
        }
        return AwsRequest("POST", self._host, self._path, headers, body, sha256(body).hexdigest())

    def read_result(self, operation: str, response: HttpResponse) -> dict[str, Any]:  # noqa: ARG002 (S3 needs it)
        """Return an operation's result from a response with a status below 300."""
        return _read_members(response)

    def read_error(self, response: HttpResponse) -> RefusedError:
        """Return the error in a response with a status of 300 or more."""
        members = _read_members(response)
        # SQS has two codes for an error. This header holds the code of its older protocol, which boto3 reports, too.
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
    # DynamoDB sends a checksum of its response. AWS's SDKs also verify it.
    if "x-amz-crc32" in response.headers and response.headers["x-amz-crc32"] != str(crc32(body)):
        raise UnansweredError("ChecksumError", sent=True)
    try:
        members = json.loads(body) if body else {}
    except ValueError as error:
        if response.status < 300:
            raise UnansweredError("ResponseParserError", sent=True) from error
        members = {}  # a proxy's error page, which isn't JSON, so its status becomes the code
    return members if isinstance(members, dict) else {}


_METADATA_PREFIX = "x-amz-meta-"
_S3_OPERATIONS: dict[str, tuple[str, dict[str, str]]] = {
    "GetObject": ("GET", {"IfNoneMatch": "if-none-match"}),
    "PutObject": ("PUT", {"ContentType": "content-type", "CacheControl": "cache-control"}),
}
"""Each operation's HTTP method, and the header that carries each optional parameter."""
_S3_MEMBERS = (("etag", "ETag"), ("content-type", "ContentType"), ("cache-control", "CacheControl"))
"""The response headers that become members of GetObject's result, each with the member's name."""


class S3Protocol:
    """S3's protocol, for GetObject and PutObject."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def make_request(self, operation: str, parameters: Mapping[str, Any]) -> AwsRequest:
        """Return the request that calls an operation.

        :raises ValueError: for an unknown operation or parameter, an empty bucket or key, or a line break in a header.
        """
        optional = dict(parameters)
        try:
            method, header_names = _S3_OPERATIONS[operation]
            bucket, key, body = optional.pop("Bucket"), optional.pop("Key"), b""
            metadata = optional.pop("Metadata", {})
            headers = {f"{_METADATA_PREFIX}{name.lower()}": value for name, value in metadata.items()}
            if method == "PUT":
                body = optional.pop("Body")
            headers |= {header_names[name]: value for name, value in optional.items()}
        except KeyError as name:
            raise ValueError(f"s3: {operation} is unknown, or its parameter {name} is missing or unknown") from name
        if not bucket or not key:
            # Such a request would call another operation, such as a listing of the bucket.
            raise ValueError("s3: Bucket and Key must not be empty")
        if any(mark in text for header in headers.items() for text in header for mark in "\r\n"):
            raise ValueError("s3: a header can't hold a line break")
        digest = sha256(body)
        if method == "PUT":
            # S3 verifies the checksum, and a bucket with Object Lock accepts no object without one.
            headers["x-amz-checksum-sha256"] = b2a_base64(digest.digest(), newline=False).decode()
        host, path = self._address(bucket, uri_encode_path(key))
        headers |= {"host": host, "x-amz-content-sha256": digest.hexdigest()}
        return AwsRequest(method, host, path, headers, body, digest.hexdigest())

    def read_result(self, operation: str, response: HttpResponse) -> dict[str, Any]:
        """Return an operation's result from a response with a status below 300. An object's body stays unread."""
        headers = response.headers
        if operation == "PutObject":
            response.body.read_rest()
            return {"ETag": headers["etag"]} if "etag" in headers else {}
        result: dict[str, Any] = {member: headers[name] for name, member in _S3_MEMBERS if name in headers}
        result["Metadata"] = {
            name.removeprefix(_METADATA_PREFIX): headers[name] for name in headers if name.startswith(_METADATA_PREFIX)
        }
        result["Body"] = response.body
        return result

    def read_error(self, response: HttpResponse) -> RefusedError:
        """Return the error in a response with a status of 300 or more."""
        code = re.search(rb"<Code>([^<]+)</Code>", response.body.read_rest())
        return RefusedError(code[1].decode() if code else str(response.status), response.status)

    def _address(self, bucket: str, path: str) -> tuple[str, str]:
        # AWS wants a host name for each bucket. In two cases the path names the bucket instead. AWS's wildcard
        # certificate covers no bucket name with a dot, and custom endpoints such as emulators seldom have such hosts.
        endpoint = self._endpoint
        if endpoint.custom or "." in bucket:
            return endpoint.authority, f"{endpoint.path}/{bucket}/{path}"
        return f"{bucket}.{endpoint.authority}", f"/{path}"
