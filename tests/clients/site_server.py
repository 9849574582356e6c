"""A server that stands for the distribution: the files of web/ with their policy, and the API under /v1.

The files and headers are those that Terraform writes, except that the assets aren't in a folder named after their hash.
"""

import http.client
import json
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ops.console import ROOT
from tests.clients.recorder import HOP_BY_HOP

FILES = ROOT / "web"
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@contextmanager
def serving(api_url: str, config: Mapping[str, object], sign_in_url: str) -> Iterator[str]:
    """Start the server on a free port, and return its URL without a slash at the end. Stop it when the block ends.

    :param api_url: the API's URL without the stage
    :param config: the content of config.json
    :param sign_in_url: the origin of the sign-in page, which the Content-Security-Policy names
    """
    with _Server(api_url, json.dumps(config).encode(), sign_in_url) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, api_url: str, config: bytes, sign_in_url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        policy = (FILES / "content-security-policy.txt").read_text().strip()
        self.api = urllib.parse.urlsplit(api_url)
        self.config = config
        self.policy = policy.replace("{sign_in}", sign_in_url)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        path = urllib.parse.urlsplit(self.path).path
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if path.startswith("/v1/"):
            self._pass_on(body)
        elif path == "/config.json":
            self._send(200, {"Content-Type": "application/json"}, self.server.config)
        else:
            self._send_file(path)

    do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - the names that BaseHTTPRequestHandler calls

    def _send_file(self, path: str) -> None:
        file = FILES / (path.lstrip("/") or "index.html")
        if ".." in path or file.suffix not in TYPES or not file.is_file():
            self._send(404, {"Content-Type": "text/plain"}, b"There is no such file.")
            return
        headers = {
            "Content-Type": TYPES[file.suffix],
            "Content-Security-Policy": self.server.policy,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        self._send(200, headers, file.read_bytes())

    def _pass_on(self, body: bytes) -> None:
        api = self.server.api
        connection = http.client.HTTPConnection(api.netloc, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        try:
            connection.request(self.command, api.path + self.path, body or None, headers)
            response = connection.getresponse()
            answer = {name: value for name, value in response.getheaders() if name.lower() not in HOP_BY_HOP}
            answer.pop("Content-Length", None)
            self._send(response.status, answer, response.read())
        finally:
            connection.close()

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"Cache-Control": "no-cache", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""
