"""A fake X-Ray daemon: a UDP listener that accepts only subsegments that X-Ray's documentation allows.

The rules come from two pages of that documentation and one JSON Schema. The pages are "AWS X-Ray segment documents" and
"Sending segment documents to the X-Ray daemon". The JSON Schema (version 1.0.0) describes a subsegment that is sent
separately from its segment.
"""

import json
import os
import re
import socket
import time
from types import TracebackType
from typing import Any, Self

_TEXTS = {
    "id": r"[0-9a-fA-F]{16}",
    "parent_id": r"[0-9a-fA-F]{16}",
    "trace_id": r"1-[0-9a-fA-F]{8}-[0-9a-fA-F]{24}",
    "name": r"[\w\s.:/%&#=+\\@-]{1,200}",
    "type": r"subsegment",
    "namespace": r"aws|remote",
}
_TIMES = ("start_time", "end_time")
_FLAGS = ("error", "throttle", "fault", "in_progress")
_REQUIRED = {*_TEXTS, *_TIMES}
_AWS_TEXTS = ("operation", "region", "request_id", "queue_url", "table_name")


def violations_of(document: Any) -> list[str]:
    """Return a text for each rule of X-Ray's documentation that the subsegment of an AWS call violates."""
    if not isinstance(document, dict):
        return ["the document is not an object"]
    violations = [f"{name} is missing" for name in sorted(_REQUIRED - document.keys())]
    violations += [f"{name} is unknown" for name in sorted(document.keys() - {*_REQUIRED, *_FLAGS, "http", "aws"})]
    for name, pattern in _TEXTS.items():
        value = document.get(name, "")
        if name in document and not (isinstance(value, str) and re.fullmatch(pattern, value)):
            violations.append(f"{name} is {value!r}")
    start, end = (document.get(name) for name in _TIMES)
    if not (isinstance(start, float) and isinstance(end, float) and 1e9 < min(start, end) <= max(start, end) < 1e10):
        violations.append(f"the times are not seconds since 1970: {start!r}, {end!r}")
    elif end < start:
        violations.append("the end precedes the start")
    violations += [f"{name} is not a boolean" for name in _FLAGS if not isinstance(document.get(name, False), bool)]
    if document.get("in_progress"):
        violations.append("a subsegment that has ended is marked as in progress")
    call = document.get("aws", {})
    if not isinstance(call, dict):
        return [*violations, "aws is not an object"]
    for name in _AWS_TEXTS:
        value = call.get(name, "")
        if not isinstance(value, str) or len(value) > 250:
            violations.append(f"aws.{name} is {value!r}")
    http = document.get("http", {"response": {"status": 200}})
    if not (isinstance(http, dict) and isinstance(http.get("response", {}).get("status"), int)):
        violations.append(f"http is {http!r}")
    return violations


class Daemon:
    """A UDP socket that receives the subsegments that Readplane's functions send to the X-Ray daemon."""

    def __init__(self, port: int = 0) -> None:
        """Listen on a UDP port of the loopback address.

        :param port: the port to listen on; 0 chooses a free port.
        """
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", port))
        self._socket.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    @property
    def address(self) -> str:
        """The value of ``AWS_XRAY_DAEMON_ADDRESS`` that makes a function send its subsegments to this socket."""
        return f"127.0.0.1:{self.port}"

    def received(self) -> list[dict[str, Any]]:
        """Return the subsegments that have arrived since the last call of this method.

        The method doesn't wait, because a datagram on the loopback address arrives as soon as it is sent.

        :raises AssertionError: if a subsegment violates X-Ray's documentation.
        """
        subsegments: list[dict[str, Any]] = []
        while True:
            try:
                datagram = self._socket.recv(65_536)
            except BlockingIOError:
                return subsegments
            header, _, text = datagram.decode().partition("\n")
            assert json.loads(header) == {"format": "json", "version": 1}, header
            document = json.loads(text)
            assert not violations_of(document), f"{violations_of(document)}: {text}"
            subsegments.append(document)


def new_trace(*, sampled: int = 1) -> dict[str, str]:
    """Return the ids of a new trace, and the X-Ray tracing header with which Lambda passes them to a function.

    :param sampled: 1 if the function must send its subsegments to X-Ray, 0 if not.
    """
    root = f"1-{int(time.time()):08x}-{os.urandom(12).hex()}"
    parent = os.urandom(8).hex()
    return {"trace_id": root, "parent_id": parent, "header": f"Root={root};Parent={parent};Sampled={sampled}"}
