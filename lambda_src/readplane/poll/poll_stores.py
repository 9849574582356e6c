"""The stores that a poll reads and writes."""

from collections.abc import Mapping
from typing import NamedTuple

from .change_stream import ChangeStream
from .checkpoint_table import Checkpoints
from .quarantine import Quarantine
from .snapshot_documents import SnapshotDocuments
from .sourced_items import SourcedItems


class PollStores(NamedTuple):
    """The stores that a poll reads and writes.

    :param checkpoints: the sources' checkpoints and leases.
    :param items: the items table.
    :param stream: the change stream.
    :param quarantine: the store of records that can't be translated.
    :param documents: each Region's store of documents, by the Region's name. The first Region is the one that polls.
    """

    checkpoints: Checkpoints
    items: SourcedItems
    stream: ChangeStream
    quarantine: Quarantine
    documents: Mapping[str, SnapshotDocuments]
