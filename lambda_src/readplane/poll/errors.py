"""The errors that the code of `poll` raises.

::

    PollError
    ├── EventError              the event of an invocation isn't one that `poll` serves
    ├── SourceError             a source's settings can't be used
    ├── ExpressionError         a JMESPath expression can't be applied to a value
    ├── TranslationError        a source's translation function can't translate a page or a record
    ├── SecretError             a secret can't be read or used
    ├── LeaseLostError          this poll no longer holds the source's lease
    ├── ChunkMissingError       a chunk of a stored set of hashes is gone
    └── ReadingError            the back office couldn't be read, so the poll fails
        ├── BackOfficeError     the back office returned no usable response
        ├── PageError           a response doesn't match the source's settings
        └── ListMovedError      the list changed while its pages were read
"""

from collections.abc import Mapping
from typing import Literal

BackOfficeErrorKind = Literal[
    "connect",
    "tls",
    "timeout",
    "deadline",
    "broken",
    "status",
    "not_data",
    "too_large",
    "redirect",
    "origin",
    "secret",
    "token",
]

_ADVICE: Mapping[BackOfficeErrorKind, str] = {
    "connect": "check the host and port in the source's url, and that the back office's firewall admits poll",
    "tls": "check the certificate of the back office, and the source's tls settings",
    "timeout": "if this repeats, ask for smaller pages or raise timeout_seconds",
    "deadline": "the next poll continues; if this repeats, lower timeout_seconds or attempts",
    "broken": "poll tries again; if this repeats, ask for smaller pages or ask the back office's operator",
    "not_data": "look at the response with `readplane sources try`",
    "too_large": "ask for smaller pages or raise max_bytes",
    "redirect": "set url to the address at which the back office serves the list without a redirect",
    "origin": "set url to the scheme, host and port that the back office's own links have",
    "secret": "check the secret's ARN, field and text, and that poll may read it",
    "token": "check the source's oauth2 settings and the stored secret",
}
"""What an operator does about an error of each kind, if the error has no advice of its own.

The advice for the kind ``status`` depends on the status.
"""

_STATUS_ADVICE: Mapping[int, str] = {
    304: "it answers 304 although poll sent no condition; ask its operator, or bypass the cache in front of it",
    400: "check url, request and cursor; if it sends this status past the last page, set paging.end_status",
    401: "it doesn't accept the secret; check the secret's text, and how the source sends it",
    403: "it denies access; check what the secret's owner may read",
    404: "check the source's url; if it sends this status past the last page, set paging.end_status",
    405: "check the source's request.method",
    406: "check the source's headers and its payload format",
    410: "the list or this page of it is gone; check the source's url",
    415: "check the source's headers and request.body",
    422: "check url, request and cursor; if it sends this status past the last page, set paging.end_status",
    429: "it limits the rate of requests; set requests_per_second, or poll less often",
}


class PollError(Exception):
    """The base of all errors that the code of `poll` raises."""


class EventError(PollError):
    """The event of an invocation isn't one that `poll` serves. The message quotes no more of it than a source's name.

    :param problem: what is wrong with the event.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(f"The event can't be served: {problem}.")


class SourceError(PollError):
    """A source's settings can't be used.

    :param problems: one text for each problem. Each text starts with ``sources.<name>.<field>``.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class ExpressionError(PollError):
    """A JMESPath expression in a source's settings can't be applied to a value. The message doesn't quote the value."""


class TranslationError(PollError):
    """A source's translation function can't translate a page or a record. The message quotes no data."""


class SecretError(PollError):
    """The secret for a back office can't be read or used. The message doesn't quote the secret."""


class LeaseLostError(PollError):
    """The running poll no longer holds the source's lease, so it must send and save nothing more.

    The lease has expired, another poll has taken the lease, or an operator has rewound or reset the source.
    """


class ChunkMissingError(PollError):
    """A chunk of a stored set of hashes is missing, for example because it has expired. So the set can't be used."""


class ReadingError(PollError):
    """The back office couldn't be read, so the poll fails.

    :param detail: what went wrong and what to do about it, for operators. It quotes no data, no URL and no secret.
    """

    kind: str
    """A stable code for the kind of error. It appears in the log and in the response of `poll`."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class BackOfficeError(ReadingError):
    """The back office returned no usable response within the attempts that the source's settings allow.

    :param kind: the code of what went wrong: ``connect`` (no connection); ``tls`` (a certificate can't be used or isn't
        trusted); ``timeout`` (no response in time); ``broken`` (the connection broke or the response was cut off);
        ``status`` (an HTTP error status); ``not_data`` (an HTML page, an unknown encoding, a page that was sent before,
        or an unusable link or token to the next page); ``too_large`` (the response is too large); ``redirect`` (a
        redirect that can't be followed); ``origin`` (a URL or link leaves the source's origin); ``secret`` (the
        source's secret can't be read or sent); ``token`` (the authorization server gives no access token);
        ``deadline`` (the invocation's time ran out, which isn't the back office's fault).
    :param detail: what went wrong, as one phrase.
    :param advice: what to do about it, as one phrase; ``None`` for the general advice about errors of this kind.
    :param status: the HTTP status of the back office's last response, if any.
    :param retry_after: how many seconds the back office asks `poll` to wait, if it says so.
    :param retryable: whether a retry may succeed, because the cause is temporary.
    """

    kind: BackOfficeErrorKind

    def __init__(
        self,
        kind: BackOfficeErrorKind,
        detail: str,
        *,
        advice: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
        retryable: bool = False,
    ) -> None:
        self.problem = detail
        self.advice = advice or _general_advice(kind, status, retryable=retryable)
        super().__init__(f"{detail}; {self.advice}")
        self.kind = kind
        self.status = status
        self.retry_after = retry_after
        self.retryable = retryable

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


class PageError(ReadingError):
    """A back office's response doesn't match the source's settings. The message doesn't quote the response."""

    kind = "page"


class ListMovedError(ReadingError):
    """The back office's list changed while `poll` read its pages, so the pass must start again."""

    kind = "list_moved"

    def __init__(self, advice: str | None = None) -> None:
        """Create the error.

        :param advice: what to do if the error repeats, as one phrase; ``None`` for the general advice.
        """
        advice = advice or "if this repeats, sort the list by a field that never changes, such as the id"
        super().__init__(f"the list changed while its pages were read; the pass starts again; {advice}")


def _general_advice(kind: BackOfficeErrorKind, status: int | None, *, retryable: bool) -> str:
    if kind != "status" or status is None:
        return _ADVICE.get(kind, "look at the response with `readplane sources try`")
    if status >= 500:
        return "the back office fails; poll tries again; if this lasts, ask its operator"
    if retryable:
        return _STATUS_ADVICE[429]
    return _STATUS_ADVICE.get(status, "poll needs the status 200; look at the response with `readplane sources try`")
