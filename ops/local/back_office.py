"""Start and stop a back office that nobody here wrote: Datasette, serving a SQLite file of real data as JSON.

What it serves are the ISO 3166-2 subdivisions, the ISO 639-1 languages and the ISO 4217 currencies. It stands behind a
proxy (ops/local/fault_proxy.py) that can stall it, break it or make it vanish. Each run has its own, with everything
that it leaves in .local/<name>/. What ``make down`` calls needs the standard library only.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import json
import os
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ops.console import ROOT, CommandError, Progress, failures
from ops.local import emulator
from ops.local.fault_proxy import Fault

# A table's columns, the first of which is its key. Nothing is NOT NULL: a back office holds what it holds.
TABLES = {
    "subdivisions": ("code", "country", "name", "type", "parent", "modified", "removed"),
    "languages": ("code", "alpha_3", "name", "scope", "type"),
    "currencies": ("code", "numeric", "name"),
}
_TYPES = {"removed": "INTEGER NOT NULL DEFAULT 0"}

# ISO tells no times, so each country has its own hour, in the order of its code: rows of one country have equal ones.
FIRST_MODIFIED = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)


@dataclasses.dataclass(frozen=True)
class BackOffice:
    """A back office that was started here."""

    name: str
    pid: int
    port: int
    control: int

    @property
    def url(self) -> str:
        """Where it is called, through the proxy."""
        return f"http://localhost:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether the process that was started is still that process."""
        command = ["ps", "-ww", "-o", "command=", "-p", str(self.pid)]
        shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        return "ops.local.fault_proxy" in shown

    def faults(self, *faults: Fault) -> None:
        """Let the proxy do this to the requests, the first fault that fits to each; without any it passes them on."""
        told = json.dumps([dataclasses.asdict(fault) for fault in faults]).encode()
        self._order(urllib.request.Request(f"http://127.0.0.1:{self.control}/", told, method="PUT"))

    @contextlib.contextmanager
    def failing(self, *faults: Fault) -> Iterator[None]:
        """The back office as it is with these faults, for a while."""
        self.faults(*faults)
        try:
            yield
        finally:
            self.faults()

    def requests(self, match: str = "") -> int:
        """How many requests have come for the paths that hold this, refused connections apart."""
        told = self._order(urllib.request.Request(f"http://127.0.0.1:{self.control}/"))
        return sum(number for path, number in told["requests"].items() if match in path)

    def add_table(self, table: str, *columns: str) -> None:
        """Add an empty table, the first column of which is its key; Datasette serves it at once."""
        with self._connected() as connection:
            _make_table(connection, table, columns)

    def get(self, table: str, key: str) -> dict[str, Any] | None:
        """A row as it is in SQLite."""
        with self._connected() as connection:
            connection.row_factory = sqlite3.Row
            key_column = _columns(connection, table)[0]
            row = connection.execute(f"SELECT * FROM {table} WHERE {key_column} = ?", [key]).fetchone()
        return dict(row) if row else None

    def put(self, table: str, key: str, **columns: str | int | None) -> str:
        """Change a row, or add it; returns its time of modification, RFC 3339, now in tables that have one.

        :raises Failure: for a table or column that there isn't
        """
        modified = timestamp(datetime.datetime.now(datetime.UTC))
        with self._connected() as connection:
            known = _columns(connection, table)
            if unknown := set(columns) - set(known):
                raise CommandError(f"{table} has no {', '.join(sorted(unknown))}; its columns are {', '.join(known)}.")
            if "modified" in known:
                columns = {"modified": modified, **columns}
            names = [known[0], *columns]
            updates = ", ".join(f"{column} = excluded.{column}" for column in names)
            connection.execute(
                f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
                f" ON CONFLICT ({known[0]}) DO UPDATE SET {updates}",
                [key, *columns.values()],
            )
        return str(columns.get("modified", modified))

    def delete(self, table: str, key: str) -> bool:
        """Take a row out, without a trace that a poll could see; whether there was one."""
        with self._connected() as connection:
            key_column = _columns(connection, table)[0]
            return connection.execute(f"DELETE FROM {table} WHERE {key_column} = ?", [key]).rowcount > 0

    def count(self, table: str) -> int:
        """How many rows a table has."""
        with self._connected() as connection:
            _columns(connection, table)
            return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    def _connected(self) -> contextlib.AbstractContextManager[sqlite3.Connection]:
        return _connected(database(self.name))

    @staticmethod
    def _order(request: urllib.request.Request) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                told: dict[str, Any] = json.load(answer)
                return told
        except urllib.error.HTTPError as error:
            raise CommandError(f"The proxy refuses this: {error.read().decode()}") from error
        except OSError as error:
            raise CommandError(f"The proxy doesn't answer ({error}).") from error


def timestamp(moment: datetime.datetime) -> str:
    """A time as the back office writes it: RFC 3339 in UTC, with milliseconds."""
    return moment.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def database(name: str) -> Path:
    """The run's SQLite file."""
    return emulator.folder(name) / "backoffice.db"


def log_file(name: str) -> Path:
    """What Datasette and the proxy print."""
    return emulator.folder(name) / "backoffice.log"


def running(name: str) -> BackOffice | None:
    """The run's back office, if it is up."""
    if not _note(name).exists():
        return None
    found = BackOffice(name=name, **json.loads(_note(name).read_text()))
    return found if found.alive else None


def start(name: str, port: int = 0, *, rows: int | None = None) -> BackOffice:
    """Start the run's back office on a port (0: a free one) and wait until it answers.

    Rows of an earlier time are kept; without any, `rows` limits how many subdivisions there are.

    :raises Failure: when the port is taken, or Datasette doesn't start
    """
    home = emulator.folder(name)
    home.mkdir(parents=True, exist_ok=True)
    if not database(name).exists():
        make(database(name), rows)
    port, control, upstream = port or emulator.free_port(), emulator.free_port(), emulator.free_port()
    if holder := emulator.port_holder(port):
        raise CommandError(f"Port {port}, which the back office needs, is in use by {holder}.")
    serve = [sys.executable, "-m", "datasette", "serve", database(name), "--port", upstream]
    for setting, value in (
        ("default_page_size", 100),
        ("suggest_facets", "off"),  # every page would count every column
        ("default_cache_ttl", 0),
        ("sql_time_limit_ms", 10_000),  # a busy laptop isn't an outage
    ):
        serve += ["--setting", setting, value]
    with log_file(name).open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "ops.local.fault_proxy"),
                *(f"--port={port}", f"--control={control}", f"--upstream={upstream}", "--"),
                *map(str, serve),
            ],
            env={key: os.environ[key] for key in ("HOME", "LANG", "PATH") if key in os.environ},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # its own process group, so that stop() ends Datasette, too
        )
    started = BackOffice(name, process.pid, port, control)
    _note(name).write_text(json.dumps({"pid": process.pid, "port": port, "control": control}))
    deadline = time.monotonic() + 60
    while not healthy(started):
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log_file(name).read_text(errors="replace")[-2000:]
            stop(name)
            raise CommandError(f"The back office didn't start. The end of {log_file(name)}:\n{tail}")
        time.sleep(0.1)
    return started


def healthy(office: BackOffice) -> bool:
    """Whether it answers."""
    try:
        with urllib.request.urlopen(f"{office.url}/-/versions.json", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def stop(name: str) -> bool:
    """Stop the run's back office, and keep its rows; whether there was one."""
    up = running(name)
    if up:
        emulator.end(up.pid)
    _note(name).unlink(missing_ok=True)
    return up is not None


def forget(name: str) -> None:
    """Drop the rows of a back office that is down, so that the next one starts afresh."""
    database(name).unlink(missing_ok=True)


def make(path: Path, rows: int | None = None) -> None:
    """Make the SQLite file; `rows` limits how many subdivisions there are."""
    with _connected(path) as connection:
        for table, columns in TABLES.items():
            _make_table(connection, table, columns)
        for table, made in (("subdivisions", _subdivisions()[:rows]), ("languages", _languages())):
            _insert(connection, table, made)
        _insert(connection, "currencies", _currencies())


def _subdivisions() -> list[Sequence[object]]:
    import pycountry  # not at the top: `make down` has the standard library only

    known = sorted(pycountry.subdivisions, key=lambda one: str(one.code))
    hours = {country: hour for hour, country in enumerate(sorted({one.country_code for one in known}))}
    return [
        (
            *(one.code, one.country_code, one.name, one.type, one.parent_code),
            *(timestamp(FIRST_MODIFIED + datetime.timedelta(hours=hours[one.country_code])), 0),
        )
        for one in known
    ]


def _languages() -> list[Sequence[object]]:
    import pycountry

    return [
        (one.alpha_2, one.alpha_3, one.name, one.scope, one.type)
        for one in pycountry.languages
        if hasattr(one, "alpha_2")
    ]


def _currencies() -> list[Sequence[object]]:
    import pycountry

    return [(one.alpha_3, one.numeric, one.name) for one in pycountry.currencies]


def _insert(connection: sqlite3.Connection, table: str, rows: Sequence[Sequence[object]]) -> None:
    connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(TABLES[table]))})", rows)


@contextlib.contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection for one transaction. Datasette reads at the same time; each waits for the other."""
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
        # Datasette orders its first page by `modified` alone and takes the others to go on by key. Without row ids the
        # index goes by time and key, so that it is right.
        connection.execute(f"CREATE INDEX {table}_modified ON {table} (modified)")


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """A table's columns, its key first."""
    found = connection.execute("SELECT name FROM pragma_table_info(?) ORDER BY pk = 0, cid", [table]).fetchall()
    if not found:
        raise CommandError(f"There is no table {table}.")
    return [name for (name,) in found]


def _note(name: str) -> Path:
    return emulator.folder(name) / "backoffice.json"


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, start, stop, trouble or change a back office."""
    parser = argparse.ArgumentParser(prog="python -m ops.local.back_office", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--name", default="demo", help="which run (default: demo)")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("start", help="start it on a free port")
    actions.add_parser("stop", help="stop it; its rows stay")
    actions.add_parser("status", help="where it is, and what the proxy has counted")
    actions.add_parser("pass", help="no more faults")
    actions.add_parser("refuse", help="refuse connections")
    actions.add_parser("delay", help="stall every request").add_argument("seconds", type=float)
    actions.add_parser("fail", help="answer every request with a status").add_argument("status", type=int)
    for action, shown in (("show", "show a row"), ("delete", "take a row out"), ("set", "change a row, or add one")):
        row = actions.add_parser(action, help=shown)
        row.add_argument("table", choices=TABLES)
        row.add_argument("key")
        if action == "set":
            row.add_argument("columns", nargs="*", metavar="column=value")
    options = parser.parse_args(arguments)
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
    print(_done(up, options))
    return 0


def _done(office: BackOffice, options: argparse.Namespace) -> str:
    """Do what the command line says; what to print."""
    match options.action:
        case "status":
            return f"{office.url} {'answers' if healthy(office) else 'does not answer'}, {office.requests()} requests"
        case "show":
            return json.dumps(office.get(options.table, options.key), ensure_ascii=False)
        case "delete":
            return "Deleted." if office.delete(options.table, options.key) else "There is no such row."
        case "set":
            given = dict(pair.split("=", 1) for pair in options.columns if "=" in pair)
            if len(given) != len(options.columns):
                raise CommandError("Each column is given as column=value.")
            return f"Changed at {office.put(options.table, options.key, **given)}."
        case "delay":
            fault = [Fault("delay", seconds=options.seconds)]
        case "fail":
            fault = [Fault("answer", status=options.status)]
        case "refuse":
            fault = [Fault("refuse")]
        case _:
            fault = []
    office.faults(*fault)
    return f"{options.action}: done."


if __name__ == "__main__":
    with failures():
        sys.exit(main())
