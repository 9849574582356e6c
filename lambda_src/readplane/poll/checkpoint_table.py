"""The checkpoints: one DynamoDB item per source, in the Region that polls, with the lease on it.

A checkpoint isn't replicated: a copy could arrive in the other Region before what it tells of.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

from ..aws.client import Client
from ..aws.faults import RefusedError
from ..stores.items_bulk import MAX_CHANGES, parts, read_all
from .checkpoint import Checkpoint, checkpoint_of, state_text
from .errors import ChunkMissingError, LeaseLostError
from .remembered import Remembered

CHUNK_SECONDS = 7 * 24 * 60 * 60
"""How long a part of a set is kept, unless told otherwise: the next sweep has its own."""

_LOST = "ConditionalCheckFailedException"


class Checkpoints(Protocol):
    """Where checkpoints are kept. Times are Unix milliseconds."""

    def acquire(self, source: str, owner: str, now_ms: int, until_ms: int) -> Checkpoint | None:
        """Take the source's lease; ``None`` while another holds it.

        :param owner: names the invocation, and no other.
        """

    def save(self, checkpoint: Checkpoint, owner: str) -> None:
        """Save it all, in one step.

        :raises LeaseLost: when the lease isn't the owner's any more; then nothing is saved.
        """

    def release(self, checkpoint: Checkpoint, owner: str) -> None:
        """:meth:`save`, and give the lease back."""

    def get(self, source: str) -> Checkpoint | None:
        """The checkpoint, whoever holds it; ``None`` before the first poll."""

    def set_paused(self, source: str, paused: bool) -> None:
        """Have polls do nothing, or go on."""

    def request_sweep(self, source: str, now_ms: int) -> None:
        """Have the next poll sweep."""

    def rewind(self, source: str, to_ms: int) -> None:
        """Have the next poll read again what was modified from then on (upstream's time), and a lag before.

        Never forward; nothing happens to a source that was never polled. A poll that is running loses its lease. Every
        change keeps its id, so none has an effect twice.
        """

    def reset(self, source: str) -> None:
        """Forget all but whether it is paused: the next poll reads everything. A running poll loses its lease."""

    def put_chunk(
        self,
        checkpoint: Checkpoint,
        name: str,
        number: int,
        content: bytes,
        now_ms: int,
        seconds: int = CHUNK_SECONDS,
    ) -> None:
        """Keep part ``number`` (from 0) of a set for some time, at most 400 KB.

        :raises LeaseLost: when a later lease has kept the same part.
        """

    def chunks(self, source: str, name: str, count: int) -> Iterator[bytes]:
        """The ``count`` parts of a set, in any order.

        :raises ChunkGone: when one isn't there.
        """


class DynamoCheckpoints:
    """:class:`Checkpoints` in a DynamoDB table with the hash key ``pk`` and the time-to-live ``expires_at``."""

    def __init__(self, client: Client, table: str) -> None:
        self._client = client
        self._table = table

    def acquire(self, source: str, owner: str, now_ms: int, until_ms: int) -> Checkpoint | None:
        """See :class:`Checkpoints`."""
        try:
            answer = self._update(
                source,
                "SET holder = :owner, lease_until = :until, generation = if_not_exists(generation, :zero) + :one",
                # The client's own retry must not find its first try's lease in its way.
                condition="attribute_not_exists(lease_until) OR lease_until <= :now OR holder = :owner",
                values={
                    ":owner": {"S": owner},
                    ":until": _number(until_ms),
                    ":now": _number(now_ms),
                    ":zero": _number(0),
                    ":one": _number(1),
                },
                ReturnValues="ALL_NEW",
            )
        except LeaseLostError:
            return None
        return _checkpoint(source, answer["Attributes"])

    def save(self, checkpoint: Checkpoint, owner: str) -> None:
        """See :class:`Checkpoints`."""
        self._save(checkpoint, owner, "", "holder = :owner")

    def release(self, checkpoint: Checkpoint, owner: str) -> None:
        """See :class:`Checkpoints`."""
        # Once released it may be released again, until another has it: the first try's answer may have got lost.
        self._save(
            checkpoint,
            owner,
            " REMOVE holder, lease_until",
            "holder = :owner OR (attribute_not_exists(holder) AND generation = :generation)",
            generation=_number(checkpoint.generation),
        )

    def get(self, source: str) -> Checkpoint | None:
        """See :class:`Checkpoints`."""
        answer = self._client.call(
            "GetItem", TableName=self._table, Key={"pk": {"S": _key(source)}}, ConsistentRead=True
        )
        return _checkpoint(source, answer["Item"]) if "Item" in answer else None

    def set_paused(self, source: str, paused: bool) -> None:
        """See :class:`Checkpoints`."""
        self._update(source, "SET paused = :paused", values={":paused": {"BOOL": paused}})

    def request_sweep(self, source: str, now_ms: int) -> None:
        """See :class:`Checkpoints`."""
        self._update(source, "SET sweep_asked = :now", values={":now": _number(now_ms)})

    def rewind(self, source: str, to_ms: int) -> None:
        """See :class:`Checkpoints`."""
        known = self.get(source)
        if known is None:
            return
        seen = Remembered(known.seen)
        seen.doubt()
        # Never forward: what was not read yet must not be left out.
        watermark_ms = None if known.watermark_ms is None else min(known.watermark_ms, to_ms)
        again_ms = max(known.again_ms, known.watermark_ms or 0)
        back = replace(
            known, watermark_ms=watermark_ms, again_ms=again_ms, changes=None, validators=None, seen=seen.packed()
        )
        # Whoever polls meanwhile loses the lease by this; what it saved since the read is taken back, and read again.
        self._update(
            source,
            "SET poll_state = :state, seen = :seen, generation = if_not_exists(generation, :zero) + :one "
            "REMOVE holder, lease_until",
            values={
                ":state": {"S": state_text(back)},
                ":seen": {"B": back.seen},
                ":zero": _number(0),
                ":one": _number(1),
            },
        )

    def reset(self, source: str) -> None:
        """See :class:`Checkpoints`."""
        self._update(
            source,
            "SET poll_state = :state, generation = if_not_exists(generation, :zero) + :one "
            "REMOVE seen, holder, lease_until, sweep_asked",
            values={
                ":state": {"S": state_text(Checkpoint(source).anew())},
                ":zero": _number(0),
                ":one": _number(1),
            },
        )

    def put_chunk(
        self,
        checkpoint: Checkpoint,
        name: str,
        number: int,
        content: bytes,
        now_ms: int,
        seconds: int = CHUNK_SECONDS,
    ) -> None:
        """See :class:`Checkpoints`."""
        try:
            self._client.call(
                "PutItem",
                TableName=self._table,
                Item={
                    "pk": {"S": _chunk_key(checkpoint.source, name, number)},
                    "content": {"B": content},
                    "generation": _number(checkpoint.generation),
                    "expires_at": _number(now_ms // 1000 + seconds),
                },
                ConditionExpression="attribute_not_exists(pk) OR generation <= :generation",
                ExpressionAttributeValues={":generation": _number(checkpoint.generation)},
            )
        except RefusedError as refusal:
            if refusal.code == _LOST:
                raise LeaseLostError from refusal
            raise

    def chunks(self, source: str, name: str, count: int) -> Iterator[bytes]:
        """See :class:`Checkpoints`."""
        keys = [_chunk_key(source, name, number) for number in range(count)]
        found = 0
        for some in parts(keys, MAX_CHANGES, len):
            for record in read_all(self._client, self._table, some, "content", consistent=True):
                found += 1
                yield bytes(record["content"]["B"])
        if found < count:
            raise ChunkMissingError

    def _save(self, checkpoint: Checkpoint, owner: str, besides: str, condition: str, **values: Any) -> None:
        told = {"state": {"S": state_text(checkpoint)}, "seen": {"B": checkpoint.seen}, "owner": {"S": owner}, **values}
        self._update(
            checkpoint.source,
            f"SET poll_state = :state, seen = :seen{besides}",
            condition=condition,
            values={f":{name}": value for name, value in told.items()},
        )

    def _update(
        self, source: str, expression: str, *, values: dict[str, Any], condition: str | None = None, **more: Any
    ) -> dict[str, Any]:
        if condition is not None:
            more["ConditionExpression"] = condition
        try:
            return self._client.call(
                "UpdateItem",
                TableName=self._table,
                Key={"pk": {"S": _key(source)}},
                UpdateExpression=expression,
                ExpressionAttributeValues=values,
                **more,
            )
        except RefusedError as refusal:
            if refusal.code == _LOST:
                raise LeaseLostError from refusal
            raise


def _checkpoint(source: str, record: dict[str, Any]) -> Checkpoint:
    return checkpoint_of(
        source,
        record["poll_state"]["S"] if "poll_state" in record else "{}",
        seen=bytes(record["seen"]["B"]) if "seen" in record else b"",
        paused=record.get("paused", {}).get("BOOL", False),
        sweep_asked_ms=int(record.get("sweep_asked", {}).get("N", 0)),
        owner=record.get("holder", {}).get("S"),
        lease_until_ms=int(record.get("lease_until", {}).get("N", 0)),
        generation=int(record.get("generation", {}).get("N", 0)),
    )


def _number(value: int) -> dict[str, str]:
    return {"N": str(value)}


def _key(source: str) -> str:
    return f"source/{source}"


def _chunk_key(source: str, name: str, number: int) -> str:
    return f"chunk/{source}/{name}/{number}"
