"""Show sync here: a back office is polled, a row changes in it, it stalls, vanishes and comes back; reads go on."""

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

SOURCE = "subdivisions"  # which is its collection's and its table's name, too
ROW = "CH-ZH"
DOCUMENT = "/documents/currencies/current"
PATIENCE = 120.0
OUTAGE = 5.0
"""Seconds of reading in each of: as usual, stalled, gone."""


@dataclasses.dataclass(frozen=True)
class Reads:
    """Reads of one item, one after the other: what they took in seconds, how many said that the data is stale."""

    seconds: list[float]
    stale: int

    def __str__(self) -> str:
        cuts = statistics.quantiles(self.seconds, n=100, method="inclusive")
        told = f"{len(self.seconds)} reads, all 200, median {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms"
        return f"{told}, {self.stale} of them with Readplane-Stale" if self.stale else told


def show(stack: Stack, office: BackOffice, progress: Progress) -> None:
    """Show it, and leave the back office as it should be."""
    api = Api(stack.outputs.api_url)
    progress.say(f"EventBridge Scheduler polls the back office at {office.url} every minute. Polled now, not to wait:")
    _fill(stack, office, api, progress)
    _change(stack, office, api, progress)
    _outage(stack, office, api, progress)
    told = api("GET", f"/sources/{SOURCE}").json()
    progress.say(f"GET /v1/sources/{SOURCE}: {json.dumps(told)}")


def _fill(stack: Stack, office: BackOffice, api: Api, progress: Progress) -> None:
    """Poll every source until the read model holds all that the back office has."""
    start = time.monotonic()
    for source in sorted(stack.outputs.sources or ()):
        told = _poll(stack, source)
        if told["outcome"] not in ("completed", "not_modified"):
            raise CommandError(f"{source} was polled, and it says {told}")
        progress.say(f"  {source}: {told['records']} records, {told['changes']} changes")
    rows = office.count(SOURCE)
    _until(lambda: sum(1 for _ in _listed(api)) >= rows, f"GET /items/{SOURCE} doesn't list {rows} items", every=1.0)
    _until(lambda: api("GET", DOCUMENT).status_code == 200, f"{DOCUMENT} isn't there")
    took = time.monotonic() - start
    progress.say(
        f"{rows} rows of {SOURCE} are items, the currencies are one document, {took:.1f} s after the polls began."
    )


def _change(stack: Stack, office: BackOffice, api: Api, progress: Progress) -> None:
    """Change a row in SQLite and see it in the read model."""
    took = _changed(stack, office, api, "Zurich, as SQLite has it now")
    progress.say(f"A row changed in SQLite is an item {took:.2f} s later (polled at once, not at the next minute).")


def _outage(stack: Stack, office: BackOffice, api: Api, progress: Progress) -> None:
    """Stall the back office, then let it refuse connections, while it is polled and read."""
    progress.say(f"As usual:  {_read(api, OUTAGE)}.")
    with concurrent.futures.ThreadPoolExecutor(1) as pool, office.failing(Fault("delay", seconds=60)):
        polled = pool.submit(_poll, stack, SOURCE)
        progress.say(f"Stalled:   {_read(api, OUTAGE)}. A poll hangs meanwhile.")
        office.faults(Fault("refuse"))
        budget = json.loads((stack.outputs.sources or {})[SOURCE])["source"]["staleness_budget"]
        progress.say(f"Vanished:  {_read(api, OUTAGE)}. After {budget} s of it they would say Readplane-Stale: true.")
        told = polled.result()
    progress.say(f"That poll says: {told['outcome']}, {told.get('fault')}.")
    took = _changed(stack, office, api, "Zürich")
    progress.say(f"The back office is back, and what changed in it is an item {took:.2f} s later.")


def _changed(stack: Stack, office: BackOffice, api: Api, name: str) -> float:
    """Change the row's name and poll; seconds until the item has it."""
    start = time.monotonic()
    office.put(SOURCE, ROW, name=name)
    _poll(stack, SOURCE)
    path = f"/items/{SOURCE}/{ROW}"
    _until(lambda: api("GET", path).json()["data"]["name"] == name, f"{path} doesn't show the change")
    return time.monotonic() - start


def _poll(stack: Stack, source: str) -> dict[str, Any]:
    """Poll with the schedule's own input, until there is no more to fetch; what the last poll says, with all counts.

    A poll that the schedule has begun is waited for.
    """
    event = json.loads((stack.outputs.sources or {})[source])
    deadline = time.monotonic() + PATIENCE
    counts = {"records": 0, "changes": 0}
    while True:
        told = poll(stack.outputs, event)
        counts = {name: count + told.get(name, 0) for name, count in counts.items()}
        if told["outcome"] not in ("running", "unfinished", "open"):
            return told | counts
        if time.monotonic() > deadline:
            raise CommandError(f"{source} isn't polled to its end within {PATIENCE:.0f} s; it says {told}")
        time.sleep(0.5)


def _read(api: Api, seconds: float) -> Reads:
    """Read the item as a client does, about 20 times a second."""
    path, took, stale = f"/items/{SOURCE}/{ROW}", list[float](), 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.monotonic()
        answer = api("GET", path)
        took.append(time.monotonic() - start)
        if answer.status_code != 200:
            raise CommandError(f"GET {path} was answered {answer.status_code}: {answer.text}")
        stale += answer.headers.get("Readplane-Stale") == "true"
        time.sleep(max(0.0, 0.05 - took[-1]))
    return Reads(took, stale)


def _listed(api: Api) -> Iterator[str]:
    """The ids of every item."""
    cursor = ""
    while True:
        page = api("GET", f"/items/{SOURCE}?limit=200{cursor}").json()
        yield from (item["id"] for item in page["items"])
        if page["next"] is None:
            return
        cursor = f"&cursor={page['next']}"


def _until(check: Callable[[], bool], otherwise: str, every: float = 0.05) -> None:
    deadline = time.monotonic() + PATIENCE
    while not check():
        if time.monotonic() > deadline:
            raise CommandError(f"{otherwise} after {PATIENCE:.0f} s.")
        time.sleep(every)
