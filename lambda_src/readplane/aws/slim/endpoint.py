"""Where a service is: an address set by the environment, or AWS's own for the Region."""

import os
import re
from typing import NamedTuple

# Prefix of the Region's name -> domain, domain of the dual-stack endpoints (botocore's partitions.json).
_PARTITIONS = (
    ("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    ("", "amazonaws.com", "api.aws"),
)
# In GovCloud these services' standard endpoints are the FIPS ones; there are no others.
_FIPS_BY_DEFAULT = ("us-gov-", ("dynamodb", "sqs"))


class Endpoint(NamedTuple):
    """An address; ``path`` comes before the path of each request, and ``custom`` says that it isn't AWS's own."""

    secure: bool
    host: str
    port: int
    path: str
    custom: bool

    @property
    def authority(self) -> str:
        """The ``Host`` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def region() -> str:
    """The function's Region.

    :raises ValueError: where the environment names none.
    """
    name = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not name:
        raise ValueError("AWS_REGION must be set")
    return name


def endpoint(service: str) -> Endpoint:
    """Find a service's address.

    The order is that of AWS's SDKs: ``AWS_ENDPOINT_URL_<SERVICE>``, ``AWS_ENDPOINT_URL``, the Region's own, in the
    variant that ``AWS_USE_DUALSTACK_ENDPOINT`` and ``AWS_USE_FIPS_ENDPOINT`` ask for.

    :param service: ``dynamodb``, ``firehose``, ``s3`` or ``sqs``.
    :raises ValueError: for a URL that is none, or without a Region.
    """
    for variable in (f"AWS_ENDPOINT_URL_{service.upper()}", "AWS_ENDPOINT_URL"):
        if url := os.environ.get(variable):
            where = parse(url, variable)
            return where._replace(path=where.path.rstrip("/"))
    return Endpoint(True, _host(service, region()), 443, "", False)


def parse(url: str, variable: str) -> Endpoint:
    """Take a URL apart.

    :param variable: where it comes from, for the error.
    :raises ValueError: when it isn't ``http(s)://host[:port][/path]``.
    """
    found = re.fullmatch(r"(https?)://(?:\[([0-9A-Fa-f:.]+)]|([^\s/:?#@\[\]]+))(?::(\d{1,5}))?(/[^\s#]*)?", url)
    if not found:
        raise ValueError(f"{variable} must be http(s)://host[:port][/path]")
    scheme, literal, name, port, path = found.groups()
    secure = scheme == "https"
    number = int(port) if port else 443 if secure else 80
    return Endpoint(secure, literal or name, number, path or "", True)


def _host(service: str, name: str) -> str:
    if "-iso" in name:
        raise ValueError(f"AWS_REGION: no endpoints are known in {name}")  # an isolated partition
    domain, dual_domain = next(domains for prefix, *domains in _PARTITIONS if name.startswith(prefix))
    dual, fips = _wanted("AWS_USE_DUALSTACK_ENDPOINT"), _wanted("AWS_USE_FIPS_ENDPOINT")
    prefix, services = _FIPS_BY_DEFAULT
    if fips and not (name.startswith(prefix) and service in services and not dual):
        service += "-fips"
    if service.startswith("s3"):
        return f"{service}.dualstack.{name}.{domain}" if dual else f"{service}.{name}.{domain}"
    return f"{service}.{name}.{dual_domain if dual else domain}"


def _wanted(variable: str) -> bool:
    return os.environ.get(variable, "").lower() == "true"
