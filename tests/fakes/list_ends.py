"""A simulated back office that tells the end of its list in one of many ways, as real back offices do.

It has no HTTP. A test passes it to ``poll`` as the function that fetches pages.
"""

import json
import random
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from requests.structures import CaseInsensitiveDict

from readplane.poll.errors import BackOfficeError
from readplane.poll.upstream.paging.ending import ListEnd
from readplane.poll.upstream.request import BackOfficeRequest
from readplane.poll.upstream.response import BackOfficeResponse

ORIGIN = "https://office.test/rows"

Style = Literal["link", "token", "page", "offset", "scanned_offset"]

Way = Literal[
    "null",
    "blank",
    "header",
    "more",
    "total",
    "status",
    "no_content",
    "empty",
    "repeated",
    "self",
    "loop",
    "filtered",
    "endless",
]
"""How the back office tells the end of its list.

``null``: the last page's link or token is null. ``blank``: it is false or an empty text. ``header``: the link or token
stands in a response header, which the last page lacks. ``more``: a member says whether there are more pages, and the
link or token of the last page leads to nothing. ``total``: a member says how many rows the list has. ``status``: the
status behind the last page is 404. ``no_content``: the status behind the last page is 204. ``empty``: a page without
rows follows the last page. ``repeated``: the last page is repeated for ever. ``self``: the last page links to itself,
or its token is the one that was sent, as with a scroll. ``loop``: a page without rows links to the first page.
``filtered``: rows that the client may not read are left out after the pages were cut, so pages in the middle may be
empty. ``endless``: pages without rows follow the last page for ever, each with a new link or token.
"""

Fault = Literal["429", "503", "502", "timeout", "cut", "html", "repeated", "moved"]
"""What goes wrong with a response.

``repeated``: the back office sends the answer to the request before again. ``moved``: a row is inserted, deleted or
changed just before the response. ``timeout``, ``cut`` and ``502``: the back office handles the request, but its
response is lost. ``html``: the response is a web page.
"""

FAULTS: tuple[Fault, ...] = ("429", "503", "502", "timeout", "cut", "html", "repeated", "repeated", "moved", "moved")

_LOST: Mapping[Fault, BackOfficeError] = {
    "429": BackOfficeError("status", "the status is 429", status=429, retry_after=1.0, retryable=True),
    "503": BackOfficeError("status", "the status is 503", status=503, retryable=True),
    "502": BackOfficeError("status", "the status is 502", status=502, retryable=True),
    "timeout": BackOfficeError("timeout", "no response", retryable=True),
    "cut": BackOfficeError("broken", "the response was cut off", retryable=True),
    "html": BackOfficeError("not_data", "it is a web page"),
}

_NO_NEXT: ListEnd = ListEnd("no_next")
_EMPTY: ListEnd = ListEnd("empty")
_STATUS: ListEnd = ListEnd("end_status")
_REPEATED: ListEnd = ListEnd("repeated")


class Shape(NamedTuple):
    """How the back office's list is paged and ends.

    settings: the paging settings that fit, without the style, the parameter and ``next``.
    end: how ``poll`` must find the end of a list with several pages.
    """

    settings: Mapping[str, Any]
    end: ListEnd


_END_STATUS = {"end_status": [404]}
_NO_CONTENT = {"end_status": [204]}
_MORE = {"more": "more"}
_TOTAL = {"total": "total"}
_ALLOWS_GAPS = {"max_empty_pages": 12}

SHAPES: Mapping[tuple[Style, Way], Shape] = {
    ("link", "null"): Shape({}, _NO_NEXT),
    ("link", "blank"): Shape({}, _NO_NEXT),
    ("link", "header"): Shape({}, _NO_NEXT),
    ("link", "more"): Shape(_MORE, ListEnd("more")),
    ("link", "status"): Shape(_END_STATUS, _STATUS),
    ("link", "no_content"): Shape(_NO_CONTENT, _STATUS),
    ("link", "empty"): Shape({}, _NO_NEXT),
    ("link", "repeated"): Shape({}, ListEnd("repeated", certain=False)),
    ("link", "self"): Shape({}, ListEnd("self_link")),
    ("link", "loop"): Shape({}, ListEnd("loop")),
    ("link", "filtered"): Shape({}, _NO_NEXT),
    ("link", "endless"): Shape({}, ListEnd("empty_run", certain=False)),
    ("token", "null"): Shape({}, _NO_NEXT),
    ("token", "blank"): Shape({}, _NO_NEXT),
    ("token", "header"): Shape({"header": "X-Next"}, _NO_NEXT),
    ("token", "more"): Shape(_MORE, ListEnd("more")),
    ("token", "status"): Shape(_END_STATUS, _STATUS),
    ("token", "no_content"): Shape(_NO_CONTENT, _STATUS),
    ("token", "empty"): Shape({}, _NO_NEXT),
    ("token", "repeated"): Shape({}, ListEnd("repeated", certain=False)),
    ("token", "self"): Shape({}, ListEnd("self_link")),
    ("token", "filtered"): Shape({}, _NO_NEXT),
    ("token", "endless"): Shape({"max_empty_pages": 3}, ListEnd("empty_run")),
    ("page", "more"): Shape(_MORE, ListEnd("more")),
    ("page", "status"): Shape(_END_STATUS, _STATUS),
    ("page", "no_content"): Shape(_NO_CONTENT, _STATUS),
    ("page", "empty"): Shape({}, _EMPTY),
    ("page", "repeated"): Shape({}, _REPEATED),
    ("page", "filtered"): Shape(_ALLOWS_GAPS, _EMPTY),
    ("offset", "more"): Shape(_MORE, ListEnd("more")),
    ("offset", "total"): Shape(_TOTAL, ListEnd("total")),
    ("offset", "status"): Shape(_END_STATUS, _STATUS),
    ("offset", "no_content"): Shape(_NO_CONTENT, _STATUS),
    ("offset", "empty"): Shape({}, _EMPTY),
    ("scanned_offset", "more"): Shape(_MORE, ListEnd("more")),
    ("scanned_offset", "total"): Shape(_TOTAL, ListEnd("total")),
    ("scanned_offset", "status"): Shape(_END_STATUS, _STATUS),
    ("scanned_offset", "no_content"): Shape(_NO_CONTENT, _STATUS),
    ("scanned_offset", "empty"): Shape({}, _EMPTY),
    ("scanned_offset", "repeated"): Shape({}, _REPEATED),
    ("scanned_offset", "filtered"): Shape(_TOTAL, ListEnd("total")),
}
"""Every pair of a style and a way that a back office can have, with the settings for it."""


def paging_settings(style: Style, way: Way, page_size: int) -> dict[str, Any]:
    """Return the paging settings that an operator writes for a back office."""
    settings: dict[str, Any] = {"style": style, **SHAPES[style, way].settings}
    if style in ("link", "token"):
        if way != "header":
            settings["next"] = "next"
        return settings if style == "link" else {**settings, "parameter": "after"}
    if style == "scanned_offset":
        settings |= {"style": "offset", "size": page_size}
    if way == "repeated":
        settings["size"] = page_size
    return {**settings, "parameter": "at"}


class Row(NamedTuple):
    """A row of the back office.

    id: the row's key. A key is never used again.
    at: the modification time, in Unix milliseconds.
    n: the row's data.
    hidden: whether the client may not read the row.
    """

    id: str
    at: int
    n: int
    hidden: bool


class _Page(NamedTuple):
    """A page before it is written as a response.

    rows: the visible rows.
    next: the text after which the next page begins; ``None`` for no next page.
    more: whether rows follow.
    """

    rows: list[Row]
    next: Any
    more: bool


class ListOffice:
    """A simulated back office with one list.

    :param by_time: whether the list is sorted by modification time instead of by key.
    :param clock: a function that returns the time in Unix milliseconds.
    """

    def __init__(
        self, style: Style, way: Way, page_size: int, rng: random.Random, clock: Callable[[], int], *, by_time: bool
    ) -> None:
        self.rows: dict[str, Row] = {}
        self.fault_rate = 0.0
        self.requests = 0
        self._style = style
        self._way = way
        self._size = page_size
        self._random = rng
        self._clock = clock
        self._by_time = by_time
        self._created = 0
        self._counter = 0
        self._scrolls: list[list[list[Row]]] = []
        self._previous: BackOfficeResponse | None = None
        self._furthest = -1

    def insert(self) -> None:
        """Insert a row, before, between or behind the other rows."""
        self._created += 1
        row_id = f"r{self._random.randrange(1000):03}-{self._created}"
        hidden = self._way == "filtered" and self._random.random() < 0.5
        self.rows[row_id] = Row(row_id, self._clock(), self._created, hidden)

    def change(self) -> None:
        """Change the data of a row."""
        if self.rows:
            row = self.rows[self._random.choice(sorted(self.rows))]
            self.rows[row.id] = row._replace(at=self._clock(), n=row.n + 1000)

    def delete(self) -> None:
        """Delete a row without a trace."""
        if self.rows:
            del self.rows[self._random.choice(sorted(self.rows))]

    def visible(self) -> dict[str, int]:
        """Return the data of each row that the client may read, by key."""
        return {row.id: row.n for row in self.rows.values() if not row.hidden}

    def __call__(
        self,
        request: BackOfficeRequest,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
        probe: bool = False,
        deadline: float,
    ) -> BackOfficeResponse:
        """Answer a request, with a fault now and then."""
        self.requests += 1
        fault = self._random.choice(FAULTS) if self._random.random() < self.fault_rate else None
        query = dict(parse_qsl(urlsplit(request.url).query))
        is_first = "after" not in query and query.get("at", "0") in ("0", "1")
        if fault == "repeated" and self._previous is not None and not is_first:
            # A server that moves on with each request may or may not have moved on.
            if self._is_scroll and self._random.random() < 0.5:
                self._response(request, query)
            repeated, self._previous = self._previous, None
            return repeated._replace(url=request.url)
        if fault == "moved":
            self._random.choice((self.insert, self.delete, self.change))()
        if fault in ("429", "503"):
            raise _LOST[fault]
        response = self._response(request, query)
        if fault is not None and fault in _LOST:
            raise _LOST[fault]
        self._remember(response, query, is_first=is_first)
        return response

    @property
    def _is_scroll(self) -> bool:
        return (self._style, self._way) == ("token", "self")

    def _remember(self, response: BackOfficeResponse, query: Mapping[str, str], *, is_first: bool) -> None:
        """Remember the response for the fault ``repeated``, unless the client only reads an earlier page again."""
        position = int(query.get("at", "0")) if "at" in query else self._furthest + 1
        if is_first or position > self._furthest:
            self._furthest = 0 if is_first and "at" not in query else position
            self._previous = response

    def _response(self, request: BackOfficeRequest, query: Mapping[str, str]) -> BackOfficeResponse:
        page = self._followed_page(query) if self._style in ("link", "token") else self._counted_page(query)
        if isinstance(page, int):
            if page == 204:
                return BackOfficeResponse(204, b"", {}, request.url)
            raise BackOfficeError("status", f"the status is {page}", status=page)
        rows = [{"id": row.id, "at": row.at, "n": row.n} for row in page.rows]
        body: dict[str, Any] = {"rows": rows, "more": page.more, "total": len(self._listed(query))}
        headers: dict[str, str] = {}
        following = page.next
        if following is not None and self._style == "link":
            following = self._link(query, following)
        if self._way == "header":
            if following is not None:
                headers = (
                    {"Link": f'<{ORIGIN}>; rel="first", <{following}>; title="a, b"; rel="next"'}
                    if self._style == "link"
                    else {"X-Next": following}
                )
        elif self._way == "blank" and following is None:
            body["next"] = self._random.choice(["", False])
        else:
            body["next"] = following
        return BackOfficeResponse(200, json.dumps(body).encode(), CaseInsensitiveDict(headers), request.url)

    def _link(self, query: Mapping[str, str], after: str) -> str:
        others = {name: value for name, value in query.items() if name != "after"}
        parameters = urlencode({**others, "after": after} if after else others)
        return f"{ORIGIN}?{parameters}" if parameters else ORIGIN

    def _listed(self, query: Mapping[str, str]) -> list[Row]:
        since = int(query.get("since", "0"))
        rows = [row for row in self.rows.values() if row.at >= since and (self._style != "offset" or not row.hidden)]
        return sorted(rows, key=self._key)

    def _key(self, row: Row) -> tuple[Any, ...]:
        return (row.at, row.id) if self._by_time else (row.id,)

    def _counted_page(self, query: Mapping[str, str]) -> _Page | int:
        listed = self._listed(query)
        at = int(query["at"])
        start = (at - 1) * self._size if self._style == "page" else at
        if start >= len(listed) and start > 0:
            if self._way in ("status", "no_content"):
                return 404 if self._way == "status" else 204
            if self._way == "repeated":
                start = max(0, (len(listed) - 1) // self._size * self._size)
        rows = listed[start : start + self._size]
        return _Page([row for row in rows if not row.hidden], None, start + self._size < len(listed))

    def _followed_page(self, query: Mapping[str, str]) -> _Page | int:
        listed = self._listed(query)
        if self._is_scroll:
            return self._scrolled_page(query, listed)
        # The token is a key and, if the list goes on behind its end, the number of the page there.
        key, _, number = query.get("after", "").partition("#")
        after = tuple(json.loads(key)) if key else ()
        rest = [row for row in listed if self._key(row) > after]
        rows = rest[: self._size]
        visible = [row for row in rows if not row.hidden]
        is_last = len(rest) <= self._size
        following = json.dumps(self._key(rows[-1])) if rows else None
        match self._way:
            case "null" | "blank" | "header" | "filtered":
                return _Page(visible, None if is_last else following, not is_last)
            case "self":
                return _Page(visible, query.get("after", "") if is_last else following, not is_last)
            case "loop":
                return _Page(visible, following or ("" if key else None), not is_last)
            case "endless":
                return _Page(visible, following or f"{key}#{self._next_number()}", not is_last)
            case "repeated":
                # Behind the end, the last page returns with a link that is always new.
                return _Page(visible, f"{key}#{self._next_number()}" if is_last and rows else following, not is_last)
            case "status" | "no_content" if not rows and key:
                return 404 if self._way == "status" else 204
        assert not number
        return _Page(visible, following, not is_last)

    def _scrolled_page(self, query: Mapping[str, str], listed: list[Row]) -> _Page:
        if "after" not in query:
            self._scrolls.append([listed[at : at + self._size] for at in range(0, len(listed), self._size)])
        scroll = int(query.get("after", f"s{len(self._scrolls) - 1}")[1:])
        chunks = self._scrolls[scroll]
        return _Page(chunks.pop(0) if chunks else [], f"s{scroll}", bool(chunks))

    def _next_number(self) -> int:
        self._counter += 1
        return self._counter
