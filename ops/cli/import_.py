"""The command `import`: load many items into a collection, through the write log like every other change."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import click

from ops.cli.collection_stores import declared_collections, live_function, require_collection
from ops.cli.import_rows import (
    Columns,
    Format,
    RowReader,
    batches,
    change_of_row,
    compress,
    digest_of,
    properties_of,
    schema_json,
)
from ops.cli.target import Chosen, Target
from ops.cli.write_log import apply_queue
from ops.console import CommandError
from ops.jobs import Job, JobOptions, job_options, open_job, print_plan, unfinished_job
from ops.queue_room import QueueRoom
from readplane.config import DAY_MS
from readplane.model.change import Change
from readplane.model.collection import Visibility
from readplane.model.schema import compile_usable_schemas

PREFIX = "log/import/"
"""The key prefix of imported objects. `apply` doesn't count their lines, because Firehose hasn't delivered them."""

OBJECT_BYTES = 4 * 1024 * 1024
"""About how many bytes the lines of one object have, before they are compressed."""

MAX_WAITING = 20
"""While so many messages wait for `apply`, send no further object, so that the changes of clients don't wait long."""

MAX_CLOCK_SECONDS = 5.0
"""By how much the clock of this machine may differ from that of S3. The rows get versions with this machine's time."""

STEP = 1000
"""After how many rows the job's lock is renewed while rows are only read."""

SHOWN_STEP = 100_000
"""After how many rows a line says how many are checked."""

DEFAULT_RATE = 4000
"""The index of a collection takes some 8,000 writes a second. Leave half of them to the clients."""


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--collection", metavar="NAME", required=True, help="The collection that gets the items.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv"]),
    help="JSON lines or CSV. Default: what the file's name ends with, .csv or anything else, perhaps before .gz.",
)
@click.option("--id-field", metavar="FIELD", help="The field of each row that holds the item's id.")
@click.option("--owner-field", metavar="FIELD", help="The field that holds the `sub` of the owner (owner collections).")
@click.option("--keep-fields", is_flag=True, help="Leave these two fields in the data, too.")
@job_options(rate=DEFAULT_RATE, unit="items")
@click.pass_obj
def import_(
    chosen: Chosen,
    file: Path,
    collection: str,
    form: Format | None,
    id_field: str | None,
    owner_field: str | None,
    keep_fields: bool,
    options: JobOptions,
) -> None:
    """Load the items of a file into a collection, as changes in the write log.

    Without --id-field, each line of FILE is an item as the API returns it: {"id": "p-1", "data": {…}}, with "owner" in
    an owner collection; "version" and "as_of" are ignored. With --id-field, each row is the data itself, and the field
    is taken out of it. A CSV file always needs --id-field. Its first line names the fields. A cell becomes a number, a
    boolean, an object or a list if the schema says so, and otherwise a text. An empty cell means that the field is
    missing. GZIP is fine.

    The whole file is checked first, with the collection's schema and the rules for ids. If one row is wrong, nothing is
    sent. Without --yes, that is all.

    An imported item replaces the item that is there, unless a client writes it after the import has begun. Importing
    the same file again goes on with an unfinished import, and is refused after a finished one (--restart begins anew).
    The command sends objects of some 4 MB, and waits while `apply` is busy. `apply` applies the last of them some
    minutes after the command has ended. Then compare with `readplane verify`.
    """
    target = chosen.target
    read = _check_collection(target, collection)
    reader = _reader(target, file, collection, read, form, Columns(id_field, owner_field, keep_fields))
    arguments: dict[str, Any] = {
        "collection": collection,
        "sha256": digest_of(file),
        "fields": [id_field, owner_field, keep_fields],
    }
    count, problems = reader.check(_show_progress)
    if problems:
        more = " There may be more." if len(problems) > 1 else ""
        raise CommandError("\n".join([f"Nothing was sent. {file.name} can't be imported:{more}", *problems]))
    if not count:
        raise CommandError(f"{file.name} holds no row. Nothing was sent.")
    _check_clock(target)
    if not options.yes:
        _say_plan(target, arguments, count, options)
        return
    with open_job(target, "import", arguments, options, repeatable=False) as job:
        _send(target, job, reader, collection, count)
    if not options.as_json:
        click.echo(f"`apply` applies the rest within minutes. Then run: readplane verify --collection {collection}")


def _show_progress(count: int) -> None:
    if count % SHOWN_STEP == 0:
        click.echo(f"{count} rows checked …", err=True)


def _check_collection(target: Target, name: str) -> Visibility:
    """Return who may read a collection that items can be imported into.

    :raises CommandError: if there is no such collection, it is retired, or a source feeds it
    """
    collection = require_collection(declared_collections(target), name)
    if collection.retired:
        raise CommandError(f"{name} is retired, so nothing can be imported into it.")
    sources: Mapping[str, Mapping[str, Any]] = target.outputs.get("sources") or {}
    feeding = [source for source, entry in sources.items() if entry["collection"] == name]
    if feeding:
        raise CommandError(f"The source {feeding[0]} feeds {name}, and a collection has only one origin. Let it poll.")
    return collection.read


def _reader(
    target: Target, file: Path, collection: str, read: Visibility, form: Format | None, columns: Columns
) -> RowReader:
    """Return a reader that checks the file's rows as the live version of `write` would.

    :raises CommandError: if the options don't fit, or the collection's schema can't be used
    """
    if form is None:
        form = "csv" if file.name.removesuffix(".gz").endswith(".csv") else "jsonl"
    if form == "csv" and columns.item_id is None:
        raise CommandError("A CSV file needs --id-field, the name of the column with the items' ids.")
    if columns.item_id is None and (columns.owner or columns.keep):
        raise CommandError("--owner-field and --keep-fields need --id-field.")
    if read == "owner" and columns.item_id is not None and columns.owner is None:
        raise CommandError(f"{collection} is an owner collection: name the field of the owner with --owner-field.")
    if read != "owner" and columns.owner is not None:
        raise CommandError(f"{collection} isn't an owner collection, so it takes no --owner-field.")
    schema = _schema(target, collection)
    validators, faults = compile_usable_schemas({collection: schema})
    if faults:
        raise CommandError(f"The schema of {collection} can't be used: {faults[collection]}")
    return RowReader(
        file,
        form,
        columns,
        collection=collection,
        owned=read == "owner",
        validator=validators[collection],
        properties=properties_of(schema),
    )


def _schema(target: Target, collection: str) -> Any:
    """Return the JSON Schema with which the live version of `write` checks a collection; {} if it has none."""
    stack = target.regional(False)
    config = live_function(target, stack, "write").settings["schemas"]
    response = target.client("s3", stack.region).get_object(
        Bucket=config["bucket"], Key=config["key"], VersionId=config["version_id"]
    )
    return schema_json(response["Body"].read()).get(collection, {})


def _check_clock(target: Target) -> None:
    """Check that this machine's clock is right.

    The changes get its time. With a clock that is ahead, clients couldn't change the imported items until then.

    :raises CommandError: if it differs too much from S3's clock
    """
    stack = target.regional(False)
    response = target.client("s3", stack.region).head_bucket(Bucket=stack.log_bucket)
    date = response["ResponseMetadata"]["HTTPHeaders"].get("date")
    if date is None:
        return
    difference = time.time() - parsedate_to_datetime(date).timestamp()
    if abs(difference) > MAX_CLOCK_SECONDS:
        raise CommandError(
            f"The clock of this machine differs from that of AWS by {difference:.0f} s. Set it, then try again."
        )


def _say_plan(target: Target, arguments: Mapping[str, Any], count: int, options: JobOptions) -> None:
    """Say what the command would do."""
    unfinished = unfinished_job(target, "import", arguments)
    sent = (unfinished.position or {}).get("rows", 0) if unfinished else 0
    if options.as_json:
        print_plan("import", counts={"rows": count, "sent": sent})
        return
    if unfinished:
        click.echo(f"An unfinished import of {unfinished.operator} has sent {sent} rows. This one would go on.")
    click.echo(f"{count} rows are fine. Nothing was sent. Run the command again with --yes.")


def _send(target: Target, job: Job, reader: RowReader, collection: str, count: int) -> None:
    """Put the rows into the write log, one object after another."""
    stack = target.regional(False)
    horizon_ms = int(live_function(target, stack, "apply").settings["horizon_days"]) * DAY_MS
    if time.time() * 1000 - job.started_ms > horizon_ms / 2:
        raise CommandError("This import began so long ago that `apply` may refuse its changes. Begin anew: --restart.")
    s3 = target.client("s3", stack.region)
    room = QueueRoom.of(target, stack, apply_queue(target, stack), MAX_WAITING)
    position = job.position or {"objects": 0, "rows": 0}
    changes = _changes(job, reader, collection, position["rows"])
    for number, lines in enumerate(batches(changes, OBJECT_BYTES), position["objects"] + 1):
        room.wait_for(job)
        job.pace(len(lines))
        s3.put_object(
            Bucket=stack.log_bucket,
            Key=f"{PREFIX}{collection}-{job.id}-{job.started_ms}/{number:06}.gz",
            Body=compress(lines),
        )
        room.note_sent(1)
        position = {"objects": number, "rows": position["rows"] + len(lines)}
        job.advance(position, rows=len(lines), objects=1)
    if position["rows"] != count:
        raise CommandError("The file was changed while it was sent. Restore it and repeat the command.")


def _changes(job: Job, reader: RowReader, collection: str, sent: int) -> Iterator[Change]:
    """Yield the changes of the rows after the first `sent` ones."""
    for number, row in enumerate(reader.rows(), 1):
        if number % STEP == 0:
            job.renew()
        if number > sent:
            yield change_of_row(row, collection, job.started_ms)
