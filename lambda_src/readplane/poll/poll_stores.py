"""The stores that the function `poll` reads and writes."""

from collections.abc import Mapping
from typing import NamedTuple

from .change_stream import ChangeStream
from .checkpoint_table import Checkpoints
from .quarantine import Quarantine
from .snapshot_documents import SnapshotDocuments
from .sourced_items import SourcedItems
from .switch import Switch


class PollStores(NamedTuple):
    """The stores that the function `poll` reads and writes.

    :param checkpoints: the sources' checkpoints and leases.
    :param items: the items table.
    :param stream: the change stream.
    :param quarantine: the store of records that can't be translated into changes.
    :param documents: the store of documents in each Region, by the Region's name. The first Region is the one where
        `poll` runs.
    :param switch: says which Region polls a source; ``None`` if only one Region can.
    """

    checkpoints: Checkpoints
    items: SourcedItems
    stream: ChangeStream
    quarantine: Quarantine
    documents: Mapping[str, SnapshotDocuments]
    switch: Switch | None = None
