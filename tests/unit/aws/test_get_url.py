"""get_url sends what a client sends, and says what it came to."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from readplane.aws.faults import UnansweredError
from readplane.aws.get_url import get_url


class Server(ThreadingHTTPServer):
    """An API that notes what it gets.

    :ivar lines: the request line and the headers of each request, without those that differ in each run.
    :ivar agents: the header User-Agent of each request.
    """

    daemon_threads = True
    lines: list[str]
    agents: list[str | None]
    status = 200


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.lines.append(f"{self.requestline} {self.headers['Host']} {self.headers['Authorization']}")
        self.server.agents.append(self.headers["User-Agent"])
        self.send_response(self.server.status)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"{}\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.lines = []
    server.agents = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("status", [200, 404])
def test_get_url_sends_what_a_client_sends(server: Server, status: int) -> None:
    server.status = status
    host = f"127.0.0.1:{server.server_port}"
    assert get_url(f"http://{host}/v1/health?a=b", 2) == status
    assert get_url(f"http://{host}", 2) == status
    assert server.lines == [f"GET /v1/health?a=b HTTP/1.1 {host} None", f"GET / HTTP/1.1 {host} None"]
    # The edge's firewall refuses requests without this header.
    assert server.agents == ["readplane-probe"] * 2


def test_get_url_says_when_nobody_listens(server: Server) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(UnansweredError):
        get_url(f"http://127.0.0.1:{server.server_port}/v1/health", 1)


def test_get_url_says_when_the_name_is_unknown() -> None:
    with pytest.raises(UnansweredError):
        get_url("https://nobody.invalid/v1/health", 1)
