"""Move sources to another Region: the steps behind the command `sources move`."""

from __future__ import annotations

from typing import NamedTuple

from ops.cli.items_generations import items_tables
from ops.cli.target import Target, checkpoints
from ops.console import CommandError
from readplane.aws.boto import BotoClient
from readplane.clock import now_ms
from readplane.model.timestamp import rfc3339
from readplane.poll.checkpoint import Position
from readplane.poll.switch import DynamoSwitch

EVERYTHING = Position(None, None, None)
"""The position of a source whose next poll reads everything."""


class Move(NamedTuple):
    """What a move of a source would do.

    source: the source's name
    polled_in: the Region that polls the source now, as the Region that takes it over knows it
    position: where the polls go on
    """

    source: str
    polled_in: str
    position: Position

    def describe(self) -> tuple[str, str, str]:
        """Return the move as a row for operators: the source, the Region that polls it, and where its polls go on."""
        watermark_ms = self.position.watermark_ms
        return self.source, self.polled_in, "everything" if watermark_ms is None else f"since {rfc3339(watermark_ms)}"


def is_replica(target: Target, region: str) -> bool:
    """Return whether a Region is the stack's replica Region.

    :raises CommandError: if the stack's sources can't be polled in this Region
    """
    if not target.outputs.get("replica_poll_function"):
        raise CommandError("Only one Region of this stack can poll its sources. Set poll.in_replica = true and apply.")
    replica_region: str = target.outputs["replica_region"]
    if region not in (target.region, replica_region):
        raise CommandError(f"The sources can be polled in {target.region} and {replica_region}, not in {region}.")
    return region == replica_region


def switch(target: Target, region: str, table: str | None = None) -> DynamoSwitch:
    """Return the sources' switches as a Region sees them. No call goes to any other Region.

    :param table: the items table that holds them; None for the live one
    """
    table = table or target.outputs["items_table"]
    return DynamoSwitch(BotoClient("dynamodb", region=region), table, region, target.region)


def plan(target: Target, region: str, names: list[str], *, everything: bool) -> list[Move]:
    """Return a move for each source that another Region polls. Only the Region that takes the sources over is read.

    :param everything: whether the next polls read everything, whatever the other Region has published
    """
    switches = switch(target, region)
    moves = []
    for name in names:
        polled_in = switches.get_region(name)
        if polled_in != region:
            published = None if everything else switches.get_position(name)
            moves.append(Move(name, polled_in, published or EVERYTHING))
    return moves


def carry_out(target: Target, region: str, move: Move) -> None:
    """Let a Region take a source over. If this function fails halfway, call it again."""
    now = now_ms()
    # Write the checkpoint first. With the switch first, a poll could go on from the checkpoint of an earlier time.
    checkpoints(target, replica=is_replica(target, region)).take_over(move.source, move.position, now)
    # If the items table is being rebuilt, either of the two tables may be the live one soon.
    for table in items_tables(target):
        switch(target, region, table).move_here(move.source, now)
