"""A proxy in front of the stack's API that records the requests of clients. It can refuse one, and drop a header.

The clients need no code for the test, because the test gives them the proxy's address instead of the API's.
"""

import http.client
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

HOP_BY_HOP = {"connection", "host", "keep-alive", "transfer-encoding"}
REFUSAL = b'{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"Retry.","request_id":"proxy"}'


class Call(NamedTuple):
    """A request that a client sent and the status of its response. The path lacks the stage and the query."""

    method: str
    path: str
    status: int


@dataclass
class Recorder:
    """The settings of a proxy, and the calls that it has recorded.

    api_url: the API's URL with the stage, to which the proxy passes requests on
    refuse_once: the first request with this method and path gets a 503 with `Retry-After: 1`
    drop_header: the name of a header that the proxy removes from every response
    calls: the requests so far, in the order of their responses
    """

    api_url: str
    refuse_once: tuple[str, str] | None = None
    drop_header: str | None = None
    calls: list[Call] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        """The proxy's URL with the stage, which a client calls instead of the API's URL."""
        return f"http://127.0.0.1:{self.port}/v1"


@contextmanager
def recording(
    api_url: str, *, refuse_once: tuple[str, str] | None = None, drop_header: str | None = None
) -> Iterator[Recorder]:
    """Start a proxy on a free port. Stop it when the block ends."""
    recorder = Recorder(api_url, refuse_once, drop_header)
    with _Server(recorder) as server:
        recorder.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield recorder
        server.shutdown()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.recorder = recorder


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        recorder = self.server.recorder
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        target = self.path.removeprefix("/v1")
        path = urllib.parse.urlsplit(target).path
        called = any(call[:2] == (self.command, path) for call in recorder.calls)
        if (self.command, path) == recorder.refuse_once and not called:
            headers = {"Content-Type": "application/problem+json", "Retry-After": "1"}
            self._respond(path, 503, headers, REFUSAL)
            return
        api = urllib.parse.urlsplit(recorder.api_url)
        connection = http.client.HTTPConnection(api.netloc, timeout=60)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            connection.request(self.command, api.path + target, body or None, headers)
            response = connection.getresponse()
            dropped = HOP_BY_HOP | {(recorder.drop_header or "").lower()}
            passed_on = {name: value for name, value in response.getheaders() if name.lower() not in dropped}
            self._respond(path, response.status, passed_on, response.read())
        finally:
            connection.close()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_GET  # noqa: N815 (http.server requires these names)

    def _respond(self, path: str, status: int, headers: dict[str, str], body: bytes) -> None:
        self.server.recorder.calls.append(Call(self.command, path, status))
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        if self.command != "HEAD" and status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing about requests."""
