"""Show on the emulator what the private stores do: a cached read, a stampede, lists, and lost stores.

The demo kills and freezes the stores of the primary Region, and brings them back.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import requests

from ops.console import CommandError, Progress
from ops.local.session import Api
from ops.local.stores import Stores

COLLECTION = "countries"
ITEM = "CH"
READERS = 12
"""How many clients read one missing entry at once. The emulator runs one process for each."""

READING = 2.0
"""How many seconds the demo reads an item in each state of the cache."""

TIMEOUT = 90.0
"""The maximum number of seconds to wait until a read or a list shows a write. A message that failed comes back late."""

SOURCES = {
    "hit": "from the cache",
    "fwd=uri-miss stored": "from DynamoDB, which then fills the cache",
    "fwd=stale stored": "from DynamoDB, which then fills the cache",
    "fwd=uri-miss collapsed": "after a wait for another reader's entry",
    "fwd=bypass": "from DynamoDB, past the cache",
}
"""Where a read comes from, by what its `Cache-Status` says without the time to live."""

CONTENT = {"alpha_2": "CH", "alpha_3": "CHE", "numeric": "756", "name": "Switzerland"}


@dataclasses.dataclass(frozen=True)
class Reads:
    """The results of reading one item again and again, all with the status 200.

    seconds: how many seconds each read took
    answers: how many responses said what in `Cache-Status`, without the time to live
    """

    seconds: list[float]
    answers: Counter[str]

    def __str__(self) -> str:
        median, slowest = statistics.median(self.seconds) * 1000, max(self.seconds) * 1000
        sources = _sources(self.answers)
        return f"{len(self.seconds)} reads, all 200, median {median:.0f} ms, slowest {slowest:.0f} ms: {sources}"


def show(api: Api, stores: Stores, progress: Progress) -> None:
    """Show the stores of the primary Region at work, then without the cache, and without the database.

    :param api: a client that may write the collection COLLECTION
    :raises CommandError: if a response has an unexpected status, or takes longer than TIMEOUT to show a write
    """
    progress.say("Each Region has a Valkey and a PostgreSQL, which `feed` fills from the items stream.")
    _show_cached_read(api, progress)
    _show_stampede(api, stores, progress)
    _show_lists(api, progress)
    _show_lost_cache(api, stores, progress)
    _show_killed_database(api, stores, progress)
    _show_frozen_database(api, stores, progress)


def _show_cached_read(api: Api, progress: Progress) -> None:
    """Print `Cache-Status` of two reads of an item, and of a read that names the version of a new write."""
    path = f"/items/{COLLECTION}/{ITEM}"
    for _ in range(2):
        progress.say(f"GET {path}: Cache-Status: {_get(api, path).headers.get('Cache-Status')}")
    version = _write(api, CONTENT)
    named = f"{path}?min_version={version}"
    response = _until(lambda: _status(api("GET", named), 200, 409), lambda found: found.status_code == 200, named)
    progress.say(f"  with min_version of a new write: Cache-Status: {response.headers.get('Cache-Status')}")


def _show_stampede(api: Api, stores: Stores, progress: Progress) -> None:
    """Remove an entry, let many clients read it at once, and print how many of them read DynamoDB."""
    path = f"/items/{COLLECTION}/{ITEM}"
    with concurrent.futures.ThreadPoolExecutor(READERS) as pool:
        # Start a process of the emulator for each reader first, because a cold start takes longer than a load.
        list(pool.map(lambda _: _get(api, path), range(2 * READERS)))
        with stores.caches["primary"].client() as client:
            client.flushdb()
        start = time.monotonic()
        answers = Counter(_answer(response) for response in pool.map(lambda _: _get(api, path), range(READERS)))
        seconds = time.monotonic() - start
    loads = sum(count for answer, count in answers.items() if "stored" in answer)
    progress.say(
        f"Stampede: {READERS} clients read at once an entry that the cache has just lost. Reads of DynamoDB: {loads} "
        f"({seconds:.2f} s in all; {_sources(answers)})."
    )


def _show_lists(api: Api, progress: Progress) -> None:
    """Print lists from PostgreSQL: with a filter and a sort order, and with a search."""
    for query in ("filter=name:ge:S,name:lt:T&sort=-name&limit=4", "q=kingdom&sort=name", "filter=alpha_3:eq:CHE"):
        path = f"/items/{COLLECTION}?{query}"
        response = _until(functools.partial(_get, api, path), lambda found: found.json()["items"], path)
        names = ", ".join(item["data"]["name"] for item in response.json()["items"])
        progress.say(f"GET {path}: {names}")


def _show_lost_cache(api: Api, stores: Stores, progress: Progress) -> None:
    """Kill and freeze the cache. Read an item meanwhile, and print the results."""
    cache = stores.caches["primary"]
    progress.say(f"Cache up:      {_read(api)}.")
    with restored(cache.restart):
        cache.kill()
        progress.say(f"Cache killed:  {_read(api)}.")
    with restored(cache.thaw):
        cache.freeze()
        progress.say(f"Cache frozen:  {_read(api)}.")
    time.sleep(10)  # until the breakers close
    progress.say(f"Cache is back: {_read(api)}.")


def _show_killed_database(api: Api, stores: Stores, progress: Progress) -> None:
    """Kill PostgreSQL, and print how lists and item reads go on. Then start PostgreSQL again."""
    database = stores.databases["primary"]
    listed = f"/items/{COLLECTION}?filter=alpha_3:eq:CHE"
    with restored(database.start):
        database.kill()
        progress.say(f"PostgreSQL killed: {_read(api)}.")
        _show_refused_list(api, listed, progress)
    start = time.monotonic()
    _until(lambda: _status(api("GET", listed), 200, 503), lambda found: found.status_code == 200, listed)
    progress.say(f"PostgreSQL is back: the list is back, too, {time.monotonic() - start:.2f} s later.")


def _show_refused_list(api: Api, listed: str, progress: Progress) -> None:
    """Print that a list from PostgreSQL gets a 503 now, and that a list from DynamoDB doesn't."""
    start = time.monotonic()
    refused = _status(api("GET", listed), 503)
    retry, seconds = refused.headers["Retry-After"], time.monotonic() - start
    progress.say(f"  A list with a filter gets 503 after {seconds:.1f} s, with Retry-After: {retry}.")
    plain = _get(api, f"/items/{COLLECTION}?limit=3")
    progress.say(f"  A plain list comes from DynamoDB, as always: {len(plain.json()['items'])} items.")


def _show_frozen_database(api: Api, stores: Stores, progress: Progress) -> None:
    """Freeze PostgreSQL, write an item, and print how long it takes until reads show it. Then let PostgreSQL go on."""
    database = stores.databases["primary"]
    item, document = f"/items/{COLLECTION}/{ITEM}", f"/documents/{COLLECTION}/{ITEM}"
    listed = f"/items/{COLLECTION}?filter=alpha_3:eq:CHE"
    with restored(database.thaw):
        database.freeze()
        start = time.monotonic()
        version = _write(api, CONTENT | {"official_name": "Swiss Confederation"})
        shown = [_seconds_until(api, path, version, start) for path in (item, document)]
        progress.say(
            f"PostgreSQL frozen: a write is in the item after {shown[0]:.2f} s, in the document {shown[1]:.2f} s."
        )
        _show_refused_list(api, listed, progress)
    start = time.monotonic()
    _until(
        lambda: _status(api("GET", listed), 200, 503),
        lambda found: found.status_code == 200 and found.json()["items"][0]["version"] >= version,
        listed,
    )
    progress.say(f"PostgreSQL goes on: the list shows the write {time.monotonic() - start:.2f} s later.")


@contextlib.contextmanager
def restored(restore: Callable[[], None]) -> Iterator[None]:
    """Restore a store at the end of a `with` block, also if the block fails."""
    try:
        yield
    finally:
        restore()


def _read(api: Api) -> Reads:
    """Read one item again and again for READING seconds."""
    durations, answers = list[float](), Counter[str]()
    end = time.monotonic() + READING
    while time.monotonic() < end:
        start = time.monotonic()
        response = _get(api, f"/items/{COLLECTION}/{ITEM}")
        durations.append(time.monotonic() - start)
        answers[_answer(response)] += 1
        time.sleep(0.02)
    return Reads(durations, answers)


def _answer(response: requests.Response) -> str:
    """Return what a response says in `Cache-Status` about the cache, without the time to live."""
    parts = response.headers.get("Cache-Status", "Readplane; no status").split("; ")[1:]
    return " ".join(part for part in parts if not part.startswith("ttl="))


def _sources(answers: Counter[str]) -> str:
    """Return how many reads came from where."""
    counts = Counter[str]()
    for answer, count in answers.items():
        counts[SOURCES.get(answer, answer)] += count
    return ", ".join(f"{count} {source}" for source, count in counts.most_common())


def _write(api: Api, content: dict[str, Any]) -> str:
    """Write the item ITEM, and return the new version."""
    response = _status(api("PUT", f"/items/{COLLECTION}/{ITEM}", content), 202)
    return str(response.json()["change_id"])


def _seconds_until(api: Api, path: str, version: str, start: float) -> float:
    """Return the seconds from `start` until a read shows a version or a newer one."""
    _until(lambda: _get(api, path), lambda found: found.json()["version"] >= version, path)
    return time.monotonic() - start


def _get(api: Api, path: str) -> requests.Response:
    return _status(api("GET", path), 200)


def _status(response: requests.Response, *expected: int) -> requests.Response:
    """Return a response, if its status is an expected one.

    :raises CommandError: if it isn't
    """
    if response.status_code not in expected:
        raise CommandError(f"{response.url} got the status {response.status_code}: {response.text}")
    return response


def _until(
    call: Callable[[], requests.Response], check: Callable[[requests.Response], object], path: str
) -> requests.Response:
    """Repeat a call until a check of its response succeeds. Return the response.

    :raises CommandError: if the check still fails after TIMEOUT
    """
    deadline = time.monotonic() + TIMEOUT
    while not check(response := call()):
        if time.monotonic() > deadline:
            raise CommandError(f"{path} doesn't show the write after {TIMEOUT:.0f} s.")
        time.sleep(0.1)
    return response
