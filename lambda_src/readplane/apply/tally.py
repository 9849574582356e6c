"""Counts changes by outcome (applied, duplicate or superseded), under the names of CloudWatch metrics.

It also remembers which write-log objects are counted, so that an object whose message SQS delivers twice counts once.
An alarm compares the records that Firehose delivered with the records that `apply` handled. If a repeated object
counted twice, it would hide the loss of as many other records.
"""

import os
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
    """A store of the write-log objects that are counted."""

    def count(self, key: str, now_ms: int) -> bool:
        """Remember that an object is counted. Return whether this call is the first for the object.

        :raises AwsError: if the call to AWS fails. The object may then be remembered or not.
        """


class DynamoCountedObjects:
    """:class:`CountedObjects` as records of the items table. No list shows them, because they have no index key."""

    def __init__(self, client: Client, table: str) -> None:
        self._client = client
        self._table = table

    def count(self, key: str, now_ms: int) -> bool:
        """Write the object's record unless there is one, with one conditional call to AWS."""
        # The client repeats a call that gets no response, although DynamoDB may have stored the record. The token shows
        # that the stored record is from this call.
        token = os.urandom(8).hex()
        try:
            self._client.call(
                "PutItem",
                TableName=self._table,
                Item={
                    "pk": {"S": counted_key(key)},
                    "token": {"S": token},
                    "expires_at": {"N": str(now_ms // 1000 + KEEP_SECONDS)},
                },
                ConditionExpression="attribute_not_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except RefusedError as error:
            if error.code != "ConditionalCheckFailedException":
                raise
            stored = error.members.get("Item", {}).get("token", {}).get("S")  # a malformed record has no token
            return bool(stored == token)
        return True
