"""The TLS contexts of the slim client, and the certificate authorities that each context trusts."""

import os
import ssl

_AWS_DOMAINS = (".amazonaws.com", ".api.aws")

_contexts: dict[str, ssl.SSLContext] = {}  # the contexts made so far, by source of trusted certificates


def tls_context(host: str, ca_pem: str | None = None) -> ssl.SSLContext:
    """Return the TLS context for connections to a host. The process makes each context once.

    The context trusts the certificates in ``ca_pem``, and no others. Without them it trusts the certificates in the
    file that ``AWS_CA_BUNDLE`` names. Without that variable it trusts Amazon's root certificates for AWS's own hosts,
    and the system's certificate bundle for all other hosts.

    :param ca_pem: certificates as PEM text, for a host whose certificate comes from a private authority.
    """
    # For AWS's own hosts, load only Amazon's five root certificates, which are enough for these hosts. The system's
    # certificate bundle holds over a hundred certificates, and loading them in every cold start takes ten times as
    # long. Only custom endpoints and AWS's other partitions, such as China, need the system's certificate bundle.
    bundle = ca_pem or os.environ.get("AWS_CA_BUNDLE") or ("amazon" if host.endswith(_AWS_DOMAINS) else "system")
    context = _contexts.get(bundle)
    if context is None:
        context = _contexts[bundle] = _make_context(bundle, ca_pem)
    return context


def _make_context(bundle: str, ca_pem: str | None) -> ssl.SSLContext:
    if bundle == "amazon":
        from .roots import PEM

        ca_pem = PEM
    if ca_pem:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=ca_pem)
    else:
        context = ssl.create_default_context(cafile=None if bundle == "system" else bundle)
    # Require at least TLS 1.2, because OpenSSL allows older versions by default on some systems, such as Debian 12.
    context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
    return context
