"""A back office's response, the interface of the function that fetches one, and the headers of conditional requests."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple, Protocol

from ..checkpoint import ConditionalRequest
from .request import BackOfficeRequest

SETTLED_SECONDS = 60
"""How many seconds a response's ``Last-Modified`` must be earlier than its ``Date``.

If the two times are closer together, a later request must not send this ``Last-Modified``.

``Last-Modified`` counts whole seconds, so a page that changes twice in one second has the same time after both changes
(RFC 9110, section 8.8.2.2). If Readplane read the page between the changes, a later 304 would hide the second change.
"""


class BackOfficeResponse(NamedTuple):
    """A response of a back office.

    status: the HTTP status. It is 200, 204 if the back office has nothing to return, or 304 if the page hasn't changed
        since an earlier response.
    body: the decompressed body of a response with status 200; empty for 204; ``None`` for 304.
    headers: the header values by header name. Looking up a name ignores upper and lower case.
    url: the URL that the response came from, after all redirects, without a secret.
    secret_values: the secrets that the request carried, each in every form in which the request contained it. They must
        never reach a log or a checkpoint.
    """

    status: int
    body: bytes | None
    headers: Mapping[str, str]
    url: str
    secret_values: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"BackOfficeResponse(status={self.status}, {len(self.body or b'')} bytes)"

    @property
    def etag(self) -> str | None:
        """The ``ETag`` header. A later request for the same URL can send it as ``If-None-Match``."""
        return self.headers.get("ETag")

    @property
    def last_modified(self) -> str | None:
        """The ``Last-Modified`` header. A later request for the same URL can send it as ``If-Modified-Since``."""
        return self.headers.get("Last-Modified")


class Fetch(Protocol):
    """The interface of a function that fetches one page of a back office.

    Readplane uses :meth:`readplane.poll.upstream.client.BackOfficeClient.fetch`. A test can use another function.
    """

    def __call__(
        self,
        request: BackOfficeRequest,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
        probe: bool = False,
        deadline: float,
    ) -> BackOfficeResponse:
        """Send the request for one page.

        :param request: the request. Only a GET without a body may be conditional.
        :param etag: the ``ETag`` of an earlier response to ``request``. If the page hasn't changed since, the new
            response is a 304.
        :param last_modified: the ``Last-Modified`` of an earlier response to ``request``. If the page hasn't changed
            since, the new response is a 304.
        :param probe: whether this is the one request that a half-open breaker allows. A probe isn't retried.
        :param deadline: the time by which this call must end, retries and pauses included, on the monotonic clock.
        :raises BackOfficeError: if the request fails. A temporary failure is retried first, as often as the source's
            settings allow.
        """


def conditional_request_of(request: BackOfficeRequest, response: BackOfficeResponse) -> ConditionalRequest | None:
    """Return what a later request can send to get a 304 if the page hasn't changed since ``response``.

    :param request: the request that got ``response``.
    :returns: the ``ETag`` and ``Last-Modified`` of ``response``; ``None`` if neither of them is safe to send, or if
        ``request`` can't be conditional.
    """
    if not request.may_be_conditional:
        return None
    last_modified = response.last_modified if _is_settled(response.headers) else None
    # Ignore an ETag with unprintable characters, because no header can carry it and every later request would fail.
    etag = response.etag if response.etag and response.etag.isprintable() else None
    return ConditionalRequest(request.url, etag, last_modified) if etag or last_modified else None


def usable_condition(request: BackOfficeRequest, condition: ConditionalRequest | None) -> ConditionalRequest | None:
    """Return ``condition`` if ``request`` can send it: it was made for the same URL, and the request is a plain GET."""
    return condition if condition and condition.url == request.url and request.may_be_conditional else None


def _is_settled(headers: Mapping[str, str]) -> bool:
    """Return whether ``Last-Modified`` is so much older than ``Date`` that two versions of the page can't share it."""
    try:
        modified, responded = (parsedate_to_datetime(headers.get(name, "")) for name in ("Last-Modified", "Date"))
        return (responded - modified).total_seconds() >= SETTLED_SECONDS
    except (ValueError, TypeError):
        return False
