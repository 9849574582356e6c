"""AWS for the unit tests: a moto server that any client can call over HTTP and that lists its requests."""

import io
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.request import Request, urlopen

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

REGION: Final = "eu-central-1"


class _Connection(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # AWS keeps connections open, so this server does too

    def log(self, type: str, message: str, *args: Any) -> None:
        """Print nothing."""


class Aws:
    """A moto server in this process."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._app: Any = DomainDispatcherApplication(create_backend_app)
        # Every client keeps a connection open, so every connection needs its own thread.
        self._server = make_server("127.0.0.1", 0, self._serve, threaded=True, request_handler=_Connection)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def reset(self) -> None:
        """Delete all resources and the list of requests."""
        urlopen(Request(f"{self.url}/moto-api/reset", method="POST")).close()
        self.calls.clear()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()

    def during(self, work: Callable[[], Any]) -> tuple[Any, list[str]]:
        """Run ``work``; return its result and the requests that it sent: ``GetItem``, or ``GET /bucket/key`` for S3."""
        self.calls.clear()
        return work(), list(self.calls)

    def _serve(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        target = environ.get("HTTP_X_AMZN_TARGET") or environ.get("HTTP_X_AMZ_TARGET")
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.calls.append(target.rpartition(".")[2] if target else f"{method} {path}")
        # Werkzeug's development server doesn't skip a body that the application hasn't read, so read it here.
        size = int(environ.get("CONTENT_LENGTH") or 0)
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(size))
        response: Iterable[bytes] = self._app(environ, start_response)
        return response
