"""Show it all here: build, start, apply, sign in, load real data over HTTP, measure; poll a back office and break it.

Can be run twice: what is up stays up, and the countries are written again.
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

from ops.build.zips import TARGETS
from ops.console import ROOT, CommandError, Progress, failures
from ops.local import back_office, emulator, poll_demo
from ops.local.session import PASSWORD, Api, claims, sign_in
from ops.local.stack import Stack
from ops.local.up import up

COLLECTION = "countries"
USER = "demo@example.com"
GROUP = "editors"
PATIENCE = 60.0


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds from just before one write: to its answer, to the item that holds it, to its document."""

    accepted: float
    item: float
    document: float


def countries() -> list[dict[str, Any]]:
    """The ISO 3166-1 countries."""
    return [dict(country) for country in pycountry.countries]


def load(api: Api, items: Sequence[dict[str, Any]], clients: int, progress: Progress) -> list[Timing]:
    """PUT every country and wait until its item and its document show it."""
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        timings, said = [], time.monotonic()
        for timing in pool.map(lambda country: _write(api, country), items):
            timings.append(timing)
            if time.monotonic() - said > 5:
                said = time.monotonic()
                progress.say(f"{len(timings)} of {len(items)} countries")
        return timings


def _write(api: Api, country: dict[str, Any]) -> Timing:
    item = f"/items/{COLLECTION}/{country['alpha_2']}"
    start = time.monotonic()
    answer = api("PUT", item, country)
    if answer.status_code != 202:
        raise CommandError(f"PUT {item} was answered {answer.status_code}: {answer.text}")
    accepted = time.monotonic() - start
    version = answer.json()["change_id"]
    shown = []
    for path in (item, f"/documents/{COLLECTION}/{country['alpha_2']}"):
        while not _shows(api("GET", path), version):
            if time.monotonic() - start > PATIENCE:
                raise CommandError(f"{path} doesn't show the change {version} after {PATIENCE:.0f} s.")
            time.sleep(0.05)
        shown.append(time.monotonic() - start)
    return Timing(accepted, *shown)


def _shows(answer: requests.Response, version: str) -> bool:
    if answer.status_code not in (200, 404):
        raise CommandError(f"GET {answer.url} was answered {answer.status_code}: {answer.text}")
    return bool(answer.status_code == 200 and answer.json()["version"] >= version)


def distribution(name: str, seconds: Iterable[float]) -> str:
    """One line: the median, the tail, the worst."""
    cuts = statistics.quantiles(values := sorted(seconds), n=100, method="inclusive")
    return f"  {name:32} median {cuts[49]:.2f} s   p95 {cuts[94]:.2f} s   p99 {cuts[98]:.2f} s   max {values[-1]:.2f} s"


def sign_in_page(stack: Stack) -> str:
    """The hosted sign-in page as a browser finds it."""
    query = {"client_id": stack.outputs.web_client_id, "response_type": "code", "scope": "openid"}
    query["redirect_uri"] = "http://localhost:8080/callback"
    return f"{stack.endpoint}/oauth2/authorize?{urllib.parse.urlencode(query)}"


def instructions(stack: Stack, token: Path, minutes: int, change: str) -> str:
    """What to call, as lines that work as they are printed, from the project's root."""
    base = f"{stack.outputs.api_url}/v1"
    python = Path(sys.executable).relative_to(ROOT) if Path(sys.executable).is_relative_to(ROOT) else sys.executable
    bearer = f'-H "Authorization: Bearer $(cat {token.relative_to(ROOT)})"'
    return f"""
API        {base}
Sign-in    {sign_in_page(stack)}
Emulator   {stack.endpoint} (log: {emulator.log_file(stack.name).relative_to(ROOT)})
User       {USER}, password {PASSWORD}
Token      {token.relative_to(ROOT)}, for {minutes} minutes (make demo gets a new one)

Read an item, a list, a document:
  curl -i {base}/items/{COLLECTION}/CH
  curl '{base}/items/{COLLECTION}?limit=3'
  curl -i {base}/documents/{COLLECTION}/CH
Write, then follow the change with the change_id that the answer names:
  curl -i -X PUT {base}/items/{COLLECTION}/CH {bearer} -H 'Content-Type: application/json' \
-d '{{"alpha_2":"CH","alpha_3":"CHE","numeric":"756","name":"Switzerland","flag":"🇨🇭"}}'
  curl {base}/items/{COLLECTION}/CH/changes/{change}
What a user keeps about themselves, which nobody else can read:
  curl -i -X PUT {base}/items/profiles/me {bearer} -H 'Content-Type: application/json' -d '{{"display_name":"Demo"}}'
  curl -i {base}/items/profiles/me {bearer}
What a back office feeds, and how fresh it is; in SQLite a row changes, and within a minute the item does:
  curl -i {base}/items/{poll_demo.SOURCE}/{poll_demo.ROW}
  curl -i {base}{poll_demo.DOCUMENT}
  curl {base}/sources/{poll_demo.SOURCE}
  {python} -m ops.local.back_office set {poll_demo.SOURCE} {poll_demo.ROW} name='Züri'
Stall the back office, let it vanish, bring it back; the reads go on:
  {python} -m ops.local.back_office delay 30
  {python} -m ops.local.back_office refuse
  {python} -m ops.local.back_office pass
Remove it all: make down
"""


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and show the demo."""
    parser = argparse.ArgumentParser(prog="python -m ops.local.demo", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--port", type=int, default=4566, help="the emulator's port (default: 4566)")
    parser.add_argument("--clients", type=int, default=4, help="concurrent writers (default: 4)")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    options = parser.parse_args(arguments)
    if options.dry_run:
        zips = ", ".join(str(path) for path in TARGETS["local"].zips(Path("dist")))
        print(f"Would build {zips}, start an emulator on port {options.port} and a back office, apply terraform/,")
        print(f"sign {USER} in, PUT {len(countries())} countries, poll the back office, stall it and let it vanish.")
        print(f"Everything would be in {emulator.folder('demo')}.")
        return 0
    progress = Progress()
    stack = up("demo", options.port, progress)
    user = sign_in(stack.outputs, USER, [GROUP])
    token = stack.home / "token"
    token.write_text(user.access_token)
    token.chmod(0o600)
    progress.say(f"{USER} is signed in (SRP).")
    items = countries()
    progress.say(f"Writing {len(items)} countries with {options.clients} clients …")
    api = Api(stack.outputs.api_url, user.access_token)
    cold = load(api, items[: options.clients], options.clients, progress)
    progress.say(
        f"The first {len(cold)}, which may meet cold functions: {max(t.document for t in cold):.2f} s at most."
    )
    timings = load(api, items[options.clients :], options.clients, progress)
    progress.say(f"The other {len(timings)} are durable, applied and published. From the write's start to")
    print(distribution("its acknowledgement (durable)", (t.accepted for t in timings)))
    print(distribution("GET /items shows it", (t.item for t in timings)))
    print(distribution("GET /documents shows it", (t.document for t in timings)))
    office = back_office.running(stack.name)
    if office and poll_demo.SOURCE in (stack.outputs.sources or {}):
        poll_demo.show(stack, office, progress)
    change = Api(stack.outputs.api_url)("GET", f"/items/{COLLECTION}/CH").json()["version"]
    print(instructions(stack, token, int(claims(user.access_token)["exp"] - time.time()) // 60, change), flush=True)
    progress.say("The demo is up.")
    return 0


if __name__ == "__main__":
    with failures():
        sys.exit(main())
