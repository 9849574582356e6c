"""Show on the emulator how Readplane polls a back office, and that clients can still read while it is down.

The demo polls the back office, and later changes a row in it. Then it stalls the back office, lets it refuse
connections, and brings it back.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from ops.console import CommandError, Progress
from ops.local.back_office import BackOffice
from ops.local.fault_proxy import Fault
from ops.local.session import Api, poll
from ops.local.stack import Stack

SOURCE = "subdivisions"
"""The name of the source to poll. Its collection and its table in the back office have the same name."""

ROW = "CH-ZH"
DOCUMENT = "/documents/currencies/current"

TIMEOUT = 120.0
"""The maximum number of seconds to wait for polls to read everything from a source, or for a read to show a change."""

READING = 5.0
"""How many seconds the demo reads an item in each state of the back office: normal, stalled, refusing connections."""


@dataclasses.dataclass(frozen=True)
class Reads:
    """The results of reading one item again and again.

    seconds: how many seconds each read took
    stale: how many responses had the header `Readplane-Stale: true`
    """

    seconds: list[float]
    stale: int

    def __str__(self) -> str:
        cuts = statistics.quantiles(self.seconds, n=100, method="inclusive")
        text = f"{len(self.seconds)} reads, all 200, median {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms"
        return f"{text}, {self.stale} of them with Readplane-Stale" if self.stale else text


def fill(stack: Stack, office: BackOffice, progress: Progress) -> None:
    """Poll every source. Wait until clients can read all subdivisions as items, and all currencies as one document."""
    api = Api(stack.outputs.api_url)
    progress.say(f"EventBridge Scheduler polls the back office at {office.url} every minute. This demo polls at once:")
    start = time.monotonic()
    for source in sorted(stack.outputs.sources or ()):
        response = _poll(stack, source)
        if response["outcome"] not in ("completed", "not_modified"):
            raise CommandError(f"The poll of {source} failed: {response}")
        progress.say(f"  {source}: {response['records']} records, {response['changes']} changes")
    rows = office.count(SOURCE)
    _wait_until(
        lambda: sum(1 for _ in _item_ids(api)) >= rows, f"GET /items/{SOURCE} doesn't list {rows} items", every=1.0
    )
    _wait_until(lambda: api("GET", DOCUMENT).status_code == 200, f"{DOCUMENT} isn't there")
    seconds = time.monotonic() - start
    progress.say(f"{rows} rows of {SOURCE} are items, and the currencies are one document, after {seconds:.1f} s.")


def show(stack: Stack, office: BackOffice, progress: Progress) -> None:
    """Change a row of the back office, simulate an outage and its end, and print what happens."""
    api = Api(stack.outputs.api_url)
    _show_change(stack, office, api, progress)
    _show_outage(stack, office, api, progress)
    freshness = api("GET", f"/sources/{SOURCE}").json()
    progress.say(f"GET /v1/sources/{SOURCE}: {json.dumps(freshness)}")


def _show_change(stack: Stack, office: BackOffice, api: Api, progress: Progress) -> None:
    """Change a row of the back office and poll. Print how long it takes until a read shows the change."""
    seconds = _change_row(stack, office, api, "Zurich, as SQLite has it now")
    progress.say(f"A row changed in SQLite is in the item {seconds:.2f} s later (polled at once, not a minute later).")


def _show_outage(stack: Stack, office: BackOffice, api: Api, progress: Progress) -> None:
    """Stall the back office, then let it refuse connections. Meanwhile, read and poll, and print the results."""
    progress.say(f"Normal:    {_read(api, READING)}.")
    with concurrent.futures.ThreadPoolExecutor(1) as pool, office.failing(Fault("delay", seconds=60)):
        polled = pool.submit(_poll, stack, SOURCE)
        progress.say(f"Stalled:   {_read(api, READING)}. A poll waits meanwhile.")
        office.faults(Fault("refuse"))
        budget = (stack.outputs.sources or {})[SOURCE]["staleness_budget"]
        progress.say(f"Cut off:   {_read(api, READING)}. After {budget} s without a poll, Readplane-Stale: true.")
        response = polled.result()
    progress.say(f"The waiting poll ended: {response['outcome']}, {response.get('fault')}.")
    seconds = _change_row(stack, office, api, "Zürich")
    progress.say(f"The back office is back, and a row changed in it is in the item {seconds:.2f} s later.")


def _change_row(stack: Stack, office: BackOffice, api: Api, name: str) -> float:
    """Change the name in the back office's row ROW and poll. Return the seconds until a read shows the new name."""
    start = time.monotonic()
    office.put(SOURCE, ROW, name=name)
    _poll(stack, SOURCE)
    path = f"/items/{SOURCE}/{ROW}"
    _wait_until(lambda: api("GET", path).json()["data"]["name"] == name, f"{path} doesn't show the change")
    return time.monotonic() - start


def _poll(stack: Stack, source: str) -> dict[str, Any]:
    """Poll a source with the event that its schedule sends, until there is no more to fetch.

    If a poll that the schedule started is running, wait for that poll to end.

    :returns: the response of the last poll; its numbers of records and changes are the totals of all polls
    :raises CommandError: if there is still more to fetch after TIMEOUT
    """
    event = {"source": source, "sweep": False}
    deadline = time.monotonic() + TIMEOUT
    counts = {"records": 0, "changes": 0}
    while True:
        response = poll(stack.outputs, event)
        counts = {name: count + response.get(name, 0) for name, count in counts.items()}
        if response["outcome"] not in ("running", "unfinished", "open"):
            return response | counts
        if time.monotonic() > deadline:
            raise CommandError(
                f"The poll of {source} isn't through after {TIMEOUT:.0f} s. Its last response: {response}"
            )
        time.sleep(0.5)


def _read(api: Api, seconds: float) -> Reads:
    """Read one item over HTTP, as a client does, about 20 times a second. Return the results.

    :param seconds: how long to go on reading
    :raises CommandError: if a response has a status other than 200
    """
    path, durations, stale = f"/items/{SOURCE}/{ROW}", list[float](), 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.monotonic()
        response = api("GET", path)
        durations.append(time.monotonic() - start)
        if response.status_code != 200:
            raise CommandError(f"GET {path} got the status {response.status_code}: {response.text}")
        stale += response.headers.get("Readplane-Stale") == "true"
        time.sleep(max(0.0, 0.05 - durations[-1]))
    return Reads(durations, stale)


def _item_ids(api: Api) -> Iterator[str]:
    """Yield the id of every item in the collection SOURCE. Read the list of items page by page."""
    cursor = ""
    while True:
        page = api("GET", f"/items/{SOURCE}?limit=200{cursor}").json()
        yield from (item["id"] for item in page["items"])
        if page["next"] is None:
            return
        cursor = f"&cursor={page['next']}"


def _wait_until(check: Callable[[], bool], problem: str, every: float = 0.05) -> None:
    """Call a check until it returns True.

    :param problem: the error message, to which the waiting time is added
    :param every: seconds between two calls of the check
    :raises CommandError: if the check still returns False after TIMEOUT
    """
    deadline = time.monotonic() + TIMEOUT
    while not check():
        if time.monotonic() > deadline:
            raise CommandError(f"{problem} after {TIMEOUT:.0f} s.")
        time.sleep(every)
