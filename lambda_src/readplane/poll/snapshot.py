"""A snapshot: one payload of the back office, copied into a document in every Region.

A JSON payload is copied byte for byte. A payload in another format becomes JSON first.
"""

import json
from dataclasses import replace
from typing import Literal

from ..aws.faults import AwsError, UnansweredError
from ..model.keys import document_key
from ..model.schema import SchemaValidator
from ..model.timestamp import rfc3339
from ..stores.versioned_documents import StoredDocument
from .checkpoint import FailureState
from .lease import Lease
from .passes.base import may_be_conditional
from .source.snapshot_body import check_snapshot
from .sourced_version import content_hash, content_of, sourced_version
from .upstream.request import BackOfficeRequest
from .upstream.response import Fetch, conditional_request_of, usable_condition

_MAX_ATTEMPTS = 3
"""The maximum number of times that a poll tries to replace a Region's document.

A try fails if another poll replaces the document at the same time.
"""


def take(
    lease: Lease, fetch: Fetch, validator: SchemaValidator, *, probe: bool
) -> Literal["completed", "not_modified"]:
    """Fetch the back office's payload, and write it as a document to every Region that lacks it.

    If the write in one Region fails, the other Regions still get the document. A metric counts the failed Regions, and
    the next poll writes their documents.

    :param probe: whether to send the request only once, without retries, because the breaker is half open.
    :raises BackOfficeError: if the back office returns no usable response.
    :raises PageError: if the payload isn't JSON that fits the JSON Schema of the source's collection.
    :raises AwsError: if the document can't be written in the Region where `poll` runs. In that case ``fresh_as_of_ms``
        stays as it was.
    """
    source, checkpoint = lease.source, lease.checkpoint
    requested_ms = lease.runtime.now_ms()
    regions = _Regions(lease)
    # Make the request conditional only if every Region has the current document. Otherwise a 304 response would bring
    # no payload for the Regions whose document is missing, old or can't be read.
    version = checkpoint.snapshot_version
    is_allowed = may_be_conditional(checkpoint, source.conditional, requested_ms)
    is_conditional = is_allowed and version is not None and regions.all_have(version)
    request = BackOfficeRequest.of_page(source.main_list(None, requested_ms), None)
    condition = usable_condition(request, checkpoint.conditional_request if is_conditional else None)
    response = fetch(
        request,
        etag=condition.etag if condition else None,
        last_modified=condition.last_modified if condition else None,
        probe=probe,
        deadline=lease.runtime.monotonic() + lease.seconds_left(),
    )
    lease.counts.pages += 1
    if response.body is None:
        lease.checkpoint = replace(lease.checkpoint, failures=FailureState(), fresh_as_of_ms=requested_ms)
        return "not_modified"
    body = check_snapshot(response.body, response.headers.get("Content-Type"), source, validator)
    lease.checkpoint = replace(lease.checkpoint, failures=FailureState(), last_full_response_ms=requested_ms)
    lease.counts.records += 1
    version = regions.put_snapshot(body, requested_ms)
    regions.report_errors()
    lease.checkpoint = replace(
        lease.checkpoint,
        fresh_as_of_ms=requested_ms,
        snapshot_version=version,
        conditional_request=conditional_request_of(request, response),
    )
    return "completed"


class _Regions:
    """The documents of one snapshot in all Regions.

    If the document of a Region can't be read, this poll doesn't write it either. The next poll tries again.
    """

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._key = document_key(lease.collection.read, lease.source.collection, lease.source.document, None)
        self._errors: dict[str, AwsError] = {}
        self._stored: dict[str, StoredDocument | None] = {}
        for region, store in lease.stores.documents.items():
            try:
                self._stored[region] = store.get_stored_document(self._key)
            except AwsError as error:
                self._errors[region] = error

    def all_have(self, version: str) -> bool:
        """Whether the document of every Region can be read and has this version."""
        has_version = [stored is not None and stored.version == version for stored in self._stored.values()]
        return not self._errors and all(has_version)

    def put_snapshot(self, body: bytes, requested_ms: int) -> str:
        """Write the payload to every Region, unless all Regions have it already. Return the documents' version."""
        lease, source = self._lease, self._lease.source
        content = content_hash(source.name, self._key, body.decode())
        versions = {stored.version if stored else "" for stored in self._stored.values()}
        common_version = versions.pop() if len(versions) == 1 else ""
        if common_version and content_of(common_version) == content:
            return common_version
        version = sourced_version(requested_ms, 0, content)
        document = b'{"id":%s,"collection":%s,"version":"%s","as_of":"%s","data":%s}' % (
            json.dumps(source.document).encode(),
            json.dumps(source.collection).encode(),
            version.encode(),
            rfc3339(requested_ms).encode(),
            body,
        )
        lease.check()
        for region, stored in self._stored.items():
            try:
                self._put_document(region, document, version, stored)
            except AwsError as error:
                self._errors[region] = error
        lease.counts.changes += 1
        lease.checkpoint = replace(lease.checkpoint, last_change_ms=requested_ms)
        return version

    def report_errors(self) -> None:
        """Log an event for each Region whose document couldn't be read or written.

        :raises AwsError: if the Region where `poll` runs, which is the first one, is among these Regions.
        """
        lease = self._lease
        for region, error in self._errors.items():
            lease.telemetry.failure(
                "snapshot_failed",
                "The snapshot of a Region was not written.",
                error,
                source=lease.source.name,
                region=region,
            )
        if self._errors:
            lease.telemetry.event(
                "snapshot_incomplete",
                "The snapshot was not written in every Region; the next poll writes it again.",
                level="WARN",
                metrics={"SnapshotsFailed": len(self._errors)},
                source=lease.source.name,
            )
        polling_region = next(iter(lease.stores.documents))
        if polling_region in self._errors:
            raise self._errors[polling_region]

    def _put_document(self, region: str, document: bytes, version: str, stored: StoredDocument | None) -> None:
        """Replace a Region's document, unless another poll has already stored a snapshot that was requested later."""
        lease = self._lease
        store = lease.stores.documents[region]
        for _ in range(_MAX_ATTEMPTS):
            if stored is not None and stored.version >= version:
                return
            if store.replace_document(self._key, document, version, lease.collection.document_cache_control, stored):
                return
            stored = store.get_stored_document(self._key)
        raise UnansweredError("DocumentTaken", sent=True)
