"""Pages: how one leads to the next, and what shows that the list moved in between.

Whoever walks a list that others change may skip what moves from a page not yet read to one that was. So pages are
never taken on trust: offset pages overlap by a record, a numbered page is read again once the next one is there, and an
answer that came before, or leads where the walk has been, is asked for again. What then still doesn't fit ends the
walk.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from ...clock import now_ms
from ..checkpoint import ConditionalRequest, known_members
from ..errors import BackOfficeError, ListMovedError
from ..lease import Fetch
from ..source.settings import Source, next_url
from ..source.translate import ParsedPage, TranslatedRecord, Translator, UntranslatableRecord
from .client import BackOfficeResponse

SETTLED_SECONDS = 60
"""A Last-Modified this much before the answer's own Date names one state only (RFC 9110, section 8.8.2.2)."""


MAX_LINK = 8_192
"""Characters of what leads to the next page: servers take no longer URLs, and it stands in the checkpoint."""


@dataclass(frozen=True)
class Continuation:
    """Where a walk goes on.

    ``url``: of the next page (link and token); ``number``: the next page's, or the records read so far (offset).
    ``last``: the last record read, where pages have numbers all of the last page; ``body``: the last answer, as hashes.
    ``anchor``: the URL ``steps`` pages ago, which a walk in circles meets again (Brent's algorithm: the anchor moves on
    after 1, 2, 4, 8, … pages).
    """

    url: str | None = None
    number: int = 0
    last: str | None = None
    body: str | None = None
    anchor: str | None = None
    steps: int = 0
    limit: int = 1

    def text(self) -> str:
        """As it stands in a checkpoint."""
        return json.dumps(asdict(self), separators=(",", ":"))


class FetchedPage(NamedTuple):
    """One page. ``records`` is ``None`` where nothing has changed since the answer that the validators name.

    ``asked_ms``: the time before its request. ``place``: of the next one, ``None`` after the last.
    """

    asked_ms: int
    records: list[TranslatedRecord | UntranslatableRecord] | None
    place: str | None
    validators: ConditionalRequest | None


class Pages:
    """The pages of one source.

    :param seconds_left: for all that is yet to be asked.
    :param probe: whether the first request is to be tried once only.
    """

    def __init__(
        self, source: Source, fetch: Fetch, translator: Translator, seconds_left: Callable[[], float], *, probe: bool
    ) -> None:
        self._source = source
        self._fetch = fetch
        self._translator = translator
        self._seconds_left = seconds_left
        self._probe = probe

    def read(self, url: str, place_text: str | None, validators: ConditionalRequest | None = None) -> FetchedPage:
        """Read one page.

        :param url: of the first page.
        :param place_text: what the page before gave; ``None`` for the first.
        :param validators: of the answer that is known.
        :raises UpstreamFault: when no answer comes, or one that leads nowhere.
        :raises BadPage: when it isn't what the source's settings say.
        :raises Moved: when the list has changed since the page before.
        """
        place = (
            Continuation(**known_members(Continuation, json.loads(place_text)))
            if place_text
            else Continuation(number=self._start())
        )
        page_url = self._url(url, place)
        asked_ms = now_ms()
        for _ in range(2):
            answer = self._ask(page_url, validators)
            if answer.body is None:
                return FetchedPage(asked_ms, None, None, validators)
            page = self._translator.page(answer.body)
            link = self._link(url, answer, page)
            if not self._was_there(place, page_url, answer, page, link):
                break
            validators = None
        else:
            raise BackOfficeError("not_data", "it answers with a page that was there before")
        records = [self._translator.record(record, asked_ms) for record in page.records]
        if self._source.paging.style == "page" and place.last is not None:
            self._look_back(url, place, asked_ms)
        if self._source.paging.style == "offset" and place.last is not None:
            records = _behind(records, place.last)
        following = self._following(place, page_url, answer, records, link)
        # They name a body: a full page's stays the same when its Link header begins to lead to another.
        whole = place_text is None and following is None and not self._by_header
        known = validators_of(page_url, answer) if whole else None
        return FetchedPage(asked_ms, records, following.text() if following else None, known)

    @property
    def _by_header(self) -> bool:
        """Whether the Link header leads to the next page."""
        paging = self._source.paging
        return paging.style == "link" and not paging.next and not self._source.function

    def _start(self) -> int:
        return self._source.paging.first if self._source.paging.style == "page" else 0

    def _url(self, url: str, place: Continuation) -> str:
        style = self._source.paging.style
        if style == "page":
            return self._source.page_url(url, place.number)
        if style == "offset":
            return self._source.page_url(url, max(0, place.number - 1))
        return place.url or url

    def _ask(self, url: str, validators: ConditionalRequest | None = None) -> BackOfficeResponse:
        probe, self._probe = self._probe, False
        known = validators if validators and validators.url == url else None
        return self._fetch(
            url,
            etag=known.etag if known else None,
            last_modified=known.last_modified if known else None,
            probe=probe,
            deadline=time.monotonic() + self._seconds_left(),
        )

    def _link(self, url: str, answer: BackOfficeResponse, page: ParsedPage) -> str | None:
        """The URL of the next page, where the answer tells it."""
        paging = self._source.paging
        if paging.style not in ("link", "token"):
            return None
        link = answer.next_link if self._by_header else page.next
        if link is None:
            return None
        if len(link) > MAX_LINK or not _is_text(link):
            raise BackOfficeError("not_data", "what leads to its next page is too long, or no text")
        if paging.style == "token":
            return self._source.page_url(url, link)
        leads_to = next_url(answer.url, link)
        if leads_to is None:
            raise BackOfficeError("origin", "its next link leaves the source's scheme, host and port")
        return leads_to

    def _was_there(
        self, place: Continuation, page_url: str, answer: BackOfficeResponse, page: ParsedPage, link: str | None
    ) -> bool:
        if not page.records or self._source.paging.style == "offset":
            return False
        return _digest(answer.body or b"") == place.body or (
            link is not None and _digest(link) in _been(place, page_url)
        )

    def _look_back(self, url: str, place: Continuation, now_ms: int) -> None:
        """See that the page before still holds the same: else records have moved over to it, or from it.

        All of it: where one has gone and its last has moved behind another, it still ends where it did.
        """
        before = self._ask(self._url(url, replace(place, number=place.number - 1)))
        page = self._translator.page(before.body or b"")
        if _identities([self._translator.record(record, now_ms) for record in page.records]) != place.last:
            raise ListMovedError

    def _following(
        self,
        place: Continuation,
        page_url: str,
        answer: BackOfficeResponse,
        records: list[TranslatedRecord | UntranslatableRecord],
        link: str | None,
    ) -> Continuation | None:
        style = self._source.paging.style
        last = _identity(records[-1]) if records else place.last
        body = _digest(answer.body or b"")
        if style == "page":
            return Continuation(number=place.number + 1, last=_identities(records), body=body) if records else None
        if style == "offset":
            return Continuation(number=place.number + len(records), last=last) if records else None
        # An empty page may lead on, for a back office may filter what it has cut; but not where the walk has been.
        if link is None or _digest(link) in _been(place, page_url):
            return None
        steps = place.steps + 1
        if steps < place.limit:
            return Continuation(url=link, body=body, anchor=place.anchor, steps=steps, limit=place.limit)
        return Continuation(url=link, body=body, anchor=_digest(page_url), limit=2 * place.limit)


def _been(place: Continuation, page_url: str) -> tuple[str | None, ...]:
    return _digest(page_url), place.anchor


def _behind(
    records: list[TranslatedRecord | UntranslatableRecord], last: str
) -> list[TranslatedRecord | UntranslatableRecord]:
    """What comes behind the record that two offset pages share."""
    if not records or _identity(records[0]) != last:
        raise ListMovedError
    return records[1:]


def _identity(record: TranslatedRecord | UntranslatableRecord) -> str:
    """What a record is known by, whatever it says; its text where its id can't be read."""
    return _digest(record.item_id or record.raw_text)


def _identities(records: list[TranslatedRecord | UntranslatableRecord]) -> str:
    """What a page is known by."""
    return _digest(" ".join(map(_identity, records)))


def _digest(content: str | bytes) -> str:
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=12).hexdigest()


def validators_of(url: str, answer: BackOfficeResponse) -> ConditionalRequest | None:
    """What an answer can be named by when its URL is asked again."""
    # A Last-Modified of the same second as the answer may hide what is modified in the rest of that second.
    last_modified = answer.last_modified if _is_settled(answer.headers) else None
    # What no header can hold would fail every request that names it.
    etag = answer.etag if answer.etag and answer.etag.isprintable() else None
    return ConditionalRequest(url, etag, last_modified) if etag or last_modified else None


def _is_text(text: str) -> bool:
    """Whether it can be sent at all: half of a surrogate pair can be written in JSON, and not in UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_settled(headers: Mapping[str, str]) -> bool:
    try:
        modified, answered = (parsedate_to_datetime(headers.get(name, "")) for name in ("Last-Modified", "Date"))
        return (answered - modified).total_seconds() >= SETTLED_SECONDS
    except (ValueError, TypeError):
        return False
