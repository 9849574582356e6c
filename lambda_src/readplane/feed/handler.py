"""The entry point of `feed`: it writes changed items to the private stores, and serves the operators' commands."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..aws.boto import BotoClient
from ..config import DAY_MS, load_settings
from ..entrypoint import Entrypoint, Event, Function
from ..model.fields import Relational
from ..stores.item_cache import CacheSettings, open_entry_store
from ..stores.key_queue import StoreName
from ..stores.relational.errors import RelationalError
from ..stores.relational.settings import DatabaseSettings
from ..stores.relational.writer import RelationalWriter
from ..telemetry import Telemetry
from .commands import CommandServer, Migrate, parse_command
from .errors import CommandError
from .fed_stores import CacheStore, DatabaseStore, FedStore, database_fault
from .item_rows import ItemRows
from .messages import MessageFeeder


class FedCollection(NamedTuple):
    """A collection, as far as `feed` needs it.

    :param name: the collection's name.
    :param relational: what the database indexes of the collection's items; ``None`` if it doesn't hold them.
    """

    name: str
    relational: Relational | None = None


class FeedSettings(NamedTuple):
    """The settings of `feed`.

    :param name: the stack's name.
    :param items_table: the DynamoDB table of the items.
    :param horizon_days: the horizon, in days. Tombstones live a day longer.
    :param collections: the declared collections, by name.
    :param cache: the item cache of this Region; ``None`` if there is none.
    :param database: the relational database of this Region; ``None`` if there is none.
    """

    name: str
    items_table: str
    horizon_days: int
    collections: Mapping[str, FedCollection]
    cache: CacheSettings | None = None
    database: DatabaseSettings | None = None

    @property
    def horizon_ms(self) -> int:
        """The horizon in milliseconds."""
        return self.horizon_days * DAY_MS

    @property
    def relational(self) -> dict[str, Relational]:
        """What the database indexes of each collection that it holds, by the collection's name."""
        return {name: entry.relational for name, entry in self.collections.items() if entry.relational is not None}


class Feed:
    """The function `feed`, which serves batches of an SQS queue and commands."""

    def __init__(self, messages: MessageFeeder, commands: CommandServer) -> None:
        self._messages = messages
        self._commands = commands

    def __call__(self, event: Event, remaining_ms: Callable[[], int]) -> dict[str, Any]:
        """Write the items that a batch of messages names, and report the messages that failed. Or serve a command.

        :param remaining_ms: returns how many milliseconds the invocation has left.
        :raises CommandError: if `feed` doesn't serve the event.
        :raises StoreFaultError: if a command needs a store that is down or slow.
        """
        if not isinstance(event, Mapping):
            raise CommandError("it must be an object")
        if "Records" in event:
            failures = self._messages.feed_messages(event["Records"], remaining_ms)
            return {"batchItemFailures": [{"itemIdentifier": failure} for failure in failures]}
        return dict(self._commands.serve(parse_command(event)))


def make_feed() -> Function:
    """Make `feed` from the settings in its environment. Making it opens no connection.

    :raises SettingsError: if a setting is missing or wrong.
    """
    settings = load_settings(FeedSettings)
    telemetry = Telemetry("feed", settings.name)
    rows = ItemRows(BotoClient("dynamodb", attempts=5), settings.items_table, telemetry)
    stores = _make_stores(settings, telemetry)
    feed = Feed(
        MessageFeeder(rows, stores, settings.horizon_ms, telemetry),
        CommandServer(rows, stores, _make_migrate(settings)),
    )
    return lambda event, context: feed(event, context.get_remaining_time_in_millis)


def _make_stores(settings: FeedSettings, telemetry: Telemetry) -> dict[StoreName, FedStore]:
    stores: dict[StoreName, FedStore] = {}
    if settings.cache is not None:
        entries = open_entry_store(settings.cache, telemetry)
        stores["cache"] = CacheStore(entries, settings.cache.collections & settings.collections.keys())
    if settings.database is not None:
        writer = RelationalWriter(settings.database, settings.relational)
        stores["database"] = DatabaseStore(writer, frozenset(settings.relational))
    return stores


def _make_migrate(settings: FeedSettings) -> Migrate | None:
    database = settings.database
    if database is None:
        return None

    def migrate_database(dry_run: bool) -> dict[str, Any]:
        from ..stores.relational.migrate import migrate  # it imports the driver, which few invocations need

        try:
            report = migrate(database, settings.relational, dry_run=dry_run)
        except RelationalError as error:
            raise database_fault(error) from error
        return {"steps": list(report.steps), "done": report.done}

    return migrate_database


def check_feed() -> list[str]:
    """Return the problems with the settings that making `feed` doesn't find, one sentence each.

    It connects to no store, because a new version of `feed` must go live while a store is down, too.

    :raises SettingsError: if a setting is missing or wrong.
    """
    settings = load_settings(FeedSettings)
    problems = []
    if settings.cache is None and settings.database is None:
        problems.append("`feed` has neither a cache nor a database, so it has nothing to write.")
    if settings.cache is not None:
        if settings.cache.engine != "valkey":
            problems.append("cache.engine must be valkey: `feed` writes no other cache than Valkey.")
        unknown = sorted(settings.cache.collections - settings.collections.keys())
        problems += [f"cache.collections names {name}, which isn't a declared collection." for name in unknown]
    if settings.database is not None and not settings.relational:
        problems.append("There is a database, but no collection has a member relational, so the database stays empty.")
    return problems


handler = Entrypoint(make_feed, check_feed)
