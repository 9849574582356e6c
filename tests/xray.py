"""What an X-Ray daemon would get: a UDP listener that accepts only what X-Ray's documentation allows.

The rules are those of "AWS X-Ray segment documents" and of its JSON schema, version 1.0.0, for a subsegment that is
sent separately, and of "Sending segment documents to the X-Ray daemon".
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


def problems(document: Any) -> list[str]:
    """What X-Ray's documentation has against a subsegment of an AWS call."""
    if not isinstance(document, dict):
        return ["it is no object"]
    found = [f"{name} is missing" for name in sorted(_REQUIRED - document.keys())]
    found += [f"{name} is unknown" for name in sorted(document.keys() - {*_REQUIRED, *_FLAGS, "http", "aws"})]
    for name, pattern in _TEXTS.items():
        value = document.get(name, "")
        if name in document and not (isinstance(value, str) and re.fullmatch(pattern, value)):
            found.append(f"{name} is {value!r}")
    start, end = (document.get(name) for name in _TIMES)
    if not (isinstance(start, float) and isinstance(end, float) and 1e9 < min(start, end) <= max(start, end) < 1e10):
        found.append(f"the times aren't seconds since 1970: {start!r}, {end!r}")
    elif end < start:
        found.append("it ended before it began")
    found += [f"{name} is no boolean" for name in _FLAGS if not isinstance(document.get(name, False), bool)]
    if document.get("in_progress"):
        found.append("it has ended and is in progress")
    about = document.get("aws", {})
    if not isinstance(about, dict):
        return [*found, "aws is no object"]
    for name in _AWS_TEXTS:
        value = about.get(name, "")
        if not isinstance(value, str) or len(value) > 250:
            found.append(f"aws.{name} is {value!r}")
    http = document.get("http", {"response": {"status": 200}})
    if not (isinstance(http, dict) and isinstance(http.get("response", {}).get("status"), int)):
        found.append(f"http is {http!r}")
    return found


class Daemon:
    """Listens where an X-Ray daemon would."""

    def __init__(self, port: int = 0) -> None:
        """Listen on this machine.

        :param port: 0 for a free one.
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
        """For ``AWS_XRAY_DAEMON_ADDRESS``."""
        return f"127.0.0.1:{self.port}"

    def received(self) -> list[dict[str, Any]]:
        """The subsegments that came since the last call: on one machine a datagram that was sent is here.

        :raises AssertionError: for one that isn't as X-Ray wants it.
        """
        found: list[dict[str, Any]] = []
        while True:
            try:
                datagram = self._socket.recv(65_536)
            except BlockingIOError:
                return found
            header, _, text = datagram.decode().partition("\n")
            assert json.loads(header) == {"format": "json", "version": 1}, header
            document = json.loads(text)
            assert not problems(document), f"{problems(document)}: {text}"
            found.append(document)


def new_trace(*, sampled: int = 1) -> dict[str, str]:
    """An invocation's ids, and the ``header`` that Lambda makes of them."""
    root = f"1-{int(time.time()):08x}-{os.urandom(12).hex()}"
    parent = os.urandom(8).hex()
    return {"trace_id": root, "parent_id": parent, "header": f"Root={root};Parent={parent};Sampled={sampled}"}
