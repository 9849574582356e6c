"""The address of an AWS service. The environment may set it. Otherwise it is AWS's own endpoint in the Region."""

import os
import re
from typing import NamedTuple

# Each row holds a prefix of Region names, the domain of these Regions' endpoints, and the domain of their dual-stack
# endpoints, as in botocore's partitions.json. The first row whose prefix matches the Region's name applies.
_PARTITIONS = (
    ("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    ("", "amazonaws.com", "api.aws"),
)
# The name prefix of the GovCloud Regions, and the services that need no ``-fips`` in their host names there. The
# standard endpoints of these services in GovCloud are already FIPS endpoints.
_FIPS_BY_DEFAULT = ("us-gov-", ("dynamodb", "sqs", "ssm"))


class Endpoint(NamedTuple):
    """The address of an AWS service.

    :param secure: whether to use TLS.
    :param host: a host name or IP address.
    :param port: the TCP port.
    :param path: the prefix of each request's path, often an empty text.
    :param custom: ``True`` if the environment sets the address, ``False`` if it is AWS's own.
    """

    secure: bool
    host: str
    port: int
    path: str
    custom: bool

    @property
    def authority(self) -> str:
        """The value of the ``Host`` header of requests to this address."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def region() -> str:
    """Return the AWS Region of the Lambda function.

    :raises ValueError: if the environment names no Region.
    """
    name = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not name:
        raise ValueError("AWS_REGION must be set")
    return name


def endpoint(service: str, region_name: str | None = None) -> Endpoint:
    """Return the address of an AWS service.

    The environment variable ``AWS_ENDPOINT_URL_<SERVICE>`` takes precedence over ``AWS_ENDPOINT_URL``. If neither is
    set, the address is AWS's own endpoint in the Region, and ``AWS_USE_DUALSTACK_ENDPOINT`` and
    ``AWS_USE_FIPS_ENDPOINT`` select its variant. AWS's SDKs follow the same order.

    :param service: ``dynamodb``, ``firehose``, ``s3``, ``sqs`` or ``ssm``.
    :param region_name: the AWS Region; ``None`` for the Region of the Lambda function.
    :raises ValueError: if an endpoint URL is malformed, or if the environment names no Region.
    """
    for variable in (f"AWS_ENDPOINT_URL_{service.upper()}", "AWS_ENDPOINT_URL"):
        if url := os.environ.get(variable):
            address = parse(url, variable)
            return address._replace(path=address.path.rstrip("/"))
    return Endpoint(True, _host(service, region_name or region()), 443, "", False)


def parse(url: str, variable: str) -> Endpoint:
    """Parse an endpoint URL, and return the address in it.

    :param variable: the name of the environment variable that holds the URL. The error's text names the variable.
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
        raise ValueError(f"AWS_REGION: no endpoints are known in {name}")  # the Region is in an isolated partition
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
