"""One history of `poll` and a back office with one fault: the real HTTP client, a real server, and stores in memory.

A history sets the function ``answer`` of a :class:`Case`, declares a source, polls, and compares the items with the
rows of the back office. The clock is virtual: it moves with each poll and with each pause of the HTTP client.
"""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any, NamedTuple
from urllib.parse import urlencode

from readplane.poll.checkpoint import checkpoint_json
from tests.fakes.apis.server import ApiRequest, ApiResponse, LocalServer, json_response, status_response
from tests.fakes.source_settings import add_defaults
from tests.unit.poll.support import CHANGES, LISTING, ClientWorld
from tests.unit.support import NOW_MS

MAX_REQUESTS = 4_000
"""How many requests a history may need. A list that never ends would otherwise keep a test running for minutes."""

STEP_MS = 60_000
"""The usual time between two polls."""

HOUR_MS = 3_600_000

PAGE = {"style": "page", "parameter": "page"}
OFFSET = {"style": "offset", "parameter": "offset"}
LINK = {"style": "link", "next": "next"}
TOKEN = {"style": "token", "next": "next", "parameter": "token"}
SWEEP: dict[str, Any] = LISTING["sweep"]
"""The sweep of :meth:`Case.declare_listing`. It may delete half of the items."""
LARGE_SWEEP = SWEEP | {"max_deletes_percent": 90}
"""A sweep that may delete nearly all items."""

Body = dict[str, Any] | list[Any] | bytes
Answer = Callable[[ApiRequest], Body | ApiResponse]
"""A function that plays the back office. A dict or a list is a JSON body, and bytes are a body as it stands."""


class PollReport(NamedTuple):
    """What one poll did."""

    outcome: str
    pages: int
    records: int
    changes: int
    quarantined: int
    requests: int
    sweeping: bool
    fault: str | None


class Case:
    """A back office on loopback, the function `poll`, and the rows that the items must equal."""

    def __init__(self) -> None:
        self.world = ClientWorld(jitter=0)
        self.rows: dict[str, dict[str, Any]] = {}
        """The back office's rows. The item of a row has the row's ``n``; a row with a true ``gone`` has no item."""
        self.answer: Answer = lambda request: {"rows": self.list_rows(int(request.query.get("since", 0)))}
        """The function that plays the back office. It answers with all rows on one page until a history sets it."""
        self.polls: list[PollReport] = []
        self.log: list[dict[str, Any]] = []
        """The log lines of all polls."""
        self.secrets = self.world.secrets
        self.settings: dict[str, Any] = {}
        self._server = LocalServer(self._respond)

    def close(self) -> None:
        """Stop the server."""
        self._server.close()

    @property
    def origin(self) -> str:
        """The scheme, host and port of the back office."""
        return self._server.url

    @property
    def requests(self) -> list[ApiRequest]:
        """The requests that the back office received."""
        return self._server.requests

    def put(self, row_id: str, n: Any = 1, at: int | None = None, **more: Any) -> None:
        """Create or replace a row.

        :param at: the modification time in Unix milliseconds; ``None`` for a second ago.
        :param more: further members of the row.
        """
        self.rows[row_id] = {"id": row_id, "at": self.world.ms - 1000 if at is None else at, "n": n, **more}

    def fill(self, count: int, *, spacing_ms: int = 1000) -> None:
        """Create the rows ``r000``, ``r001`` ..., which were modified hours ago. A row's value is its number."""
        for number in range(count):
            self.put(f"r{number:03}", number, NOW_MS - 10_000_000 + number * spacing_ms)

    def list_rows(self, since: int = 0) -> list[dict[str, Any]]:
        """Return the rows modified at ``since`` or later, in the order of their modification."""
        ordered = sorted(self.rows.values(), key=lambda row: (row["at"], str(row["id"])))
        return [row for row in ordered if row["at"] >= since]

    def truth(self) -> dict[str, Any]:
        """Return the value that the item of each row must have, by the row's id."""
        return {str(row_id): row["n"] for row_id, row in self.rows.items() if not row.get("gone")}

    def declare(self, **settings: Any) -> None:
        """Declare a source that `poll` reads incrementally.

        :param settings: settings that replace the usual ones. ``None`` leaves a setting out. A URL without a host is
            one of the back office.
        """
        declared = CHANGES | {"url": "/rows?since={cursor}"} | settings
        self.declare_exactly(**{name: value for name, value in declared.items() if value is not None})

    def declare_listing(self, **settings: Any) -> None:
        """Declare a source whose every pass reads the full list. The parameters are those of :meth:`declare`."""
        self.declare(**{"url": "/rows", "version": None, "sweep": SWEEP, **settings})

    def declare_exactly(self, **settings: Any) -> None:
        """Declare a source with just these settings and the defaults that Terraform adds."""
        if settings["url"].startswith("/"):
            settings["url"] = self.origin + settings["url"]
        self.settings = add_defaults(settings)

    def poll(self, times: int = 1, *, sweep: bool = False, step_ms: int = STEP_MS) -> PollReport:
        """Poll, and return the report of the last poll.

        :param sweep: whether the first poll starts a sweep.
        :param step_ms: the time behind each poll.
        """
        for number in range(times):
            requests = len(self.requests)
            with redirect_stdout(io.StringIO()) as output:
                response = self.world(self.settings, sweep=sweep and number == 0)
            self.log += map(json.loads, output.getvalue().splitlines())
            figures = {name: response[name] for name in PollReport._fields if name != "requests"}
            self.polls.append(PollReport(requests=len(self.requests) - requests, **figures))
            self.world.ms += step_ms
            self._server.raise_error()
            self.check(len(self.requests) <= MAX_REQUESTS, f"the history needs more than {MAX_REQUESTS} requests")
            self.check(not self.fault.startswith("settings"), f"the source can't be declared like this: {self.fault}")
        return self.polls[-1]

    def poll_until_complete(self, polls: int = 12, *, more: int = 1) -> None:
        """Poll until a poll has read everything, or ``polls`` times. In the first case, poll ``more`` times again."""
        for _ in range(polls):
            report = self.poll()
            if report.outcome in ("completed", "not_modified") and not report.sweeping:
                self.poll(more)
                return

    def sweep(self, times: int = 2) -> None:
        """Start a sweep and poll until it has ended, ``times`` times."""
        for _ in range(times):
            self.poll(sweep=True)
            for _ in range(5):
                if not self.poll().sweeping:
                    break

    @property
    def values(self) -> dict[str, Any]:
        """The value of each item that isn't deleted, by the item's id."""
        return self.world.values()

    @property
    def fresh(self) -> str:
        """The time as of which the source is fresh; empty while it isn't."""
        freshness = self.world.items.sources.get("rows")
        return (freshness.fresh_as_of if freshness else None) or ""

    @property
    def fault(self) -> str:
        """The fault of the last poll that had one; empty if none had."""
        return next((report.fault for report in reversed(self.polls) if report.fault), "")

    @property
    def outcomes(self) -> list[str]:
        """The outcome of each poll."""
        return [report.outcome for report in self.polls]

    def metric(self, name: str) -> list[float]:
        """Return each value that `poll` has sent of a CloudWatch metric."""
        return [line[name] for line in self.log if name in line]

    @property
    def stored_text(self) -> str:
        """All checkpoints and all log lines, in which no secret may stand."""
        checkpoints = map(checkpoint_json, self.world.checkpoints.by_source.values())
        return "".join(checkpoints) + json.dumps(self.log)

    def check(self, condition: object, fault: str) -> None:
        """Fail with a text that says what is wrong, which rows are lost, and what each poll did."""
        if not condition:
            raise AssertionError(f"{fault}; {self._differences()}; the last polls: {self.polls[-6:]}")

    def check_equal(self, truth: Mapping[str, Any] | None = None) -> None:
        """Check that the items equal the rows, or ``truth``."""
        wanted = self.truth() if truth is None else truth
        if self.values != wanted:
            raise AssertionError(f"{self._differences(wanted)}; the last polls: {self.polls[-6:]}")

    def check_nothing_deleted(self) -> None:
        """Check that no item of a living row was deleted."""
        created = {change.item_id for change in self.world.stream.changes if change.data}
        deleted = sorted((self.truth().keys() & created) - self.values.keys())
        self.check(not deleted, f"the items of living rows were deleted: {deleted}")

    def check_ends(self) -> None:
        """Check that one of the last three polls has read everything."""
        self.check({"completed", "not_modified"} & set(self.outcomes[-3:]), "the list doesn't end")

    def check_fresh(self) -> None:
        """Check that the source is fresh."""
        self.check(self.fresh, "the source isn't fresh")

    def check_not_fresh(self) -> None:
        """Check that the source has never been fresh."""
        self.check(not self.fresh, f"the source is fresh as of {self.fresh}")

    def _differences(self, truth: Mapping[str, Any] | None = None) -> str:
        wanted = self.truth() if truth is None else truth
        lost = sorted(wanted.keys() - self.values.keys())
        extra = sorted(self.values.keys() - wanted.keys())
        other = sorted(key for key in wanted.keys() & self.values.keys() if wanted[key] != self.values[key])
        return f"items lost: {lost}, extra: {extra}, with another value: {other}"

    def _respond(self, request: ApiRequest) -> ApiResponse:
        if len(self.requests) > MAX_REQUESTS:
            return status_response(500)
        answer = self.answer(request)
        if isinstance(answer, ApiResponse):
            return answer
        if isinstance(answer, bytes):
            return ApiResponse(200, answer, {"Content-Type": "application/json"})
        return json_response(answer)


def split(rows: Sequence[dict[str, Any]], size: int) -> list[list[dict[str, Any]]]:
    """Return rows in pages of ``size`` rows. A list without rows has one page."""
    return [list(rows[start : start + size]) for start in range(0, len(rows), size)] or [[]]


def same_url(request: ApiRequest, **parameters: object) -> str:
    """Return the path and query of a request with further parameters, as a link to another page."""
    return f"{request.path}?{urlencode({**request.query, **parameters})}"


def linked_pages(case: Case, size: int = 3) -> Answer:
    """Return a back office that answers with pages of ``size`` rows, each with a link to the next in its body."""

    def answer(request: ApiRequest) -> Body:
        pages = split(case.list_rows(int(request.query.get("since", 0))), size)
        number = int(request.query.get("p", 0))
        link = same_url(request, p=number + 1) if number + 1 < len(pages) else None
        return {"rows": pages[number] if number < len(pages) else [], "next": link}

    return answer
