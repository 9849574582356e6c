"""A request to a back office, as the client sends it."""

from typing import NamedTuple

from ..source.settings import ListRequest, Method
from .fingerprint import fingerprint


class BackOfficeRequest(NamedTuple):
    """One request to a back office, without a secret.

    url: the URL, with the scheme, host and port of the source's URL.
    method: the HTTP method.
    body: the JSON body in UTF-8; ``None`` for a request without a body.
    """

    url: str
    method: Method = "GET"
    body: bytes | None = None

    @classmethod
    def of_page(cls, list_request: ListRequest, page: int | str | None) -> "BackOfficeRequest":
        """Return the request for one page of a list.

        :param page: the page number, offset or token of the page; ``None`` for a page that has none of them, such as
            the first page of the style ``token``.
        """
        body = list_request.body_of_page(page)
        return cls(list_request.url_of_page(page), list_request.method, None if body is None else body.encode())

    @property
    def fingerprint(self) -> str:
        """A short hash of the request, as 24 hexadecimal digits. Equal requests have equal fingerprints."""
        text = f"{self.method}\n{self.url}\n".encode("utf-8", "surrogatepass")
        return fingerprint(text + (self.body or b""))

    @property
    def may_be_conditional(self) -> bool:
        """Whether the request can ask for a 304: a GET without a body, whose response depends on the URL alone."""
        return self.method == "GET" and self.body is None
