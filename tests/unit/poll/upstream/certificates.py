"""An authority that issues certificates for tests, and TLS contexts of servers that use them."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

PASSWORD = BestAvailableEncryption(b"password")


class Authority:
    """A certificate authority. Its own certificate has few extensions, as those of many private authorities do.

    pem: the authority's certificate as PEM text.
    """

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder(self._name, self._name, self._key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = certificate.public_bytes(Encoding.PEM).decode()

    def issue(
        self,
        name: str,
        *,
        host: str = "127.0.0.1",
        days: float = 1,
        encryption: KeySerializationEncryption | None = None,
    ) -> str:
        """Return a certificate for an IP address and its private key as PEM text.

        :param days: how many days the certificate is still valid. A negative number means that it has expired.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        certificate = (
            x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
        return certificate.public_bytes(Encoding.PEM).decode() + private.decode()


def server_context(
    folder: Path, pem: str, client_authority: Authority | None = None, *, demands: bool = True
) -> ssl.SSLContext:
    """Return the TLS context of a server.

    :param folder: a folder for the server's files.
    :param pem: the server's certificate and private key.
    :param client_authority: the authority whose client certificates the server asks for; ``None`` to ask for none.
    :param demands: whether the server refuses a client without a certificate that it asks for.
    """
    path = folder / "server.pem"
    path.write_text(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    path.unlink()
    if client_authority:
        context.load_verify_locations(cadata=client_authority.pem)
        context.verify_mode = ssl.CERT_REQUIRED if demands else ssl.CERT_OPTIONAL
    return context
