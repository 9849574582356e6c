"""The position of the next page in a back office's list, which the checkpoint stores between two polls."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Continuation:
    """The position of a pass's next page, and fingerprints for checking that page.

    No field holds a secret or a record of the back office. To begin a pass at a link, such as a delta link, use
    ``Continuation(url=link)``.

    url: the next page's URL (style ``link``).
    token: the next page's token (style ``token``).
    number: how many page numbers, offsets or records lie before the next page (styles ``page`` and ``offset``).
    pages: how many pages the pass has read.
    empty_pages: how many pages in a row, up to the last one, had no new records.
    count: how many records the last page had (style ``page``, and style ``offset`` with ``paging.size``).
    largest: how many records the largest page of the pass had (the same styles).
    overlap: the fingerprint of the last record (style ``offset``) or of all records (style ``page``) of the last page.
        They are read again. If their fingerprint has changed, records have moved between pages.
    body: the fingerprint of the last page's body.
    identities: the fingerprint of the ids and versions of the last page's records.
    repeats: how many pages in a row, up to the last one, had the same records as the page before.
    ids: the fingerprint of the ids of the last page's records.
    id_repeats: how many pages in a row, up to the last one, had the ids of the page before.
    past_total: whether the pass has read as many records as the back office said, and looks for further ones.
    ignores_total: whether the back office returned further records, so that its total can't be used.
    links_to_itself: whether the last page linked to itself, so that the next page is its second answer.
    moves_on: whether the last page had the token that was sent for it. Then the back office moves on with each request,
        so a request whose response was lost must not be sent again.
    doubtful: whether a page may have been lost, because a back office that moves on with each request repeated a page.
    first: the fingerprint of the pass's first request.
    anchor: the fingerprint of an earlier request of this pass. If the links form a loop, a later link leads to it.
    anchor_identities: the fingerprint of the ids and versions on the page of ``anchor``.
    steps: how many pages have been read since the anchor was set.
    limit: after how many pages a newer request replaces the anchor: 1, 2, 4, 8, … (Brent's cycle detection).
    period: after how many pages the records of the anchor's page returned; 0 if they haven't.
    """

    url: str | None = None
    token: str | None = None
    number: int = 0
    pages: int = 0
    empty_pages: int = 0
    count: int = 0
    largest: int = 0
    overlap: str | None = None
    body: str | None = None
    identities: str | None = None
    repeats: int = 0
    ids: str | None = None
    id_repeats: int = 0
    past_total: bool = False
    ignores_total: bool = False
    links_to_itself: bool = False
    moves_on: bool = False
    doubtful: bool = False
    first: str | None = None
    anchor: str | None = None
    anchor_identities: str | None = None
    steps: int = 0
    limit: int = 1
    period: int = 0

    @classmethod
    def from_json(cls, members: Mapping[str, Any]) -> "Continuation":
        """Return the continuation that has these members, as ``dataclasses.asdict`` returned them.

        Unknown members are ignored, because another version of this code may have written them.
        """
        names = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in members.items() if name in names})
