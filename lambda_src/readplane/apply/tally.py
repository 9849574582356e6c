"""Counts changes by outcome (applied, duplicate or superseded), under the names of CloudWatch metrics.

It also remembers which write-log objects are counted, so that an object that is announced twice counts once. An alarm
compares the records that Firehose delivered with the records that `apply` handled. If a repeated object counted twice,
it would hide the loss of as many other records. If an object never counted, the alarm would report a loss that never
happened.
"""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from ..aws.client import Client
from ..aws.faults import RefusedError
from ..model.change import Change
from ..model.keys import counted_key
from ..model.window import Window
from ..stores.items import ApplyOutcome

METRIC: Mapping[ApplyOutcome, str] = {
    "applied": "ChangesApplied",
    "duplicate": "ChangesDuplicate",
    "superseded": "ChangesSuperseded",
}
"""The name of the CloudWatch metric that counts each outcome of a change."""

EXPIRED = "ChangesExpired"
"""The name of the CloudWatch metric that counts the changes which a replay leaves out, because they are older than the
horizon and have no item."""

Tally = Counter[str]
"""The value of each CloudWatch metric, by the metric's name. The value is a number of changes or of records."""


def count_outcomes(outcomes: Mapping[ApplyOutcome, int]) -> Tally:
    """Return how often each outcome occurred, as a dict whose keys are the names of the CloudWatch metrics."""
    return Counter({METRIC[outcome]: count for outcome, count in outcomes.items()})


def fold_and_count(window: Window, change: Change, tally: Tally) -> Change | None:
    """Add a change to a window, which keeps only the newest change of each item. Count the change that it drops.

    If the window already holds a change of the same item, it drops the older of the two changes.

    :returns: the dropped change, which is ``change`` itself or the earlier one. ``None`` if the window held no change
        of the item.
    """
    loser = window.fold(change)
    if loser is not None:
        is_duplicate = loser.version == window.version(change.key)
        tally[METRIC["duplicate" if is_duplicate else "superseded"]] += 1
    return loser


KEEP_SECONDS = 2 * 24 * 60 * 60
"""How long the store remembers an object, in seconds. The alarm looks back for six hours, so a later repeat does no
harm."""


class Delivery(NamedTuple):
    """One delivery of an SQS message.

    :param message_id: the message's id, which is the same in every delivery.
    :param receipt_handle: the handle of this delivery. No other delivery has it.
    :param remaining_ms: how many milliseconds the invocation that got the delivery may still run, at most.
    """

    message_id: str
    receipt_handle: str
    remaining_ms: int


class ReservedError(Exception):
    """Another delivery of the same message may still count the object, so this delivery has to come again."""


class CountedObjects(Protocol):
    """A store of the write-log objects that are counted.

    To count an object, call :meth:`start_count`, emit the object's metric, and then call :meth:`finish_count`. Between
    the two calls the object is reserved for one delivery of one SQS message. If `apply` dies there, the metric may be
    missing. So a later delivery of the same message counts the object again, and any other message doesn't. SQS may
    also deliver a message twice at once. So a later delivery counts the object only if the invocation that reserved it
    has ended for certain.
    """

    def start_count(self, key: str, delivery: Delivery, now_ms: int) -> bool:
        """Reserve an object for a delivery, and return whether the caller must emit the object's metric.

        Return ``False`` if the object is counted already, or is reserved for another message.

        :raises ReservedError: if the object is reserved for another delivery of the message, which may still run.
        :raises AwsError: if the call to AWS fails. The object may then be reserved or not.
        """

    def finish_count(self, key: str, now_ms: int) -> None:
        """Remember that the metric of a reserved object is emitted.

        :raises AwsError: if the call to AWS fails. A retry of the message may then count the object twice.
        """


_IS_FREE = (
    "attribute_not_exists(pk) OR message_id = :message AND"
    " (receipt_handle = :receipt OR ends_ms < :now OR attribute_not_exists(ends_ms))"
)
"""The condition under which a delivery may reserve an object. The receipt handle is its own if DynamoDB stored the
record but the response was lost, because the client then repeats the call. The release before this one wrote records
without ``ends_ms``."""


class DynamoCountedObjects:
    """:class:`CountedObjects` as records of the items table. No list shows them, because they have no index key.

    The record of a reserved object holds the delivery. The record of a counted object doesn't.
    """

    def __init__(self, client: Client, table: str) -> None:
        self._client = client
        self._table = table

    def start_count(self, key: str, delivery: Delivery, now_ms: int) -> bool:
        """Write the object's record unless another delivery has written it, with one conditional call to AWS."""
        reservation = {
            "message_id": {"S": delivery.message_id},
            "receipt_handle": {"S": delivery.receipt_handle},
            "ends_ms": {"N": str(now_ms + delivery.remaining_ms)},
        }
        try:
            self._client.call(
                "PutItem",
                TableName=self._table,
                Item=_record(key, now_ms) | reservation,
                ConditionExpression=_IS_FREE,
                ExpressionAttributeValues={
                    ":message": reservation["message_id"],
                    ":receipt": reservation["receipt_handle"],
                    ":now": {"N": str(now_ms)},
                },
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except RefusedError as error:
            if error.code != "ConditionalCheckFailedException":
                raise
            if error.members.get("Item", {}).get("message_id") == reservation["message_id"]:
                raise ReservedError(key) from None
            return False
        return True

    def finish_count(self, key: str, now_ms: int) -> None:
        """Replace the object's record by one without a delivery."""
        self._client.call("PutItem", TableName=self._table, Item=_record(key, now_ms))


def _record(key: str, now_ms: int) -> dict[str, dict[str, str]]:
    return {"pk": {"S": counted_key(key)}, "expires_at": {"N": str(now_ms // 1000 + KEEP_SECONDS)}}
