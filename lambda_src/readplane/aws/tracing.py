"""X-Ray traces. For each call to AWS, our own code or AWS's X-Ray SDK sends one subsegment to the X-Ray daemon.

Lambda itself writes the segment of an invocation, and decides whether X-Ray samples the invocation. The environment
variable ``_X_AMZN_TRACE_ID`` holds that decision and the segment's id. Our subsegments name Lambda's segment as their
parent, so the API, the function and its calls to AWS form one trace.
"""

import json
import os
import socket
import time
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, Protocol

DAEMON = "AWS_XRAY_DAEMON_ADDRESS"
HEADER = "_X_AMZN_TRACE_ID"

_FORMAT = b'{"format": "json", "version": 1}\n'
_HEX = frozenset("0123456789abcdefABCDEF")
_ID_LENGTHS = [1, 8, 24, 16]
"""The number of hex digits in each of the three parts of a trace id (1, 8 and 24), and in a segment id (16)."""

# The call parameters that a subsegment records, each with the name that the X-Ray SDK gives it.
# tests/unit/aws/test_tracing.py compares this table with the SDK's table. The SDK also records S3 keys. We don't record
# them, because the S3 key of an owner's document contains the user's id (`sub`).
_RECORDED_PARAMETERS: Mapping[str, Mapping[str, str]] = {
    "dynamodb": {
        "TableName": "table_name",
        "IndexName": "index_name",
        "ConsistentRead": "consistent_read",
        "ProjectionExpression": "projection_expression",
        "Limit": "limit",
        "ScanIndexForward": "scan_index_forward",
        "Select": "select",
        "RequestItems": "table_names",
    },
    "s3": {"Bucket": "bucket_name"},
    "sqs": {"QueueUrl": "queue_url", "VisibilityTimeout": "visibility_timeout"},
}


class Span(Protocol):
    """The trace of one call to AWS, from the start of the call to its end."""

    def end(self, status: int | None, request_id: str | None, retries: int) -> None:
        """End the span after the call, and send it. Only the thread that began the span may call this.

        :param status: the HTTP status, or ``None`` if no complete response arrived.
        :param request_id: the request id that AWS returned, or ``None`` if it returned none.
        :param retries: the number of attempts after the first.
        """


class Tracing(Protocol):
    """Begins a span for each call to AWS. Threads may share one instance. A fault in tracing never fails the call."""

    def begin(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Span | None:
        """Begin the span of a call to AWS, as a child of the segment that Lambda writes for the invocation.

        :param service: boto3's name for the service, such as ``dynamodb``.
        :param operation: the operation's name in the AWS API, such as ``GetItem``.
        :param parameters: the call's parameters. The span records the names of tables, indexes, buckets and queues, and
            options such as ``Limit``. It records no keys, values or bodies.
        :returns: the span, or ``None`` if X-Ray doesn't sample this invocation.
        """


@cache
def process_tracing(kind: Literal["datagrams", "sdk"]) -> Tracing | None:
    """Return the :class:`Tracing` that the whole process shares. The first call of this function makes it.

    :param kind: ``datagrams`` to send spans with our own code, which adds almost nothing to a cold start, or ``sdk`` to
        send them with AWS's X-Ray SDK.
    :returns: the tracing, or ``None`` if the environment doesn't hold the address of an X-Ray daemon, or if it holds
        the address in an unknown form.
    """
    daemon = _udp_address(os.environ.get(DAEMON, ""))
    if daemon is None:
        return None
    return UdpTracing(*daemon) if kind == "datagrams" else SdkTracing()


def _udp_address(text: str) -> tuple[str, int] | None:
    # The daemon's address is either "host:port" for both TCP and UDP, or "tcp:host:port udp:host:port" in either order.
    # For any other text, AWS's X-Ray SDK would raise an error. Return None instead, because a function must not fail
    # because of its traces.
    addresses = [address.split(":") for address in text.split(" ")]
    if len(addresses) == 2 and sorted(address[0] for address in addresses) == ["tcp", "udp"]:
        addresses = [address[1:] for address in addresses if address[0] == "udp"]
    if len(addresses) != 1 or len(addresses[0]) != 2:
        return None
    host, port = addresses[0]
    return (host, int(port)) if host and port.isdecimal() else None


def _parent_ids(header: str | None) -> tuple[str, str] | None:
    """Return the two ids in a trace header ``Root=<trace id>;Parent=<segment id>;Sampled=1``.

    :returns: ``None`` if X-Ray doesn't sample the trace, or if an id is missing or malformed.
    """
    fields = dict(part.strip().partition("=")[::2] for part in (header or "").split(";"))
    root, segment = fields.get("Root", ""), fields.get("Parent", "")
    valid = [len(number) for number in (*root.split("-"), segment)] == _ID_LENGTHS
    valid = valid and _HEX.issuperset(root.replace("-", "") + segment)
    return (root, segment) if valid and fields.get("Sampled") == "1" else None


def _region() -> dict[str, str]:
    name = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return {"region": name} if name else {}


def _begin_metadata(
    service: str, operation: str, region: Mapping[str, str], parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the members of a subsegment's ``aws`` block that are known when the call starts.

    :func:`_complete_metadata` adds the other members after the call.
    """
    metadata: dict[str, Any] = {"operation": operation, **region}
    recorded = _RECORDED_PARAMETERS.get(service)
    if recorded:
        for name, value in parameters.items():
            if name in recorded:
                # RequestItems is a dict from a table's name to the requested keys. Record only the names, never the
                # keys.
                metadata[recorded[name]] = list(value) if isinstance(value, dict) else value
    return metadata


def _complete_metadata(metadata: dict[str, Any], request_id: str | None, retries: int) -> dict[str, Any]:
    if request_id:
        metadata["request_id"] = request_id
    metadata["retries"] = retries
    return metadata


class UdpTracing:
    """A :class:`Tracing` that sends each finished span to the X-Ray daemon, as one UDP datagram."""

    def __init__(self, host: str, port: int) -> None:
        """Open a UDP socket, without sending anything.

        :param host: the X-Ray daemon's host.
        :param port: the X-Ray daemon's UDP port.
        """
        # Don't connect the socket, for two reasons. First, a connected socket would keep its old route when Lambda
        # restores a SnapStart snapshot into another sandbox. Second, if no daemon received a datagram, the
        # next send through a connected socket would raise an error instead of sending.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._daemon = (host, port)
        self._encode = json.JSONEncoder(separators=(",", ":")).encode
        self._region = _region()
        self._cached: tuple[str | None, tuple[str, str] | None] = (None, None)  # the last trace header and its ids

    def begin(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Span | None:
        """Begin the span of a call to AWS, or return ``None`` if X-Ray doesn't sample this invocation."""
        header = os.environ.get(HEADER)  # Lambda sets a new trace header for each invocation
        cached_header, parent = self._cached
        if header != cached_header:
            parent = _parent_ids(header)
            self._cached = (header, parent)
        if parent is None:
            return None
        return _DatagramSpan(self, service, parent, _begin_metadata(service, operation, self._region, parameters))

    def send(self, document: Mapping[str, Any]) -> None:
        """Send a subsegment to the X-Ray daemon, or drop it if it can't be sent at once."""
        try:
            self._socket.sendto(_FORMAT + self._encode(document).encode(), self._daemon)
        except (OSError, TypeError, ValueError):
            # Drop the subsegment. There is no daemon, or the socket's buffer is full, or JSON can't encode a parameter
            # of the call (then the call itself fails, too).
            return


class _DatagramSpan:
    """A :class:`Span` that :class:`UdpTracing` sends to the X-Ray daemon as one datagram."""

    __slots__ = ("_metadata", "_name", "_parent", "_start", "_tracing")

    def __init__(self, tracing: UdpTracing, name: str, parent: tuple[str, str], metadata: dict[str, Any]) -> None:
        self._tracing = tracing
        self._name = name
        self._parent = parent
        self._metadata = metadata
        self._start = time.time()

    def end(self, status: int | None, request_id: str | None, retries: int) -> None:
        """Send the span to the X-Ray daemon as one datagram."""
        trace_id, parent_id = self._parent
        document: dict[str, Any] = {
            "id": os.urandom(8).hex(),
            "name": self._name,
            "start_time": self._start,
            "parent_id": parent_id,
            "in_progress": False,
            "aws": _complete_metadata(self._metadata, request_id, retries),
            "trace_id": trace_id,
            "type": "subsegment",
            "namespace": "aws",
            "end_time": time.time(),
        }
        if status is None or status >= 500:
            document["fault"] = True
        elif status >= 400:
            document["error"] = True
            if status == 429:
                document["throttle"] = True
        if status is not None:
            document["http"] = {"response": {"status": status}}
        self._tracing.send(document)


class SdkTracing:
    """A :class:`Tracing` that uses aws-xray-sdk, and records nearly the same as that SDK's own patch of botocore.

    There are three differences. This class records no S3 keys, because the S3 key of an owner's document contains the
    user's id. It records no texts of exceptions, because they may contain data that a client wrote. It marks only a 5xx
    as a fault, because X-Ray defines a 4xx as an error. The SDK's patch marks both as faults.
    """

    def __init__(self) -> None:
        """Import the X-Ray SDK, which reads the daemon's address from the environment."""
        from aws_xray_sdk.core import xray_recorder  # slow to import, and only BotoClient needs it

        self._recorder: Any = xray_recorder
        self._region = _region()

    def begin(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Span | None:
        """Begin the span of a call to AWS, or return ``None`` if X-Ray doesn't sample this invocation."""
        if _parent_ids(os.environ.get(HEADER)) is None:
            return None
        # Clear the segments that the SDK keeps from the last invocation, so that it reads the trace header of this
        # invocation. Otherwise the SDK would read a new header only if the header's trace id has changed. But two
        # invocations may have the same trace id.
        self._recorder.clear_trace_entities()
        subsegment = self._recorder.begin_subsegment(service, "aws")
        if subsegment is None:
            return None
        return _SdkSpan(self._recorder, subsegment, _begin_metadata(service, operation, self._region, parameters))


class _SdkSpan:
    """A :class:`Span` that wraps a subsegment of the X-Ray SDK."""

    def __init__(self, recorder: Any, subsegment: Any, metadata: dict[str, Any]) -> None:
        self._recorder = recorder
        self._subsegment = subsegment
        self._metadata = metadata

    def end(self, status: int | None, request_id: str | None, retries: int) -> None:
        """Add the outcome of the call to the subsegment, and send it."""
        if status is None:
            self._subsegment.add_fault_flag()
        else:
            self._subsegment.put_http_meta("status", status)
        self._subsegment.set_aws(_complete_metadata(self._metadata, request_id, retries))
        self._recorder.end_subsegment()
