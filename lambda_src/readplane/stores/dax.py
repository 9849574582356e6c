"""The items through DynamoDB Accelerator (DAX), AWS's cache for DynamoDB.

DAX fills itself: nothing writes to it, so an item may be as old as DAX's TTL. Each node has a copy of its own, so a
later read may return an older version. This module is built from AWS's documentation and the source of the client
`amazondax` 2.1.0. No emulator has DAX.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from ..aws.faults import AwsError, UnansweredError
from .item_cache import Answer, Breaker, read_cache_settings
from .items import DynamoItems, answer_of

if TYPE_CHECKING:
    from ..telemetry import Telemetry
    from .items import Items

CONNECT_SECONDS = 0.5
"""How long the client may look for the cluster's nodes, in seconds. It may take this long twice."""

CALL_SECONDS = 0.1
"""How long the client may wait for an answer of a node, in seconds."""


class DaxSettings(NamedTuple):
    """The settings of DAX.

    :param endpoint: the cluster's endpoint, such as ``daxs://demo.abc.dax-clusters.eu-central-1.amazonaws.com``.
    :param collections: the names of the collections whose items are read through DAX.
    """

    endpoint: str
    collections: frozenset[str]


class DaxClient:
    """The client `amazondax` as a :class:`readplane.aws.client.Client` that can only read one item."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._client: Any = None

    def call(self, _operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Call GetItem.

        :raises UnansweredError: whatever goes wrong. The client's errors have no base class of their own.
        """
        try:
            if self._client is None:
                # Not at init, because the client starts threads and connects, and a SnapStart snapshot keeps neither.
                from amazondax import AmazonDaxClient
                from botocore.config import Config

                config = Config(connect_timeout=CONNECT_SECONDS, read_timeout=CALL_SECONDS, retries={"max_attempts": 0})
                self._client = AmazonDaxClient(endpoint_url=self._endpoint, config=config)
            response: dict[str, Any] = self._client.get_item(**parameters)
        except Exception as error:
            raise UnansweredError(type(error).__name__, sent=True) from error
        return response


class DaxItems:
    """Reads items through DAX, and through DynamoDB what DAX can't answer.

    :param dax: the items as DAX returns them.
    :param items: the items as DynamoDB returns them.
    :param collections: the names of the collections whose items are read through DAX.
    """

    def __init__(self, dax: "Items", items: "Items", collections: frozenset[str], telemetry: "Telemetry") -> None:
        self.collections = collections
        self._dax = dax
        self._items = items
        self._breaker = Breaker(telemetry)

    def read(self, key: str, least: str) -> Answer:
        """Read an item. DAX doesn't say whether it had the item, so there is no ``Cache-Status``.

        :param least: the smallest version that the caller accepts; empty if every version. DAX knows no versions, so
            DynamoDB answers such a read.
        :raises AwsError: if DynamoDB fails.
        """
        if not least and not self._breaker.is_open():
            try:
                item = self._dax.get_item(key)
            except AwsError as error:
                self._breaker.record_fault(error.code)
            else:
                self._breaker.faults = 0
                return answer_of(item)
        return answer_of(self._items.get_item(key, consistent=bool(least)))


def open_dax_items(values: Any, table: str, items: "Items", telemetry: "Telemetry") -> DaxItems:
    """Return the items of `read` through DAX.

    :param values: the setting ``cache``, as parsed JSON.
    :param table: the items table.
    :param items: the items as DynamoDB returns them.
    :raises SettingsError: if a setting is missing or wrong. The message lists every problem.
    """
    settings = read_cache_settings(DaxSettings, values)
    dax = DynamoItems(DaxClient(settings.endpoint), table, horizon_ms=0, telemetry=telemetry)
    return DaxItems(dax, items, settings.collections, telemetry)
