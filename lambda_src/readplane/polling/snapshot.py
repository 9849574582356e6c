"""A snapshot: one payload of the back office, whose bytes stand as they came in one document of every Region."""

import json
import time
from typing import Literal

from ..clock import now_ms
from ..domain.body import Validator
from ..domain.checkpoint import Failures
from ..domain.collection import document_key
from ..domain.sourcing import sourced_version, state_hash, state_of
from ..domain.timestamp import rfc3339
from ..domain.translation import check_snapshot
from ..stores.aws import Unanswered
from ..stores.snapshots import Held
from .pages import validators_of
from .session import Fetch, Session

_TRIES = 3


def take(session: Session, fetch: Fetch, validate: Validator, *, probe: bool) -> Literal["completed", "not_modified"]:
    """Ask for the payload and put it wherever it isn't yet.

    :raises UpstreamFault: when none comes.
    :raises BadPage: when it isn't JSON that fits the collection's schema.
    """
    source, checkpoint = session.source, session.checkpoint
    key = document_key(session.collection.read, source.collection, source.document, None)
    asked_ms = now_ms()
    held = {region: store.held(key) for region, store in session.stores.documents.items()}
    # A Region that was added, or lost its document, must be given the payload even if that hasn't changed.
    whole = {one.version if one else None for one in held.values()} == {checkpoint.version}
    known = checkpoint.validators if whole and checkpoint.version else None
    answer = fetch(
        source.url,
        etag=known.etag if known and known.url == source.url else None,
        last_modified=known.last_modified if known and known.url == source.url else None,
        probe=probe,
        deadline=time.monotonic() + session.seconds_left(),
    )
    session.keep(failures=Failures())
    session.tally.pages += 1
    if answer.body is None:
        session.keep(fresh_as_of_ms=asked_ms)
        return "not_modified"
    check_snapshot(answer.body, validate)
    session.tally.records += 1
    version = _put(session, key, answer.body, asked_ms, held)
    session.keep(fresh_as_of_ms=asked_ms, version=version, validators=validators_of(source.url, answer))
    return "completed"


def _put(session: Session, key: str, body: bytes, asked_ms: int, held: dict[str, Held | None]) -> str:
    """Have every Region's document say what ``body`` says; give back the version it has."""
    source = session.source
    state = state_hash(source.name, key, body.decode())
    versions = {one.version if one else "" for one in held.values()}
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
    for region in session.stores.documents:
        _put_one(session, region, key, document, version, held[region])
    session.tally.changes += 1
    session.keep(changed_ms=asked_ms)
    return version


def _put_one(session: Session, region: str, key: str, document: bytes, version: str, held: Held | None) -> None:
    store = session.stores.documents[region]
    for _ in range(_TRIES):
        if held is not None and held.version >= version:  # of a later request than ours
            return
        if store.replace(key, document, version, session.collection.cache_control, held):
            return
        held = store.held(key)
    raise Unanswered("DocumentTaken", sent=True)
