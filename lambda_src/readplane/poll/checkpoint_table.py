"""The table of checkpoints: one DynamoDB item per source, which also holds the source's lease.

Each Region where `poll` runs has a table of its own. If DynamoDB replicated the table, a checkpoint could reach another
Region earlier than the items whose changes the checkpoint marks as sent. If `poll` then ran in that Region, it would
skip these changes, although the items there may never get them. So a Region that takes a source over begins at an older
position, which the other Region has published (:class:`~readplane.poll.checkpoint.Position`).
"""

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any, Protocol

from ..aws.client import Client
from ..aws.faults import RefusedError, back_off
from ..model.timestamp import ms_of
from ..stores.table import MAX_KEYS, TableRecord, read_records, split_into_batches
from .checkpoint import MAX_TIME_MS, Checkpoint, Position, checkpoint_json, parse_checkpoint
from .errors import ChunkMissingError, LeaseLostError
from .remembered import Remembered

CHUNK_SECONDS = 7 * 24 * 60 * 60
"""How long DynamoDB keeps a chunk of hashes by default, in seconds.

A chunk is one part of a saved set of hashes. A full listing saves the hashes of the listed items in chunks, and reads
the chunks at its end. So a full listing should take less than this time.
"""

_CONDITION_FAILED = "ConditionalCheckFailedException"


class Checkpoints(Protocol):
    """The interface of a store of checkpoints and leases. All times are Unix milliseconds."""

    def acquire_lease(self, source: str, holder: str, now_ms: int, until_ms: int) -> Checkpoint | None:
        """Take a source's lease and return the source's checkpoint; return ``None`` if another poll holds the lease.

        :param holder: a text that is unique to this invocation.
        :param until_ms: when the lease expires unless the holder releases it first.
        """

    def save_checkpoint(self, checkpoint: Checkpoint, holder: str) -> None:
        """Save the whole checkpoint in one atomic write.

        :raises LeaseLostError: if ``holder`` no longer holds the source's lease. In that case nothing is saved.
        """

    def release_lease(self, checkpoint: Checkpoint, holder: str) -> None:
        """Save the whole checkpoint and release the source's lease, in one atomic write.

        :raises LeaseLostError: if ``holder`` no longer holds the source's lease. In that case nothing is saved.
        """

    def get_checkpoint(self, source: str) -> Checkpoint | None:
        """Return a source's checkpoint without taking the lease; ``None`` if the source has no checkpoint yet."""

    def set_paused(self, source: str, paused: bool) -> None:
        """Pause or resume a source. While a source is paused, its polls send no requests to the back office."""

    def request_sweep(self, source: str, now_ms: int) -> None:
        """Request a sweep of a source. The next poll starts the sweep after its main pass."""

    def rewind(self, source: str, to_ms: int) -> None:
        """Move a source's watermark back, so that the next poll re-reads the records modified since ``to_ms``.

        If ``to_ms`` is after the watermark, the watermark stays where it is. If the source has no checkpoint, nothing
        happens. A poll that is running loses its lease, so it saves no more progress. A record that is read again
        becomes the same change with the same version, so applying the change again has no effect.

        :param to_ms: a time by the back office's clock.
        """

    def reset(self, source: str) -> None:
        """Forget everything about a source except whether it is paused, so that the next poll reads everything.

        A poll that is running loses its lease, so it saves no more progress.
        """

    def forget_refused(self, source: str, keys: Collection[int]) -> None:
        """Note that records of a source have left the quarantine, so that the next poll counts them no longer.

        :param keys: the hashes under which the checkpoint remembers these records.
        """

    def take_over(self, source: str, position: Position, now_ms: int) -> None:
        """Forget everything about a source, and let its next poll go on where another Region was.

        If the position has no watermark, the next poll reads everything. The source isn't paused afterwards. A poll
        that is running loses its lease, so it saves no more progress.
        """

    def put_chunk(
        self,
        checkpoint: Checkpoint,
        name: str,
        number: int,
        content: bytes,
        now_ms: int,
        seconds: int = CHUNK_SECONDS,
    ) -> None:
        """Store one chunk of a set of hashes, which `poll` needs to find missing items.

        :param name: the name of the set.
        :param number: the number of the chunk in its set, from 0.
        :param content: the packed hashes. The hashes and the chunk's key must fit into a DynamoDB item of 400 KB.
        :param seconds: how long DynamoDB keeps the chunk, in seconds.
        :raises LeaseLostError: if a poll with a later lease has already stored this chunk.
        """

    def read_chunks(self, source: str, name: str, count: int) -> Iterator[bytes]:
        """Read a saved set of hashes, which is stored as ``count`` chunks. The chunks come in no particular order.

        :raises ChunkMissingError: if a chunk is missing, for example because it has expired.
        """


class DynamoCheckpoints:
    """A DynamoDB table of checkpoints. Its hash key is ``pk``, and its time-to-live attribute is ``expires_at``.

    :ivar pause: waits before a retry, for at most so many seconds. A simulation replaces it.
    """

    pause = staticmethod(back_off)

    def __init__(self, client: Client, table: str) -> None:
        self._client = client
        self._table = table

    def acquire_lease(self, source: str, holder: str, now_ms: int, until_ms: int) -> Checkpoint | None:
        """Take the source's lease in one conditional update, which also returns the checkpoint."""
        try:
            response = self._update(
                source,
                "SET holder = :holder, lease_until = :until, generation = if_not_exists(generation, :zero) + :one",
                # The last part of the condition, `holder = :holder`, is for retries. The client retries a call if the
                # response is lost. If the first attempt has already taken the lease, the retry must succeed too.
                condition="attribute_not_exists(lease_until) OR lease_until <= :now OR holder = :holder",
                values={
                    ":holder": {"S": holder},
                    ":until": _number(until_ms),
                    ":now": _number(now_ms),
                    ":zero": _number(0),
                    ":one": _number(1),
                },
                return_values="ALL_NEW",
            )
        except LeaseLostError:
            return None
        return _checkpoint_of(source, response["Attributes"])

    def save_checkpoint(self, checkpoint: Checkpoint, holder: str) -> None:
        """Save the checkpoint in one update, on the condition that ``holder`` still has the source's lease."""
        values = {**_saved_values(checkpoint), ":holder": {"S": holder}}
        self._update(
            checkpoint.source,
            "SET poll_state = :state, remembered = :remembered",
            condition="holder = :holder",
            values=values,
        )

    def release_lease(self, checkpoint: Checkpoint, holder: str) -> None:
        """Save the checkpoint and remove the source's lease, in one conditional update."""
        values = {
            **_saved_values(checkpoint),
            ":holder": {"S": holder},
            ":generation": _number(checkpoint.generation),
        }
        delete = ""
        if checkpoint.redriven:
            # Delete only what this poll has read, because a redrive may have added more.
            delete, values[":redriven"] = " DELETE redriven :redriven", _numbers(checkpoint.redriven)
        self._update(
            checkpoint.source,
            "SET poll_state = :state, remembered = :remembered REMOVE holder, lease_until" + delete,
            # The condition's part after `OR` is for retries. The client retries a call if the response is lost. If the
            # first attempt has already removed the lease, the retry succeeds, unless another poll has taken the lease.
            condition="holder = :holder OR (attribute_not_exists(holder) AND generation = :generation)",
            values=values,
        )

    def get_checkpoint(self, source: str) -> Checkpoint | None:
        """Read a source's checkpoint with a strongly consistent read."""
        response = self._client.call(
            "GetItem", TableName=self._table, Key={"pk": {"S": _key(source)}}, ConsistentRead=True
        )
        return _checkpoint_of(source, response["Item"]) if "Item" in response else None

    def set_paused(self, source: str, paused: bool) -> None:
        """Set the attribute ``paused`` of the source's DynamoDB item. No poll overwrites this attribute."""
        self._update(source, "SET paused = :paused", values={":paused": {"BOOL": paused}})

    def request_sweep(self, source: str, now_ms: int) -> None:
        """Set the attribute ``sweep_requested`` of the source's DynamoDB item. No poll overwrites this attribute."""
        self._update(source, "SET sweep_requested = :now", values={":now": _number(now_ms)})

    def rewind(self, source: str, to_ms: int) -> None:
        """Move the source's watermark back and remove its lease, in one update."""
        checkpoint = self.get_checkpoint(source)
        if checkpoint is None:
            return
        remembered = Remembered(checkpoint.remembered)
        remembered.send_all_again()
        # Never move the watermark forward, because that would skip records that haven't been read yet.
        watermark_ms = _not_after(checkpoint.watermark_ms, to_ms)
        rewound = replace(
            checkpoint,
            watermark_ms=watermark_ms,
            settled_watermark_ms=_not_after(checkpoint.settled_watermark_ms, to_ms),
            settling_watermark_ms=_not_after(checkpoint.settling_watermark_ms, to_ms),
            reread_until_ms=max(checkpoint.reread_until_ms, checkpoint.watermark_ms or 0),
            watermark_key=None,
            delta_link=None,
            deletes_watermark_ms=_not_after(checkpoint.deletes_watermark_ms, to_ms),
            main_pass=None,
            deletes_pass=None,
            conditional_request=None,
            remembered=remembered.to_bytes(),
            refused=0,
        )
        # If a poll is running, this update removes the poll's lease. If that poll has saved progress since
        # `get_checkpoint` above, this update overwrites that progress. No change is lost, because the next poll reads
        # the same records again.
        self._update(
            source,
            "SET poll_state = :state, remembered = :remembered, "
            "generation = if_not_exists(generation, :zero) + :one REMOVE holder, lease_until",
            values={**_saved_values(rewound), ":zero": _number(0), ":one": _number(1)},
        )

    def reset(self, source: str) -> None:
        """Replace the source's checkpoint with an empty one and remove its lease, in one update."""
        self._update(
            source,
            "SET poll_state = :state, generation = if_not_exists(generation, :zero) + :one "
            "REMOVE remembered, redriven, holder, lease_until, sweep_requested",
            values={
                ":state": {"S": checkpoint_json(Checkpoint(source).without_progress())},
                ":zero": _number(0),
                ":one": _number(1),
            },
        )

    def forget_refused(self, source: str, keys: Collection[int]) -> None:
        """Add the hashes to the attribute ``redriven`` of the source's DynamoDB item. The next poll removes them."""
        self._update(source, "ADD redriven :keys", values={":keys": _numbers(keys)})

    def take_over(self, source: str, position: Position, now_ms: int) -> None:
        """Replace the source's checkpoint with one at the position and remove its lease, in one update."""
        fresh_as_of_ms = ms_of(position.fresh_as_of or "")
        checkpoint = Checkpoint(
            source,
            first_polled_ms=now_ms,
            fingerprint=position.fingerprint,
            # The other Region may have sent the change of any record.
            reread_until_ms=MAX_TIME_MS,
            watermark_ms=position.watermark_ms,
            deletes_watermark_ms=position.watermark_ms,
            settling_watermark_ms=position.watermark_ms,
            fresh_as_of_ms=fresh_as_of_ms,
        )
        self._update(
            source,
            "SET poll_state = :state, generation = if_not_exists(generation, :zero) + :one "
            "REMOVE remembered, redriven, holder, lease_until, sweep_requested, paused",
            values={":state": {"S": checkpoint_json(checkpoint)}, ":zero": _number(0), ":one": _number(1)},
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
        """Store the chunk as a separate DynamoDB item, which DynamoDB deletes after ``seconds``."""
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
            if refusal.code == _CONDITION_FAILED:
                raise LeaseLostError from refusal
            raise

    def read_chunks(self, source: str, name: str, count: int) -> Iterator[bytes]:
        """Read the chunks of the set in batches, with strongly consistent reads."""
        keys = [_chunk_key(source, name, number) for number in range(count)]
        chunks = 0
        for batch in split_into_batches(keys, MAX_KEYS, len):
            for record in read_records(self._client, self._table, batch, "content", consistent=True, pause=self.pause):
                chunks += 1
                yield bytes(record["content"]["B"])
        if chunks < count:
            raise ChunkMissingError

    def _update(
        self,
        source: str,
        expression: str,
        *,
        values: dict[str, Any],
        condition: str | None = None,
        return_values: str | None = None,
    ) -> dict[str, Any]:
        """Update the DynamoDB item that holds a source's checkpoint and lease.

        :raises LeaseLostError: if ``condition`` isn't met.
        """
        options: dict[str, Any] = {}
        if condition is not None:
            options["ConditionExpression"] = condition
        if return_values is not None:
            options["ReturnValues"] = return_values
        try:
            return self._client.call(
                "UpdateItem",
                TableName=self._table,
                Key={"pk": {"S": _key(source)}},
                UpdateExpression=expression,
                ExpressionAttributeValues=values,
                **options,
            )
        except RefusedError as refusal:
            if refusal.code == _CONDITION_FAILED:
                raise LeaseLostError from refusal
            raise


def _saved_values(checkpoint: Checkpoint) -> dict[str, Any]:
    return {":state": {"S": checkpoint_json(checkpoint)}, ":remembered": {"B": checkpoint.remembered}}


def _checkpoint_of(source: str, record: TableRecord) -> Checkpoint:
    return parse_checkpoint(
        source,
        record["poll_state"]["S"] if "poll_state" in record else "{}",
        remembered=bytes(record["remembered"]["B"]) if "remembered" in record else b"",
        redriven=frozenset(map(int, record.get("redriven", {}).get("NS", ()))),
        paused=record.get("paused", {}).get("BOOL", False),
        sweep_requested_ms=int(record.get("sweep_requested", {}).get("N", 0)),
        lease_holder=record.get("holder", {}).get("S"),
        lease_until_ms=int(record.get("lease_until", {}).get("N", 0)),
        generation=int(record.get("generation", {}).get("N", 0)),
    )


def _not_after(watermark_ms: int | None, to_ms: int) -> int | None:
    return None if watermark_ms is None else min(watermark_ms, to_ms)


def _numbers(values: Collection[int]) -> dict[str, list[str]]:
    return {"NS": [str(value) for value in sorted(values)]}


def _number(value: int) -> dict[str, str]:
    return {"N": str(value)}


def _key(source: str) -> str:
    return f"source/{source}"


def _chunk_key(source: str, name: str, number: int) -> str:
    return f"chunk/{source}/{name}/{number}"
