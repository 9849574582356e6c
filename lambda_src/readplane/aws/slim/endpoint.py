"""The address of an AWS service: the one that the environment sets, or else AWS's own in the Region."""

import os
import re
from typing import NamedTuple

# Each row holds a prefix of Region names, the domain of these Regions' endpoints, and the domain of their dual-stack
# endpoints, as in botocore's partitions.json. The first row whose prefix matches decides.
_PARTITIONS = (
    ("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    ("", "amazonaws.com", "api.aws"),
)
# The prefix of GovCloud's Regions, and the services whose standard endpoints there are FIPS endpoints already. So these
# services have no separate ``-fips`` endpoints in GovCloud.
_FIPS_BY_DEFAULT = ("us-gov-", ("dynamodb", "sqs"))


class Endpoint(NamedTuple):
    """A service's address.

    :param secure: whether to use TLS.
    :param host: a host name or IP address.
    :param port: the TCP port.
    :param path: the prefix of each request's path.
    :param custom: ``True`` if the environment sets the address, ``False`` if it is AWS's own.
    """

    secure: bool
    host: str
    port: int
    path: str
    custom: bool

    @property
    def authority(self) -> str:
        """The value of the ``Host`` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def region() -> str:
    """Return the function's Region.

    :raises ValueError: if the environment names none.
    """
    name = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not name:
        raise ValueError("AWS_REGION must be set")
    return name


def endpoint(service: str) -> Endpoint:
    """Return a service's address.

    ``AWS_ENDPOINT_URL_<SERVICE>`` decides first, then ``AWS_ENDPOINT_URL``. If neither is set, it is the Region's own
    endpoint, and ``AWS_USE_DUALSTACK_ENDPOINT`` and ``AWS_USE_FIPS_ENDPOINT`` select its variant. AWS's SDKs follow the
    same order.

    :param service: ``dynamodb``, ``firehose``, ``s3`` or ``sqs``.
    :raises ValueError: if a URL is malformed, or if the environment names no Region.
    """
    for variable in (f"AWS_ENDPOINT_URL_{service.upper()}", "AWS_ENDPOINT_URL"):
        if url := os.environ.get(variable):
            address = parse(url, variable)
            return address._replace(path=address.path.rstrip("/"))
    return Endpoint(True, _host(service, region()), 443, "", False)


def parse(url: str, variable: str) -> Endpoint:
    """Return the address in a URL.

    :param variable: the name of the environment variable that holds the URL. The error's text quotes it.
    :raises ValueError: if the URL isn't ``http(s)://host[:port][/path]``.
    """
    match = re.fullmatch(r"(https?)://(?:\[([0-9A-Fa-f:.]+)]|([^\s/:?#@\[\]]+))(?::(\d{1,5}))?(/[^\s#]*)?", url)
    if not match:
        raise ValueError(f"{variable} must be http(s)://host[:port][/path]")
    scheme, literal, name, port, path = match.groups()
    secure = scheme == "https"
    number = int(port) if port else 443 if secure else 80
    return Endpoint(secure, literal or name, number, path or "", True)


def _host(service: str, name: str) -> str:
    if "-iso" in name:
        raise ValueError(f"AWS_REGION: no endpoints are known in {name}")  # a Region of an isolated partition
    domain, dual_domain = next(domains for prefix, *domains in _PARTITIONS if name.startswith(prefix))
    dual, fips = _is_enabled("AWS_USE_DUALSTACK_ENDPOINT"), _is_enabled("AWS_USE_FIPS_ENDPOINT")
    prefix, services = _FIPS_BY_DEFAULT
    if fips and not (name.startswith(prefix) and service in services and not dual):
        service += "-fips"
    if service.startswith("s3"):
        return f"{service}.dualstack.{name}.{domain}" if dual else f"{service}.{name}.{domain}"
    return f"{service}.{name}.{dual_domain if dual else domain}"


def _is_enabled(variable: str) -> bool:
    return os.environ.get(variable, "").lower() == "true"
