"""The short hash by which `poll` recognizes requests, response bodies and records without storing them."""

import hashlib


def fingerprint(content: str | bytes) -> str:
    """Return a short hash of a text or of bytes, as 24 hexadecimal digits."""
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=12).hexdigest()
