"""Compares what one Region stores of each item: the items table, the documents, the item cache and the database.

A live system never stands still. So an item whose stores seem to differ is read again some seconds later, and the
difference counts only if it is still there and the item has the same version as before.

The items come from the table itself, or from an export of it. An item that seems to differ from its export is first
read from the table.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, NamedTuple

from botocore.exceptions import ClientError

from ops.cli.collection_stores import Declared, batches_of, live_function, stored_documents
from ops.cli.private_stores import KINDS, feed
from ops.cli.publishing import Image, read_images
from ops.cli.region_differences import item_pages
from ops.cli.target import RegionalStack, Target
from readplane.model.change import Change
from readplane.model.keys import ITEM_PREFIX, document_key, item_key
from readplane.stores.documents import VERSION_METADATA
from readplane.stores.key_queue import STORES, StoreName
from readplane.stores.rows import BadRowError, change_of, version_of

Store = Literal["documents", "cache", "database"]

CONFIRM_SECONDS = 10.0
"""How long after the first look a difference is looked at again."""

AT_ONCE = 16
"""The number of documents whose metadata are read at once."""

BATCH = 1000
"""The number of items that are compared at once."""

FEED_PAGE = 1000
"""The number of rows that one invocation of `feed` compares."""

KEY_BYTES = 8
"""How many bytes of the hash of each item's key stay in memory, to tell which documents have an item."""

NO_VERSION = "no version"
"""What a difference shows if a store has an entry without a version."""


class StoreDifference(NamedTuple):
    """An item that a store has in another version than the items table.

    region: the Region in which they differ
    store: the store that differs from the items table
    kind: one of KINDS
    key: the item's key in the items table
    version: the item's version; "" if the table has no such item
    """

    region: str
    store: Store
    kind: str
    key: str
    version: str


class Verification(NamedTuple):
    """What a comparison has found.

    items: the number of items compared, tombstones included
    undeclared: the number of rows that weren't compared, by their collection, because it isn't declared
    unfit: the number of rows that weren't compared, because they have an owner and their collection isn't an owner
        collection, or the reverse
    documents: the number of documents looked for or found
    entries: how many entries of each private store were compared
    changing: how many differences don't count, because the item was changed or the store has caught up
    malformed: the number of malformed rows, which are no items
    differences: those that were there twice, sorted
    """

    items: int
    undeclared: Mapping[str, int]
    unfit: int
    documents: int
    entries: Mapping[StoreName, int]
    changing: int
    malformed: int
    differences: list[StoreDifference]


class _Suspect(NamedTuple):
    """A difference that was seen once.

    cursor: the page of `feed` that shows it; ignored for a document
    """

    store: Store
    kind: str
    key: str
    version: str
    cursor: str | None = None


class Verifier:
    """Compares the stores of one Region with its items table, and counts what it compares."""

    def __init__(
        self,
        target: Target,
        stack: RegionalStack,
        declared: Mapping[str, Declared],
        *,
        progress: Callable[[str], None],
        collection: str | None = None,
        confirm_seconds: float = CONFIRM_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Read nothing yet.

        :param progress: gets a sentence about how far the comparison is
        :param collection: the name of a collection, to compare only this one
        """
        self._target, self._stack, self._declared = target, stack, declared
        self._collection = collection
        self._confirm_seconds, self._sleep, self._progress = confirm_seconds, sleep, progress
        sources: Mapping[str, Mapping[str, Any]] = target.outputs.get("sources") or {}
        # The documents of snapshots have no items.
        self._snapshots = {entry["collection"] for entry in sources.values() if entry.get("mode") == "snapshot"}
        self._items = self._documents = self._malformed = self._unfit = 0
        self._undeclared: Counter[str] = Counter()
        self._entries: dict[StoreName, int] = {}

    def verify(self, sample: int | None, export: Iterable[Mapping[str, Image]] | None = None) -> Verification:
        """Compare a sample of about `sample` items, or everything if `sample` is None.

        :param export: pages of the rows of an export by their keys, to compare these instead of the table's
        """
        pages = item_pages(self._target, self._stack, sample, self._collection) if export is None else export
        digests: set[bytes] | None = set() if sample is None else None
        suspects = [*self._compare_documents(pages, digests, is_export=export is not None)]
        if digests is not None:
            suspects += self._compare_listing(digests)
        for store in self._private_stores():
            suspects += self._compare_store(store, sample)
        differences = self._confirmed(suspects)
        return Verification(
            self._items,
            self._undeclared,
            self._unfit,
            self._documents,
            self._entries,
            len(suspects) - len(differences),
            self._malformed,
            sorted(differences),
        )

    def _compare_documents(
        self, pages: Iterable[Mapping[str, Image]], digests: set[bytes] | None, *, is_export: bool
    ) -> Iterator[_Suspect]:
        """Yield the items whose document seems to be missing, older, newer, or there although the item is deleted.

        :param digests: gets a hash of the key of each row
        """
        for number, rows in enumerate(pages):
            # A sample reads its segments at random and each once, so no item comes twice.
            for batch in batches_of(rows.items(), BATCH):
                before = self._documents
                suspects = self._suspect_documents(dict(batch))
                self._items += self._documents - before
                # Many items of an export have changed since.
                yield from self._look_again([entry.key for entry in suspects]) if is_export else suspects
            if digests is not None:
                digests.update(map(_digest, rows))
            if number % 20 == 0:
                self._progress(f"{self._stack.region}: {self._items} items and their documents compared …")

    def _look_again(self, keys: Sequence[str]) -> list[_Suspect]:
        """Return those of the items whose document differs from the table's row now. Count nothing."""
        counts = self._documents, self._malformed, self._unfit, self._undeclared.copy()
        images = read_images(self._target, self._stack, keys)
        suspects = self._suspect_documents({key: images.get(key) for key in keys})
        self._documents, self._malformed, self._unfit, self._undeclared = counts
        return suspects

    def _compare_listing(self, digests: set[bytes]) -> Iterator[_Suspect]:
        """Yield the documents of which the items table has no row.

        :param digests: a hash of the key of each row that was read before
        """
        for batch in batches_of(stored_documents(self._target, self._stack, self._collection), BATCH):
            keys = {}
            for document in batch:
                declared = self._declared.get(document.collection)
                if declared and document.is_read(declared.read) and document.collection not in self._snapshots:
                    owner, item_id = _names(document.key)
                    keys[item_key(document.collection, item_id, owner)] = document.key
            unseen = [key for key in keys if _digest(key) not in digests]
            images = read_images(self._target, self._stack, unseen)
            orphans = [key for key in unseen if key not in images]
            self._documents += len(orphans)
            yield from (_Suspect("documents", "extra", key, "") for key in orphans)

    def _suspect_documents(self, images: Mapping[str, Image | None]) -> list[_Suspect]:
        """Return the items whose document differs. Count what is compared, and what isn't.

        :param images: the rows of the items table by key; None for an item that the table doesn't have
        """
        wanted: dict[str, tuple[str, str]] = {}
        for key, image in images.items():
            _, collection, *owner, item_id = key.split("/")
            declared = self._declared.get(collection)
            if declared is None:
                self._undeclared[collection] += 1
                continue
            change = self._change(image)
            if change is False:
                continue
            if (declared.read == "owner") != bool(owner):
                self._unfit += 1
                continue
            version = change.version if change and change.data is not None else ""
            wanted[key] = document_key(declared.read, collection, item_id, owner[0] if owner else None), version
        with ThreadPoolExecutor(AT_ONCE) as pool:
            stored = list(pool.map(lambda entry: self._document_version(entry[0]), wanted.values()))
        self._documents += len(wanted)
        suspects = []
        for (key, (_, version)), document in zip(wanted.items(), stored, strict=True):
            kind = difference_kind(version, document)
            if kind:
                image = images[key]
                suspects.append(_Suspect("documents", kind, key, (version_of(image) or "") if image else ""))
        return suspects

    def _change(self, image: Image | None) -> Change | Literal[False] | None:
        """Return the change that a row holds; None if there is no row, False if the row is malformed."""
        if image is None:
            return None
        try:
            return change_of(image)
        except BadRowError:
            self._malformed += 1
            return False

    def _document_version(self, key: str) -> str | None:
        """Return the version of a document, NO_VERSION if it has none, or None if there is no document."""
        try:
            answer = self._target.client("s3", self._stack.region).head_object(
                Bucket=self._stack.documents_bucket, Key=key
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
                return None
            raise  # a 403 doesn't say whether the document exists
        version: str = answer["Metadata"].get(VERSION_METADATA, NO_VERSION)
        return version

    def _private_stores(self) -> list[StoreName]:
        """Return the private stores of this Region that hold the collection."""
        feeds: Mapping[str, Any] = live_function(self._target, self._stack, "publish").settings.get("feeds") or {}
        return [
            store
            for store in STORES
            if store in feeds and (self._collection is None or self._collection in feeds[store]["collections"])
        ]

    def _compare_store(self, store: StoreName, sample: int | None) -> list[_Suspect]:
        """Return the items whose entry in a private store seems to differ.

        A sample is the first items of the items table, because `feed` can't begin anywhere else. The table's order is
        that of a hash of the keys, so these are items of any kind. So there is no sample of one collection: it might
        hold none of its items.
        """
        if self._collection is not None:
            sample = None
        found: list[tuple[str, str, str | None]] = []
        cursor, compared = None, 0
        while True:
            page = self._feed_page(store, cursor)
            compared += page["compared"]
            found += [(kind, key, cursor) for kind in KINDS for key in page[kind] if self._is_wanted(key)]
            self._progress(f"{self._stack.region}: {compared} entries of the {store} compared …")
            cursor = page["cursor"]
            if cursor is None or (sample is not None and compared >= sample):
                break
        self._entries[store] = compared
        versions = self._versions([key for _, key, _ in found])
        return [_Suspect(store, kind, key, versions[key], place) for kind, key, place in found]

    def _feed_page(self, store: StoreName, cursor: str | None) -> dict[str, Any]:
        event = {"command": "verify", "store": store, "cursor": cursor, "limit": FEED_PAGE}
        return feed(self._target, self._stack, event)

    def _is_wanted(self, key: str) -> bool:
        return self._collection is None or key.startswith(f"{ITEM_PREFIX}{self._collection}/")

    def _versions(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the versions of items; "" for those that the table doesn't have."""
        images = read_images(self._target, self._stack, list(dict.fromkeys(keys)))
        return {key: (version_of(images[key]) or "") if key in images else "" for key in keys}

    def _confirmed(self, suspects: Sequence[_Suspect]) -> list[StoreDifference]:
        """Return the differences that are still there, of items that have the same version as before."""
        if not suspects:
            return []
        self._progress(
            f"{self._stack.region}: {len(suspects)} differences are looked at again in {self._confirm_seconds:g} s …"
        )
        self._sleep(self._confirm_seconds)
        again: set[tuple[Store, str, str, str]] = set()
        for batch in batches_of((entry.key for entry in suspects if entry.store == "documents"), BATCH):
            again |= {(entry.store, entry.kind, entry.key, entry.version) for entry in self._look_again(batch)}
        pages = dict.fromkeys((entry.store, entry.cursor) for entry in suspects if entry.store != "documents")
        for store, cursor in pages:
            page = self._feed_page(store, cursor)
            entries = [(kind, key) for kind in KINDS for key in page[kind]]
            versions = self._versions([key for _, key in entries])
            again |= {(store, kind, key, versions[key]) for kind, key in entries}
        return [
            StoreDifference(self._stack.region, entry.store, entry.kind, entry.key, entry.version)
            for entry in suspects
            if (entry.store, entry.kind, entry.key, entry.version) in again
        ]


def difference_kind(version: str, document: str | None) -> str | None:
    """Return how a document differs from its item.

    ========================  ======================  ===========
    item                      document                difference
    ========================  ======================  ===========
    a version                 none                    missing
    a version                 none of its versions    older
    a version                 a smaller version       older
    a version                 the same version        None
    a version                 a greater version       newer
    none, or deleted          none                    None
    none, or deleted          any                     extra
    ========================  ======================  ===========

    :param version: the version of the item; "" if there is none, or it is deleted
    :param document: the version of the document, NO_VERSION, or None if there is no document
    """
    if document is None:
        return "missing" if version else None
    if not version:
        return "extra"
    if document == version:
        return None
    return "older" if document == NO_VERSION or document < version else "newer"


def _digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode(), digest_size=KEY_BYTES).digest()


def _names(key: str) -> tuple[str | None, str]:
    """Return the owner and the item id in a document's key."""
    visibility, _, _, *rest = key.split("/")
    return (rest[0], rest[1]) if visibility == "owner" and len(rest) == 2 else (None, rest[-1])
