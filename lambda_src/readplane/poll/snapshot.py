"""A snapshot: one payload of the back office, whose bytes stand as they came in one document of every Region."""

import json
import time
from typing import Literal

from ..aws.faults import AwsError, UnansweredError
from ..clock import now_ms
from ..model.collection import document_key
from ..model.schema import SchemaValidator
from ..model.timestamp import rfc3339
from .checkpoint import FailureState
from .lease import Fetch, Lease
from .remembered import sourced_version, state_hash, state_of
from .snapshot_documents import StoredDocument
from .source.translate import check_snapshot
from .upstream.pages import validators_of

_TRIES = 3


def take(
    session: Lease, fetch: Fetch, validate: SchemaValidator, *, probe: bool
) -> Literal["completed", "not_modified"]:
    """Ask for the payload and put it wherever it isn't yet.

    A Region that fails keeps no other from it: that is told by metric, and done by the next poll.

    :raises UpstreamFault: when none comes.
    :raises BadPage: when it isn't JSON that fits the collection's schema.
    :raises Refused: when the Region that polls can't keep it; then it is no fresher. Also :class:`UnansweredError`.
    """
    source, checkpoint = session.source, session.checkpoint
    asked_ms = now_ms()
    regions = _Regions(session)
    # A Region that was added, lost its document or can't be asked needs the payload even if that hasn't changed.
    known = checkpoint.validators if checkpoint.version and regions.all_hold(checkpoint.version) else None
    answer = fetch(
        source.url,
        etag=known.etag if known and known.url == source.url else None,
        last_modified=known.last_modified if known and known.url == source.url else None,
        probe=probe,
        deadline=time.monotonic() + session.seconds_left(),
    )
    session.tally.pages += 1
    if answer.body is None:
        session.keep(failures=FailureState(), fresh_as_of_ms=asked_ms)
        return "not_modified"
    check_snapshot(answer.body, validate)
    session.keep(failures=FailureState())
    session.tally.records += 1
    version = regions.put(answer.body, asked_ms)
    regions.tell()
    session.keep(fresh_as_of_ms=asked_ms, version=version, validators=validators_of(source.url, answer))
    return "completed"


class _Regions:
    """The document in every Region; those that fail are left alone for the rest of the poll."""

    def __init__(self, session: Lease) -> None:
        self._session = session
        self._key = document_key(session.collection.read, session.source.collection, session.source.document, None)
        self._faults: dict[str, Exception] = {}
        self._held: dict[str, StoredDocument | None] = {}
        for region, store in session.stores.documents.items():
            try:
                self._held[region] = store.held(self._key)
            except AwsError as error:
                self._faults[region] = error

    def all_hold(self, version: str) -> bool:
        """Whether every Region's document is of this version."""
        return not self._faults and all(held and held.version == version for held in self._held.values())

    def put(self, body: bytes, asked_ms: int) -> str:
        """Have the documents say what ``body`` says; give back the version they have."""
        session, source = self._session, self._session.source
        state = state_hash(source.name, self._key, body.decode())
        versions = {held.version if held else "" for held in self._held.values()}
        same = versions.pop() if len(versions) == 1 else ""
        if same and state_of(same) == state:
            return same
        version = sourced_version(asked_ms, 0, state)
        document = b'{"id":%s,"collection":%s,"version":"%s","as_of":"%s","data":%s}' % (
            json.dumps(source.document).encode(),
            json.dumps(source.collection).encode(),
            version.encode(),
            rfc3339(asked_ms).encode(),
            body,
        )
        session.check()
        for region, held in self._held.items():
            try:
                self._put_one(region, document, version, held)
            except AwsError as error:
                self._faults[region] = error
        session.tally.changes += 1
        session.keep(changed_ms=asked_ms)
        return version

    def tell(self) -> None:
        """Tell which Regions failed.

        :raises Refused: when the Region that polls, the first, is one of them. Also :class:`UnansweredError`.
        """
        session = self._session
        for region, error in self._faults.items():
            session.telemetry.failure(
                "snapshot_failed",
                "The snapshot of a Region was not written.",
                error,
                source=session.source.name,
                region=region,
            )
        if self._faults:
            session.telemetry.event(
                "snapshot_incomplete",
                "The snapshot was not written in every Region; the next poll writes it again.",
                level="WARN",
                metrics={"SnapshotsFailed": len(self._faults)},
                source=session.source.name,
            )
        own = next(iter(session.stores.documents))
        if own in self._faults:
            raise self._faults[own]

    def _put_one(self, region: str, document: bytes, version: str, held: StoredDocument | None) -> None:
        session = self._session
        store = session.stores.documents[region]
        for _ in range(_TRIES):
            if held is not None and held.version >= version:  # of a later request than ours
                return
            if store.replace(self._key, document, version, session.collection.cache_control, held):
                return
            held = store.held(self._key)
        raise UnansweredError("DocumentTaken", sent=True)
