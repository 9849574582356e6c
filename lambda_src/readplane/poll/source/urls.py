"""Functions for a back office's URLs: origins, query parameters, links to the next page, and secrets in a URL."""

from collections.abc import Callable, Collection, Iterable
from urllib.parse import quote, unquote, unquote_plus, urldefrag, urljoin, urlsplit, urlunsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}

_MIN_SECRET_LENGTH = 8
"""The shortest secret that is looked for, in characters.

A shorter text, such as ``1``, is part of many URLs that have nothing to do with the secret.
"""


def origin(url: str) -> tuple[str, str, int | None] | None:
    """Return the scheme, host and port of an ``http(s)`` URL, or ``None`` if ``url`` isn't one.

    If ``url`` contains no port, the returned port is the scheme's default (80 for ``http``, 443 for ``https``).
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        return None
    return parts.scheme, parts.hostname.lower(), port


def with_parameter(url: str, name: str, value: str) -> str:
    """Return ``url`` with the query parameter ``name`` set to ``value``. All other parameters keep their exact text."""
    parts = urlsplit(url)
    others = [pair for pair in parts.query.split("&") if pair and unquote_plus(pair.partition("=")[0]) != name]
    return urlunsplit(parts._replace(query="&".join([*others, f"{quote(name, safe='')}={quote(value, safe='')}"])))


def without_parameter(url: str, name: str) -> str:
    """Return ``url`` without the query parameter ``name``. All other parameters keep their exact text."""
    return _without_pairs(url, lambda pair: unquote_plus(pair.partition("=")[0]) == name)


def without_secrets(url: str, secrets: Collection[str]) -> str:
    """Return ``url`` without the query parameters whose values hold a secret. All others keep their exact text."""
    return _without_pairs(url, lambda pair: holds_secret(pair.partition("=")[2], secrets)) if secrets else url


def holds_secret(text: str, secrets: Collection[str]) -> bool:
    """Return whether a text holds one of the secrets, as it is or percent-encoded.

    A secret of fewer than 8 characters isn't found.
    """
    decoded = (text, unquote(text), unquote_plus(text))
    return any(len(secret) >= _MIN_SECRET_LENGTH and any(secret in form for form in decoded) for secret in secrets)


def clean_url(url: str, parameters: Iterable[str], secrets: Collection[str]) -> str | None:
    """Return ``url`` without the query parameters that carry a secret; ``None`` if the rest of it holds a secret.

    :param parameters: the names of parameters to remove, whatever their values are.
    :param secrets: the secrets. A parameter whose value holds one of them is removed, too.
    """
    for name in parameters:
        url = without_parameter(url, name)
    url = without_secrets(url, secrets)
    return None if holds_secret(url, secrets) else url


def is_encodable(text: str) -> bool:
    """Return whether a request can carry a text. It can't if the text holds half of a surrogate pair.

    Half of a surrogate pair is valid in JSON but not in UTF-8.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def next_url(page_url: str, link: str) -> str | None:
    """Return the absolute URL of the next page from a page's link.

    :param page_url: the URL of the page that contains the link.
    :param link: the link to the next page. A relative link is resolved against ``page_url``.
    :returns: the URL; ``None`` if the link is invalid, or if its origin isn't that of ``page_url``.
    """
    try:
        url = urldefrag(urljoin(page_url, link)).url
    except ValueError:
        return None
    return url if origin(url) is not None and origin(url) == origin(page_url) else None


def _without_pairs(url: str, is_removed: Callable[[str], bool]) -> str:
    parts = urlsplit(url)
    pairs = parts.query.split("&")
    others = [pair for pair in pairs if not is_removed(pair)]
    return url if others == pairs else urlunsplit(parts._replace(query="&".join(others)))
