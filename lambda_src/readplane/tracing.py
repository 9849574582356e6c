"""Traces: one X-Ray subsegment per AWS call, behind one small interface."""

from collections.abc import Mapping
from typing import Any, Literal, Protocol


class Span(Protocol):
    """A call that is under way."""

    def end(self, status: int | None, request_id: str | None, retries: int) -> None:
        """The call is over.

        :param status: the HTTP status; ``None`` where no answer came.
        :param request_id: AWS's own id of the request.
        :param retries: tries beyond the first.
        """


class Tracing(Protocol):
    """Where spans go."""

    def begin(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Span | None:
        """Begin a call's span, below the invocation's segment.

        :param service: ``dynamodb``, as boto3 calls it.
        :param operation: ``GetItem``.
        :param parameters: the call's parameters; names of tables, streams and buckets are kept, nothing else.
        :returns: ``None`` where this request isn't sampled.
        """


def tracing(kind: Literal["datagrams", "sdk"]) -> Tracing | None:
    """The process's tracing; ``None`` where there is no X-Ray daemon to send to."""
    return None
