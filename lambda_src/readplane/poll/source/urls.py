"""Helpers for a back office's URLs: their origin, their next links and their query parameters."""

from urllib.parse import quote, unquote_plus, urljoin, urlsplit, urlunsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> tuple[str, str, int | None] | None:
    """Return the scheme, host and port of an ``http(s)`` URL, or ``None`` for anything else.

    A URL without a port has its scheme's default port.
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
    """Return ``url`` with one query parameter set or replaced. All other parameters keep their exact text."""
    parts = urlsplit(url)
    others = [pair for pair in parts.query.split("&") if pair and unquote_plus(pair.partition("=")[0]) != name]
    return urlunsplit(parts._replace(query="&".join([*others, f"{quote(name, safe='')}={quote(value, safe='')}"])))


def next_url(page_url: str, link: str) -> str | None:
    """Return the absolute URL of a page's next link, or ``None`` if it is invalid or has another origin than the page.

    The link may be relative to ``page_url``.
    """
    try:
        url = urljoin(page_url, link)
    except ValueError:
        return None
    return url if origin(url) is not None and origin(url) == origin(page_url) else None
