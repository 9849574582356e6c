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

from typing import Literal

BackOfficeErrorKind = Literal[
    "connect", "timeout", "deadline", "broken", "status", "not_data", "too_large", "redirect", "origin", "secret"
]


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

    :param detail: one phrase that tells operators what went wrong. It quotes no data, no URL and no secret.
    """

    kind: str
    """A stable code for the kind of error. It appears in the log and in the response of `poll`."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class BackOfficeError(ReadingError):
    """The back office returned no usable response within the attempts that the source's settings allow.

    :param kind: the code of what went wrong: ``connect`` (no connection); ``timeout`` (no response in time); ``broken``
        (the connection broke or the response was cut off); ``status`` (an HTTP error status); ``not_data`` (an HTML
        page, an unknown encoding, a page that was sent before, or an unusable link or token to the next page);
        ``too_large`` (the response is too large); ``redirect`` (a redirect leaves the source's origin, or there are too
        many redirects); ``origin`` (a URL or link leaves the source's origin); ``secret`` (the source's secret can't be
        read); ``deadline`` (the invocation's time ran out, which isn't the back office's fault).
    :param status: the HTTP status of the last response, if any.
    :param retry_after: the seconds in the last response's ``Retry-After`` header, if any.
    :param retryable: whether a retry may succeed.
    """

    kind: BackOfficeErrorKind

    def __init__(
        self,
        kind: BackOfficeErrorKind,
        detail: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(detail)
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

    def __init__(self) -> None:
        super().__init__("the list changed while its pages were read")
