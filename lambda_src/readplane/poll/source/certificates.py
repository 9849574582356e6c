"""Loads the certificates of the authorities that a source's setting ``tls.ca_pem`` names.

The settings are checked with the same function that a connection uses. So OpenSSL can't refuse a certificate later.
"""

import re
import ssl

_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")


def load_authorities(context: ssl.SSLContext, pem: str) -> None:
    """Make a TLS context trust certificates.

    :param pem: the certificates in PEM, with any comments between them (RFC 7468).
    :raises ValueError: if the text isn't such a list. The error doesn't quote the text.
    """
    count = len(_CERTIFICATE.findall(pem))
    try:
        # OpenSSL ignores what isn't a whole certificate, such as a private key or the rest of a file that was cut.
        if pem.count("-----BEGIN") != count or pem.count("-----END") != count:
            raise ValueError
        # Text around the certificates, such as the name of each, is a comment. Python refuses it if it isn't ASCII.
        context.load_verify_locations(cadata=pem.encode("ascii", "replace").decode())
    except (ssl.SSLError, ValueError):
        # Use `from None`, so that no log quotes the text.
        raise ValueError("isn't a list of certificates in PEM; copy the whole file of the authority") from None


def check_authorities(pem: str) -> None:
    """Check that OpenSSL can read the certificates in a text.

    :raises ValueError: as :func:`load_authorities` does.
    """
    load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), pem)
