"""Start and stop the back office of a local run: the program Datasette, which serves a SQLite file as JSON.

Datasette isn't part of Readplane, so it behaves like the API of somebody else. The SQLite file contains the ISO 3166-2
subdivisions, the ISO 639-1 languages and the ISO 4217 currencies. A proxy in front of Datasette
(ops/local/fault_proxy.py) can make Datasette slow, broken or unreachable for clients. Each local run has a name and its
own back office, with all files in .local/<name>/. The functions that `make down` calls use only the standard library,
because `make down` must also work if no other packages are installed.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ops.console import ROOT, CommandError, Progress, failures
from ops.local import emulator
from ops.local.fault_proxy import Fault
from ops.local.ports import describe_port_holder, free_port
from ops.local.processes import command_line, end_process_group

TABLES = {
    "subdivisions": ("code", "country", "name", "type", "parent", "modified", "removed"),
    "languages": ("code", "alpha_3", "name", "scope", "type"),
    "currencies": ("code", "numeric", "name"),
}
"""The columns of each table. The first column is the key. All others except `removed` may be null, as in real data."""

_TYPES = {"removed": "INTEGER NOT NULL DEFAULT 0"}

FIRST_MODIFIED = datetime(2025, 1, 1, tzinfo=UTC)
"""The modification time of the rows of the first country in the table `subdivisions`.

ISO publishes no modification times, so the times are invented. All rows of a country get the same time. The next
country in the order of the country codes gets a time one hour later.
"""

_PROXY = "ops.local.fault_proxy"


@dataclasses.dataclass(frozen=True)
class BackOffice:
    """A back office that a local run started: Datasette, behind a proxy that simulates faults.

    name: the name of the local run
    pid: the proxy's process id, which is also the id of the process group of proxy and Datasette
    port: the proxy's port to which clients send requests
    control: the proxy's control port, to which tests send the faults to simulate
    """

    name: str
    pid: int
    port: int
    control: int

    @property
    def url(self) -> str:
        """The URL at which clients reach the back office. Their requests go through the proxy."""
        return f"http://localhost:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether the process `pid` is still the proxy.

        If the proxy has ended, the system may have given its process id to another program.
        """
        return _PROXY in command_line(self.pid)

    def faults(self, *faults: Fault) -> None:
        """Set the faults that the proxy simulates. They replace all earlier faults.

        The first fault that matches a request applies to that request. If no fault matches, the proxy passes the
        request on to Datasette.
        """
        body = json.dumps([dataclasses.asdict(fault) for fault in faults]).encode()
        self._call_proxy(urllib.request.Request(f"http://127.0.0.1:{self.control}/", body, method="PUT"))

    @contextlib.contextmanager
    def failing(self, *faults: Fault) -> Iterator[None]:
        """Let the proxy simulate faults within a `with` block. Remove all faults at the end of the block."""
        self.faults(*faults)
        try:
            yield
        finally:
            self.faults()

    def requests(self, match: str = "") -> int:
        """Return how many requests with `match` in their path the proxy has got. Refused connections don't count."""
        state = self._call_proxy(urllib.request.Request(f"http://127.0.0.1:{self.control}/"))
        return sum(number for path, number in state["requests"].items() if match in path)

    def add_table(self, table: str, *columns: str) -> None:
        """Add an empty table to the SQLite file. The first column is the key. Datasette serves the table at once."""
        with self._connected() as connection:
            _make_table(connection, table, columns)

    def get(self, table: str, key: str) -> dict[str, Any] | None:
        """Read a row from the SQLite file by its key. Return None if there is no such row."""
        with self._connected() as connection:
            connection.row_factory = sqlite3.Row
            key_column = _columns(connection, table)[0]
            row = connection.execute(f"SELECT * FROM {table} WHERE {key_column} = ?", [key]).fetchone()
        return dict(row) if row else None

    def put(self, table: str, key: str, **columns: str | int | None) -> str:
        """Change the row with a key, or add the row if there is none with this key.

        If the table has a column `modified`, set it to the current time, unless `columns` contains `modified`.

        :param columns: the new values, by the names of their columns; other columns of an existing row don't change
        :returns: the row's modification time in RFC 3339
        :raises CommandError: if the table or a column doesn't exist
        """
        modified = timestamp(datetime.now(UTC))
        with self._connected() as connection:
            existing = _columns(connection, table)
            if unknown := set(columns) - set(existing):
                raise CommandError(
                    f"{table} has no {', '.join(sorted(unknown))}; its columns are {', '.join(existing)}."
                )
            if "modified" in existing:
                columns = {"modified": modified, **columns}
            names = [existing[0], *columns]
            updates = ", ".join(f"{column} = excluded.{column}" for column in names)
            connection.execute(
                f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
                f" ON CONFLICT ({existing[0]}) DO UPDATE SET {updates}",
                [key, *columns.values()],
            )
        return str(columns.get("modified", modified))

    def delete(self, table: str, key: str) -> bool:
        """Delete a row from the SQLite file. Return whether the row existed.

        The back office keeps no trace of the row, so an incremental pass of `poll` can't notice the delete.
        """
        with self._connected() as connection:
            key_column = _columns(connection, table)[0]
            return connection.execute(f"DELETE FROM {table} WHERE {key_column} = ?", [key]).rowcount > 0

    def count(self, table: str) -> int:
        """Return the number of rows in a table of the SQLite file."""
        with self._connected() as connection:
            _columns(connection, table)
            return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    def _connected(self) -> contextlib.AbstractContextManager[sqlite3.Connection]:
        return _connected(database(self.name))

    @staticmethod
    def _call_proxy(request: urllib.request.Request) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                state: dict[str, Any] = json.load(response)
                return state
        except urllib.error.HTTPError as error:
            raise CommandError(f"The proxy refuses these faults: {error.read().decode()}") from error
        except OSError as error:
            raise CommandError(f"The proxy doesn't respond ({error}).") from error


def timestamp(moment: datetime) -> str:
    """Format a time as the column `modified` holds it: RFC 3339 in UTC, with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def database(name: str) -> Path:
    """Return the path of the SQLite file that the back office of a local run serves."""
    return emulator.folder(name) / "backoffice.db"


def log_file(name: str) -> Path:
    """Return the path of the log file with the output of Datasette and the proxy."""
    return emulator.folder(name) / "backoffice.log"


def running(name: str) -> BackOffice | None:
    """Return the back office of a local run. Return None if it isn't up."""
    if not _record(name).exists():
        return None
    office = BackOffice(name=name, **json.loads(_record(name).read_text()))
    return office if office.alive else None


def start(name: str, port: int = 0, *, rows: int | None = None) -> BackOffice:
    """Start the back office of a local run and wait until it responds. If the run has a SQLite file already, keep it.

    :param port: the port for clients; 0 takes a free one
    :param rows: how many subdivisions to put into the SQLite file if it is new; None for all
    :raises CommandError: if the port is in use or Datasette doesn't start
    """
    home = emulator.folder(name)
    home.mkdir(parents=True, exist_ok=True)
    if not database(name).exists():
        make(database(name), rows)
    port, control, program_port = port or free_port(), free_port(), free_port()
    if holder := describe_port_holder(port):
        raise CommandError(f"Port {port}, which the back office needs, is in use by {holder}.")
    with log_file(name).open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", _PROXY),
                *(f"--port={port}", f"--control={control}", f"--program-port={program_port}", "--"),
                *_datasette(database(name), program_port),
            ],
            env={key: os.environ[key] for key in ("HOME", "LANG", "PATH") if key in os.environ},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # puts proxy and Datasette in a new process group, so that stop() ends both
        )
    office = BackOffice(name, process.pid, port, control)
    _record(name).write_text(json.dumps({"pid": process.pid, "port": port, "control": control}))
    deadline = time.monotonic() + 60
    while not healthy(office):
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log_file(name).read_text(errors="replace")[-2000:]
            stop(name)
            raise CommandError(f"The back office didn't start. The end of {log_file(name)}:\n{tail}")
        time.sleep(0.1)
    return office


def _datasette(path: Path, port: int) -> list[str]:
    """Return the command that starts Datasette, which serves a SQLite file on a port."""
    command = [sys.executable, "-m", "datasette", "serve", str(path), "--port", str(port)]
    for setting, value in (
        ("default_page_size", "100"),
        ("suggest_facets", "off"),  # with facets, Datasette would count the values of every column for every page
        ("default_cache_ttl", "0"),
        ("sql_time_limit_ms", "10000"),  # a slow query on a busy laptop must not look like an outage
    ):
        command += ["--setting", setting, value]
    return command


def healthy(office: BackOffice) -> bool:
    """Whether the back office responds with status 200."""
    try:
        with urllib.request.urlopen(f"{office.url}/-/versions.json", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def stop(name: str) -> bool:
    """Stop the back office of a local run and keep its SQLite file. Return whether the back office was running."""
    office = running(name)
    if office:
        end_process_group(office.pid)
    _record(name).unlink(missing_ok=True)
    return office is not None


def forget(name: str) -> None:
    """Delete the SQLite file of a stopped back office, so that the next start writes a new one."""
    database(name).unlink(missing_ok=True)


def make(path: Path, rows: int | None = None) -> None:
    """Write a new SQLite file with all tables and their rows. `rows` limits the number of subdivisions."""
    with _connected(path) as connection:
        for table, columns in TABLES.items():
            _make_table(connection, table, columns)
        _insert(connection, "subdivisions", _subdivisions()[:rows])
        _insert(connection, "languages", _languages())
        _insert(connection, "currencies", _currencies())


def _subdivisions() -> list[Sequence[object]]:
    import pycountry  # not at the top, because `make down` imports this file and must work without packages

    subdivisions = sorted(pycountry.subdivisions, key=lambda subdivision: str(subdivision.code))
    countries = sorted({subdivision.country_code for subdivision in subdivisions})
    hours = {country: hour for hour, country in enumerate(countries)}
    return [
        (
            *(entry.code, entry.country_code, entry.name, entry.type, entry.parent_code),
            *(timestamp(FIRST_MODIFIED + timedelta(hours=hours[entry.country_code])), 0),
        )
        for entry in subdivisions
    ]


def _languages() -> list[Sequence[object]]:
    import pycountry

    return [
        (language.alpha_2, language.alpha_3, language.name, language.scope, language.type)
        for language in pycountry.languages
        if hasattr(language, "alpha_2")
    ]


def _currencies() -> list[Sequence[object]]:
    import pycountry

    return [(currency.alpha_3, currency.numeric, currency.name) for currency in pycountry.currencies]


def _insert(connection: sqlite3.Connection, table: str, rows: Sequence[Sequence[object]]) -> None:
    connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(TABLES[table]))})", rows)


@contextlib.contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a SQLite connection for one transaction, and commit at the end of the `with` block.

    SQLite locks the file. So the transaction waits until Datasette's current reads end, and new reads of Datasette wait
    until the transaction ends.
    """
    connection = sqlite3.connect(path, timeout=30)
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def _make_table(connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> None:
    typed = ", ".join(f"{column} {_TYPES.get(column, 'TEXT')}" for column in columns[1:])
    connection.execute(f"CREATE TABLE {table} ({columns[0]} TEXT PRIMARY KEY, {typed}) WITHOUT ROWID")
    if "modified" in columns:
        # Datasette sorts the first page of rows by `modified` alone, but later pages by `modified` and key. Without
        # this index, rows with the same time could be in another order on the first page, and some rows would then be
        # on no page. With the index, SQLite reads the first page in the index's order. In a table WITHOUT ROWID, this
        # order is by `modified` and key too.
        connection.execute(f"CREATE INDEX {table}_modified ON {table} (modified)")


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """Return the names of a table's columns, beginning with the key.

    :raises CommandError: if there is no such table
    """
    rows = connection.execute("SELECT name FROM pragma_table_info(?) ORDER BY pk = 0, cid", [table]).fetchall()
    if not rows:
        raise CommandError(f"There is no table {table}.")
    return [name for (name,) in rows]


def _record(name: str) -> Path:
    """Return the path of the JSON file with the proxy's process id and ports."""
    return emulator.folder(name) / "backoffice.json"


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says: start or stop a back office, set its faults, or show or change its rows."""
    options = _parser().parse_args(arguments)
    progress = Progress()
    if options.action == "start":
        office = running(options.name) or start(options.name)
        progress.say(f"{office.url} is up (process {office.pid}, log {log_file(options.name)}).")
        return 0
    if options.action == "stop":
        print("Stopped." if stop(options.name) else "It wasn't running.")
        return 0
    up = running(options.name)
    if up is None:
        raise CommandError(f"The back office of `{options.name}` isn't up.")
    print(_carry_out(up, options))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ops.local.back_office", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--name", default="demo", help="the run's name (default: demo)")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("start", help="start it on a free port")
    actions.add_parser("stop", help="stop it and keep its rows")
    actions.add_parser("status", help="print its URL, whether it responds, and how many requests it got")
    actions.add_parser("pass", help="end all faults")
    actions.add_parser("refuse", help="refuse connections")
    actions.add_parser("delay", help="delay every request").add_argument("seconds", type=float)
    actions.add_parser("fail", help="answer every request with a status").add_argument("status", type=int)
    for action, description in (("show", "show a row"), ("delete", "delete a row"), ("set", "change or add a row")):
        row = actions.add_parser(action, help=description)
        row.add_argument("table", choices=TABLES)
        row.add_argument("key")
        if action == "set":
            row.add_argument("columns", nargs="*", metavar="column=value")
    return parser


def _carry_out(office: BackOffice, options: argparse.Namespace) -> str:
    """Carry out the action of the command line on a running back office. Return the text to print."""
    match options.action:
        case "status":
            return f"{office.url} {'responds' if healthy(office) else 'does not respond'}, {office.requests()} requests"
        case "show":
            return json.dumps(office.get(options.table, options.key), ensure_ascii=False)
        case "delete":
            return "Deleted." if office.delete(options.table, options.key) else "There is no such row."
        case "set":
            columns = dict(pair.split("=", 1) for pair in options.columns if "=" in pair)
            if len(columns) != len(options.columns):
                raise CommandError("Write each column as column=value.")
            return f"Changed at {office.put(options.table, options.key, **columns)}."
        case "delay":
            faults = [Fault("delay", seconds=options.seconds)]
        case "fail":
            faults = [Fault("answer", status=options.status)]
        case "refuse":
            faults = [Fault("refuse")]
        case _:
            faults = []
    office.faults(*faults)
    return f"{options.action}: done."


if __name__ == "__main__":
    with failures():
        sys.exit(main())
