"""Problems: every refusal, as the body of an RFC 9457 problem document."""

from http import HTTPStatus


class ProblemError(Exception):
    """A request that can't be served, with what the caller needs to know.

    :param status: the HTTP status.
    :param detail: one sentence in our own words; never the text of an exception, never a token.
    :param headers: headers of the answer besides ``Content-Type``, for one ``Retry-After``.
    :param members: extension members of the document: ``pointer`` (a JSON pointer into the body), ``parameter`` (a
        path, query or header parameter), ``change_id``, ``outcome``.
    """

    def __init__(
        self, status: HTTPStatus, detail: str, *, headers: dict[str, str] | None = None, **members: str
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.members = members

    def document(self, request_id: str) -> dict[str, object]:
        """The problem document; ``type`` is ``about:blank``, so ``title`` is the status's own phrase."""
        return {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": int(self.status),
            "detail": self.detail,
            **self.members,
            "request_id": request_id,
        }


def bad_parameter(name: str, detail: str) -> ProblemError:
    """A 400 that names the path, query or header parameter."""
    return ProblemError(HTTPStatus.BAD_REQUEST, detail, parameter=name)


def bad_body(pointer: str, detail: str) -> ProblemError:
    """A 400 that names the place in the body as a JSON pointer (RFC 6901; empty for the whole body)."""
    return ProblemError(HTTPStatus.BAD_REQUEST, detail, pointer=pointer)
