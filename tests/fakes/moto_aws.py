"""A simulated AWS for the unit tests: a moto server that AWS clients call over HTTP and that records the requests."""

import io
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.request import Request, urlopen

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

REGION: Final = "eu-central-1"


class _Connection(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # keep connections open between requests, as AWS does

    def log(self, type: str, message: str, *args: Any) -> None:
        """Print nothing about requests."""


class Aws:
    """A moto server that runs in the test's process and records the requests in ``calls``."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._app: Any = DomainDispatcherApplication(create_backend_app)
        # Use a thread for each connection. Clients keep their connections open, so one thread could serve only one
        # client.
        self._server = make_server("127.0.0.1", 0, self._serve, threaded=True, request_handler=_Connection)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def reset(self) -> None:
        """Delete all simulated AWS resources and empty the list of recorded requests."""
        urlopen(Request(f"{self.url}/moto-api/reset", method="POST")).close()
        self.calls.clear()

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()

    def during(self, work: Callable[[], Any]) -> tuple[Any, list[str]]:
        """Run ``work``; return its result and the requests that it sent.

        A request is the name of its operation, such as ``GetItem``. A request to S3 is ``GET /bucket/key``.
        """
        self.calls.clear()
        return work(), list(self.calls)

    def _serve(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        target = environ.get("HTTP_X_AMZN_TARGET") or environ.get("HTTP_X_AMZ_TARGET")
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.calls.append(target.rpartition(".")[2] if target else f"{method} {path}")
        # Read the whole body here. Werkzeug's server doesn't skip the part of a body that moto leaves unread, so it
        # would take that part for the next request on the connection.
        size = int(environ.get("CONTENT_LENGTH") or 0)
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(size))
        response: Iterable[bytes] = self._app(environ, start_response)
        return response
