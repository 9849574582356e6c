"""The entry point of `apply`: it passes a batch from SQS or from the change stream to the class that applies it."""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, NamedTuple

from ..aws.client import Client, make_client
from ..clock import now_ms
from ..config import DAY_MS, load_settings
from ..entrypoint import Entrypoint, Event, Function
from ..model.collection import Collection
from ..stores.items_bulk import BulkItems, DynamoBulkItems
from ..telemetry import Telemetry
from .notifications import ApplyQueue, MessageApplier, SqsApplyQueue
from .objects import WORKERS, LogObjects, ObjectApplier, S3LogObjects
from .quarantine import LineParser, LineQuarantine, S3LineQuarantine
from .stream import ShardApplier
from .tally import CountedObjects, DynamoCountedObjects


class ApplySettings(NamedTuple):
    """The settings of `apply`.

    :param name: the stack's name.
    :param items_table: the DynamoDB table of the items.
    :param queue_url: the URL of the SQS queue whose messages announce write-log objects.
    :param log_bucket: the S3 bucket of the write log, which also holds the quarantine.
    :param quarantine_prefix: the prefix of the quarantine's keys in that bucket.
    :param horizon_days: the horizon, in days: how old a change may be to be applied. Tombstones live a day longer.
    :param collections: the declared collections, by name.
    :param second_table: the items table that is kept in step with ``items_table`` while an operator rebuilds the items;
        ``None`` if there is none.
    """

    name: str
    items_table: str
    queue_url: str
    log_bucket: str
    quarantine_prefix: str
    horizon_days: int
    collections: Mapping[str, Collection]
    second_table: str | None = None

    @property
    def horizon_ms(self) -> int:
        """The horizon in milliseconds: how old a change may be to be applied."""
        return self.horizon_days * DAY_MS


class ApplyStores(NamedTuple):
    """The stores that `apply` uses.

    :param items: the items table, to which changes are applied; both tables if there is a second one.
    :param objects: the objects of the write log.
    :param quarantine: keeps the lines that can't be applied.
    :param queue: the SQS queue whose messages announce write-log objects.
    :param counted: remembers which write-log objects are counted.
    """

    items: BulkItems
    objects: LogObjects
    quarantine: LineQuarantine
    queue: ApplyQueue
    counted: CountedObjects


class Apply:
    """The function `apply`, which applies changes of the write log and of the change stream to their items.

    :param pool: what writes the batches of changes; threads by default. A simulation writes them in turn.
    :param clock: returns the current time in Unix milliseconds.
    """

    def __init__(
        self,
        settings: ApplySettings,
        stores: ApplyStores,
        telemetry: Telemetry,
        *,
        pool: Executor | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        pool = pool or ThreadPoolExecutor(WORKERS)  # starts each thread only when needed, then keeps it
        parser = LineParser(
            stores.items, stores.quarantine, settings.collections, settings.horizon_ms, telemetry, clock
        )
        objects = ObjectApplier(stores.objects, stores.items, stores.counted, parser, pool, telemetry, clock)
        self._messages = MessageApplier(objects, stores.queue, telemetry)
        self._shard = ShardApplier(stores.items, parser, pool, telemetry)

    def __call__(self, event: Event, remaining_ms: Callable[[], int]) -> dict[str, Any]:
        """Apply a batch of SQS messages or of change-stream records, and report what Lambda must send again.

        In the second half of the invocation's time, start no more parsing or writing, so that this method returns
        before Lambda's timeout. After a timeout nothing is reported, and Lambda sends the whole batch again.

        :param remaining_ms: returns how many milliseconds the invocation has left.
        """
        records = event["Records"]  # all are SQS messages, or all are from one shard of the change stream
        if records[0].get("eventSource") == "aws:kinesis":
            failures = self._shard.apply_records(records, remaining_ms)
        else:
            failures = self._messages.apply_messages(records, remaining_ms)
        return {"batchItemFailures": [{"itemIdentifier": failure} for failure in failures]}


def make_items(settings: ApplySettings, dynamodb: Client, telemetry: Telemetry) -> BulkItems:
    """Make the store of the items in the live table, and in the second one if there is one."""

    def items_in(table: str) -> BulkItems:
        return DynamoBulkItems(dynamodb, table, horizon_ms=settings.horizon_ms, telemetry=telemetry)

    live = items_in(settings.items_table)
    if settings.second_table is None:
        return live
    from ..stores.two_tables import TwoTables  # only now, because nearly always there is no second table

    return TwoTables(live, items_in(settings.second_table))


def make_apply() -> Function:
    """Make `apply` from the settings in its environment.

    :raises SettingsError: if a setting is missing or wrong.
    """
    settings = load_settings(ApplySettings)
    dynamodb = make_client("dynamodb", attempts=5, connections=WORKERS)
    s3 = make_client("s3", read_timeout=20)
    telemetry = Telemetry("apply", settings.name)
    stores = ApplyStores(
        items=make_items(settings, dynamodb, telemetry),
        objects=S3LogObjects(s3, settings.log_bucket),
        quarantine=S3LineQuarantine(s3, settings.log_bucket, settings.quarantine_prefix),
        queue=SqsApplyQueue(make_client("sqs"), settings.queue_url),
        counted=DynamoCountedObjects(dynamodb, settings.items_table),
    )
    apply = Apply(settings, stores, telemetry)
    return lambda event, context: apply(event, context.get_remaining_time_in_millis)


handler = Entrypoint(make_apply)
