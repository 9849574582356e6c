"""What a stack stores of its collections in each Region: settings of the functions, items and documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from botocore.exceptions import ClientError

from ops.cli.invoke import LIVE
from ops.cli.target import RegionalStack, Target
from ops.console import CommandError
from readplane.config import VARIABLE, SettingsError, decode_settings
from readplane.model.collection import VISIBILITIES, Visibility
from readplane.model.keys import ITEM_PREFIX, document_key
from readplane.stores.rows import version_of

Entry = TypeVar("Entry")
Setting = TypeVar("Setting")

SOURCES = "sources"
"""The folder of the freshness documents of sources. No collection may have this name."""

COPIED_AT_ONCE = 16
"""The number of documents that `copy_documents` copies at once."""

MAX_DELETES = 1000
"""The maximum number of keys in one DeleteObjects request."""


class Declared(NamedTuple):
    """A collection as the live functions know it.

    read: who may read the collection's items
    retired: whether the collection has no routes any more, so that only `apply` and `publish` know it
    """

    read: Visibility
    retired: bool


class LiveFunction(NamedTuple):
    """The live version of a Lambda function.

    settings: the function's settings, as Terraform made them
    published_at: the time when the version was made, in Unix seconds
    timeout: the maximum duration of an invocation, in seconds
    """

    settings: Mapping[str, Any]
    published_at: float
    timeout: int


class StoredItem(NamedTuple):
    """A living item of the items table, or a malformed row in its place. A tombstone isn't a living item.

    key: the item's key in the items table
    version: the item's version; "" if the row has no valid one
    accepted_at: when Readplane accepted the item's change, RFC 3339 in UTC with milliseconds; "" if the row lacks it
    """

    key: str
    version: str
    accepted_at: str

    @property
    def collection(self) -> str:
        """The name of the item's collection."""
        return self.key.split("/")[1]

    @property
    def item_id(self) -> str:
        """The item's id within its collection."""
        return self.key.rpartition("/")[2]

    @property
    def owner(self) -> str | None:
        """The user who owns the item; None if the item's key has no owner."""
        parts = self.key.split("/")
        return parts[2] if len(parts) == 4 else None

    def fits(self, read: Visibility) -> bool:
        """Whether the row isn't malformed, and has an owner exactly if its collection is an owner collection."""
        return self.version != "" and (self.owner is not None) == (read == "owner")

    def document_key(self, read: Visibility) -> str:
        """Return the S3 key that the item's document has if its collection has this visibility."""
        return document_key(read, self.collection, self.item_id, self.owner)

    def former_document_keys(self, read: Visibility) -> set[str]:
        """Return every other S3 key under which a document of the item may lie."""
        owner = f"{self.owner}/" if self.owner else ""
        others = {self.document_key(visibility) for visibility in VISIBILITIES if visibility != read}
        return others | {f"{visibility}/{self.collection}/{owner}{self.item_id}.json" for visibility in VISIBILITIES}


class StoredDocument(NamedTuple):
    """A document in the bucket of one Region.

    Its key is `<visibility>/documents/<collection>/…`. Before the edge existed, it was
    `<visibility>/<collection>/….json`.

    key: the document's key in S3
    written_at: when the document was written, in Unix seconds; S3 cuts off the fraction
    """

    key: str
    written_at: float

    @property
    def visibility(self) -> str:
        """The first part of the key: the visibility under which clients read the document."""
        return self.key.split("/")[0]

    @property
    def has_former_key(self) -> bool:
        """Whether the key is one from before the edge existed, under which nobody reads a document any more.

        The number of parts tells the keys of a collection with the name `documents` from the others.
        """
        parts = self.key.split("/")
        return parts[1] != "documents" or len(parts) < (5 if self.visibility == "owner" else 4)

    @property
    def collection(self) -> str:
        """The name of the document's collection."""
        return self.key.split("/")[1 if self.has_former_key else 2]

    @property
    def present_key(self) -> str:
        """The key that this release gives the document."""
        visibility, _, rest = self.key.partition("/")
        return f"{visibility}/documents/{rest.removesuffix('.json')}" if self.has_former_key else self.key

    def is_read(self, read: Visibility) -> bool:
        """Whether clients can read the document if its collection has this visibility."""
        return self.visibility == read and not self.has_former_key


def batches_of(entries: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    """Split entries into lists of at most `size` entries."""
    iterator = iter(entries)
    while batch := list(islice(iterator, size)):
        yield batch


def live_function(target: Target, stack: RegionalStack, function: str, alias: str = LIVE) -> LiveFunction:
    """Return the settings of the version of a function that serves now.

    :param function: the function's name without the stack's name, such as `publish`
    :param alias: the alias that points to the version; with CodeDeploy, clients call another one
    :raises CommandError: if the settings can't be read
    """
    name = f"{target.name}-{function}"
    answer = target.client("lambda", stack.region).get_function_configuration(FunctionName=name, Qualifier=alias)
    try:
        settings = decode_settings(answer["Environment"]["Variables"][VARIABLE])
    except (KeyError, SettingsError) as error:
        # Lambda leaves the variables out if the caller may not use the key that encrypts them.
        raise CommandError(
            f"The settings of {name} in {stack.region} can't be read. Is kms:Decrypt allowed?"
        ) from error
    published = datetime.strptime(answer["LastModified"], "%Y-%m-%dT%H:%M:%S.%f%z")
    return LiveFunction(settings, published.timestamp(), answer["Timeout"])


def declared_collections(target: Target, stacks: Sequence[RegionalStack] | None = None) -> dict[str, Declared]:
    """Return the collections that the stack's live functions know, by name.

    A collection is retired if `apply` and `publish` know it, but `read` doesn't.

    :param stacks: the Regions to ask, at least one; None for all, which a lost Region makes impossible
    :raises CommandError: if the functions differ, because then `terraform apply` isn't complete
    """
    reads: dict[tuple[str, str], dict[str, str]] = {}
    regions = target.regions() if stacks is None else stacks
    for stack in regions:
        for function in ("publish", "apply", "read"):
            settings = live_function(target, stack, function).settings
            reads[stack.region, function] = {name: entry["read"] for name, entry in settings["collections"].items()}
    applied, served = reads[regions[0].region, "publish"], reads[regions[0].region, "read"]
    for (region, function), collections in reads.items():
        expected = served if function == "read" else applied
        differing = sorted(name for name in {*expected, *collections} if expected.get(name) != collections.get(name))
        if differing:
            raise CommandError(
                f"{function} in {region} has other settings of {', '.join(differing)} than the stack's other functions."
                " Run `terraform apply` to its end."
            )
    return {name: Declared(_visibility(read), name not in served) for name, read in applied.items()}


def require_collection(declared: Mapping[str, Setting], name: str) -> Setting:
    """Return the settings of a collection that a command line names.

    :param declared: the settings of each collection by its name
    :raises CommandError: if there is no such collection; the message lists the declared ones
    """
    if name not in declared:
        raise CommandError(f"There is no collection {name}. Declared are: {', '.join(sorted(declared)) or 'none'}.")
    return declared[name]


def _visibility(text: str) -> Visibility:
    for visibility in VISIBILITIES:
        if visibility == text:
            return visibility
    raise CommandError(f"No collection can have read = {text!r}. This command line is older than the stack.")


def stored_items(target: Target, stack: RegionalStack, collection: str | None = None) -> Iterator[StoredItem]:
    """Scan the items table in one Region with consistent reads. Yield its living items.

    The scan is exact for what doesn't change meanwhile. It reads the whole table, because the table has no index of
    all owners. DynamoDB bills one read unit for each 4 KB.

    :param collection: the name of a collection, to yield only its items; None for all
    """
    pages = target.client("dynamodb", stack.region).get_paginator("scan")
    listing = pages.paginate(
        TableName=target.outputs["items_table"],
        ConsistentRead=True,
        # Every tombstone has the attribute `expires_at`, and no living item has it.
        FilterExpression="begins_with(pk, :prefix) AND attribute_not_exists(expires_at)",
        ExpressionAttributeValues={":prefix": {"S": f"{ITEM_PREFIX}{collection}/" if collection else ITEM_PREFIX}},
        ProjectionExpression="pk, version, as_of",
    )
    for page in listing:
        for item in page["Items"]:
            accepted_at = item.get("as_of", {}).get("S", "")
            yield StoredItem(item["pk"]["S"], version_of(item) or "", accepted_at)


def stored_documents(target: Target, stack: RegionalStack, collection: str | None = None) -> Iterator[StoredDocument]:
    """Yield the documents of one Region under the prefixes of all visibilities, those with former keys too.

    :param collection: the name of a collection, to yield only its documents; None for those of all collections
    """
    pages = target.client("s3", stack.region).get_paginator("list_objects_v2")
    for visibility in VISIBILITIES:
        # For the collection `documents`, the second prefix is the beginning of the first, so take no document twice.
        folders = {f"documents/{collection}/", f"{collection}/"} if collection != "documents" else {"documents/"}
        for folder in sorted(folders) if collection else [""]:
            for page in pages.paginate(Bucket=stack.documents_bucket, Prefix=f"{visibility}/{folder}"):
                for entry in page.get("Contents", []):
                    document = StoredDocument(entry["Key"], entry["LastModified"].timestamp())
                    if document.collection == (collection or document.collection) != SOURCES:
                        yield document


def copy_documents(target: Target, stack: RegionalStack, keys: Mapping[str, str]) -> None:
    """Copy documents of one Region with their metadata.

    :param keys: the key of each document -> the key of its copy
    """
    s3 = target.client("s3", stack.region)
    bucket = stack.documents_bucket

    def copy(pair: tuple[str, str]) -> None:
        s3.copy_object(Bucket=bucket, Key=pair[1], CopySource={"Bucket": bucket, "Key": pair[0]})

    with ThreadPoolExecutor(COPIED_AT_ONCE) as workers:
        list(workers.map(copy, keys.items()))


def delete_documents(target: Target, stack: RegionalStack, keys: Sequence[str]) -> None:
    """Delete documents of one Region.

    :raises CommandError: if S3 refuses to delete a document
    """
    s3 = target.client("s3", stack.region)
    for start in range(0, len(keys), MAX_DELETES):
        objects = [{"Key": key} for key in keys[start : start + MAX_DELETES]]
        answer = s3.delete_objects(Bucket=stack.documents_bucket, Delete={"Objects": objects, "Quiet": True})
        for error in answer.get("Errors", []):
            raise CommandError(f"S3 doesn't delete {error['Key']} in {stack.documents_bucket}: {error['Code']}.")


def noncurrent_days(target: Target, stack: RegionalStack) -> int | None:
    """Return for how many days S3 keeps a deleted document's old version. None if that can't be read."""
    try:
        rules = target.client("s3", stack.region).get_bucket_lifecycle_configuration(Bucket=stack.documents_bucket)[
            "Rules"
        ]
    except ClientError:
        return None
    days = [
        rule["NoncurrentVersionExpiration"]["NoncurrentDays"] for rule in rules if "NoncurrentVersionExpiration" in rule
    ]
    return min(days, default=None)
