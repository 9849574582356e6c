"""Refuses the request headers that ask `write` for something that it doesn't do.

Ignoring such a header would carry out another request than the client sent. For example, a PUT with ``If-Match`` would
replace an item that somebody else has changed in the meantime.
"""

from collections.abc import Mapping
from http import HTTPStatus

from ..api.problem import ProblemError

_CONDITION = (
    "Writes take no conditions. To have your write count as newer than the version that you read, name that version in "
    "the query parameter min_version."
)
_OVERRIDE = "Send the request with the method that you mean. No header can name another method."
_PART = "A write replaces the whole item. Send all of it, without Content-Range."
_ENCODING = "The body must not be compressed. Send it without Content-Encoding."

_REFUSALS: Mapping[str, tuple[HTTPStatus, str]] = {
    "If-Match": (HTTPStatus.NOT_IMPLEMENTED, _CONDITION),
    "If-None-Match": (HTTPStatus.NOT_IMPLEMENTED, _CONDITION),
    "If-Unmodified-Since": (HTTPStatus.NOT_IMPLEMENTED, _CONDITION),
    "X-HTTP-Method-Override": (HTTPStatus.NOT_IMPLEMENTED, _OVERRIDE),
    "X-HTTP-Method": (HTTPStatus.NOT_IMPLEMENTED, _OVERRIDE),
    "X-Method-Override": (HTTPStatus.NOT_IMPLEMENTED, _OVERRIDE),
    "Content-Range": (HTTPStatus.BAD_REQUEST, _PART),
    "Content-Encoding": (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, _ENCODING),
}
"""The refused headers, each with the status and the detail of the response. RFC 9110 defines the last two statuses for
these headers (sections 14.5 and 15.5.16). Two conditions are missing, because RFC 9110 has a server ignore them here:
If-Modified-Since of any method but GET and HEAD (13.1.3), and If-Range of a request without Range (13.1.5)."""

# AWS documents that API Gateway may rename some request headers before it calls a function. Of the refused headers,
# these are only Content-Encoding.
_RENAMED = "x-amzn-remapped-content-encoding"
_BY_LOWER_NAME = {name.lower(): name for name in _REFUSALS} | {_RENAMED: "Content-Encoding"}
_NOT_ENCODED = ("", "identity")


def refuse_headers(headers: Mapping[str, str]) -> None:
    """Check that a request has no header that asks for something that writes don't support.

    ``Content-Encoding: identity`` passes, because it says that the body isn't encoded.

    :param headers: the request's headers; their names may be in any case.
    :raises ProblemError: 501 for a condition or another method, 400 for ``Content-Range``, 415 for an encoded body.
        The problem document names the header.
    """
    by_lower_name = {name.lower(): value for name, value in headers.items()}
    if _BY_LOWER_NAME.keys().isdisjoint(by_lower_name):
        return
    for lower_name, name in _BY_LOWER_NAME.items():
        value = by_lower_name.get(lower_name)
        if value is None or (name == "Content-Encoding" and value.strip(" \t").lower() in _NOT_ENCODED):
            continue
        status, detail = _REFUSALS[name]
        # RFC 9110 (section 12.5.3) has a 415 of this kind say which encodings are accepted.
        more = {"Accept-Encoding": "identity"} if name == "Content-Encoding" else None
        raise ProblemError(status, detail, headers=more, parameter=name)
