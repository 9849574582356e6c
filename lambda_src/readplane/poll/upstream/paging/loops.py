"""Detects lists that go round in a circle.

The continuation stores the fingerprint of one earlier page, the anchor. A newer page replaces the anchor after 1, 2, 4,
8, … pages. So a circle of any length leads to the anchor again within a few rounds (Brent's algorithm).

A last page may also return for ever with content that always changes. So the same ids on very many pages in a row count
as a repetition, too.

A page may have the records of the anchor by chance. So its records count as a circle only if they return a second time,
after the same number of pages.
"""

from dataclasses import replace

from ...continuation import Continuation
from .base import ReceivedPage

MAX_PAGES_WITH_SAME_IDS = 100
"""After how many pages in a row with the same ids, whatever their content, a list ends.

An event log may have many events of one record in a row, on pages of one event.
"""


def is_in_cycle(continuation: Continuation, page: ReceivedPage) -> bool:
    """Return whether the records of the anchor have returned twice, after the same number of pages.

    :param continuation: the position of ``page``.
    """
    return bool(continuation.period) and _distance(continuation, page) == 2 * continuation.period


def is_stuck(continuation: Continuation, page: ReceivedPage) -> bool:
    """Return whether so many pages in a row have had the same ids that the list can't go on.

    :param continuation: the position of ``page``.
    """
    return continuation.id_repeats >= MAX_PAGES_WITH_SAME_IDS and page.ids == continuation.ids


def with_anchor(following: Continuation, continuation: Continuation, page: ReceivedPage) -> Continuation:
    """Return the position of the page after ``page``, with the anchor for the detection of circles.

    :param following: the position without an anchor.
    :param continuation: the position of ``page``.
    """
    following = replace(
        following,
        ids=page.ids,
        id_repeats=continuation.id_repeats + 1 if page.ids is not None and page.ids == continuation.ids else 0,
        anchor=continuation.anchor,
        anchor_identities=continuation.anchor_identities,
        steps=continuation.steps + 1,
        limit=continuation.limit,
        period=continuation.period,
    )
    if following.steps >= following.limit:
        return replace(
            following,
            anchor=page.request.fingerprint,
            anchor_identities=page.identities if page.records else None,
            steps=0,
            limit=2 * following.limit,
            period=0,
        )
    distance = _distance(continuation, page)
    if distance and not continuation.period:
        # Keep the anchor until its records can return a second time.
        return replace(following, period=distance, limit=max(following.limit, 2 * distance + 1))
    return following


def _distance(continuation: Continuation, page: ReceivedPage) -> int:
    """Return how many pages after the anchor its records returned on ``page``; 0 if ``page`` has other records."""
    if page.records and page.identities == continuation.anchor_identities:
        return continuation.steps + 1
    return 0
