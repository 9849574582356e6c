"""A simulated back office that keeps rows in memory and serves them page by page, in every paging style.

The back office's clock can be coarse and wrong. A row can become visible later than its modification time says. A
response can go wrong in every way in which a real back office's response does. The tests replace only the HTTP adapter
of ``requests``, so they run all of the code with which `poll` calls a back office.
"""

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPResponse

ORIGIN = "http://office.test"
PATH = "/v2/rows"

Style = Literal["none", "link", "header", "token", "scroll", "page", "offset"]
"""How a client of the back office finds the next page of a listing.

``link``: the body has a link to the next page. ``header``: the Link header has a link to it. ``token``: the body has a
token for it. ``scroll``: the body has a token, and all pages show the rows as they were when the client read the first
page. ``page``: the client counts the pages. ``offset``: the client counts the rows. ``none``: there is only one page.
"""

Fault = Literal[
    "429",
    "500",
    "503",
    "520",
    "limited",
    "timeout",
    "refused",
    "cut",
    "garbage",
    "half",
    "html",
    "object",
    "null",
    "redirect",
    "stray_link",
    "uncalled_304",
    "slow",
    "fewer",
    "repeated",
    "empty",
]
"""What goes wrong with a response of the back office.

``limited``: the status is 403, because the client has sent too many requests. ``fewer``: the page has fewer rows than a
full page, but its link or token names the right next page. ``repeated``: the back office sends its previous response
again. ``empty``: the status is 200, but the page falsely has no rows and no next page. ``cut``: the body is shorter
than its Content-Length says. ``half``: the body is half a JSON text. ``stray_link``: the link to the next page names
another host. ``uncalled_304``: the status is 304 (Not Modified), although the request had no condition.
"""


class Shape(NamedTuple):
    """The properties of a back office's HTTP interface.

    style: how the client finds the next page.
    order: whether listings are sorted by the rows' modification times or by their ids.
    page_size: how many rows a full page has.
    versions: the format of modification times and of the ``since`` parameter; ``None`` if the rows show no
        modification time and every listing has all rows.
    validator: the response header whose value a conditional request sends back; ``None`` if the back office ignores
        conditions.
    resolution_ms: the resolution of the modification times, in milliseconds.
    skew_ms: how far the back office's clock is ahead of the true time, in milliseconds.
    relative_links: whether the links to the next page leave out scheme and host.
    cap: how many rows of one listing a client can get (styles ``link``, ``header`` and ``token``). The back office
        refuses a later page with the status 400. ``None`` if there is no such limit.
    """

    style: Style = "link"
    order: Literal["modified", "id"] = "modified"
    page_size: int = 2
    versions: Literal["rfc3339", "unix_s", "unix_ms"] | None = "rfc3339"
    validator: Literal["etag", "last_modified"] | None = None
    resolution_ms: int = 1
    skew_ms: int = 0
    relative_links: bool = False
    cap: int | None = None


class Row(NamedTuple):
    """A row of the back office.

    id: the row's key.
    value: the row's data, as JSON text.
    modified: the row's modification time by the back office's clock, in Unix milliseconds.
    removed: whether a user has marked the row as removed.
    raw: the text that the back office sends for a row that `poll` must quarantine; ``None`` for a good row.
    """

    id: str
    value: str
    modified: int
    removed: bool = False
    raw: str | None = None


class BackOffice:
    """A simulated back office: its rows, the changes that its users make, and its responses to HTTP requests."""

    def __init__(self, shape: Shape, clock: Callable[[], int]) -> None:
        """Make a back office without rows.

        :param shape: the properties of the back office's HTTP interface.
        :param clock: returns the true time in Unix milliseconds. The back office's own clock is ahead of it by the
            shape's ``skew_ms``.
        """
        self.shape = shape
        self.rows: dict[str, Row] = {}
        self.touched: dict[str, int] = {}
        """The true time of each row's last change, in Unix milliseconds. It excludes the skew of the office's clock."""
        self._clock = clock
        self._touched = 0
        self._scrolls: list[list[Row]] = []
        self._previous: tuple[int, dict[str, str], bytes] | None = None

    # -- changes by the users of the back office ---------------------------------------------------------------------

    def put(self, row_id: str, value: str, late_ms: int = 0, raw: str | None = None) -> None:
        """Insert or update a row, in a transaction that began ``late_ms`` milliseconds ago.

        The row's modification time is the time when the transaction began. If the row already has a later modification
        time, it keeps that one.

        :param raw: the text that the back office sends for the row if `poll` must quarantine the row.
        """
        self._write(row_id, value, late_ms, False, raw)

    def remove(self, row_id: str, late_ms: int = 0) -> None:
        """Mark a row as removed. Listings still contain the row."""
        if row_id in self.rows:
            self._write(row_id, self.rows[row_id].value, late_ms, True, None)

    def delete(self, row_id: str) -> None:
        """Delete a row without a trace. Later listings don't contain the row."""
        if self.rows.pop(row_id, None):
            self._touched = self._clock() + self.shape.skew_ms
            del self.touched[row_id]

    def _write(self, row_id: str, value: str, late_ms: int, removed: bool, raw: str | None) -> None:
        now = self._clock() + self.shape.skew_ms
        tick = (now - late_ms) // self.shape.resolution_ms * self.shape.resolution_ms
        previous = self.rows.get(row_id)
        modified = max(tick, previous.modified) if previous else tick
        self.rows[row_id] = Row(row_id, value, modified, removed, raw)
        self.touched[row_id] = self._clock()
        self._touched = now

    def text(self, row: Row) -> str:
        """Return the JSON text that the back office sends for a row."""
        if row.raw is not None:
            return row.raw.replace("MODIFIED", json.dumps(self.time(row.modified)))
        head = {"id": row.id, "removed": row.removed}
        if self.shape.versions:
            head["modified"] = self.time(row.modified)
        return f'{json.dumps(head)[:-1]},"value":{row.value}}}'

    def time(self, ms: int) -> Any:
        """Return a time in the format that the shape declares for modification times and for ``since``."""
        if self.shape.versions == "unix_ms":
            return ms
        if self.shape.versions == "unix_s":
            return ms // 1000
        precision = "seconds" if self.shape.resolution_ms >= 1000 else "milliseconds"
        return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec=precision).replace("+00:00", "Z")

    # -- responses to HTTP requests ----------------------------------------------------------------------------------

    def respond(self, request: requests.PreparedRequest, fault: Fault | None = None) -> requests.Response:
        """Return the back office's response to an HTTP request.

        :param fault: what goes wrong with this response; ``None`` for a correct response.
        :raises requests.RequestException: if the fault is that no response arrives.
        """
        if fault == "timeout":
            raise requests.ReadTimeout(request=request)
        if fault == "refused":
            raise requests.ConnectionError(request=request)
        status, headers, body = self._faulty(request, fault)
        return _response(request, status, headers, body, cut=fault == "cut")

    def is_first(self, request: requests.PreparedRequest) -> bool:
        """Return whether a request is for the first page of a listing."""
        query = dict(parse_qsl(urlsplit(request.url or "").query))
        return "token" not in query and query.get("page", "1") == "1" and query.get("offset", "0") == "0"

    def _faulty(self, request: requests.PreparedRequest, fault: Fault | None) -> tuple[int, dict[str, str], bytes]:
        if fault == "repeated" and self._previous:
            return self._previous
        response = self._response(request, fault)
        status, headers, body = response
        bad: dict[str, tuple[int, dict[str, str], bytes]] = {
            "429": (429, {"Retry-After": "2", **_JSON}, b'{"error":"slow down"}'),
            "500": (500, _HTML, b"<h1>Internal Server Error</h1>"),
            "520": (520, _HTML, b"<h1>The origin responds with an unknown error</h1>"),
            "limited": (403, {"X-RateLimit-Remaining": "0", **_JSON}, b'{"error":"slow down"}'),
            "503": (503, {"Retry-After": formatdate(self._clock() / 1000 + 3, usegmt=True)}, b""),
            "garbage": (200, headers, bytes(range(128, 200)) + body),
            "half": (200, headers, body[: len(body) // 2]),
            "html": (200, _HTML, b"<!DOCTYPE html><html><body>Please log in</body></html>"),
            "object": (200, _JSON, b"{}"),
            "null": (200, _JSON, b'{"rows":null,"next":null}'),
            "redirect": (302, {"Location": "http://elsewhere.test/login"}, b""),
            "stray_link": (
                200,
                {**_JSON, "Link": '<http://elsewhere.test/rows>; rel="next"'},
                b'{"rows":[],"next":"http://elsewhere.test/rows"}',
            ),
            "uncalled_304": (304, {}, b""),
            "empty": (200, _JSON, b"[]" if self.shape.style == "none" else b'{"rows":[],"next":null}'),
        }
        if fault in bad and not (fault == "uncalled_304" and "If-None-Match" in request.headers):
            return bad[fault]
        self._previous = response
        return status, headers, body

    def _response(self, request: requests.PreparedRequest, fault: Fault | None) -> tuple[int, dict[str, str], bytes]:
        assert request.url and request.method == "GET", request
        parts = urlsplit(request.url)
        assert f"{parts.scheme}://{parts.netloc}" == ORIGIN and parts.path == PATH, request.url
        query = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
        if self.shape.cap is not None and self._position(query) >= self.shape.cap:
            return 400, dict(_JSON), b'{"error":"too many rows"}'
        rows, next_page = self._page(query, 1 if fault == "fewer" else self.shape.page_size)
        headers = dict(_JSON)
        listed = ",".join(map(self.text, rows))
        if self.shape.style == "none":
            body = f"[{listed}]".encode()
        else:
            link = next_page if self.shape.style != "header" else None
            body = f'{{"rows":[{listed}],"next":{json.dumps(link)}}}'.encode()
        if self.shape.style == "header" and next_page:
            headers["Link"] = f'<{ORIGIN}{PATH}>; rel="first", <{next_page}>; rel="next"'
        if self._unchanged(request.headers, headers, body):
            return 304, headers, b""
        return 200, headers, body

    def _unchanged(self, conditions: Mapping[str, str], headers: dict[str, str], body: bytes) -> bool:
        """Add the ETag or Last-Modified header to a response; return whether the request's condition matches it."""
        if self.shape.validator == "etag":
            headers["ETag"] = f'W/"{hashlib.sha256(body).hexdigest()[:12]}"'
            return conditions.get("If-None-Match") == headers["ETag"]
        if self.shape.validator == "last_modified":
            headers["Last-Modified"] = formatdate(self._touched // 1000, usegmt=True)
            headers["Date"] = formatdate((self._clock() + self.shape.skew_ms) // 1000, usegmt=True)
            return conditions.get("If-Modified-Since") == headers["Last-Modified"]
        return False

    def _page(self, query: dict[str, str], size: int) -> tuple[list[Row], str | None]:
        """Return the rows of a page, and the link or token of the next page if there is one.

        :param query: the query parameters of the request.
        :param size: the greatest number of rows in the page.
        """
        style = self.shape.style
        if style == "scroll" and "token" in query:
            scroll, at = map(int, query["token"].split("."))
            listed = self._scrolls[scroll]
            return listed[at : at + size], f"{scroll}.{at + size}" if at + size < len(listed) else None
        listed = self._listed(query.get("since"))
        if style == "none":
            return listed, None
        if style == "scroll":
            self._scrolls.append(listed)
            return listed[:size], f"{len(self._scrolls) - 1}.{size}" if size < len(listed) else None
        if style in ("page", "offset"):
            # Style ``page``: never shorten a page, because the next page begins where a full page would end.
            # Style ``offset``: never shorten a page to a single row. The first row of a page is the last row of the
            # previous page, which the client requests again. If no other row follows, the client takes the page for the
            # last one, and would miss the remaining rows.
            at = (
                (int(query.get("page", "1")) - 1) * self.shape.page_size
                if style == "page"
                else int(query.get("offset", "0"))
            )
            size = self.shape.page_size if style == "page" else size
            return listed[at : at + max(size, 2 if style == "offset" else 1)], None
        after = json.loads(query["token"]) if "token" in query else None
        rest = [row for row in listed if after is None or self._sort_key(row) > after]
        if len(rest) <= size:
            return rest, None
        token = json.dumps(self._sort_key(rest[size - 1]))
        if style == "token":
            return rest[:size], token
        link = f"{PATH}?{urlencode(query | {'token': token})}"
        return rest[:size], link if self.shape.relative_links else f"{ORIGIN}{link}"

    def _position(self, query: dict[str, str]) -> int:
        """Return how many rows of the listing lie before the requested page."""
        if "token" not in query:
            return 0
        after = json.loads(query["token"])
        return sum(self._sort_key(row) <= after for row in self._listed(query.get("since")))

    def _sort_key(self, row: Row) -> list[Any]:
        return [row.modified, row.id] if self.shape.order == "modified" else [row.id]

    def _listed(self, since: str | None) -> list[Row]:
        rows = sorted(self.rows.values(), key=self._sort_key)
        if since is None or self.shape.versions is None:
            return rows
        return [row for row in rows if row.modified >= self.parsed(since)]

    def parsed(self, text: str) -> int:
        """Return the time in a ``since`` parameter, in Unix milliseconds.

        A ``since`` that isn't in the shape's format fails the test.
        """
        if self.shape.versions == "rfc3339":
            moment = datetime.fromisoformat(text)
            assert moment.tzinfo is not None, text
            return round(moment.timestamp() * 1000)
        return int(text) * (1000 if self.shape.versions == "unix_s" else 1)


_JSON = {"Content-Type": "application/json; charset=utf-8"}
_HTML = {"Content-Type": "text/html"}
_ADAPTER = HTTPAdapter()


def _response(
    request: requests.PreparedRequest, status: int, headers: Mapping[str, str], body: bytes, *, cut: bool
) -> requests.Response:
    length = {"Content-Length": str(len(body) + (7 if cut else 0))}
    raw = HTTPResponse(
        io.BytesIO(body),
        headers={**headers, **length},
        status=status,
        reason=str(status),
        preload_content=False,
        decode_content=False,
        enforce_content_length=True,
        request_method="GET",
    )
    response = _ADAPTER.build_response(request, raw)
    assert isinstance(response.headers, CaseInsensitiveDict)
    return response
