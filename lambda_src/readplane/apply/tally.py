"""Counts changes by outcome (applied, duplicate or superseded), under the names of CloudWatch metrics.

It also remembers which write-log objects are counted, so that an object that is announced twice counts once. An alarm
compares the records that Firehose delivered with the records that `apply` handled. If a repeated object counted twice,
it would hide the loss of as many other records. If an object never counted, the alarm would report a loss that never
happened.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Protocol

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


class CountedObjects(Protocol):
    """A store of the write-log objects that are counted.

    To count an object, call :meth:`start_count`, emit the object's metric, and then call :meth:`finish_count`. Between
    the two calls the object is reserved for one SQS message. If `apply` dies there, the metric may be missing. So a
    retry of the same message counts the object again, and any other message doesn't.
    """

    def start_count(self, key: str, message_id: str, now_ms: int) -> bool:
        """Reserve an object for a message, and return whether the caller must emit the object's metric.

        Return ``False`` if the object is counted already, or is reserved for another message.

        :param message_id: the id of the SQS message. It is the same in every delivery of the message.
        :raises AwsError: if the call to AWS fails. The object may then be reserved or not.
        """

    def finish_count(self, key: str, now_ms: int) -> None:
        """Remember that the metric of a reserved object is emitted.

        :raises AwsError: if the call to AWS fails. A retry of the message may then count the object twice.
        """


class DynamoCountedObjects:
    """:class:`CountedObjects` as records of the items table. No list shows them, because they have no index key.

    The record of a reserved object holds the id of the message. The record of a counted object doesn't.
    """

    def __init__(self, client: Client, table: str) -> None:
        self._client = client
        self._table = table

    def start_count(self, key: str, message_id: str, now_ms: int) -> bool:
        """Write the object's record unless there is one, with one conditional call to AWS."""
        try:
            self._client.call(
                "PutItem",
                TableName=self._table,
                Item={**_record(key, now_ms), "message_id": {"S": message_id}},
                ConditionExpression="attribute_not_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except RefusedError as error:
            if error.code != "ConditionalCheckFailedException":
                raise
            # The id is the caller's own if `apply` died after an earlier delivery reserved the object. It is also its
            # own if DynamoDB stored the record but the response was lost, because the client then repeats the call.
            stored_id = error.members.get("Item", {}).get("message_id", {}).get("S")
            return bool(stored_id == message_id)
        return True

    def finish_count(self, key: str, now_ms: int) -> None:
        """Replace the object's record by one without a message id."""
        self._client.call("PutItem", TableName=self._table, Item=_record(key, now_ms))


def _record(key: str, now_ms: int) -> dict[str, dict[str, str]]:
    return {"pk": {"S": counted_key(key)}, "expires_at": {"N": str(now_ms // 1000 + KEEP_SECONDS)}}
