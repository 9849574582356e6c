"""The certificates that a connection to the database trusts, as a file, because libpq reads them from one."""

import atexit
import contextlib
import os
import re
import tempfile
from pathlib import Path

from .errors import UnreachableError
from .rds_roots import rds_roots

_RDS_HOST = re.compile(r".+\.([a-z]{2}(?:-[a-z]+)+-\d)\.rds\.amazonaws\.com")
_SYSTEM_BUNDLES = (
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Amazon Linux, which Lambda uses
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/cert.pem",
)

_files: dict[str, str] = {}  # the files written so far, by PEM text


def ca_file(host: str, ca_pem: str | None) -> str:
    """Return the path of a file with the certificates to trust for a host.

    For a host of RDS these are the three root certificates of its Region, and Amazon's five, because RDS Proxy has a
    certificate of ACM. For any other host they are the system's.

    :param ca_pem: the certificates as PEM text, instead of all these.
    :raises UnreachableError: if there are no certificates for this host.
    """
    match = _RDS_HOST.fullmatch(host.lower())
    if ca_pem is None and match is None:
        bundles = (os.environ.get("SSL_CERT_FILE") or "", *_SYSTEM_BUNDLES)
        path = next((path for path in bundles if path and Path(path).is_file()), None)
        if path is None:
            raise UnreachableError("NoCertificates")
        return path
    if ca_pem is None and match is not None:
        from ...aws.slim.roots import PEM

        region_roots = rds_roots(match[1])
        if region_roots is None:
            raise UnreachableError("NoCertificates")
        ca_pem = region_roots + PEM
    return _file(ca_pem or "")


def _file(pem: str) -> str:
    path = _files.get(pem)
    if path is None or not Path(path).is_file():
        # Only this user may read or write the file.
        descriptor, path = tempfile.mkstemp(prefix="readplane-ca-", suffix=".pem")
        with os.fdopen(descriptor, "w") as file:
            file.write(pem)
        _files[pem] = path
        atexit.register(_remove, path)
    return path


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        Path(path).unlink()
