"""The switch: which Region polls a source, if two Regions can.

The switch of a source is a record of the items table, because DynamoDB replicates this table. An operator moves a
source in the Region that takes it over, and needs no other Region for that. When a lost Region is back, it gets the
record and polls no longer. Until then both Regions may poll the source. That is harmless, because the same record of
the back office is the same change in both.
"""

from typing import Protocol

from ..aws.client import Client
from ..model.keys import source_key, switch_key
from ..model.timestamp import rfc3339
from ..stores.table import TableRecord
from .checkpoint import Position


class Switch(Protocol):
    """The interface of the store that says which Region polls a source."""

    def polls_here(self, source: str) -> bool:
        """Return whether this Region polls a source. This method makes one call to AWS."""


class DynamoSwitch:
    """The switches of the sources in the items table, as one Region sees them.

    :param table: the items table.
    :param region: the Region of the client. `poll` runs there.
    :param first_region: the Region that polls a source as long as nobody has moved it.
    """

    def __init__(self, client: Client, table: str, region: str, first_region: str) -> None:
        self._client = client
        self._table = table
        self._region = region
        self._first_region = first_region

    def polls_here(self, source: str) -> bool:
        """Read the source's switch with a strongly consistent read, and return whether it names this Region."""
        return self.get_region(source) == self._region

    def get_region(self, source: str) -> str:
        """Return the Region that polls a source, with a strongly consistent read in this Region."""
        record = self._get_record(switch_key(source))
        # A record without a Region can only be one that somebody wrote by hand. It must not stop all polls.
        region: str = record.get("region", {}).get("S", "")
        return region or self._first_region

    def move_here(self, source: str, now_ms: int) -> None:
        """Let this Region poll a source. The other Region stops as soon as DynamoDB has copied the record to it."""
        self._client.call(
            "PutItem",
            TableName=self._table,
            # Like the freshness, the switch has no attribute `version`, so that no reader takes it for an item.
            Item={
                "pk": {"S": switch_key(source)},
                "region": {"S": self._region},
                "moved_at": {"S": rfc3339(now_ms)},
            },
        )

    def get_position(self, source: str) -> Position | None:
        """Return the position that the Region which polls a source has published; ``None`` before its first poll."""
        record = self._get_record(source_key(source))
        if not record:
            return None
        settled = record.get("settled_watermark", {}).get("N")
        return Position(
            watermark_ms=int(settled) if settled else None,
            fingerprint=record.get("fingerprint", {}).get("S"),
            fresh_as_of=record.get("fresh_as_of", {}).get("S"),
        )

    def _get_record(self, key: str) -> TableRecord:
        response = self._client.call("GetItem", TableName=self._table, Key={"pk": {"S": key}}, ConsistentRead=True)
        record: TableRecord = response.get("Item", {})
        return record
