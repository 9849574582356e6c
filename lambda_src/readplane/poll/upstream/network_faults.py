"""Translates the exception of a failed HTTP request into an error that tells an operator what happened.

The texts never quote an exception's message, because it may contain the request's URL and so a secret.
"""

import socket
import ssl
import zlib
from collections.abc import Mapping
from http.client import HTTPException, IncompleteRead, RemoteDisconnected

from requests.exceptions import ChunkedEncodingError, InvalidHeader, InvalidURL, MissingSchema
from urllib3.exceptions import ConnectTimeoutError, ProtocolError

from ..errors import BackOfficeError

_CONNECT_PHRASES: Mapping[type[BaseException], str] = {
    socket.gaierror: "the host name can't be resolved",
    ConnectionRefusedError: "the host refuses connections on this port",
    ConnectionResetError: "the host reset the connection before the request",
    TimeoutError: "no connection in time",
    ConnectTimeoutError: "no connection in time",
}
"""Why there is no connection, by the class of the exception."""

_BROKEN_PHRASES: Mapping[type[BaseException], str] = {
    zlib.error: "the response's GZIP data is damaged",
    RemoteDisconnected: "the back office closed the connection without a response",
    ConnectionResetError: "the back office reset the connection before its response was complete",
    IncompleteRead: "the response is cut off",
    HTTPException: "the response isn't HTTP",
}
"""Why there is no whole response, by the class of the exception or of one of its causes.

A class stands before the classes that it extends.
"""

_CERTIFICATE_PHRASES = {
    9: "the server's certificate isn't valid yet",
    10: "the server's certificate has expired",
    18: "the server's certificate is self-signed",
    19: "the server's certificate is signed by an authority that isn't trusted",
    20: "the server's certificate is signed by an authority that isn't trusted",
    21: "the server's certificate is signed by an authority that isn't trusted",
    62: "the server's certificate is for another host name",
    64: "the server's certificate is for another IP address",
}
"""What is wrong with a certificate, by OpenSSL's code for the result of its verification."""

_OTHER_HOST_ADVICE = "use a host name that the certificate names"

_CERTIFICATE_ADVICE = {
    9: "check the server's clock and its certificate",
    10: "ask the server's operator to renew it",
    18: "set tls.ca_pem to this certificate or to the authority that signs its successor",
    62: _OTHER_HOST_ADVICE,
    64: _OTHER_HOST_ADVICE,
}

_UNTRUSTED_ADVICE = "set tls.ca_pem to the authority's certificate, and check that the server sends its whole chain"


def network_error(error: BaseException, *, sent: bool) -> BackOfficeError:
    """Return the error that describes ``error`` in plain words.

    :param error: the exception with which a request or the reading of its response ended.
    :param sent: whether the request was sent, so that the connection worked.
    """
    causes = _causes(error)
    root = causes[-1]
    if isinstance(root, ssl.SSLError):
        return _tls_error(root)
    # urllib3's versions define this class in different modules. They raise it instead of OpenSSL's error.
    if type(root).__name__ == "CertificateError":
        return BackOfficeError("tls", "the server's certificate is for another host", advice=_OTHER_HOST_ADVICE)
    # A ValueError comes from the request itself, so a retry would fail in the same way.
    retryable = not isinstance(error, ValueError)
    if not sent:
        return _connect_error(error, root, retryable=retryable)
    for kind, phrase in _BROKEN_PHRASES.items():
        if any(isinstance(cause, kind) for cause in causes):
            return BackOfficeError("broken", phrase, retryable=retryable)
    is_unreadable = any(isinstance(cause, (ProtocolError, ChunkedEncodingError)) for cause in causes)
    if is_unreadable and not isinstance(root, OSError):
        return BackOfficeError("broken", "the response is cut off", retryable=retryable)
    return BackOfficeError("broken", f"the connection failed ({_class_name(root)})", retryable=retryable)


def _connect_error(error: BaseException, cause: BaseException, *, retryable: bool) -> BackOfficeError:
    for kind, phrase in _CONNECT_PHRASES.items():
        if isinstance(cause, kind):
            return BackOfficeError("connect", phrase, retryable=True)
    if isinstance(error, InvalidHeader):
        advice = "check the names and values in the source's headers"
        return BackOfficeError("connect", "a request header can't be sent", advice=advice)
    if isinstance(error, (InvalidURL, MissingSchema)):
        return BackOfficeError("connect", "the URL can't be requested", advice="check the source's url")
    return BackOfficeError("connect", f"no connection ({_class_name(cause)})", retryable=retryable)


def _tls_error(cause: ssl.SSLError) -> BackOfficeError:
    if isinstance(cause, ssl.SSLCertVerificationError):
        code = cause.verify_code
        phrase = _CERTIFICATE_PHRASES.get(code, f"the server's certificate isn't trusted (OpenSSL's code {code})")
        return BackOfficeError("tls", phrase, advice=_CERTIFICATE_ADVICE.get(code, _UNTRUSTED_ADVICE))
    reason = getattr(cause, "reason", None) or ""
    if "CERTIFICATE_REQUIRED" in reason:
        return BackOfficeError("tls", "the server asks for a client certificate", advice="set tls.client_certificate")
    if "ALERT" in reason and ("UNKNOWN_CA" in reason or "CERTIFICATE" in reason or "DECRYPT_ERROR" in reason):
        phrase = "the server refuses the client certificate"
        return BackOfficeError("tls", phrase, advice="check the secret that tls.client_certificate names")
    if "WRONG_VERSION_NUMBER" in reason or "RECORD_LAYER_FAILURE" in reason or "HTTP_REQUEST" in reason:
        phrase = "the server doesn't speak TLS on this port"
        return BackOfficeError("tls", phrase, advice="check the scheme and port in the source's url")
    # OpenSSL's reason is a constant, such as HANDSHAKE_FAILURE. It quotes no data. A reset in the middle of TLS comes
    # here too, as UNEXPECTED_EOF_WHILE_READING, so a retry may succeed.
    cut_off = isinstance(cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError)) or "EOF" in reason
    if cut_off:
        return BackOfficeError("broken", "the server ended the TLS connection too early", retryable=True)
    return BackOfficeError("tls", f"the TLS connection failed ({reason or _class_name(cause)})", retryable=True)


def _class_name(error: BaseException) -> str:
    """Return an exception's class name with its module, if the name alone says too little (``zlib.error``)."""
    kind = type(error)
    return kind.__name__ if kind.__name__ != "error" else f"{kind.__module__}.error"


def _causes(error: BaseException) -> list[BaseException]:
    """Return an exception and its causes. The last one is the innermost, such as a ``ConnectionRefusedError``."""
    causes = [error]
    while True:
        error = causes[-1]
        context = None if error.__suppress_context__ else error.__context__
        candidates = (getattr(error, "reason", None), error.__cause__, context, *error.args[-1:])
        cause = next((candidate for candidate in candidates if isinstance(candidate, BaseException)), None)
        if cause is None or any(cause is earlier for earlier in causes):
            return causes
        causes.append(cause)
