"""The commands `quarantine`: list, show and redrive changes that can't be applied and records that can't be translated.

Each quarantined change or record is stored whole, as one object in the write log's bucket. So is each malformed row of
the items table. A row can be listed and shown, but there is nothing to redrive.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import click

from ops.cli.invoke import poll
from ops.cli.items_generations import items_tables
from ops.cli.target import Chosen, RegionalStack, Target, table
from ops.cli.write_log import put_lines
from ops.console import CommandError
from readplane.model.keys import item_key, marker_key

PREFIX = "quarantine/"

BATCH = 100
"""The number of quarantined records that one invocation of `poll` translates again for `redrive`."""

replica_option = click.option("--replica", is_flag=True, help="Work in the replica Region instead of the primary one.")


class Entry(NamedTuple):
    """A quarantined line, record of a source or row of the items table, stored as one S3 object.

    key: the S3 object's key
    object_version: the S3 object's version id; None without versioning
    content: the S3 object's JSON with `reason`, `detail`, `origin`, and the line, the record or the row
    """

    key: str
    object_version: str | None
    content: dict[str, Any]

    @property
    def source(self) -> str | None:
        """The name of the source that a quarantined record came from. None for a line of the write log."""
        source: str | None = self.content.get("source")
        return source

    @property
    def is_row(self) -> bool:
        """Whether the entry is a malformed row of the items table, which can't be redriven."""
        return "row" in self.content

    def line(self) -> bytes:
        """Return the quarantined line of the write log, byte for byte.

        Return b"" if the entry stands for the unreadable rest of a damaged log object. Such an entry has no line.
        """
        if "line_base64" in self.content:
            return base64.b64decode(self.content["line_base64"])
        text: str = self.content["line"]
        return text.encode()


@click.group()
def quarantine() -> None:
    """List the changes and records in quarantine. Redrive them when you have fixed the cause."""


@quarantine.command(name="list")
@click.option("--reason", help="Only entries with this reason: expired, invalid, untranslatable …")
@click.option("--source", help="Only records of this source.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="How many entries at most.")
@replica_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.pass_obj
def list_(chosen: Chosen, reason: str | None, source: str | None, limit: int, replica: bool, as_json: bool) -> None:
    """List the quarantined entries with their reason, origin, detail and key."""
    target = chosen.target
    entries = []
    for entry in _entries(target, target.regional(replica), reason, source):
        entries.append(entry)
        if len(entries) == limit:
            break
    if as_json:
        for entry in entries:
            click.echo(json.dumps({"key": entry.key, **entry.content}))
        return
    columns = ("reason", "origin", "detail")
    rows = [(*(entry.content[column] for column in columns), entry.key) for entry in entries]
    table(rows, "REASON", "ORIGIN", "DETAIL", "KEY")
    click.echo(f"{len(rows)} entries{', perhaps more: --limit' if len(rows) == limit else ''}.")


@quarantine.command()
@click.argument("key")
@replica_option
@click.pass_obj
def show(chosen: Chosen, key: str, replica: bool) -> None:
    """Print one quarantined entry whole, as JSON."""
    target = chosen.target
    click.echo(json.dumps(_read_entry(target, target.regional(replica), key).content, indent=2, ensure_ascii=False))


@quarantine.command()
@click.argument("keys", nargs=-1)
@click.option("--reason", help="Every entry with this reason.")
@click.option("--source", help="Every record of this source.")
@click.option("--all", "everything", is_flag=True, help="Every entry.")
@replica_option
@click.option("--dry-run", is_flag=True, help="Only print what would be redriven.")
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
    """Redrive quarantined entries, so that the functions process them again.

    `apply` applies quarantined lines of the write log again. `poll` translates quarantined records again, with the
    current translation of their source. A line that fails again returns to quarantine. A record that fails again stays
    in quarantine. You can safely redrive an entry twice, because the newest change wins.

    A malformed row of the items table stays in quarantine. Put or delete its item through the API, which replaces the
    row, and then delete the entry.
    """
    if not (keys or reason or source or everything):
        raise click.UsageError("Name the entries: KEYS, --reason, --source or --all.")
    target = chosen.target
    stack = target.regional(replica)
    found = [_read_entry(target, stack, key) for key in keys] or list(_entries(target, stack, reason, source))
    entries = [entry for entry in found if not entry.is_row]
    for entry in found:
        if entry.is_row:
            click.echo(f"{entry.key} is a row of the items table ({entry.content['origin']}); it stays in quarantine.")
    lines = [entry for entry in entries if entry.source is None]
    by_source: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.source is not None:
            by_source.setdefault(entry.source, []).append(entry)
    if dry_run:
        for entry in entries:
            click.echo(f"Would redrive {entry.key}")
        click.echo(f"{len(lines)} lines and {len(entries) - len(lines)} records; nothing was changed.")
        return
    _redrive_lines(target, stack, lines)
    failed = sum(_redrive_records(target, name, records, replica) for name, records in by_source.items())
    click.echo(f"Redriven: {len(entries) - failed} of {len(entries)}.")
    if failed:
        raise CommandError(f"{failed} records can't be translated yet; they stay in quarantine.")


def _redrive_lines(target: Target, stack: RegionalStack, entries: list[Entry]) -> None:
    """Put the lines of quarantined entries back into the write log, then delete the entries.

    :raises CommandError: if an entry has no line, because it stands for a damaged log object
    """
    empty = [entry for entry in entries if not entry.line()]
    if empty:
        raise CommandError(f"{empty[0].key} holds no line: its object is damaged from {empty[0].content['origin']} on.")
    if not entries:
        return
    # A marker in the items table says that a change is quarantined. Remove the old markers before the lines go into the
    # write log. As soon as a line is there, `apply` may quarantine it again and write a new marker, which must stay.
    for entry in entries:
        _remove_marker(target, stack, entry.line())
    put_lines(target, stack, [entry.line() for entry in entries])
    s3 = target.client("s3", stack.region)
    with click.progressbar(entries, label="Lines") as progress:
        for entry in progress:
            # Delete an entry only after `put_lines` has put its line into the write log, so that no line is lost.
            # Delete only the object version that this command read, because `apply` may have quarantined the line again
            # under the same key.
            version = {"VersionId": entry.object_version} if entry.object_version else {}
            s3.delete_object(Bucket=stack.log_bucket, Key=entry.key, **version)


def _remove_marker(target: Target, stack: RegionalStack, line: bytes) -> None:
    """Delete the marker in each items table that says that a line's change is quarantined.

    Do nothing if the line isn't a change, because such a line has no marker.
    """
    try:
        change = json.loads(line)
        key = marker_key(item_key(change["collection"], change["item_id"], change.get("owner")), change["change_id"])
    except (ValueError, TypeError, KeyError):
        return
    for name in items_tables(target):
        target.client("dynamodb", stack.region).delete_item(TableName=name, Key={"pk": {"S": key}})


def _redrive_records(target: Target, source: str, entries: list[Entry], replica: bool) -> int:
    """Let `poll` translate a source's quarantined records again. Return how many records failed again."""
    target.source(source)
    failed = 0
    with click.progressbar(length=len(entries), label=f"Records of {source}") as progress:
        for start in range(0, len(entries), BATCH):
            keys = [entry.key for entry in entries[start : start + BATCH]]
            response = poll(target, {"redrive": {"source": source, "keys": keys}}, replica=replica)
            for failure in response["failed"]:
                click.echo(f"\n{failure['key']}: {failure['reason']}", err=True)
            failed += len(response["failed"])
            progress.update(len(keys))
    return failed


def _entries(target: Target, stack: RegionalStack, reason: str | None, source: str | None) -> Iterator[Entry]:
    """Yield the quarantined entries with a given reason and source. None means any reason or any source."""
    pages = target.client("s3", stack.region).get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=stack.log_bucket, Prefix=f"{PREFIX}{reason}/" if reason else PREFIX):
        for listed in page.get("Contents", []):
            entry = _read_entry(target, stack, listed["Key"])
            if source is None or entry.source == source:
                yield entry


def _read_entry(target: Target, stack: RegionalStack, key: str) -> Entry:
    s3 = target.client("s3", stack.region)
    try:
        response = s3.get_object(Bucket=stack.log_bucket, Key=key)
    except s3.exceptions.NoSuchKey as error:
        raise CommandError(f"There is no {key} in {stack.log_bucket}.") from error
    return Entry(key, response.get("VersionId"), json.loads(response["Body"].read()))
