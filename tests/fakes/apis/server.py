"""Small HTTP servers in this process, and the base of those that play the public API of a well-known back office.

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


def status_response(status: int, headers: Mapping[str, str] | None = None) -> ApiResponse:
    """Return a response without a body."""
    return ApiResponse(status, b"", headers or {})


class LocalServer:
    """An HTTP server in this process, which answers one request at a time.

    :param respond: a function that returns the response to a request.
    """

    def __init__(self, respond: Callable[[ApiRequest], ApiResponse]) -> None:
        self.requests: list[ApiRequest] = []
        self.errors: list[Exception] = []
        """The errors of the function ``respond``. The client gets a 500 for each of them."""
        self.lock = threading.RLock()
        self._respond = respond
        handler = type("Handler", (_Handler,), {"local_server": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://localhost:{self._server.server_address[1]}"
        # The method close() waits for up to one poll interval.
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True).start()

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()

    def handle(self, request: ApiRequest) -> ApiResponse:
        """Record a request and return the response to it."""
        with self.lock:
            self.requests.append(request)
            try:
                return self._respond(request)
            except Exception as error:
                self.errors.append(error)
                return status_response(500)

    def raise_error(self) -> None:
        """Raise the first error of the server, so that it fails the test and not only the client's request."""
        if self.errors:
            raise self.errors[0]


@dataclass
class Row:
    """A record of the back office. Times are Unix milliseconds; ``deleted_ms`` is ``None`` while the record exists."""

    number: int
    name: str
    created_ms: int
    modified_ms: int
    deleted_ms: int | None = None


class ApiServer(LocalServer, ABC):
    """A server that plays one API, with its records in memory.

    :param clock: a function that returns the time of the back office in Unix milliseconds.
    """

    ORIGINS: ClassVar[tuple[str, ...]]
    """The origins (scheme and host) in the worked example of docs/sources/ in whose place this server answers."""

    RESOLUTION_MS: ClassVar[int] = 1
    """The precision of the back office's modification times in milliseconds."""

    def __init__(self, clock: Callable[[], int]) -> None:
        super().__init__(self._answer)
        self.rows: dict[int, Row] = {}
        self.page_size = 3
        """The greatest number of records on a page, whatever a request asks for."""
        self.faults: dict[int, ApiResponse] = {}
        """The responses that replace those of the API, by the number of the request, from 0."""
        self.before: Callable[[ApiRequest], None] | None = None
        """A function that is called before each response, so that a test can change records while `poll` reads."""
        self._clock = clock

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
        with self.lock:
            created = self.rows[number].created_ms if number in self.rows else now
            self.rows[number] = Row(number, name, created, now)
            return self.rows[number]

    def delete(self, number: int) -> None:
        """Delete a record. Each API decides whether a trace of the record remains."""
        with self.lock:
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

    def page_after(
        self, rows: Iterable[Row], key: Callable[[Row], tuple[int, ...]], last: str | None
    ) -> tuple[list[Row], str | None]:
        """Return a page of the rows sorted by ``key``, and the cursor of the next page.

        :param last: the cursor of the page; ``None`` for the first page. It holds the key of the last row before it.
        :return: the cursor is ``None`` on the last page.
        """
        rest = sorted(rows, key=key)
        if last is not None:
            position = tuple(int(part) for part in last.split("."))
            rest = [row for row in rest if key(row) > position]
        page = rest[: self.page_size]
        return page, cursor_after(key(page[-1])) if len(rest) > len(page) else None

    def _answer(self, request: ApiRequest) -> ApiResponse:
        """Return the response to any request: a fault that a test set, a refusal, or the API's response."""
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
    local_server: ClassVar[LocalServer]

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
        response = self.local_server.handle(request)
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


def rfc3339_seconds(ms: int) -> str:
    """Return a time as RFC 3339 with whole seconds."""
    return utc(ms).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_ms(ms: int) -> str:
    """Return a time as RFC 3339 with milliseconds."""
    return utc(ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_rfc3339(text: str) -> int:
    """Return an RFC 3339 time in Unix milliseconds. A time without an offset is an error, as it is for most APIs."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no offset")
    return round(moment.timestamp() * 1000)


def cursor_after(key: tuple[int, ...]) -> str:
    """Return the cursor of the page behind the row with this key."""
    return ".".join(map(str, key))


def by_modified(row: Row) -> tuple[int, int]:
    """The sort key of a list in the order of modification."""
    return row.modified_ms, row.number


def by_created(row: Row) -> tuple[int, int]:
    """The sort key of a list in the order of creation."""
    return row.created_ms, row.number
