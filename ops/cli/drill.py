"""The command `drill failover`: take the primary Region away from the edge, and measure what clients see."""

from __future__ import annotations

import datetime as dt
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click
from botocore.exceptions import ClientError

from ops.cli.collection_stores import StoredDocument, declared_collections, require_collection
from ops.cli.drill_chart import chart
from ops.cli.drill_client import Call, Client, Connections, Load, Write
from ops.cli.drill_faults import (
    FAULTS,
    PlannedFault,
    RealClock,
    TerraformSwitch,
    has_origin_group,
    switch_state,
)
from ops.cli.drill_report import Plan, Report, make_report
from ops.cli.publishing import read_images
from ops.cli.region_differences import Comparer
from ops.cli.target import Chosen, Target
from ops.console import CommandError, Progress
from ops.jobs import refusal_of
from ops.local import session
from ops.local.edge_control import EdgeControl
from ops.local.stack import Outputs
from readplane.model.collection import Visibility
from readplane.model.keys import document_key, item_key

THREADS = 100
"""How many requests can wait for a response at once. More than that wait for a free one, which the report counts."""

SETTLE_SECONDS = 60.0
"""How long the drill waits at the end until both Regions have every accepted write."""

DOCUMENTS = 10
"""How many documents of each visibility the client reads."""

USER = "drill@example.com"
"""The user who signs in on the emulator."""

SEEDED = 5
SEEDS: Mapping[Visibility, tuple[str, Callable[[int], dict[str, object]]]] = {
    "public": (
        "countries",
        lambda number: {"alpha_2": "XD", "alpha_3": "XDR", "numeric": "999", "name": f"Drill {number}"},
    ),
    "authenticated": ("notices", lambda number: {"title": f"Drill {number}"}),
    "owner": ("profiles", lambda number: {"display_name": f"Drill {number}"}),
}
"""The items of the local stack that the drill makes so that there is something to read: how many of each visibility,
and by their visibility the collection and the data of an item. They stay for the next drill."""


class Setup(NamedTuple):
    """What a drill reads and writes.

    edge: the base URL of the edge
    paths: the paths of documents by their visibility
    token: an access token; None to read public documents only
    collection: the collection that the client writes; None if it writes nothing
    body: the JSON text of a write, by the write's number
    owner: the user who owns the written items; None if their collection isn't an owner collection
    second_api: the base URL of the other Region's API, at which a failed write is repeated; None if there is none
    """

    edge: str
    paths: Mapping[str, Sequence[str]]
    token: str | None
    collection: str | None
    body: Callable[[int], str]
    owner: str | None
    second_api: str | None

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every request."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def load(self, reads: float, writes: float, run: str) -> Load:
        """Return the load at these rates per second. The classes of documents take turns."""
        calls = [
            [Call(kind, "GET", self.edge + path, {} if kind == "public" else self.headers) for path in paths]
            for kind, paths in self.paths.items()
            if paths
        ]
        turns = max(map(len, calls))
        mixed = [entries[number % len(entries)] for number in range(turns) for entries in calls]
        bases = [base for base in (self.edge, self.second_api) if base]
        urls = [f"{base}/v1/items/{self.collection}" for base in bases] if self.collection else []
        return Load(mixed, reads, urls, writes, self.headers, self.body, run)


@click.group()
def drill() -> None:
    """Rehearse a failure, and measure what clients see."""


@drill.command()
@click.option(
    "--fault",
    type=click.Choice(list(FAULTS)),
    default="refuse",
    show_default=True,
    help="What the primary Region does. Only on the emulator.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(5),
    default=60,
    show_default=True,
    help="How long to measure; on AWS, how long while the primary Region is away, and again when it is back.",
)
@click.option("--reads", type=click.FloatRange(1, 1000), default=50, show_default=True, help="Reads per second.")
@click.option("--writes", type=click.FloatRange(0, 100), default=5, show_default=True, help="Writes per second.")
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with a user's access token. Without one on AWS, the drill reads public documents and writes nothing.",
)
@click.option("--collection", help="The collection to write. On the emulator: notices.")
@click.option("--body", type=click.File(encoding="utf-8"), help="A file with the JSON data of a written item.")
@click.option("--second-api", help="Base URL of the other Region's API, at which the client repeats a failed write.")
@click.option("--patience", type=click.FloatRange(60), default=1800, show_default=True, help="Seconds for each apply.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to write report.json, report.txt and chart.svg. Without it: drill-<time>.",
)
@click.option("--dry-run", is_flag=True, help="Say what the drill would do, and do nothing.")
@click.pass_context
def failover(  # noqa: PLR0913, PLR0917 - click passes each option as an argument
    context: click.Context,
    fault: str,
    seconds: float,
    reads: float,
    writes: float,
    token_file: Path | None,
    collection: str | None,
    body: Any,
    second_api: str | None,
    patience: float,
    folder: Path | None,
    dry_run: bool,
) -> None:
    """Take the primary Region away from the edge, bring it back, and measure what a client sees (docs/drill.md).

    The client reads documents and writes items with an Idempotency-Key at fixed rates. It repeats a write that fails.

    On the emulator, the stand-in for CloudFront gives the primary Region a fault. On AWS you set edge.drill and run
    `terraform apply` when the drill asks for it. The drill itself never runs Terraform.

    At the end, the drill deletes the items that it wrote. The exit code is 0 if every goal is met, and 1 if not.
    """
    chosen: Chosen = context.obj
    target = chosen.target
    target.regional(True)  # raises an error if there is no replica
    identity = target.output("edge_id", "it has no CloudFront distribution. Set the variable edge, and apply.")
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    if dry_run:
        click.echo(_intention(target, endpoint, FAULTS[fault].about, seconds, reads, writes))
        return
    progress = Progress()
    run = dt.datetime.now(dt.UTC).strftime("drill-%Y%m%dT%H%M%SZ")
    token = token_file.read_text("utf-8").strip() if token_file else None
    if endpoint:
        control = EdgeControl(endpoint)
        control.choose(identity)
        setup = _local_setup(target, str(control.state()["url"]), second_api, progress)
    else:
        if collection and not token:
            raise CommandError("To write, the drill needs a file with a user's access token: --token-file FILE")
        if collection and not body:
            raise CommandError("Name a file with the data of a written item: --body FILE")
        with _explained():
            setup = _aws_setup(target, token, collection, body.read() if body else "{}", second_api)
            _check_permissions(target, identity, setup)
    load = setup.load(reads, writes, run)
    progress.say(
        f"The client reads {len(load.reads)} documents ({', '.join(setup.paths)}) "
        + (f"and writes {setup.collection}." if load.write_urls and writes else "and writes nothing.")
    )
    with ThreadPoolExecutor(THREADS) as pool:
        client = Client(load, Connections(), pool, RealClock())
        switch: PlannedFault | TerraformSwitch
        if endpoint:
            plan = FAULTS[fault].plan
            switch = PlannedFault(control, FAULTS[fault], seconds, client.now)
            progress.say(
                f"The primary Region: {FAULTS[fault].about}, after {seconds / 5:g} s for {seconds * 2 / 5:g} s."
            )
        else:
            plan = Plan("primary_unreachable")
            switch = _terraform_switch(target, identity, progress, client.now, seconds, patience)
        try:
            client.run(switch)
        finally:
            if isinstance(switch, PlannedFault):
                switch.stop()
    if isinstance(switch, TerraformSwitch) and switch.failure:
        progress.say(switch.failure)
    report = _conclude(target, setup, client, switch.away, plan, run, emulator=bool(endpoint), progress=progress)
    _write_files(report, client, folder or Path(run), progress)
    click.echo(report.as_text())
    failed = isinstance(switch, TerraformSwitch) and switch.failure is not None
    context.exit(0 if report.met and not failed else 1)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn AWS's refusal of a call into an error that names the permissions."""
    try:
        yield
    except ClientError as error:
        raise CommandError(
            f"{refusal_of(error)} The drill needs cloudfront:GetDistribution, s3:ListBucket on the documents "
            "bucket and, with a token, lambda:GetFunctionConfiguration. To write, it also needs dynamodb:BatchGetItem "
            "on the items table and s3:GetObject on the documents buckets in both Regions."
        ) from error


def _check_permissions(target: Target, identity: str, setup: Setup) -> None:
    """Call what the drill will call, so that it doesn't fail at its end."""
    target.client("cloudfront", "us-east-1").get_distribution(Id=identity)
    if setup.collection:
        Comparer(target, 0).compare_items([item_key(setup.collection, "drill", setup.owner)])


def _intention(target: Target, endpoint: str | None, about: str, seconds: float, reads: float, writes: float) -> str:
    load = f"read {reads:g} documents and write {writes:g} items in each second"
    if endpoint:
        return (
            f"The drill would make items in the collections {', '.join(name for name, _ in SEEDS.values())}, "
            f"{load} for {seconds:g} s, and give the primary Region {target.region} a fault: {about}. At the end it "
            "would delete the items; nothing was changed."
        )
    return (
        f"The drill would {load}, and ask you to set edge.drill to primary_unreachable and apply. When every edge "
        f"location has the change, it would measure for {seconds:g} s, ask you to remove edge.drill, and measure for "
        f"{seconds:g} s again. At the end it would delete the items that it wrote; nothing was changed."
    )


def _local_setup(target: Target, edge: str, second_api: str | None, progress: Progress) -> Setup:
    """Sign a user in on the emulator, and make the documents that the client reads."""
    names = Outputs.__dataclass_fields__
    outputs = Outputs(**{name: value for name, value in target.outputs.items() if name in names})
    user = session.sign_in(outputs, USER, ["editors"])
    api = session.Api(outputs.api_url, user.access_token)
    paths: dict[str, list[str]] = {}
    keys: dict[str, tuple[str, str, dict[str, object]]] = {}
    for kind, (collection, data) in SEEDS.items():
        for number in range(SEEDED):
            name = f"drill-{number}"
            paths.setdefault(kind, []).append(f"/documents/{collection}/{name}")
            key = document_key(kind, collection, name, user.sub if kind == "owner" else None)
            keys[key] = collection, name, data(number)
    missing = [key for key in keys if not _is_everywhere(target, key)]

    def write(key: str) -> None:
        collection, name, data = keys[key]
        response = api("PUT", f"/items/{collection}/{name}", data)
        if response.status_code != 202:
            raise CommandError(f"{collection}/{name} can't be written: {response.status_code} {response.text}")

    if missing:
        progress.say(f"Writing {len(missing)} items, and waiting for their documents in both Regions …")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, missing))
    deadline = time.monotonic() + SETTLE_SECONDS
    while missing := [key for key in missing if not _is_everywhere(target, key)]:
        if time.monotonic() > deadline:
            raise CommandError(f"{missing[0]} isn't in the documents buckets of both Regions after a minute.")
        time.sleep(0.2)
    return Setup(
        edge,
        paths,
        user.access_token,
        "notices",
        lambda number: json.dumps({"title": f"Drill, write {number}"}),
        None,
        second_api or target.outputs.get("replica_api_url"),
    )


def _is_everywhere(target: Target, key: str) -> bool:
    """Return whether the documents bucket of each Region has a document."""
    for stack in target.regions():
        try:
            target.client("s3", stack.region).head_object(Bucket=stack.documents_bucket, Key=key)
        except ClientError:
            return False
    return True


def _aws_setup(target: Target, token: str | None, collection: str | None, body: str, second_api: str | None) -> Setup:
    """Choose the documents that the client reads from those in the bucket, and the collection that it writes."""
    user = str(session.claims(token)["sub"]) if token else None
    prefixes = {"public": "public/documents/"}
    if token:
        prefixes |= {"authenticated": "authenticated/documents/"}
    owner = None
    collections = declared_collections(target) if token else {}
    if collection and token:
        owner = user if require_collection(collections, collection).read == "owner" else None
    paths = {kind: list(_documents(target, prefix)) for kind, prefix in prefixes.items()}
    if user:
        owned = [name for name, entry in collections.items() if entry.read == "owner" and not entry.retired]
        found = [path for name in owned for path in _documents(target, f"owner/documents/{name}/{user}/")]
        paths["owner"] = [path.replace(f"/{user}/", "/", 1) for path in found[:DOCUMENTS]]
    if not any(paths.values()):
        raise CommandError("The bucket has no document that the client may read. Write an item first.")
    edge = str(target.output("edge_url", "it has no CloudFront distribution. Set the variable edge, and apply."))
    read = {kind: found for kind, found in paths.items() if found}
    return Setup(edge, read, token, collection if token else None, lambda _: body, owner, second_api)


def _documents(target: Target, prefix: str) -> Iterator[str]:
    """Yield the paths at the edge of the first documents under a prefix of the primary Region's bucket."""
    pages = target.client("s3", target.region).get_paginator("list_objects_v2")
    found = 0
    for page in pages.paginate(Bucket=target.outputs["documents_bucket"], Prefix=prefix):
        for entry in page.get("Contents", []):
            if StoredDocument(entry["Key"], 0).collection != "sources" and found < DOCUMENTS:
                found += 1
                yield "/" + entry["Key"].partition("/")[2]
        if found >= DOCUMENTS:
            return


def _terraform_switch(
    target: Target, identity: str, progress: Progress, now: Callable[[], float], seconds: float, patience: float
) -> TerraformSwitch:
    """Return the switch of a drill on AWS.

    :raises CommandError: if no origin can take over, or a drill is on already
    """

    def read() -> Mapping[str, Any]:
        distribution: Mapping[str, Any] = target.client("cloudfront", "us-east-1").get_distribution(Id=identity)[
            "Distribution"
        ]
        return distribution

    state = read()
    if not has_origin_group(state):
        raise CommandError(
            "The distribution has no origin group, so clients would lose every read. Apply with a replica."
        )
    if switch_state(state)[0]:
        raise CommandError("edge.drill is on already. Remove it, run `terraform apply`, and begin again.")
    switches: Mapping[str, Mapping[str, str]] = target.outputs.get("api_switches") or {}
    return TerraformSwitch(
        read, progress.say, now, seconds=seconds, patience=patience, api_switch=switches.get(target.region)
    )


def _conclude(
    target: Target,
    setup: Setup,
    client: Client,
    away: Sequence[Any],
    plan: Plan,
    run: str,
    *,
    emulator: bool,
    progress: Progress,
) -> Report:
    """Compare both Regions, delete the items of the drill, and return the report."""
    accepted = [write for write in client.writes if write.item_id]
    keys = {item_key(str(setup.collection), str(write.item_id), setup.owner): str(write.item_id) for write in accepted}
    progress.say(f"Looking for {len(keys)} accepted writes in both Regions …")
    deadline = time.monotonic() + SETTLE_SECONDS
    missing = set(keys)
    while missing:
        missing = {key for stack in target.regions() for key in missing - read_images(target, stack, [*missing]).keys()}
        if time.monotonic() > deadline:
            break
        time.sleep(0.5 if missing else 0)
    comparison = Comparer(target, 0).compare_items(keys)
    report = make_report(
        target.name,
        run.removeprefix("drill-"),
        plan,
        client.samples,
        client.writes,
        away,
        lost=[keys[key] for key in missing],
        different=comparison.different,
        emulator=emulator,
    )
    if accepted:
        progress.say(f"Deleting {len(accepted)} items …")
        _delete(setup, accepted)
    return report


def _delete(setup: Setup, writes: Sequence[Write]) -> None:
    """Delete the items that the drill wrote."""
    connections = Connections()
    calls = [
        Call("write", "DELETE", f"{setup.edge}/v1/items/{setup.collection}/{write.item_id}", setup.headers)
        for write in writes
    ]
    with ThreadPoolExecutor(8) as pool:
        refused = [answer.status for answer in pool.map(connections, calls) if answer.status != 202]
    if refused:
        click.echo(f"{len(refused)} items of the drill weren't deleted: {refused[0]}", err=True)


def _write_files(report: Report, client: Client, folder: Path, progress: Progress) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(report.as_json() + "\n", "utf-8")
    (folder / "report.txt").write_text(report.as_text(), "utf-8")
    (folder / "chart.svg").write_text(chart(report, client.samples), "utf-8")
    progress.say(f"The report and the chart are in {folder}/.")
