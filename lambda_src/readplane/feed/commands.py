"""The commands of operators: `feed` serves them, because nobody else reaches the private stores.

A command contains no settings of the stores. `feed` takes these from its own configuration, never from an event.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ..model.collection import is_owner
from ..stores.key_queue import STORES, StoreName
from .errors import CommandError, StoreFaultError
from .fed_stores import FedStore
from .item_rows import ItemRows, StoredVersion
from .messages import collection_of

MAX_PAGE = 1_000
"""The maximum number of rows that one command compares, and the default."""

Migrate = Callable[[bool], Mapping[str, Any]]
"""A function that migrates the database, or only says what it would do if its argument ``dry_run`` is true."""


class StatusCommand(NamedTuple):
    """Say in which state each store is."""


class MigrateCommand(NamedTuple):
    """Make the tables, columns, indexes and roles of the database that are missing.

    dry_run: whether to only return the statements.
    """

    dry_run: bool


class VerifyCommand(NamedTuple):
    """Compare a page of items with a store.

    store: the store's name.
    cursor: the ``cursor`` of the page before; ``None`` for the first page.
    limit: how many rows to compare at most.
    """

    store: StoreName
    cursor: str | None
    limit: int


class ForgetCommand(NamedTuple):
    """Remove the tombstones of an owner's items from the database.

    The items table forgets a tombstone when it has expired. `readplane erase finish` makes it forget those of an erased
    owner earlier, and no message leads the database to do the same.

    owner: the owner's ``sub``.
    """

    owner: str


Command = StatusCommand | MigrateCommand | VerifyCommand | ForgetCommand


def parse_command(event: Mapping[str, Any]) -> Command:
    """Parse the event of a command.

    ====================================================================================  ==================
    event                                                                                 result
    ====================================================================================  ==================
    ``{"command": "status"}``                                                             ``StatusCommand``
    ``{"command": "migrate", "dry_run": true}``                                           ``MigrateCommand``
    ``{"command": "verify", "store": "database", "cursor": null, "limit": 1000}``         ``VerifyCommand``
    ``{"command": "forget", "owner": "…"}``                                               ``ForgetCommand``
    anything else                                                                         :class:`CommandError`
    ====================================================================================  ==================

    ``dry_run`` is ``false`` if it is missing, ``cursor`` is ``null``, and ``limit`` is :data:`MAX_PAGE`.

    :raises CommandError: if `feed` doesn't serve the event.
    """
    command, members = event.get("command"), event.keys() - {"command"}
    if command == "status" and not members:
        return StatusCommand()
    if command == "migrate" and members <= {"dry_run"}:
        dry_run = event.get("dry_run", False)
        if not isinstance(dry_run, bool):
            raise CommandError("dry_run must be true or false")
        return MigrateCommand(dry_run)
    if command == "verify" and {"store"} <= members <= {"store", "cursor", "limit"}:
        return _parse_verify(event["store"], event.get("cursor"), event.get("limit", MAX_PAGE))
    if command == "forget" and members == {"owner"}:
        owner = event["owner"]
        if not isinstance(owner, str) or not is_owner(owner):
            raise CommandError("owner must be the sub of a user")
        return ForgetCommand(owner)
    raise CommandError(
        'command must be "status", "migrate" with dry_run, "verify" with store, cursor and limit, or "forget" with '
        "owner, and the event must have no other members"
    )


def _parse_verify(store: object, cursor: object, limit: object) -> VerifyCommand:
    if store not in STORES:
        raise CommandError(f"store must be one of {', '.join(STORES)}")
    if cursor is not None and not isinstance(cursor, str):
        raise CommandError("cursor must be null, or the cursor of the page before")
    if not isinstance(limit, int) or isinstance(limit, bool) or not 0 < limit <= MAX_PAGE:
        raise CommandError(f"limit must be a whole number from 1 to {MAX_PAGE}")
    return VerifyCommand(store, cursor, limit)


class CommandServer:
    """Serves the commands.

    :param stores: the stores of this Region, by name.
    :param migrate: migrates the database; ``None`` if this Region has no database.
    """

    def __init__(self, rows: ItemRows, stores: Mapping[StoreName, FedStore], migrate: Migrate | None) -> None:
        self._rows = rows
        self._stores = stores
        self._migrate = migrate

    def serve(self, command: Command) -> Mapping[str, Any]:
        """Serve a command and return its answer, as JSON.

        :raises CommandError: if the command needs a store that this Region doesn't have, or its cursor is wrong.
        :raises StoreFaultError: if the store is down or slow.
        """
        match command:
            case StatusCommand():
                return {name: self._describe(store) for name, store in self._stores.items()}
            case MigrateCommand(dry_run):
                if self._migrate is None:
                    raise CommandError("this Region has no database to migrate")
                return self._migrate(dry_run)
            case VerifyCommand(name, cursor, limit):
                store = self._stores.get(name)
                if store is None:
                    raise CommandError(f"this Region has no {name} to verify")
                return Verifier(self._rows, store).verify_page(cursor, limit)
            case ForgetCommand(owner):
                return {name: store.forget_owner(owner)._asdict() for name, store in self._stores.items()}

    def _describe(self, store: FedStore) -> Mapping[str, Any]:
        """Return the state of a store. A store that is down has no state, and hides that of no other."""
        try:
            return {"reachable": True, **store.describe()}
        except StoreFaultError as error:
            return {"reachable": False, "fault": error.code}


class Verifier:
    """Compares the items table with a store, page by page.

    First come the pages of the items table. Then, if the store can list its entries, come the pages of the store, which
    show the entries of items that the table doesn't have.
    """

    def __init__(self, rows: ItemRows, store: FedStore) -> None:
        self._rows = rows
        self._store = store
        self._tables = sorted(store.collections)

    def verify_page(self, cursor: str | None, limit: int) -> dict[str, Any]:
        """Compare one page.

        The answer's members ``missing``, ``older``, ``newer`` and ``extra`` are lists of keys:

        - ``missing``: the table has the item, and the store doesn't. An entry that expires is never missing.
        - ``older``: the store has an older version of the item than the table.
        - ``newer``: the store has a newer version of the item than the table.
        - ``extra``: the store has the item, and the table has no row of it.

        ``compared`` is the number of items or entries of the page. ``cursor`` leads to the next page. After the last
        page it is ``null``.

        An item that was changed a moment ago may not be in the store yet. So a key in ``older`` or ``missing`` is a
        fault only if it is still there when `feed` has caught up.

        :raises CommandError: if the cursor isn't one of this store.
        """
        place, after = self._parse_cursor(cursor)
        if place == 0:
            page = self._rows.read_page(after, limit)
            next_place, next_after = (0, page.after) if page.after is not None else (1, None)
            versions = page.versions
            keys = [key for key in versions if collection_of(key) in self._store.collections]
            compared = len(keys)
        else:
            entries = self._store.list_versions(self._tables[place - 1], after, limit) or ()
            next_place, next_after = (place, entries[-1][0]) if len(entries) == limit else (place + 1, None)
            versions = self._rows.read_versions([key for key, _ in entries])
            # The pages of the items table have shown the other differences.
            keys = [key for key, _ in entries if key not in versions]
            compared = len(entries)
        return {
            "store": self._store.name,
            "compared": compared,
            **self._compare(keys, versions),
            "cursor": self._print_cursor(next_place, next_after),
        }

    def _compare(self, keys: Sequence[str], versions: Mapping[str, StoredVersion]) -> dict[str, list[str]]:
        """Return the keys whose versions differ, by kind of difference.

        Writes go on meanwhile. So compare the keys that seem to differ once more, between two reads of the store. The
        store is behind only if its later version is smaller than the table's, and ahead only if its earlier version is
        greater.
        """
        found: dict[str, list[str]] = {"missing": [], "older": [], "newer": [], "extra": []}
        entries = self._store.read_versions(keys)
        suspects = [key for key in keys if self._difference(versions.get(key), entries.get(key), entries.get(key))]
        if not suspects:
            return found
        table = self._rows.read_versions(suspects)
        later = self._store.read_versions(suspects)
        for key in suspects:
            difference = self._difference(table.get(key), entries.get(key), later.get(key))
            if difference:
                found[difference].append(key)
        return found

    def _difference(self, row: StoredVersion | None, earlier: str | None, later: str | None) -> str | None:
        """Return how an entry differs from its row.

        :param earlier: the entry's version before the row was read; ``None`` if there was no entry.
        :param later: the entry's version after the row was read.
        """
        if row is None:
            # An entry of the cache may outlive its row, because it expires.
            return "extra" if earlier and later and self._store.is_lasting else None
        if row.version is None:
            return None  # the row is malformed, and no item
        if later is None:
            return "missing" if self._store.is_lasting and not row.is_deleted else None
        if later < row.version:
            return "older"
        return "newer" if earlier is not None and earlier > row.version else None

    def _parse_cursor(self, cursor: str | None) -> tuple[int, str | None]:
        """Return the number of the table to read, 0 for the items table, and the key after which the page begins."""
        if cursor is None:
            return 0, None
        try:
            name, place, after = json.loads(cursor)
        except (ValueError, TypeError, RecursionError) as error:
            raise CommandError("cursor must be null, or the cursor of the page before") from error
        is_place = isinstance(place, int) and not isinstance(place, bool) and 0 <= place <= len(self._tables)
        is_key = after is None or (isinstance(after, str) and 0 < len(after) <= 2048)
        if name != self._store.name or not is_place or not is_key:
            raise CommandError("cursor must be that of the page before, of the same store")
        return place, after

    def _print_cursor(self, place: int, after: str | None) -> str | None:
        """Return the cursor of a page, or ``None`` if there is no such page."""
        if place > (len(self._tables) if self._store.is_lasting else 0):
            return None
        return json.dumps([self._store.name, place, after])
