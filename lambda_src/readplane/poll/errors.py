"""The errors that a poll raises itself.

::

    PollError
    ├── SourceError             a source's settings can't be used
    ├── ExpressionError         a JMESPath expression can't work with a value
    ├── TranslationError        a source's function can't translate a page or a record
    ├── SecretError             a secret can't be read or used
    ├── LeaseLostError          this poll no longer holds the source's lease
    ├── ChunkMissingError       a chunk of a stored set of hashes is gone
    └── ReadingError            the back office couldn't be read, so the poll fails
        ├── BackOfficeError     the back office returned no data
        ├── PageError           a response isn't what the source's settings say
        └── ListMovedError      the list changed while its pages were read
"""

from typing import Literal

BackOfficeErrorKind = Literal[
    "connect", "timeout", "deadline", "broken", "status", "not_data", "too_large", "redirect", "origin", "secret"
]


class PollError(Exception):
    """The base of every error that a poll raises itself."""


class SourceError(PollError):
    """A source's settings can't be used.

    :param problems: one text for each problem, which starts with ``sources.<name>.<field>``.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class ExpressionError(PollError):
    """A JMESPath expression can't work with a value. The message quotes nothing of the value."""


class TranslationError(PollError):
    """A source's function can't translate a page or a record. The message quotes nothing of either."""


class SecretError(PollError):
    """A secret can't be read or used. The message quotes nothing of the secret."""


class LeaseLostError(PollError):
    """The lease of the source is lost, so this poll must send and save nothing more.

    Another poll has taken the source, or an operator has rewound or reset it.
    """


class ChunkMissingError(PollError):
    """A chunk of a stored set of hashes is gone, so a sweep that needs the set must start again."""


class ReadingError(PollError):
    """The back office couldn't be read, so the poll fails.

    :param detail: one phrase for operators, which quotes no data, no URL and no secret.
    """

    kind: str
    """A stable code, which the log and the poll's response quote."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class BackOfficeError(ReadingError):
    """The back office returned no data, in as many attempts as the source's settings allow.

    :param kind: what went wrong: ``connect``; ``timeout``; ``broken`` (the connection broke or the response was cut
        off); ``status`` (an HTTP error status); ``not_data`` (an HTML page or an unknown encoding); ``too_large``;
        ``redirect`` and ``origin`` (a redirect or link leaves the source's origin); ``secret`` (it can't be read);
        ``deadline`` (the invocation's time ran out, which isn't the back office's fault).
    :param status: the HTTP status of its last response, if any.
    :param retry_after: the seconds of its ``Retry-After`` header, if any.
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
    """A response isn't what the source's settings say. The message quotes nothing of the response."""

    kind = "page"


class ListMovedError(ReadingError):
    """The list changed while its pages were read, so the pass must start again."""

    kind = "list_moved"

    def __init__(self) -> None:
        super().__init__("the list changed while its pages were read")
