"""A back office's response, the call that fetches one, and the condition that makes the next response a 304."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple, Protocol

from requests.utils import parse_header_links

from ..checkpoint import ConditionalRequest

SETTLED_SECONDS = 60
"""Seconds that a ``Last-Modified`` must lie before the response's own ``Date`` to be usable in a condition.

A younger one may name several states of one second (RFC 9110, section 8.8.2.2).
"""


class BackOfficeResponse(NamedTuple):
    """What the back office sent.

    status: 200, or 304 if nothing has changed.
    body: the unpacked body of a 200; ``None`` for a 304.
    headers: by name, in any case.
    url: the URL that sent the response, after all redirects.
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
        """The target of the ``Link`` header's ``rel="next"`` (RFC 8288), which may be a relative URL."""
        for link in parse_header_links(self.headers.get("Link", "")):
            if "next" in link.get("rel", "").lower().split():
                return link["url"]
        return None


class Fetch(Protocol):
    """Fetches one page: :meth:`readplane.poll.upstream.client.BackOfficeClient.fetch`, or a test's substitute."""

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

        :param url: a URL on the source's own origin.
        :param etag: of an earlier response. If the page is still the same, the response is a 304.
        :param last_modified: of an earlier response, used in the same way.
        :param probe: whether to try once only.
        :param deadline: when the call must have ended, retries and pauses included, in seconds of the monotonic clock.
        :raises BackOfficeError: if the back office gives no data.
        """


def conditional_request_of(url: str, response: BackOfficeResponse) -> ConditionalRequest | None:
    """Return the condition under which a later request of ``url`` gets a 304, or ``None`` if there is no safe one."""
    last_modified = response.last_modified if _is_settled(response.headers) else None
    # An ETag that no header can carry would make every later request fail.
    etag = response.etag if response.etag and response.etag.isprintable() else None
    return ConditionalRequest(url, etag, last_modified) if etag or last_modified else None


def _is_settled(headers: Mapping[str, str]) -> bool:
    """Return whether ``Last-Modified`` is old enough to name one state of the list only."""
    try:
        modified, responded = (parsedate_to_datetime(headers.get(name, "")) for name in ("Last-Modified", "Date"))
        return (responded - modified).total_seconds() >= SETTLED_SECONDS
    except (ValueError, TypeError):
        return False
