"""The errors that `read`, `query` and `write` return to clients, as problem documents (RFC 9457)."""

from collections.abc import Sequence
from http import HTTPStatus

from ..model.errors import Fault, InvalidError


class ProblemError(Exception):
    """A request can't be served. This error holds the parts of the response that tells the client why.

    :param status: the HTTP status of the response.
    :param detail: one sentence that tells the client why. It never contains an exception's text or a token.
    :param headers: headers of the response besides ``Content-Type``, for example ``Retry-After``.
    :param errors: the faults of the request body, if the body is why. They become the member ``errors`` of the problem
        document.
    :param members: extension members of the problem document: ``pointer`` (a JSON pointer into the request body),
        ``code`` (the stable code of the body's first fault, or of the reason), ``parameter`` (the name of a path, query
        or header parameter), ``change_id``, ``outcome``.
    """

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        headers: dict[str, str] | None = None,
        errors: Sequence[Fault] = (),
        **members: str,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.errors = errors
        self.members = members

    def document(self, request_id: str) -> dict[str, object]:
        """Return the problem document.

        Its ``type`` is ``about:blank``. RFC 9457 then requires the phrase of the HTTP status as ``title``.
        """
        return {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": int(self.status),
            "detail": self.detail,
            **self.members,
            **({"errors": [fault.members() for fault in self.errors]} if self.errors else {}),
            "request_id": request_id,
        }


def bad_parameter(name: str, detail: str) -> ProblemError:
    """Return a 400 error that names the wrong path, query or header parameter."""
    return ProblemError(HTTPStatus.BAD_REQUEST, detail, parameter=name)


def bad_body(error: InvalidError) -> ProblemError:
    """Return a 400 error that lists the rules that the request body breaks, and the parts that break them.

    The first fault is repeated in ``detail``, ``pointer`` and ``code``, for clients that show only one.
    """
    return ProblemError(
        HTTPStatus.BAD_REQUEST, error.detail, errors=error.faults, pointer=error.pointer, code=error.code
    )


def not_found(noun: str) -> ProblemError:
    """Return a 404 error that says what doesn't exist, for example an item or a route."""
    return ProblemError(HTTPStatus.NOT_FOUND, f"There is no such {noun}.")


def unavailable(retry_after: int) -> ProblemError:
    """Return a 503 error for a request that failed because of a bug or a failing store.

    :param retry_after: how many seconds the client must wait before it sends the request again.
    """
    detail = "The request could not be served now."
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": str(retry_after)})
