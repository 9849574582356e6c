"""What can go wrong in a poll, in one family.

::

    PollError
    ├── SourceError             a source's settings can't be used
    ├── ExpressionError         a JMESPath expression met a value that it can't work with
    ├── TranslationError        a source's function can't translate what it was given
    ├── PageError               a response isn't what the source's settings say
    ├── BackOfficeError         the back office gave no data
    ├── SecretError             a secret can't be read or used
    ├── ListMovedError          the list changed while its pages were read
    ├── LeaseLostError          another poll holds the source
    └── ChunkMissingError       a part of a sweep's saved set is gone
"""

from typing import Literal

BackOfficeErrorKind = Literal[
    "connect", "timeout", "deadline", "broken", "status", "not_data", "too_large", "redirect", "origin", "secret"
]


class PollError(Exception):
    """The base of every error that a poll raises by itself."""


class SourceError(PollError):
    """Settings that can't be used: ``problems`` names every one, each beginning with ``sources.<name>.<field>``."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class ExpressionError(PollError):
    """An expression met a value that it can't work with; the message quotes nothing of the value."""


class TranslationError(PollError):
    """A source's function can't make sense of what it was given; the message quotes nothing of it."""


class PageError(PollError):
    """An answer that isn't what the source's settings say; the message quotes nothing of it."""


class BackOfficeError(PollError):
    """The back office gave no data, after the tries that were allowed. The text names no URL and no secret.

    :param kind: ``deadline`` says that the caller's time ran out, and nothing of the back office; ``connect``,
        ``timeout``, ``broken`` (an answer cut off) and ``status``; ``not_data`` (a page for people, an unknown
        encoding), ``too_large``, ``redirect`` and ``origin`` (it leads elsewhere); ``secret`` (it can't be read).
    :param status: of its last answer.
    :param retry_after: the seconds that it asked to be left alone for.
    :param again: whether another try may mend it.
    """

    def __init__(
        self,
        kind: BackOfficeErrorKind,
        detail: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        again: bool = False,
    ) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail
        self.status = status
        self.retry_after = retry_after
        self.again = again


class SecretError(PollError):
    """A secret can't be read or used; the text holds nothing of it."""


class ListMovedError(PollError):
    """The list changed under the walk, which must begin anew."""


class LeaseLostError(PollError):
    """Another poll holds the source, or an operator took it away: nothing more may be done for it."""


class ChunkMissingError(PollError):
    """A part of a sweep's set isn't there any more; the sweep must begin anew."""
