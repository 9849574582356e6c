"""Builds the TLS contexts of the connections to a back office from the source's settings."""

import ssl
from ipaddress import ip_address
from tempfile import NamedTemporaryFile
from urllib.parse import urlsplit

import urllib3
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from ..errors import BackOfficeError
from ..source.certificates import load_authorities

_CLIENT_CERTIFICATE_ADVICE = (
    "store the certificate, its chain and its private key as PEM, one after another, the key without a password"
)


def tls_context(
    url: str, *, ca_pem: str | None = None, client_pem: str | None = None, public_authorities: bool = False
) -> ssl.SSLContext:
    """Return a TLS context that trusts the authorities that the settings name.

    :param url: a URL of the server to which the context's connections lead.
    :param ca_pem: the certificates of the trusted authorities as PEM text; ``None`` means the public authorities.
    :param client_pem: the certificate with which `poll` identifies itself, its chain and its private key as PEM text.
    :param public_authorities: whether to trust the public authorities in addition to those in ``ca_pem``.
    :raises BackOfficeError: of kind ``tls`` if a PEM text can't be used. The message quotes neither text.
    """
    # This class checks certificates and host names, but unlike `ssl.create_default_context` it trusts no authority yet,
    # and no environment variable makes it write the session keys to a file.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # The Lambda runtime may contain urllib3 1.26, which doesn't tell OpenSSL the host if it is an IP address, so that
    # OpenSSL would refuse the connection. urllib3 compares the certificate with the host itself if OpenSSL doesn't.
    is_old = urllib3.__version__.startswith("1.")  # type: ignore[attr-defined]
    context.check_hostname = not (is_old and _is_ip_address(url))
    # Trust a certificate in `ca_pem` even if it isn't a root, because operators also name an intermediate authority or
    # the back office's own self-signed certificate.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    if ca_pem is None or public_authorities:
        context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    if ca_pem is not None:
        _trust(context, ca_pem)
    if client_pem is not None:
        _identify(context, client_pem)
    return context


def _is_ip_address(url: str) -> bool:
    try:
        ip_address(urlsplit(url).hostname or "")
    except ValueError:
        return False
    return True


def _trust(context: ssl.SSLContext, ca_pem: str) -> None:
    try:
        load_authorities(context, ca_pem)
    except ValueError:
        raise BackOfficeError(
            "tls",
            "tls.ca_pem holds no certificate that can be read",
            advice="set it to PEM text that begins with -----BEGIN CERTIFICATE-----",
        ) from None


def _identify(context: ssl.SSLContext, client_pem: str) -> None:
    """Load the client's certificate and key.

    Python reads them from files only. The file can be read by this process's user only, and is removed at once.
    """
    try:
        with NamedTemporaryFile("w", encoding="utf-8", suffix=".pem") as file:
            file.write(client_pem)
            file.flush()
            # Pass a password, because OpenSSL would otherwise ask for the password of an encrypted key at the terminal.
            context.load_cert_chain(file.name, password="")
    except (ssl.SSLError, ValueError):
        raise BackOfficeError(
            "tls", "the stored client certificate or its key can't be used", advice=_CLIENT_CERTIFICATE_ADVICE
        ) from None
    except OSError:
        problem, advice = "the client certificate can't be written to a temporary file", "check the space in /tmp"
        raise BackOfficeError("tls", problem, advice=advice, retryable=True) from None
