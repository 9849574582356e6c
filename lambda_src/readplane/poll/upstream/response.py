"""A back office's response, the interface that fetches one, and the condition that a later request can send."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple, Protocol

from requests.utils import parse_header_links

from ..checkpoint import ConditionalRequest

SETTLED_SECONDS = 60
"""How old ``Last-Modified`` must be at the time of the response's ``Date``, in seconds, to be used as a condition.

If the time is more recent, the page may have changed twice in that second (RFC 9110, section 8.8.2.2). A 304 would
then hide the second change.
"""


class BackOfficeResponse(NamedTuple):
    """One response of a back office.

    status: 200, or 304 if nothing has changed.
    body: the unpacked body of a 200; ``None`` for a 304.
    headers: the headers' values by name. Names may be in upper or lower case.
    url: the URL that the response came from, after all redirects.
    """

    status: int
    body: bytes | None
    headers: Mapping[str, str]
    url: str

    @property
    def etag(self) -> str | None:
        """The ``ETag`` header. A later :class:`Fetch` of the same URL may send it as a condition."""
        return self.headers.get("ETag")

    @property
    def last_modified(self) -> str | None:
        """The ``Last-Modified`` header. A later :class:`Fetch` of the same URL may send it as a condition."""
        return self.headers.get("Last-Modified")

    @property
    def next_link(self) -> str | None:
        """The ``Link`` header's URL for ``rel="next"`` (RFC 8288), which may be relative; ``None`` if there is none."""
        for link in parse_header_links(self.headers.get("Link", "")):
            if "next" in link.get("rel", "").lower().split():
                return link["url"]
        return None


class Fetch(Protocol):
    """The interface of :meth:`readplane.poll.upstream.client.BackOfficeClient.fetch`, which a test can replace."""

    def __call__(
        self,
        url: str,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
        probe: bool = False,
        deadline: float,
    ) -> BackOfficeResponse:
        """GET one page.

        :param url: a URL with the scheme, host and port of the source's URL.
        :param etag: the ``ETag`` of an earlier response. If the page is still the same, the new response is a 304.
        :param last_modified: the ``Last-Modified`` of an earlier response, used in the same way.
        :param probe: if true, the request isn't retried.
        :param deadline: the time of the monotonic clock by which the call must end, retries and pauses included.
        :raises BackOfficeError: if the back office returns no data.
        """


def conditional_request_of(url: str, response: BackOfficeResponse) -> ConditionalRequest | None:
    """Return the condition that a later request of ``url`` can send to get a 304, or ``None`` if none is safe."""
    last_modified = response.last_modified if _is_settled(response.headers) else None
    # Ignore an ETag that can't be sent in a header, because every later request would fail.
    etag = response.etag if response.etag and response.etag.isprintable() else None
    return ConditionalRequest(url, etag, last_modified) if etag or last_modified else None


def _is_settled(headers: Mapping[str, str]) -> bool:
    """Return whether ``Last-Modified`` is old enough that it can't stand for two states of the page."""
    try:
        modified, responded = (parsedate_to_datetime(headers.get(name, "")) for name in ("Last-Modified", "Date"))
        return (responded - modified).total_seconds() >= SETTLED_SECONDS
    except (ValueError, TypeError):
        return False
