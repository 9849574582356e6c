"""Traces: one X-Ray subsegment per AWS call, behind one small interface.

The Lambda service itself writes the segment of an invocation and decides whether it is sampled; both stand in
``_X_AMZN_TRACE_ID``. What is sent here hangs below that segment, so API, function and AWS call are one trace.
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
_LENGTHS = [1, 8, 24, 16]
"""Of a trace id's three numbers and of a segment id."""

# What a call's parameters may leave in its subsegment: what the X-Ray SDK records of them, under the names that it
# gives them (tests/unit/test_tracing.py compares), but no S3 keys: in an owner's prefix they hold the user's `sub`.
_KEPT: Mapping[str, Mapping[str, str]] = {
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
    """A call that is under way."""

    def end(self, status: int | None, request_id: str | None, retries: int) -> None:
        """The call is over; the thread that began it says so.

        :param status: the HTTP status; ``None`` where no answer came.
        :param request_id: AWS's own id of the request.
        :param retries: tries beyond the first.
        """


class Tracing(Protocol):
    """Where spans go. Threads may share it. Whatever befalls a trace, the call itself never notices."""

    def begin(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Span | None:
        """Begin a call's span, below the invocation's segment.

        :param service: ``dynamodb``, as boto3 calls it.
        :param operation: ``GetItem``.
        :param parameters: the call's parameters; kept are names of tables, indexes, buckets and queues and how they
            are read, no key, no value, no body.
        :returns: ``None`` where this request isn't sampled.
        """


@cache
def tracing(kind: Literal["datagrams", "sdk"]) -> Tracing | None:
    """The process's tracing.

    :param kind: ``datagrams`` costs a function on a client's path next to nothing; ``sdk`` is AWS's own library.
    :returns: ``None`` where there is no X-Ray daemon to send to, or its address can't be understood.
    """
    daemon = _udp_address(os.environ.get(DAEMON, ""))
    if daemon is None:
        return None
    return UdpTracing(*daemon) if kind == "datagrams" else SdkTracing()


def _udp_address(text: str) -> tuple[str, int] | None:
    # "host:port" for TCP and UDP alike, or "tcp:host:port udp:host:port" in either order. The SDK refuses anything else
    # with an exception, which would end a function for its traces' sake.
    ways = [way.split(":") for way in text.split(" ")]
    if len(ways) == 2 and sorted(way[0] for way in ways) == ["tcp", "udp"]:
        ways = [way[1:] for way in ways if way[0] == "udp"]
    if len(ways) != 1 or len(ways[0]) != 2:
        return None
    host, port = ways[0]
    return (host, int(port)) if host and port.isdecimal() else None


def _parent(header: str | None) -> tuple[str, str] | None:
    """The trace's and the segment's id from ``Root=…;Parent=…;Sampled=1``; ``None`` for what isn't sampled or whole."""
    fields = dict(part.strip().partition("=")[::2] for part in (header or "").split(";"))
    root, segment = fields.get("Root", ""), fields.get("Parent", "")
    whole = [len(number) for number in (*root.split("-"), segment)] == _LENGTHS
    whole = whole and _HEX.issuperset(root.replace("-", "") + segment)
    return (root, segment) if whole and fields.get("Sampled") == "1" else None


def _region() -> dict[str, str]:
    name = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return {"region": name} if name else {}


def _about(service: str, operation: str, region: Mapping[str, str], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The ``aws`` block of a subsegment, as far as it is known before the answer."""
    about: dict[str, Any] = {"operation": operation, **region}
    kept = _KEPT.get(service)
    if kept:
        for name, value in parameters.items():
            if name in kept:
                # RequestItems: the tables' names, never the keys that are asked of them.
                about[kept[name]] = list(value) if isinstance(value, dict) else value
    return about


def _finish(about: dict[str, Any], request_id: str | None, retries: int) -> dict[str, Any]:
    if request_id:
        about["request_id"] = request_id
    about["retries"] = retries
    return about


class UdpTracing:
    """:class:`Tracing` by one UDP datagram per finished span."""

    def __init__(self, host: str, port: int) -> None:
        """Take the address that the daemon listens at. Nothing is sent yet."""
        # Not connected: that would keep the route of the sandbox that a snapshot was taken of, and the news that nobody
        # listens would come in place of the next datagram.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._daemon = (host, port)
        self._encode = json.JSONEncoder(separators=(",", ":")).encode
        self._region = _region()
        self._known: tuple[str | None, tuple[str, str] | None] = (None, None)

    def begin(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Span | None:
        """See :class:`Tracing`."""
        header = os.environ.get(HEADER)  # Lambda sets it anew for every invocation
        known, parent = self._known
        if header != known:
            parent = _parent(header)
            self._known = (header, parent)
        if parent is None:
            return None
        return _Datagram(self, service, parent, _about(service, operation, self._region, parameters))

    def send(self, document: Mapping[str, Any]) -> None:
        """Send a subsegment. What can't be sent at once is lost."""
        try:
            self._socket.sendto(_FORMAT + self._encode(document).encode(), self._daemon)
        except (OSError, TypeError, ValueError):
            return  # no daemon, no room, or a parameter that isn't JSON, which the call itself will complain of


class _Datagram:
    """A span that becomes one datagram."""

    __slots__ = ("_about", "_name", "_parent", "_start", "_tracing")

    def __init__(self, tracing: UdpTracing, name: str, parent: tuple[str, str], about: dict[str, Any]) -> None:
        self._tracing = tracing
        self._name = name
        self._parent = parent
        self._about = about
        self._start = time.time()

    def end(self, status: int | None, request_id: str | None, retries: int) -> None:
        """See :class:`Span`."""
        trace_id, parent_id = self._parent
        document: dict[str, Any] = {
            "id": os.urandom(8).hex(),
            "name": self._name,
            "start_time": self._start,
            "parent_id": parent_id,
            "in_progress": False,
            "aws": _finish(self._about, request_id, retries),
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
    """:class:`Tracing` through aws-xray-sdk, with what the SDK's own patch of botocore records.

    Two things are left out. The text of an exception, which may hold what was written. And the patch's habit of calling
    every error a fault: to X-Ray, 4xx is an error and 5xx a fault.
    """

    def __init__(self) -> None:
        """Import the SDK. It reads the daemon's address itself."""
        from aws_xray_sdk.core import xray_recorder  # costly, and only needed beside boto3

        self._recorder: Any = xray_recorder
        self._region = _region()

    def begin(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Span | None:
        """See :class:`Tracing`."""
        if _parent(os.environ.get(HEADER)) is None:
            return None
        # The SDK takes over a new header when the trace is a new one, but one trace may have several invocations.
        self._recorder.clear_trace_entities()
        subsegment = self._recorder.begin_subsegment(service, "aws")
        if subsegment is None:
            return None
        return _Subsegment(self._recorder, subsegment, _about(service, operation, self._region, parameters))


class _Subsegment:
    """A span that is a subsegment of the SDK's."""

    def __init__(self, recorder: Any, subsegment: Any, about: dict[str, Any]) -> None:
        self._recorder = recorder
        self._subsegment = subsegment
        self._about = about

    def end(self, status: int | None, request_id: str | None, retries: int) -> None:
        """See :class:`Span`."""
        if status is None:
            self._subsegment.add_fault_flag()
        else:
            self._subsegment.put_http_meta("status", status)
        self._subsegment.set_aws(_finish(self._about, request_id, retries))
        self._recorder.end_subsegment()
