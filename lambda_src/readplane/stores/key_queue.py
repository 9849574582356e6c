"""The queues that tell `feed` which items have changed: `publish` sends the keys of items, and `feed` receives them.

Each store that `feed` writes has a queue of its own, so a store that is down delays no other. A message holds keys and
no data, because `feed` reads the items itself. So it doesn't matter in which order messages arrive, or how often.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol, get_args

from ..aws.client import Client
from ..aws.faults import RefusedError, UnansweredError, back_off
from ..model.keys import ITEM_PREFIX
from .table import MAX_ATTEMPTS, back_off_exponentially, split_into_batches

StoreName = Literal["cache", "database"]
"""The stores that `feed` writes: the item cache, and the relational database."""

STORES: tuple[StoreName, ...] = get_args(StoreName)

MAX_KEYS = 100
"""The maximum number of keys in one message."""

MAX_CALL_MESSAGES = 10
"""The maximum number of messages in one call of SendMessageBatch."""

MAX_CALL_BYTES = 240_000
"""The maximum size of the messages of one call, in bytes. SQS refuses more than 1 MiB in one call, and refused more
than 256 KiB until 2025. A message of 100 keys has at most 45,000 bytes."""

_FORMAT = 1
_ITEM_KEY = re.compile(ITEM_PREFIX + r"[!-.0-~]+(/[!-.0-~]+){1,2}")


class KeyMessageError(ValueError):
    """The body of a message isn't one that :class:`KeyQueue` sends. The text quotes nothing of the body."""


class KeyMessage(NamedTuple):
    """A message of a queue of keys.

    :param store: the store whose queue it is.
    :param keys: the keys of the items that have changed, as the items table has them: 1 to :data:`MAX_KEYS`.
    """

    store: StoreName
    keys: tuple[str, ...]


class KeyQueue(Protocol):
    """A queue of the keys of items that have changed."""

    def send(self, keys: Sequence[str]) -> None:
        """Send the keys of items. When this method returns, the queue has stored all of them durably.

        :raises UnansweredError: if the queue doesn't accept some of the keys after all attempts. It may have accepted
            the others. Sending a key twice is harmless.
        :raises RefusedError: if AWS refuses a message, or the whole call.
        """


class SqsKeyQueue:
    """A :class:`KeyQueue` that is an SQS queue.

    :param store: the store that every message names.
    :param pause: waits before a retry, for at most so many seconds.
    """

    def __init__(
        self, client: Client, queue_url: str, store: StoreName, pause: Callable[[float], None] = back_off
    ) -> None:
        self._client = client
        self._queue_url = queue_url
        self._store = store
        self._pause = pause

    def send(self, keys: Sequence[str]) -> None:
        """Send the keys in as few calls as possible, and retry the messages that SQS doesn't accept."""
        bodies = [print_message(self._store, keys[start : start + MAX_KEYS]) for start in range(0, len(keys), MAX_KEYS)]
        # A body is ASCII, so a character is a byte.
        for batch in split_into_batches(bodies, MAX_CALL_MESSAGES, len, MAX_CALL_BYTES):
            self._send_batch({str(number): body for number, body in enumerate(batch)})

    def _send_batch(self, bodies: dict[str, str]) -> None:
        """Send messages with one call, and repeat it with those that SQS doesn't accept.

        :param bodies: the bodies of the messages, by the ids that the messages have in the call.
        """
        for attempt in range(MAX_ATTEMPTS):
            if attempt:
                back_off_exponentially(attempt, self._pause)
            response = self._client.call(
                "SendMessageBatch",
                QueueUrl=self._queue_url,
                Entries=[{"Id": name, "MessageBody": body} for name, body in bodies.items()],
            )
            # The call succeeds even if SQS accepts none of its messages, so the client's own retries don't help.
            failed = response.get("Failed") or []
            for entry in failed:
                if entry["SenderFault"]:
                    raise RefusedError(entry["Code"], 400)
            bodies = {entry["Id"]: bodies[entry["Id"]] for entry in failed}
            if not bodies:
                return
        raise UnansweredError("UnsentMessages", sent=True)


def print_message(store: StoreName, keys: Sequence[str]) -> str:
    """Return the body of a message: the JSON text that :func:`parse_keys` parses."""
    return json.dumps({"v": _FORMAT, "store": store, "keys": list(keys)}, separators=(",", ":"))


def parse_keys(body: str) -> KeyMessage:
    """Parse the body of a message.

    :raises KeyMessageError: if the body isn't one that :func:`print_message` returns.
    """
    try:
        members: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise KeyMessageError("the body must be JSON") from error
    if not isinstance(members, dict) or members.get("v") != _FORMAT:
        raise KeyMessageError(f"the body must be an object whose member v is {_FORMAT}")
    if members.get("store") not in STORES:
        raise KeyMessageError(f"store must be one of {', '.join(STORES)}")
    keys = members.get("keys")
    if not isinstance(keys, list) or not 0 < len(keys) <= MAX_KEYS or not all(map(_is_item_key, keys)):
        raise KeyMessageError(f"keys must be a list of 1 to {MAX_KEYS} keys of items")
    return KeyMessage(members["store"], tuple(keys))


def _is_item_key(value: object) -> bool:
    """Whether a value has the form of :func:`~readplane.model.keys.item_key`, with or without an owner."""
    # DynamoDB refuses a whole BatchGetItem if one of its keys is longer than 2,048 bytes.
    return isinstance(value, str) and len(value) <= 2048 and _ITEM_KEY.fullmatch(value) is not None
