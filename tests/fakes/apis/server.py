"""A small HTTP server in this process, which plays the public API of a well-known back office.

Each module beside this one has a subclass that answers like one real API, with the page sizes, caps and oddities that
its public documentation describes. The pages in docs/sources/ link that documentation.
"""

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, NamedTuple
from urllib.parse import parse_qsl, urlsplit

SECRET = "s3cret-of-the-back-office"
"""The API key, access token or password that every server expects, unless its class names another."""


class ApiRequest(NamedTuple):
    """A request as the server received it. The names of the headers are lower case."""

    method: str
    target: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the parsed body."""
        return json.loads(self.body)


class ApiResponse(NamedTuple):
    """A response of the server."""

    status: int
    body: bytes
    headers: Mapping[str, str]


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> ApiResponse:
    """Return a response whose body is ``value`` as JSON."""
    all_headers = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    return ApiResponse(status, json.dumps(value, ensure_ascii=False).encode(), all_headers)


@dataclass
class Row:
    """A record of the back office. Times are Unix milliseconds; ``deleted_ms`` is ``None`` while the record exists."""

    number: int
    name: str
    created_ms: int
    modified_ms: int
    deleted_ms: int | None = None


class ApiServer(ABC):
    """An HTTP server that plays one API, with its records in memory.

    :param clock: a function that returns the time of the back office in Unix milliseconds.
    """

    ORIGINS: ClassVar[tuple[str, ...]]
    """The origins (scheme and host) in the worked example of docs/sources/ in whose place this server answers."""

    RESOLUTION_MS: ClassVar[int] = 1
    """The precision of the back office's modification times in milliseconds."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.rows: dict[int, Row] = {}
        self.page_size = 3
        """The greatest number of records on a page, whatever a request asks for."""
        self.requests: list[ApiRequest] = []
        self.faults: dict[int, ApiResponse] = {}
        """The responses that replace those of the API, by the number of the request, from 0."""
        self.before: Callable[[ApiRequest], None] | None = None
        """A function that is called before each response, so that a test can change records while `poll` reads."""
        self._clock = clock
        self._lock = threading.RLock()
        handler = type("Handler", (_Handler,), {"api": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://localhost:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @abstractmethod
    def respond(self, request: ApiRequest) -> ApiResponse:
        """Return the API's response to a request with valid credentials."""

    @abstractmethod
    def item(self, row: Row) -> tuple[str, Any]:
        """Return the id and the data of the item that a record must become with the worked example's settings."""

    def refuse(self, request: ApiRequest) -> ApiResponse | None:
        """Return the API's response to a request with wrong credentials; ``None`` if they are valid."""
        if request.headers.get("authorization") == f"Bearer {SECRET}":
            return None
        return json_response({"message": "Bad credentials"}, 401)

    def rate_limit(self) -> ApiResponse:
        """Return the API's response to a client that sent too many requests."""
        return json_response({"message": "Too Many Requests"}, 429, {"Retry-After": "1"})

    def put(self, number: int, name: str) -> Row:
        """Create or change a record. Its modification time is now, in the precision of the API."""
        now = self._clock() // self.RESOLUTION_MS * self.RESOLUTION_MS
        with self._lock:
            created = self.rows[number].created_ms if number in self.rows else now
            self.rows[number] = Row(number, name, created, now)
            return self.rows[number]

    def delete(self, number: int) -> None:
        """Delete a record. Each API decides whether a trace of the record remains."""
        with self._lock:
            now = self._clock() // self.RESOLUTION_MS * self.RESOLUTION_MS
            self.rows[number].deleted_ms = self.rows[number].modified_ms = now

    def items(self) -> dict[str, Any]:
        """Return the data of every item that the collection must have, by the item's id."""
        return dict(self.item(row) for row in self.living())

    def living(self) -> list[Row]:
        """Return the records that aren't deleted, in the order of their numbers."""
        return [row for row in sorted(self.rows.values(), key=lambda row: row.number) if row.deleted_ms is None]

    def settings(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return a source's settings with this server in place of the example's hosts."""
        text = json.dumps(settings)
        for origin in self.ORIGINS:
            assert origin in text, f"the example doesn't name {origin}"
            text = text.replace(origin, self.url)
        replaced: dict[str, Any] = json.loads(text)
        return replaced

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()

    def handle(self, request: ApiRequest) -> ApiResponse:
        """Return the response to any request: a fault that a test set, a refusal, or the API's response."""
        with self._lock:
            self.requests.append(request)
            if fault := self.faults.pop(len(self.requests) - 1, None):
                return fault
            if self.before:
                self.before(request)
            return self.refuse(request) or self.respond(request)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body go out in one packet. Otherwise the client's delayed acknowledgement costs 40 ms a response.
    wbufsize = 65536
    disable_nagle_algorithm = True
    api: ClassVar[ApiServer]

    def do_GET(self) -> None:
        """Answer a GET request."""
        self._answer()

    def do_POST(self) -> None:
        """Answer a POST request."""
        self._answer()

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length", 0))
        request = ApiRequest(
            method=self.command,
            target=self.path,
            path=parts.path,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(length),
        )
        response = self.api.handle(request)
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.status not in (204, 304):
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if response.status not in (204, 304):
            self.wfile.write(response.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


def utc(ms: int) -> datetime:
    """Return a time in Unix milliseconds as a ``datetime`` in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def rfc3339(ms: int) -> str:
    """Return a time as RFC 3339 with whole seconds."""
    return utc(ms).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_rfc3339(text: str) -> int:
    """Return an RFC 3339 time in Unix milliseconds. A time without an offset is an error, as it is for most APIs."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no offset")
    return round(moment.timestamp() * 1000)


def after(rows: Iterable[Row], key: Callable[[Row], tuple[int, ...]], last: str | None) -> list[Row]:
    """Return rows sorted by ``key``, without those up to the row whose key stands in the cursor ``last``."""
    ordered = sorted(rows, key=key)
    if last is None:
        return ordered
    position = tuple(int(part) for part in last.split("."))
    return [row for row in ordered if key(row) > position]


def cursor_after(key: tuple[int, ...]) -> str:
    """Return the cursor of the page behind the row with this key."""
    return ".".join(map(str, key))


def by_modified(row: Row) -> tuple[int, int]:
    """The sort key of a list in the order of modification."""
    return row.modified_ms, row.number
