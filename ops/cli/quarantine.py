"""Quarantined changes and records: what could not be applied or translated, kept whole in the write-log bucket."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import click

from ops.cli.invoke import poll
from ops.cli.target import Chosen, Place, Target, table
from ops.console import CommandError
from readplane.model.collection import item_key
from readplane.stores.items import marker_key

PREFIX = "quarantine/"
BATCH = 100
"""Records that one invocation of `poll` translates again."""

replica = click.option("--replica", is_flag=True, help="The replica Region's quarantine.")


class Entry(NamedTuple):
    """One quarantined line or record: where it lies, and the object as it was kept."""

    key: str
    object_version: str | None
    kept: dict[str, Any]

    @property
    def source(self) -> str | None:
        """The source whose record it is; ``None`` for a line of the write log."""
        source: str | None = self.kept.get("source")
        return source

    def line(self) -> bytes:
        """The line of the write log, as it came; empty where the entry stands for a damaged object."""
        if "line_base64" in self.kept:
            return base64.b64decode(self.kept["line_base64"])
        text: str = self.kept["line"]
        return text.encode()


@click.group()
def quarantine() -> None:
    """Look at what couldn't be applied, and send it in again once the reason is gone."""


@quarantine.command(name="list")
@click.option("--reason", help="Only entries of this reason: expired, invalid, untranslatable …")
@click.option("--source", help="Only records of this source.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Entries at most.")
@replica
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.pass_obj
def list_(chosen: Chosen, reason: str | None, source: str | None, limit: int, replica: bool, as_json: bool) -> None:
    """List entries: reason, origin, detail, key."""
    target = chosen.target
    rows = []
    for entry in _entries(target, target.place(replica), reason, source):
        rows.append(entry)
        if len(rows) == limit:
            break
    if as_json:
        for entry in rows:
            click.echo(json.dumps({"key": entry.key, **entry.kept}))
        return
    table(
        [(e.kept["reason"], e.kept["origin"], e.kept["detail"], e.key) for e in rows],
        "REASON",
        "ORIGIN",
        "DETAIL",
        "KEY",
    )
    click.echo(f"{len(rows)} entries{', perhaps more: --limit' if len(rows) == limit else ''}.")


@quarantine.command()
@click.argument("key")
@replica
@click.pass_obj
def show(chosen: Chosen, key: str, replica: bool) -> None:
    """Print one entry whole."""
    target = chosen.target
    click.echo(json.dumps(_read(target, target.place(replica), key).kept, indent=2, ensure_ascii=False))


@quarantine.command()
@click.argument("keys", nargs=-1)
@click.option("--reason", help="Every entry of this reason.")
@click.option("--source", help="Every record of this source.")
@click.option("--all", "everything", is_flag=True, help="Every entry.")
@replica
@click.option("--dry-run", is_flag=True, help="Only say what would be sent in again.")
@click.pass_obj
def redrive(
    chosen: Chosen,
    keys: tuple[str, ...],
    reason: str | None,
    source: str | None,
    everything: bool,
    replica: bool,
    dry_run: bool,
) -> None:
    """Send entries in again: lines through `apply`, records of a source through its translation as it is now.

    What fails again comes back into quarantine. Sending something twice is harmless: the newest change wins.
    """
    if not (keys or reason or source or everything):
        raise click.UsageError("Say which: KEYS, --reason, --source or --all.")
    target = chosen.target
    place = target.place(replica)
    entries = [_read(target, place, key) for key in keys] or list(_entries(target, place, reason, source))
    lines = [entry for entry in entries if entry.source is None]
    by_source: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.source is not None:
            by_source.setdefault(entry.source, []).append(entry)
    if dry_run:
        for entry in entries:
            click.echo(f"Would send in again {entry.key}")
        click.echo(f"{len(lines)} lines and {len(entries) - len(lines)} records; nothing was changed.")
        return
    _lines_again(target, place, lines)
    failed = sum(_records_again(target, name, records) for name, records in by_source.items())
    click.echo(f"Sent in again: {len(entries) - failed} of {len(entries)}.")
    if failed:
        raise CommandError(f"{failed} records can't be translated yet; they stay in quarantine.")


def put_lines(target: Target, place: Place, lines: list[bytes]) -> str:
    """Put lines into the write log, as an object of their own that `apply` takes up; returns its key."""
    body = b"".join(line.rstrip(b"\r\n") + b"\n" for line in lines)
    # By its content: a command that is repeated writes the same object once more and not another one.
    key = f"log/redrive/{time.strftime('%Y-%m-%d', time.gmtime())}/{hashlib.sha256(body).hexdigest()[:32]}"
    target.client("s3", place.region).put_object(Bucket=place.log_bucket, Key=key, Body=body)
    return key


def _lines_again(target: Target, place: Place, entries: list[Entry]) -> None:
    empty = [entry for entry in entries if not entry.line()]
    if empty:
        raise CommandError(f"{empty[0].key} holds no line: its object is damaged from {empty[0].kept['origin']} on.")
    if not entries:
        return
    # Before `apply` can leave new ones: a marker would tell of a change as quarantined that is applied by then.
    for entry in entries:
        _remove_marker(target, place, entry.line())
    put_lines(target, place, [entry.line() for entry in entries])
    s3 = target.client("s3", place.region)
    with click.progressbar(entries, label="Lines") as progress:
        for entry in progress:
            # Not before: until now it was the one place that has the line. And this version of it alone: `apply` may
            # have put the line back by now, under the same key.
            version = {"VersionId": entry.object_version} if entry.object_version else {}
            s3.delete_object(Bucket=place.log_bucket, Key=entry.key, **version)


def _remove_marker(target: Target, place: Place, line: bytes) -> None:
    try:
        change = json.loads(line)
        key = marker_key(item_key(change["collection"], change["item_id"], change.get("owner")), change["change_id"])
    except (ValueError, TypeError, KeyError):
        return  # a line that names no change has no marker
    table = target.outputs["items_table"]
    target.client("dynamodb", place.region).delete_item(TableName=table, Key={"pk": {"S": key}})


def _records_again(target: Target, source: str, entries: list[Entry]) -> int:
    """Have a source's records translated again; returns how many failed."""
    settings = target.source(source)["source"]
    failed = 0
    with click.progressbar(length=len(entries), label=f"Records of {source}") as progress:
        for start in range(0, len(entries), BATCH):
            keys = [entry.key for entry in entries[start : start + BATCH]]
            answer = poll(target, {"redrive": {"source": settings, "keys": keys}})
            for refused in answer["failed"]:
                click.echo(f"\n{refused['key']}: {refused['reason']}", err=True)
            failed += len(answer["failed"])
            progress.update(len(keys))
    return failed


def _entries(target: Target, place: Place, reason: str | None, source: str | None) -> Iterator[Entry]:
    pages = target.client("s3", place.region).get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=place.log_bucket, Prefix=f"{PREFIX}{reason}/" if reason else PREFIX):
        for found in page.get("Contents", []):
            entry = _read(target, place, found["Key"])
            if source is None or entry.source == source:
                yield entry


def _read(target: Target, place: Place, key: str) -> Entry:
    s3 = target.client("s3", place.region)
    try:
        answer = s3.get_object(Bucket=place.log_bucket, Key=key)
    except s3.exceptions.NoSuchKey as error:
        raise CommandError(f"There is no {key} in {place.log_bucket}.") from error
    return Entry(key, answer.get("VersionId"), json.loads(answer["Body"].read()))
