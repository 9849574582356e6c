"""Compare the items and documents that the two Regions of a stack store. This only reads."""

from __future__ import annotations

import heapq
import itertools
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from ops.cli.collection_stores import batches_of, stored_documents
from ops.cli.publishing import Image, read_images
from ops.cli.target import RegionalStack, Target
from readplane.model.collection import VISIBILITIES
from readplane.model.keys import ITEM_PREFIX, all_document_keys
from readplane.model.timestamp import ms_of
from readplane.stores.documents import VERSION_METADATA

SEGMENTS = 100
"""Into how many parts a sample divides the items table. It reads the parts in random order."""

AT_ONCE = 16
"""The number of documents whose metadata are read at once."""

RECHECKS = 3
RECHECK_SECONDS = 1.0
"""How often a difference is read again, and how long before each time. By then DynamoDB and `publish` have copied what
they were about to copy."""

MISSING = "missing"
"""What a difference shows for a Region that lacks the item or document."""


class Difference(NamedTuple):
    """An item or document that isn't the same in both Regions.

    kind: `item` or `document`
    key: the key in the items table, or the key in the documents buckets
    primary, replica: the version in each Region, or `missing`; for items with the same version, what else differs
    """

    kind: str
    key: str
    primary: str
    replica: str


class Comparison(NamedTuple):
    """The result of a comparison.

    items, documents: how many were compared
    young: how many were left out, because they changed within the grace time
    different: the differences, sorted
    """

    items: int
    documents: int
    young: int
    different: list[Difference]


class _Head(NamedTuple):
    """A document's version, and when it was written in Unix seconds (None if it is missing)."""

    version: str
    written_at: float | None


class Comparer:
    """Compares the two Regions of one stack, and counts what it compares."""

    def __init__(
        self,
        target: Target,
        grace: float,
        *,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Read nothing yet.

        :param grace: leave out what changed in the last so many seconds, because it may still be on its way
        :raises CommandError: if the stack has no replica Region
        """
        self._target = target
        self._stacks = target.regional(False), target.regional(True)
        self._grace, self._now, self._sleep = grace, now, sleep
        self._items: set[str] = set()
        self._documents: set[str] = set()
        self._young: set[str] = set()

    def compare(self, sample: int | None, progress: Callable[[str], None], collection: str | None = None) -> Comparison:
        """Compare a sample, or everything if `sample` is None.

        A sample holds about `sample` items of each Region, chosen at random, and their documents.

        :param collection: the name of a collection, to compare only this one
        """
        keys: list[str] = []
        for stack in self._stacks:
            for number, rows in enumerate(item_pages(self._target, stack, sample, collection)):
                keys += [key for key in rows if key not in self._items]
                self._items |= rows.keys()
                if number % 20 == 0:
                    progress(f"{len(self._items)} items of {stack.region} read …")
        if sample is not None:
            return self._result(keys, _documents_of(keys))
        listings = [
            (entry.key for entry in stored_documents(self._target, stack, collection)) for stack in self._stacks
        ]
        merged = heapq.merge(*listings, key=_listing_order)
        return self._result(keys, (key for key, _ in itertools.groupby(merged)))

    def compare_items(self, keys: Iterable[str]) -> Comparison:
        """Compare these items and their documents. The keys are those of the items table."""
        wanted = list(keys)
        self._items |= set(wanted)
        return self._result(wanted, _documents_of(wanted))

    def _result(self, items: list[str], documents: Iterable[str]) -> Comparison:
        different = [*self._confirmed(items, self._item_differences)]
        for batch in batches_of(documents, 1000):
            self._documents |= set(batch)
            different += self._confirmed(batch, self._document_differences)
        return Comparison(len(self._items), len(self._documents), len(self._young), sorted(different))

    def _confirmed(self, keys: list[str], compare: Callable[[list[str]], list[Difference]]) -> list[Difference]:
        """Return the differences that are still there after some seconds."""
        different = compare(keys)
        for _ in range(RECHECKS):
            if not different:
                break
            self._sleep(RECHECK_SECONDS)
            different = compare([entry.key for entry in different])
        return different

    def _is_young(self, seconds: float | None) -> bool:
        return seconds is not None and seconds > self._now() - self._grace

    def _item_differences(self, keys: list[str]) -> list[Difference]:
        different = []
        for batch in batches_of(keys, 1000):
            images = [read_images(self._target, stack, batch) for stack in self._stacks]
            for key in batch:
                pair = [_without_replication(rows.get(key)) for rows in images]
                if pair[0] == pair[1] or all(_is_expired(row, self._now()) for row in pair):
                    continue
                if any(self._is_young(_accepted_at(row)) for row in pair):
                    self._young.add(key)
                    continue
                different.append(Difference("item", key, *_described(*pair)))
        return different

    def _document_differences(self, keys: list[str]) -> list[Difference]:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            pairs = [list(pool.map(lambda key, stack=stack: self._head(stack, key), keys)) for stack in self._stacks]
        different = []
        for key, primary, replica in zip(keys, *pairs, strict=True):
            if primary.version == replica.version:
                continue
            if any(self._is_young(entry.written_at) for entry in (primary, replica)):
                self._young.add(key)
                continue
            different.append(Difference("document", key, primary.version, replica.version))
        return different

    def _head(self, stack: RegionalStack, key: str) -> _Head:
        storage = self._target.client("s3", stack.region)
        try:
            answer = storage.head_object(Bucket=stack.documents_bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
                return _Head(MISSING, None)
            raise  # a 403 doesn't say whether the document exists
        version = answer["Metadata"].get(VERSION_METADATA, f"no version, {answer['ETag']}")
        return _Head(version, answer["LastModified"].timestamp())


def item_pages(
    target: Target, stack: RegionalStack, sample: int | None, collection: str | None
) -> Iterator[Mapping[str, Image]]:
    """Yield pages of a Region's items by their keys, read consistently: all of them, or about `sample` items."""
    segments = random.sample(range(SEGMENTS), SEGMENTS) if sample is not None else [0]
    prefix = f"{ITEM_PREFIX}{collection}/" if collection else ITEM_PREFIX
    remaining = sample
    for segment in segments:
        request: dict[str, Any] = {"TableName": target.outputs["items_table"], "ConsistentRead": True}
        if sample is not None:
            request |= {"TotalSegments": SEGMENTS, "Segment": segment}
        while remaining is None or remaining > 0:
            page_limit = {} if remaining is None else {"Limit": min(remaining, 1000)}
            page = target.client("dynamodb", stack.region).scan(**request, **page_limit)
            rows = {row["pk"]["S"]: row for row in page["Items"] if row["pk"]["S"].startswith(prefix)}
            remaining = None if remaining is None else remaining - len(rows)
            yield rows
            if "LastEvaluatedKey" not in page:
                break
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _documents_of(keys: Iterable[str]) -> Iterator[str]:
    """Yield every key that the documents of these items can have. A document has only one of them."""
    for key in keys:
        _, collection, *owner, item_id = key.split("/")
        yield from all_document_keys(collection, item_id, owner[0] if owner else None)


def _listing_order(key: str) -> tuple[int, str]:
    """Return the position of a key in a listing of `stored_documents`, which lists one visibility after another."""
    return [*VISIBILITIES].index(key.split("/", maxsplit=1)[0]), key  # type: ignore[arg-type]


def _without_replication(row: Image | None) -> Image | None:
    """Return a row without the attributes that older global tables add to it."""
    return None if row is None else {name: value for name, value in row.items() if not name.startswith("aws:rep:")}


def _accepted_at(row: Image | None) -> float | None:
    """Return when Readplane accepted a row's change, in Unix seconds; None if the row doesn't say it."""
    text = (row or {}).get("as_of", {}).get("S", "")
    milliseconds = ms_of(text) if text else None
    return None if milliseconds is None else milliseconds / 1000


def _is_expired(row: Image | None, now: float) -> bool:
    """Return whether a row is missing, or DynamoDB may delete it at any time."""
    return row is None or float(row.get("expires_at", {}).get("N", "inf")) <= now


def _described(primary: Image | None, replica: Image | None) -> tuple[str, str]:
    """Return what a difference shows of each Region's row."""
    versions = [MISSING if row is None else row.get("version", {}).get("S", "no version") for row in (primary, replica)]
    if versions[0] != versions[1] or primary is None or replica is None:
        return versions[0], versions[1]
    names = sorted(name for name in primary.keys() | replica.keys() if primary.get(name) != replica.get(name))
    return versions[0], f"{versions[1]}, but other values of {', '.join(names)}"
