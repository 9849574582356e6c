"""Reads the rows of the items table that `feed` writes to the stores, and the versions that it compares them with."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ..aws.client import Client
from ..aws.faults import back_off
from ..model.change import Change
from ..model.keys import ITEM_PREFIX
from ..stores.rows import ITEM_ATTRIBUTES, BadRowError, change_of, version_of
from ..stores.table import MAX_KEYS, TableRecord, read_records, split_into_batches
from ..telemetry import Telemetry
from .decide import Rows

# Name every attribute with a placeholder, because several of the names are reserved words of DynamoDB.
_NAMES: Mapping[str, str] = {f"#{name}": name for name in ITEM_ATTRIBUTES}
_PROJECTION = ", ".join(_NAMES)


class StoredVersion(NamedTuple):
    """The version of an item in the items table.

    :param version: the version; ``None`` if the row is malformed.
    :param is_deleted: whether the row is a tombstone.
    """

    version: str | None
    is_deleted: bool


class VersionPage(NamedTuple):
    """One page of the items table.

    :param versions: the version of each item of the page, by key.
    :param after: the key after which the next page begins; ``None`` if this page is the last.
    """

    versions: Mapping[str, StoredVersion]
    after: str | None


class ItemRows:
    """The rows of the items table, read with strong consistency.

    An eventually consistent read could return the version before the one that a message is about, and no other message
    would correct that.

    :param pause: waits before a retry, for at most so many seconds.
    """

    def __init__(
        self, client: Client, table: str, telemetry: Telemetry, pause: Callable[[float], None] = back_off
    ) -> None:
        self._client = client
        self._table = table
        self._telemetry = telemetry
        self._pause = pause

    def read_rows(self, keys: Sequence[str]) -> Rows:
        """Read the rows of up to :data:`MAX_KEYS` different keys. A malformed row is reported, and left out.

        :raises AwsError: if DynamoDB doesn't return all rows.
        """
        rows: dict[str, Change | None] = dict.fromkeys(keys)
        for record in read_records(
            self._client, self._table, list(keys), _PROJECTION, consistent=True, names=_NAMES, pause=self._pause
        ):
            try:
                rows[record["pk"]["S"]] = change_of(record)
            except BadRowError as error:
                error.report(self._telemetry)
                del rows[error.key]
        return rows

    def read_versions(self, keys: Sequence[str]) -> dict[str, StoredVersion]:
        """Read the versions of any number of different keys. A key without a row is left out."""
        versions: dict[str, StoredVersion] = {}
        for batch in split_into_batches(keys, MAX_KEYS, len):
            records = read_records(
                self._client, self._table, batch, "pk, version, expires_at", consistent=True, pause=self._pause
            )
            versions |= {record["pk"]["S"]: _stored_version(record) for record in records}
        return versions

    def read_page(self, after: str | None, limit: int) -> VersionPage:
        """Read one page of the versions of all items, deleted ones included. The read is eventually consistent.

        :param after: the key after which the page begins; ``None`` for the first page.
        :param limit: how many rows of the table DynamoDB reads for the page. Some of them may be no items.
        """
        start = {"ExclusiveStartKey": {"pk": {"S": after}}} if after is not None else {}
        response = self._client.call(
            "Scan", TableName=self._table, Limit=limit, ProjectionExpression="pk, version, expires_at", **start
        )
        last = response.get("LastEvaluatedKey")
        versions = {record["pk"]["S"]: _stored_version(record) for record in response["Items"]}
        return VersionPage(
            {key: version for key, version in versions.items() if key.startswith(ITEM_PREFIX)},
            last["pk"]["S"] if last else None,
        )


def _stored_version(record: TableRecord) -> StoredVersion:
    return StoredVersion(version_of(record), "expires_at" in record)
