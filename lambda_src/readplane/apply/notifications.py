"""Applies the write-log objects that SQS messages announce, and schedules retries of the messages that failed."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from ..aws.client import Client
from ..aws.faults import AwsError
from ..config import DAY_MS
from ..entrypoint import Event
from ..model.timestamp import ms_of
from ..telemetry import Telemetry
from .objects import ObjectApplier
from .quarantine import Replay
from .tally import Delivery, ReservedError

MAX_RETRY_SECONDS = 900
"""The maximum delay before SQS delivers a failed message again, in seconds. The delay starts at 2 s and doubles with
each failure."""

REWRITTEN_AFTER_MS = 2 * DAY_MS
"""How old an object's hour must be for the object to count as rewritten. Firehose delivers an object within 25 hours
of the beginning of its hour, or never. `apply` remembers for two days that an object is counted (tally.py)."""

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


class ApplyQueue(Protocol):
    """A queue that can schedule retries of the messages that Lambda has passed to `apply`."""

    def retry_in(self, receipt_handle: str, seconds: int) -> None:
        """Have SQS deliver a message again after ``seconds``.

        The caller must also report to Lambda that the message failed.

        Without this call SQS delivers a failed message only after the queue's visibility timeout, which is six times
        the function's timeout.
        """


class SqsApplyQueue:
    """An :class:`ApplyQueue` that is an SQS queue."""

    def __init__(self, client: Client, queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def retry_in(self, receipt_handle: str, seconds: int) -> None:
        """Set the message's visibility timeout to ``seconds``, after which SQS delivers the message again."""
        self._client.call(
            "ChangeMessageVisibility",
            QueueUrl=self._queue_url,
            ReceiptHandle=receipt_handle,
            VisibilityTimeout=seconds,
        )


def announced_objects(message: Event) -> Iterator[tuple[str, int, Replay | None]]:
    """Yield each write-log object that an SQS message announces.

    S3 sends one test message when a bucket's notifications are set up. For that message, yield nothing.

    An object's tuple holds its key, its creation time in Unix milliseconds, and how it is replayed; ``None`` if it
    isn't. The marks of a replay are in the body and not in message attributes, because `dead-letters redrive` sends
    only the body again.
    """
    body = json.loads(message["body"])
    for record in body.get("Records", []):
        key, created_ms = decode_key(record["s3"]["object"]["key"]), _parse_time(record["eventTime"])
        yield key, created_ms, replay_of(body, key, created_ms)


def replay_of(body: Mapping[str, Any], key: str, created_ms: int) -> Replay | None:
    """Return how an object is replayed; ``None`` if it isn't.

    The operator's command marks the messages of a replay with the member ``"replay": true``. It may add
    ``"lost": true`` and ``"collections": [names]``.

    :param body: the body of the SQS message that announces the object.
    :param created_ms: when the object was created, in Unix milliseconds.
    """
    if body.get("replay") is True:
        collections = body.get("collections")
        return Replay(body.get("lost") is True, None if collections is None else frozenset(collections))
    return Replay() if _is_rewritten(key, created_ms) else None


def _is_rewritten(key: str, created_ms: int) -> bool:
    """Whether an operator has written an object of Firehose again, for example to erase a person's data.

    S3 announces such an object like a new one. Without this rule, `apply` would count its records twice, and would put
    each change of an item that was deleted long ago into quarantine.
    """
    hour = key.partition("/year=")[2]  # such as 2026/month=11/day=21/hour=08/…
    hour_ms = ms_of(f"{hour[:4]}-{hour[11:13]}-{hour[18:20]}T{hour[26:28]}:00:00.000Z")
    return hour_ms is not None and created_ms - hour_ms > REWRITTEN_AFTER_MS


def _parse_time(text: str) -> int:
    """Return the Unix milliseconds of an ISO 8601 time.

    Import `datetime` only if :func:`ms_of` can't parse the time, because the import is slow. AWS writes times in the
    form that :func:`ms_of` parses. Emulators of AWS write other forms.
    """
    ms = ms_of(text)
    if ms is not None:
        return ms
    from datetime import datetime

    return int(datetime.fromisoformat(text).timestamp() * 1000)


def decode_key(encoded: str) -> str:
    """Decode an object's key, as S3 encodes it in a notification: a space is ``+``, and other octets are ``%XX``.

    ``urllib.parse.unquote_plus`` does the same, but importing it makes a cold start 3 ms slower.
    """
    octets = encoded.replace("+", " ").encode()
    return _ESCAPE.sub(lambda escape: bytes.fromhex(escape[1].decode()), octets).decode(errors="replace")


def retry_seconds(receive_count: int) -> int:
    """Return the delay before SQS delivers a failed message again, in seconds.

    :param receive_count: how often SQS has delivered the message, including the delivery that has failed now.
    """
    return min(MAX_RETRY_SECONDS, int(2**receive_count))


class MessageApplier:
    """Applies the write-log objects that SQS messages announce."""

    def __init__(self, objects: ObjectApplier, queue: ApplyQueue, telemetry: Telemetry) -> None:
        self._objects = objects
        self._queue = queue
        self._telemetry = telemetry

    def apply_messages(self, messages: Sequence[Event], remaining_ms: Callable[[], int]) -> list[str]:
        """Apply the objects that each message announces.

        Don't start another message in the second half of the invocation's time. Count each message that wasn't started
        as failed, and have SQS deliver it again at once. Half of the time is enough for one object. For
        this, Terraform computes the limit of Firehose's buffer from the function's timeout. This buffer limit is also
        the limit of an object's size.

        :returns: the ids of the failed messages. SQS delivers only these messages again.
        """
        total_ms = remaining_ms()
        failures = []
        for number, message in enumerate(messages):
            if number and remaining_ms() < total_ms / 2:
                seconds = 0
            elif self._apply_message(message, total_ms):
                continue
            else:
                seconds = retry_seconds(int(message["attributes"]["ApproximateReceiveCount"]))
            self._schedule_retry(message, seconds)
            failures.append(message["messageId"])
        return failures

    def _apply_message(self, message: Event, total_ms: int) -> bool:
        """Apply the objects that a message announces. Return whether the message is done.

        :param total_ms: how many milliseconds the invocation may run, at most.
        """
        delivery = Delivery(message["messageId"], message["receiptHandle"], total_ms)
        try:
            for key, created_ms, replay in announced_objects(message):
                self._objects.apply_object(key, created_ms, delivery, replay)
        except ReservedError as error:
            # This is no failure, because the changes of this object are applied. The objects after it come again.
            self._telemetry.event(
                "delivery_repeated",
                "Another delivery of the message may still count its object, so this one comes again.",
                message_id=message["messageId"],
                key=str(error),
            )
            return False
        except Exception as error:  # noqa: BLE001 (a failed message must not stop the others of the batch)
            self._telemetry.failure(
                "object_failed",
                "A write-log object could not be applied; its message comes again.",
                error,
                message_id=message["messageId"],
            )
            # Write a metric of our own, because the invocation itself succeeds and Lambda's error metric doesn't count
            # this failure.
            self._telemetry.event(
                "retry_requested", "Part of the batch comes again.", level="WARN", metrics={"ObjectsFailed": 1}
            )
            return False
        return True

    def _schedule_retry(self, message: Event, seconds: int) -> None:
        try:
            self._queue.retry_in(message["receiptHandle"], seconds)
        except AwsError as error:
            self._telemetry.failure(
                "retry_not_scheduled",
                "A message's retry could not be scheduled; the message comes again after its visibility timeout.",
                error,
                message_id=message["messageId"],
            )
