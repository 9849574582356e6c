"""Telling how fresh a source is: in the items table, which replicates, and as a document of every Region."""

import json

from ..aws.faults import AwsError
from ..clock import now_ms
from ..model.collection import Visibility, document_key
from ..model.freshness import Freshness
from ..model.timestamp import rfc3339
from .lease import Lease
from .remembered import sourced_version

CACHE_CONTROL = "no-cache"
"""Of the document: an answer that is kept for longer than the truth lasts says nothing about freshness."""


def tell(session: Lease) -> None:
    """Tell it, wherever that works; what fails is told by metric, and done by the next poll."""
    source, checkpoint = session.source, session.checkpoint
    now = now_ms()
    fresh_ms = checkpoint.fresh_as_of_ms
    freshness = Freshness(
        fresh_as_of=rfc3339(fresh_ms) if fresh_ms is not None else None,
        breaker=checkpoint.breaker(source.breaker.failures, now),
        checked_at=rfc3339(now),
    )
    failed = 0
    try:
        freshness = session.stores.items.put_freshness(source.name, freshness)
    except AwsError as error:
        session.telemetry.failure(
            "freshness_failed", "Freshness was not written to the items table.", error, source=source.name
        )
        failed += 1
    document = {
        "source": source.name,
        "collection": source.collection,
        "fresh_as_of": freshness.fresh_as_of,
        "staleness_budget": source.staleness_budget,
        "breaker": freshness.breaker,
        "checked_at": freshness.checked_at,
    }
    # How fresh a source is isn't any one owner's.
    visibility: Visibility = "public" if session.collection.read == "public" else "authenticated"
    key = document_key(visibility, "sources", source.name, None)
    for region, store in session.stores.documents.items():
        try:
            store.put(key, json.dumps(document, separators=(",", ":")), sourced_version(now, 0, 0), CACHE_CONTROL)
        except AwsError as error:
            session.telemetry.failure(
                "freshness_document_failed",
                "The freshness document of a Region was not written.",
                error,
                source=source.name,
                region=region,
            )
            failed += 1
    if failed:
        session.telemetry.event(
            "freshness_incomplete",
            "Freshness was not published everywhere; the next poll publishes it again.",
            level="WARN",
            metrics={"FreshnessFailed": failed},
            source=source.name,
        )
