"""Problems: the reasons why a request can't be served, as RFC 9457 problem documents."""

from http import HTTPStatus

from ..model.errors import InvalidError


class ProblemError(Exception):
    """A request can't be served. The error holds what the client is told about the reason.

    :param status: the HTTP status.
    :param detail: one sentence in our own words; never the text of an exception, never a token.
    :param headers: headers of the response besides ``Content-Type``, for example ``Retry-After``.
    :param members: extension members of the document: ``pointer`` (a JSON pointer into the body), ``parameter`` (the
        name of a path, query or header parameter), ``change_id``, ``outcome``.
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
        """Return the problem document. Its ``type`` is ``about:blank``, so its ``title`` is the status's own phrase."""
        return {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": int(self.status),
            "detail": self.detail,
            **self.members,
            "request_id": request_id,
        }


def bad_parameter(name: str, detail: str) -> ProblemError:
    """Return a 400 that names the bad path, query or header parameter."""
    return ProblemError(HTTPStatus.BAD_REQUEST, detail, parameter=name)


def bad_body(error: InvalidError) -> ProblemError:
    """Return a 400 that points at the place in the body that breaks a rule."""
    return ProblemError(HTTPStatus.BAD_REQUEST, error.detail, pointer=error.pointer)


def not_found(noun: str) -> ProblemError:
    """Return a 404 that says what is missing, for example an item or a route."""
    return ProblemError(HTTPStatus.NOT_FOUND, f"There is no such {noun}.")


def unavailable(retry_after: int) -> ProblemError:
    """Return a 503 for a bug or a store that fails; the client may retry after ``retry_after`` seconds."""
    detail = "The request could not be served now."
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": str(retry_after)})
