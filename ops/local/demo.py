"""Show Readplane on this machine: build, apply, poll a back office, write countries over HTTP, take each store away.

The demo simulates an outage of the back office, too.

A second run uses the stack that is already up, and writes the countries again.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import statistics
import sys
import time
import urllib.parse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pycountry
import requests

from ops.build.targets import TARGETS
from ops.console import ROOT, CommandError, Progress, failures
from ops.local import back_office, emulator, poll_demo, stores, stores_demo
from ops.local.session import PASSWORD, Api, claims, sign_in
from ops.local.stack import Stack
from ops.local.up import up

COLLECTION = "countries"
USER = "demo@example.com"
GROUP = "editors"

TIMEOUT = 60.0
"""The maximum number of seconds to wait until a client can read an item that it wrote."""


@dataclasses.dataclass(frozen=True)
class Timing:
    """How many seconds after the start of a write each of three steps is done.

    accepted: the response 202 to the write has arrived
    item: a GET of the item, served from DynamoDB, shows the write
    document: a GET of the item's document, served from S3, shows the write
    """

    accepted: float
    item: float
    document: float


def countries() -> list[dict[str, Any]]:
    """Return the ISO 3166-1 countries, each as the data of one item."""
    return [dict(country) for country in pycountry.countries]


def load(api: Api, items: Sequence[dict[str, Any]], clients: int, progress: Progress) -> list[Timing]:
    """Write every country with a PUT. Wait until a GET of its item and a GET of its document show the write.

    :param items: the countries
    :param clients: how many countries to write at the same time
    :raises CommandError: if a response has an unexpected status, or reads don't show a write within TIMEOUT
    """
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        timings, last_print = [], time.monotonic()
        for timing in pool.map(lambda country: _write(api, country), items):
            timings.append(timing)
            if time.monotonic() - last_print > 5:
                last_print = time.monotonic()
                progress.say(f"{len(timings)} of {len(items)} countries")
        return timings


def _write(api: Api, country: dict[str, Any]) -> Timing:
    item = f"/items/{COLLECTION}/{country['alpha_2']}"
    start = time.monotonic()
    response = api("PUT", item, country)
    if response.status_code != 202:
        raise CommandError(f"PUT {item} got the status {response.status_code}: {response.text}")
    accepted = time.monotonic() - start
    version = response.json()["change_id"]
    visible_after = []
    for path in (item, f"/documents/{COLLECTION}/{country['alpha_2']}"):
        while not _has_version(api("GET", path), version):
            if time.monotonic() - start > TIMEOUT:
                raise CommandError(f"{path} doesn't show the change {version} after {TIMEOUT:.0f} s.")
            time.sleep(0.05)
        visible_after.append(time.monotonic() - start)
    return Timing(accepted, *visible_after)


def _has_version(response: requests.Response, version: str) -> bool:
    """Whether the response to a read shows an item in the given version or in a newer one."""
    if response.status_code not in (200, 404):
        raise CommandError(f"GET {response.url} got the status {response.status_code}: {response.text}")
    return bool(response.status_code == 200 and response.json()["version"] >= version)


def distribution(name: str, seconds: Iterable[float]) -> str:
    """Return one line of text: the name, and the median, p95, p99 and maximum of the durations."""
    cuts = statistics.quantiles(values := sorted(seconds), n=100, method="inclusive")
    return f"  {name:32} median {cuts[49]:.2f} s   p95 {cuts[94]:.2f} s   p99 {cuts[98]:.2f} s   max {values[-1]:.2f} s"


def sign_in_page(stack: Stack) -> str:
    """Return the URL of Cognito's hosted sign-in page, to open in a browser."""
    query = {"client_id": stack.outputs.web_client_id, "response_type": "code", "scope": "openid"}
    query["redirect_uri"] = "http://localhost:8080/callback"
    return f"{stack.endpoint}/oauth2/authorize?{urllib.parse.urlencode(query)}"


def instructions(stack: Stack, token: Path, minutes: int, change: str) -> str:
    """Return text with commands to try after the demo. The commands work as printed, in the project's root folder.

    :param token: the file with the demo user's access token
    :param minutes: how many minutes the access token stays valid
    :param change: the `change_id` of a write to the item CH (Switzerland)
    """
    base = f"{stack.outputs.api_url}/v1"
    python = Path(sys.executable).relative_to(ROOT) if Path(sys.executable).is_relative_to(ROOT) else sys.executable
    bearer = f'-H "Authorization: Bearer $(cat {token.relative_to(ROOT)})"'
    running, edge, edge_commands = emulator.running(stack.name), "", ""
    if stack.outputs.edge_id and running:
        edge = f"Edge       {running.edge_url} (the web client, documents and API behind a stand-in for CloudFront)\n"
        document = f"{running.edge_url}/documents/{COLLECTION}/CH"
        edge_commands = f"""Read a document at the edge twice. The second response has `X-Cache: Hit from cloudfront`:
  curl -i {document}
  curl -i {document}
"""
    return f"""
API        {base}
{edge}Sign-in    {sign_in_page(stack)}
Emulator   {stack.endpoint} (log: {emulator.log_file(stack.name).relative_to(ROOT)})
User       {USER}, password {PASSWORD}
Token      {token.relative_to(ROOT)}, valid for {minutes} minutes (make demo gets a new one)

Read an item, a list, a document:
  curl -i {base}/items/{COLLECTION}/CH
  curl '{base}/items/{COLLECTION}?limit=3'
  curl -i {base}/documents/{COLLECTION}/CH
Write an item, then follow the change by the change_id in the response:
  curl -i -X PUT {base}/items/{COLLECTION}/CH {bearer} -H 'Content-Type: application/json' \
-d '{{"alpha_2":"CH","alpha_3":"CHE","numeric":"756","name":"Switzerland","flag":"🇨🇭"}}'
  curl {base}/items/{COLLECTION}/CH/changes/{change}
Write and read an item that only its owner can read:
  curl -i -X PUT {base}/items/profiles/me {bearer} -H 'Content-Type: application/json' -d '{{"display_name":"Demo"}}'
  curl -i {base}/items/profiles/me {bearer}
Read what comes from the back office, and its freshness; change a row in SQLite, and the item follows within a minute:
  curl -i {base}/items/{poll_demo.SOURCE}/{poll_demo.ROW}
  curl -i {base}{poll_demo.DOCUMENT}
  curl {base}/sources/{poll_demo.SOURCE}
  {python} -m ops.local.back_office set {poll_demo.SOURCE} {poll_demo.ROW} name='Züri'
Stall the back office, make it refuse connections, bring it back. Reads keep working:
  {python} -m ops.local.back_office delay 30
  {python} -m ops.local.back_office refuse
  {python} -m ops.local.back_office pass
Filter, sort and search a list. See where a read comes from (Cache-Status). Take a store away and bring it back:
  curl '{base}/items/{COLLECTION}?filter=name:ge:S,name:lt:T&sort=-name&limit=3'
  curl '{base}/items/{COLLECTION}?q=kingdom&sort=name'
  curl -si {base}/items/{COLLECTION}/CH | grep -i cache-status
  {python} -m ops.local.stores kill cache
  {python} -m ops.local.stores freeze database
  {python} -m ops.local.stores start cache
  {python} -m ops.local.stores start database
{edge_commands}Remove everything: make down
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the demo with the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m ops.local.demo", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--port", type=int, default=4566, help="the emulator's port (default: 4566)")
    parser.add_argument("--clients", type=int, default=4, help="concurrent writers (default: 4)")
    parser.add_argument("--dry-run", action="store_true", help="only print what would be done")
    options = parser.parse_args(arguments)
    if options.dry_run:
        zips = ", ".join(str(path) for path in TARGETS["local"].zips(Path("dist")))
        print(f"Would build {zips}, start an emulator on port {options.port}, a back office,")
        print("a Valkey and a PostgreSQL for each Region, apply terraform/, migrate the databases, sign")
        print(f"{USER} in, poll the back office, PUT {len(countries())} countries, kill and freeze the cache and the")
        print("database, stall the back office and make it refuse.")
        print(f"Everything would be in {emulator.folder('demo')}.")
        return 0
    progress = Progress()
    stack = up("demo", options.port, progress)
    user = sign_in(stack.outputs, USER, [GROUP])
    token = stack.home / "token"
    token.write_text(user.access_token)
    token.chmod(0o600)
    progress.say(f"{USER} is signed in (SRP).")
    office = back_office.running(stack.name)
    if office and poll_demo.SOURCE in (stack.outputs.sources or {}):
        # Poll before the writes, so that fewer of them wait behind the rows of the first poll.
        poll_demo.fill(stack, office, progress)
    _show_writes(Api(stack.outputs.api_url, user.access_token), options.clients, progress)
    servers = stores.load(stack.name)
    if servers and servers.alive and emulator.running(stack.name):
        stores_demo.show(Api(stack.outputs.api_url, user.access_token), servers, progress)
    if office and poll_demo.SOURCE in (stack.outputs.sources or {}):
        poll_demo.show(stack, office, progress)
    change = Api(stack.outputs.api_url)("GET", f"/items/{COLLECTION}/CH").json()["version"]
    minutes = int(claims(user.access_token)["exp"] - time.time()) // 60
    print(instructions(stack, token, minutes, change), flush=True)
    progress.say("The demo is up.")
    return 0


def _show_writes(api: Api, clients: int, progress: Progress) -> None:
    """Write the countries. Print how long it takes until the writes are accepted and until clients can read them.

    The first writes are measured apart from the others, because they may wait for cold starts.
    """
    items = countries()
    progress.say(f"Writing {len(items)} countries with {clients} clients …")
    cold = load(api, items[:clients], clients, progress)
    progress.say(
        f"The first {len(cold)}, which may meet cold functions: {max(t.document for t in cold):.2f} s at most."
    )
    timings = load(api, items[clients:], clients, progress)
    progress.say(f"The other {len(timings)} are durable, applied and published. From the start of the write to")
    print(distribution("its acknowledgement (durable)", (t.accepted for t in timings)))
    print(distribution("GET /items shows it", (t.item for t in timings)))
    print(distribution("GET /documents shows it", (t.document for t in timings)))


if __name__ == "__main__":
    with failures():
        sys.exit(main())
