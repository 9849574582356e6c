"""Lists and deletes the versions of the objects in a bucket with versioning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ops.cli.collection_stores import MAX_DELETES
from ops.console import CommandError


class ObjectVersion(NamedTuple):
    """A version of an S3 object. A delete marker has no storage class.

    is_latest: whether it is the version that readers get
    """

    key: str
    version_id: str
    is_latest: bool
    storage_class: str | None


class Page(NamedTuple):
    """Some versions of objects.

    after: the key after which the next page may begin, if the command is repeated; None for the beginning
    """

    versions: list[ObjectVersion]
    after: str | None


def version_pages(s3: Any, bucket: str, prefix: str, after: str | None) -> Iterator[Page]:
    """Yield the versions and delete markers of all objects under a prefix, in the order of their keys."""
    start = {"KeyMarker": after} if after is not None else {}
    done = after
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix, **start):
        entries = [
            ObjectVersion(entry["Key"], entry["VersionId"], entry["IsLatest"], entry.get("StorageClass", "STANDARD"))
            for entry in page.get("Versions", [])
        ]
        entries += [
            ObjectVersion(entry["Key"], entry["VersionId"], entry["IsLatest"], None)
            for entry in page.get("DeleteMarkers", [])
        ]
        # Older versions of the last key may be on the next page.
        last = page.get("NextKeyMarker")
        whole = [entry.key for entry in entries if entry.key != last]
        done = max([*whole, done or ""]) or None
        yield Page(entries, done)


def delete_versions(s3: Any, bucket: str, versions: list[ObjectVersion]) -> int:
    """Delete versions of objects for good. Return their number.

    :raises CommandError: if S3 refuses to delete one
    """
    for start in range(0, len(versions), MAX_DELETES):
        objects = [{"Key": each.key, "VersionId": each.version_id} for each in versions[start : start + MAX_DELETES]]
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
        for error in answer.get("Errors", []):
            raise CommandError(f"S3 doesn't delete an object version in {bucket}: {error['Code']}.")
    return len(versions)
