"""The requests and responses that the stand-in for CloudFront (edge.py) receives, forwards and sends."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

Headers = dict[str, list[str]]
"""The headers of a message: the values of each header, in the order sent, by the header's name in lower case."""


def headers_of(pairs: Iterable[tuple[str, str]]) -> Headers:
    """Collect pairs of a header's name and value. A name that occurs twice gets two values."""
    headers: Headers = {}
    for name, value in pairs:
        headers.setdefault(name.lower(), []).append(value)
    return headers


@dataclasses.dataclass(frozen=True)
class Request:
    """A request of a viewer, or the request that CloudFront makes of it for an origin.

    target: the path with the query, exactly as sent
    https: whether the viewer uses HTTPS
    client_ip: the viewer's address
    """

    method: str
    target: str
    headers: Headers = dataclasses.field(default_factory=dict)
    body: bytes = b""
    https: bool = True
    client_ip: str = "127.0.0.1"

    @property
    def path(self) -> str:
        """The path as sent, without the query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The query as sent, without the question mark. It is empty if there is none."""
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        """Return all values of a header, separated by commas. Return None if the request lacks the header."""
        values = self.headers.get(name)
        return None if values is None else ", ".join(values)


@dataclasses.dataclass(frozen=True)
class Response:
    """A response of an origin, of an edge function or of CloudFront itself."""

    status: int
    headers: Headers = dataclasses.field(default_factory=dict)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """Return all values of a header, separated by commas. Return None if the response lacks the header."""
        values = self.headers.get(name)
        return None if values is None else ", ".join(values)

    def with_headers(self, **values: str) -> Response:
        """Return a copy with these headers set. An underscore in a keyword stands for a hyphen."""
        changed = {name.replace("_", "-"): [value] for name, value in values.items()}
        return dataclasses.replace(self, headers=self.headers | changed)


class OriginError(Exception):
    """CloudFront gets no response from an origin."""


class OriginConnectionError(OriginError):
    """CloudFront can't connect to an origin."""


class OriginTimeoutError(OriginError):
    """An origin accepts the request, but doesn't respond in time."""
