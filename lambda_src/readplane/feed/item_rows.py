"""Reads the rows of the items table that `feed` writes to the stores, and the versions that it compares them with."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ..aws.client import Client
from ..model.change import Change
from ..model.keys import ITEM_PREFIX
from ..stores.rows import BadRowError, change_of, version_of
from ..stores.table import MAX_KEYS, TableRecord, read_records
from ..telemetry import Telemetry
from .decide import Rows

_ATTRIBUTES = (
    "pk",
    "version",
    "collection",
    "item_id",
    "data",
    "actor",
    "source",
    "as_of",
    "owner",
    "list_key",
    "expires_at",
)
# Name every attribute with a placeholder, because several of the names are reserved words of DynamoDB.
_NAMES: Mapping[str, str] = {f"#{name}": name for name in _ATTRIBUTES}
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
    """

    def __init__(self, client: Client, table: str, telemetry: Telemetry) -> None:
        self._client = client
        self._table = table
        self._telemetry = telemetry

    def read_rows(self, keys: Sequence[str]) -> Rows:
        """Read the rows of up to :data:`MAX_KEYS` different keys. A malformed row is reported, and left out.

        :raises AwsError: if DynamoDB doesn't return all rows.
        """
        rows: dict[str, Change | None] = dict.fromkeys(keys)
        for record in read_records(self._client, self._table, list(keys), _PROJECTION, consistent=True, names=_NAMES):
            try:
                rows[record["pk"]["S"]] = change_of(record)
            except BadRowError as error:
                error.report(self._telemetry)
                del rows[error.key]
        return rows

    def read_versions(self, keys: Sequence[str]) -> dict[str, StoredVersion]:
        """Read the versions of any number of different keys. A key without a row is left out."""
        versions: dict[str, StoredVersion] = {}
        for chunk in chunks(keys):
            records = read_records(self._client, self._table, chunk, "pk, version, expires_at", consistent=True)
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


def chunks(keys: Sequence[str]) -> Iterator[list[str]]:
    """Split keys into lists of at most :data:`MAX_KEYS`, which one BatchGetItem can read."""
    for start in range(0, len(keys), MAX_KEYS):
        yield list(keys[start : start + MAX_KEYS])


def _stored_version(record: TableRecord) -> StoredVersion:
    return StoredVersion(version_of(record), "expires_at" in record)
