"""TLS: the contexts that the slim client connects with, and the certificate authorities that each one trusts."""

import os
import ssl

_AWS_DOMAINS = (".amazonaws.com", ".api.aws")

_contexts: dict[str, ssl.SSLContext] = {}  # by the source of the trusted certificates, once per process


def tls_context(host: str) -> ssl.SSLContext:
    """Return the process's context for connections to a host.

    It trusts the certificates in the file that ``AWS_CA_BUNDLE`` names. Without that variable it trusts Amazon's roots
    for AWS's own hosts, and the system's store for all others.
    """
    # AWS's own endpoints chain to Amazon's five roots. The system's store holds over a hundred certificates, so every
    # cold start would spend ten times as long on reading it. Custom endpoints and other partitions need it.
    bundle = os.environ.get("AWS_CA_BUNDLE") or ("amazon" if host.endswith(_AWS_DOMAINS) else "system")
    context = _contexts.get(bundle)
    if context is None:
        context = _contexts[bundle] = _make_context(bundle)
    return context


def _make_context(bundle: str) -> ssl.SSLContext:
    if bundle == "amazon":
        from .roots import PEM

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=PEM)
    else:
        context = ssl.create_default_context(cafile=None if bundle == "system" else bundle)
    # Some systems' OpenSSL allows older versions by default, as Debian 12's does.
    context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
    return context
