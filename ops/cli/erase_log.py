"""Removes a user from the objects of a stack's buckets, their old versions included, or only counts where it is named.

The objects of the write log are rewritten by a copy. The bucket's notifications leave copies out, so `apply` doesn't
hear of it: nothing is applied or counted again.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from ops.cli.collection_stores import declared_collections
from ops.cli.erase_text import Redacted, mentions, redact_lines, redact_quarantined, redact_text
from ops.cli.object_versions import ObjectVersion, Page, delete_versions, version_pages
from ops.cli.table_export import EXPORTS
from ops.cli.target import RegionalStack, Target
from ops.console import CommandError
from ops.jobs import JOBS

LOG_PREFIXES = ("log/", "stream/", "quarantine/", "aws/", "errors/", "config/audit/", "config/jobs/", EXPORTS)
"""The prefixes of the write log's bucket under which a user may be named."""

DEAD_LETTERS = ("aws/", "errors/")
"""The prefixes of objects that hold whole batches, of several users. Only their old versions may be deleted."""

SCRATCH = "config/erase/"
"""Where a new content lies before it is copied to its key."""

WORKERS = 8
"""How many objects are read at once."""

SLICE = 32
"""How many objects are handled between two steps of the job."""


class UserInLog:
    """A user in the write log's bucket of one Region.

    :param sources: the names of the sources that feed owner collections
    """

    def __init__(self, target: Target, stack: RegionalStack, user: str, sources: frozenset[str]) -> None:
        self._s3 = target.client("s3", stack.region)
        self._bucket = stack.log_bucket
        self._user = user
        self._sources = sources

    def pages(self, prefix: str, after: str | None) -> Iterator[Page]:
        """Yield the versions of all objects under a prefix in slices."""
        for page in version_pages(self._s3, self._bucket, prefix, after):
            for start in range(0, len(page.versions), SLICE):
                part = page.versions[start : start + SLICE]
                is_last = start + SLICE >= len(page.versions)
                yield Page(part, page.after if is_last else None)

    def search(self, page: Page) -> Counter[str]:
        """Count where the user is named: `found` objects, and `named` lines of other items."""
        return self._each(page, self._search)

    def erase(self, page: Page) -> Counter[str]:
        """Remove the user. Count the objects, lines and versions that were changed or removed."""
        return self._each(page, self._erase)

    def _each(self, page: Page, work: Any) -> Counter[str]:
        with ThreadPoolExecutor(WORKERS) as workers:
            return sum(workers.map(work, [entry for entry in page.versions if entry.storage_class]), Counter())

    def _read(self, entry: ObjectVersion) -> bytes | None:
        """Return an object's content; None if this version is gone."""
        try:
            response = self._s3.get_object(Bucket=self._bucket, Key=entry.key, VersionId=entry.version_id)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("NoSuchKey", "NoSuchVersion"):
                return None
            if code == "InvalidObjectState":
                raise CommandError(
                    f"{entry.key} in {self._bucket} is archived in {entry.storage_class}. Restore it, then go on."
                ) from error
            raise
        content: bytes = response["Body"].read()
        return content

    def _redact(self, entry: ObjectVersion, content: bytes) -> tuple[Redacted, str]:
        """Return an object's content without the user, and the key that it then has."""
        prefix = entry.key.split("/")[0]
        if entry.key.startswith(JOBS):
            return _redact_job(content, self._user), entry.key
        if entry.key.startswith((EXPORTS, SCRATCH)):
            # No line of an export is a change. So each that names the user would be another one without the user.
            redacted = redact_lines(content, self._user)
            names_user = redacted.changes_something or bool(redacted.named)
            return Redacted(None if names_user else content, int(names_user), 0, Counter()), entry.key
        try:
            if prefix in ("log", "stream"):
                return redact_lines(content, self._user), entry.key
            if prefix == "quarantine":
                redacted, name = redact_quarantined(content, self._user, self._sources)
                return redacted, f"{entry.key.rpartition('/')[0]}/{name}" if name else entry.key
        except ValueError:
            pass  # an entry that is no JSON, which `apply` hasn't written
        if prefix in ("aws", "errors", "quarantine") and mentions(content, self._user):
            return Redacted(None, 1, 0, Counter()), entry.key
        return redact_text(content, self._user), entry.key

    def _search(self, entry: ObjectVersion) -> Counter[str]:
        content = self._read(entry)
        if content is None:
            return Counter()
        redacted, _ = self._redact(entry, content)
        return Counter({"found": int(redacted.changes_something), "named": redacted.named.total()})

    def _erase(self, entry: ObjectVersion) -> Counter[str]:
        content = self._read(entry)
        if content is None:
            return Counter()
        redacted, key = self._redact(entry, content)
        if not redacted.changes_something:
            return Counter()
        if entry.is_latest and entry.key.startswith(DEAD_LETTERS):
            advice = "Run `readplane dead-letters redrive`" if entry.key.startswith("aws/") else "Handle and delete it"
            raise CommandError(
                f"{entry.key} in {self._bucket} names the user, and may hold changes of others that aren't applied. "
                f"{advice} first, then run this command again."
            )
        if entry.is_latest and entry.key.startswith(JOBS) and _is_running(content):
            raise CommandError(
                f"The position of a running job names the user: {entry.key} in {self._bucket}. Wait until that job has "
                "ended, or run it again if it was killed. Then run this command again."
            )
        counts: Counter[str] = Counter()
        if entry.is_latest and redacted.content is not None:
            self._write(key, redacted.content, entry)
            counts["objects_rewritten"] += 1
        if entry.is_latest:
            counts += Counter(lines_removed=redacted.removed, actors_replaced=redacted.renamed)
        self._s3.delete_object(Bucket=self._bucket, Key=entry.key, VersionId=entry.version_id)
        counts["versions_removed"] += 1
        return counts

    def _write(self, key: str, content: bytes, former: ObjectVersion) -> None:
        """Write an object by a copy, of which S3 doesn't notify `apply`."""
        scratch = SCRATCH + hashlib.sha256(key.encode()).hexdigest()[:32]
        version = self._s3.put_object(Bucket=self._bucket, Key=scratch, Body=content).get("VersionId", "null")
        self._s3.copy_object(
            Bucket=self._bucket,
            Key=key,
            CopySource={"Bucket": self._bucket, "Key": scratch, "VersionId": version},
            StorageClass=former.storage_class,
        )
        self._s3.delete_object(Bucket=self._bucket, Key=scratch, VersionId=version)


def _redact_job(content: bytes, user: str) -> Redacted:
    """Return a job's state without the user. A position that names the user is dropped, so the job begins anew."""
    if user.encode() not in content:
        return Redacted(content, 0, 0, Counter())
    try:
        state = json.loads(content)
    except ValueError:
        return redact_text(content, user)
    if isinstance(state, dict) and user in json.dumps(state.get("position")):
        state["position"] = None
    return Redacted(redact_text(json.dumps(state).encode(), user).content, 0, 1, Counter())


def _is_running(content: bytes) -> bool:
    try:
        state = json.loads(content)
    except ValueError:
        return False
    return isinstance(state, dict) and state.get("outcome") == "running"


def clear_scratch(target: Target, stack: RegionalStack) -> None:
    """Delete the contents that interrupted commands have left, which may name every user but one.

    Call this while no other command erases a user.
    """
    s3 = target.client("s3", stack.region)
    for page in version_pages(s3, stack.log_bucket, SCRATCH, None):
        delete_versions(s3, stack.log_bucket, page.versions)


def owner_sources(target: Target) -> frozenset[str]:
    """Return the names of the sources that feed owner collections.

    :raises CommandError: if the stack's functions differ, or their settings can't be read
    """
    sources: Mapping[str, Mapping[str, Any]] = target.outputs.get("sources") or {}
    collections = declared_collections(target) if sources else {}
    return frozenset(name for name, entry in sources.items() if collections[entry["collection"]].read == "owner")


def document_versions(target: Target, stack: RegionalStack, user: str) -> Iterator[Page]:
    """Yield the versions of all documents of a user's items, those with former keys too."""
    s3 = target.client("s3", stack.region)
    # Former keys of a collection with the name `documents`.
    yield from version_pages(s3, stack.documents_bucket, f"owner/documents/{user}/", None)
    for folder in ("owner/documents/", "owner/"):
        listing = s3.get_paginator("list_object_versions").paginate(
            Bucket=stack.documents_bucket, Prefix=folder, Delimiter="/"
        )
        collections = [entry["Prefix"] for page in listing for entry in page.get("CommonPrefixes", [])]
        for collection in collections:
            if collection != "owner/documents/":
                yield from version_pages(s3, stack.documents_bucket, f"{collection}{user}/", None)
