"""A small distribution, its policies and an origin, for tests of the stand-in for CloudFront."""

import copy
import threading
from collections.abc import Callable, Mapping
from typing import Any

from ops.local.edge import Edge, Policies
from ops.local.edge_clock import VirtualClock
from ops.local.edge_messages import OriginError, Request, Response, headers_of

KEY = ":123456789012:function:auth:7"
AUTH = f"arn:aws:lambda:us-east-1{KEY}"
ALL = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]


def items(*values: Any) -> dict[str, Any]:
    """Return a list as CloudFront's API has it."""
    return {"Quantity": len(values), "Items": list(values)}


def parameters(
    *, headers: tuple[str, ...] = (), cookies: str = "none", query: tuple[str, ...] = (), gzip: bool = True
) -> dict[str, Any]:
    """Return what a cache policy puts into the cache key."""
    return {
        "EnableAcceptEncodingGzip": gzip,
        "EnableAcceptEncodingBrotli": gzip,
        "HeadersConfig": {"HeaderBehavior": "whitelist" if headers else "none", "Headers": items(*headers)},
        "CookiesConfig": {"CookieBehavior": cookies},
        "QueryStringsConfig": {"QueryStringBehavior": "whitelist" if query else "none", "QueryStrings": items(*query)},
    }


def cache_policy(minimum: int, default: int, maximum: int, **more: Any) -> dict[str, Any]:
    """Return a CachePolicyConfig."""
    return {
        "Name": "p",
        "MinTTL": minimum,
        "DefaultTTL": default,
        "MaxTTL": maximum,
        "ParametersInCacheKeyAndForwardedToOrigin": parameters(**more),
    }


def behaviour(path: str | None, origin: str, policy: str = "documents", **more: Any) -> dict[str, Any]:
    """Return a cache behaviour. Without a path pattern, it is the default one."""
    methods = items("GET", "HEAD", "OPTIONS") | {"CachedMethods": items("GET", "HEAD")}
    settings = {
        "TargetOriginId": origin,
        "ViewerProtocolPolicy": "https-only",
        "AllowedMethods": methods,
        "Compress": True,
        "CachePolicyId": policy,
        "LambdaFunctionAssociations": items(),
        "FunctionAssociations": items(),
    } | more
    return settings if path is None else {"PathPattern": path, **settings}


def functions(**kinds: str) -> dict[str, Any]:
    """Return the functions of a behaviour, by their events with underscores."""
    entries = [{"EventType": kind.replace("_", "-"), "LambdaFunctionARN": arn} for kind, arn in kinds.items()]
    return {"LambdaFunctionAssociations": items(*entries)}


def bucket(name: str, path: str = "", **more: Any) -> dict[str, Any]:
    """Return an S3 origin."""
    return {
        "Id": name,
        "DomainName": f"{name}.s3.eu-central-1.amazonaws.com",
        "OriginPath": path,
        "CustomHeaders": items(),
        "S3OriginConfig": {"OriginAccessIdentity": ""},
        "ConnectionAttempts": 1,
        "ConnectionTimeout": 2,
        **more,
    }


def custom(name: str, **more: Any) -> dict[str, Any]:
    """Return a custom origin."""
    return {
        "Id": name,
        "DomainName": "api.example.com",
        "OriginPath": "",
        "CustomHeaders": items(),
        "CustomOriginConfig": {
            "HTTPPort": 80,
            "HTTPSPort": 443,
            "OriginProtocolPolicy": "https-only",
            "OriginReadTimeout": 20,
            "OriginKeepaliveTimeout": 5,
        },
        "ConnectionAttempts": 1,
        "ConnectionTimeout": 2,
        **more,
    }


def group(name: str, first: str, second: str, *codes: int) -> dict[str, Any]:
    """Return an origin group that fails over on these statuses, or on all 5xx without any."""
    return {
        "Id": name,
        "FailoverCriteria": {"StatusCodes": items(*(codes or (500, 502, 503, 504)))},
        "Members": items({"OriginId": first}, {"OriginId": second}),
    }


DISTRIBUTION: dict[str, Any] = {
    "Id": "E1",
    "ARN": "arn:aws:cloudfront::123456789012:distribution/E1",
    "DomainName": "d1.cloudfront.net",
    "DistributionConfig": {
        "DefaultRootObject": "index.html",
        "Origins": items(bucket("site"), bucket("docs"), bucket("docs2"), custom("api")),
        "OriginGroups": items(group("pair", "docs", "docs2")),
        "DefaultCacheBehavior": behaviour(None, "site"),
        "CacheBehaviors": items(
            behaviour("/v1/*", "api", "off", AllowedMethods=items(*ALL), OriginRequestPolicyId="all-but-host"),
            behaviour("/pair/*", "pair"),
        ),
        "CustomErrorResponses": items(),
    },
}

POLICIES = Policies(
    {"documents": cache_policy(0, 0, 31_536_000), "off": cache_policy(0, 0, 0, gzip=False)},
    {
        "all-but-host": {
            "Name": "o",
            "HeadersConfig": {"HeaderBehavior": "allExcept", "Headers": items("host")},
            "CookiesConfig": {"CookieBehavior": "all"},
            "QueryStringsConfig": {"QueryStringBehavior": "all"},
        }
    },
    {},
)


def changed(**members: Any) -> dict[str, Any]:
    """Return the small distribution with other members in its DistributionConfig."""
    distribution = copy.deepcopy(DISTRIBUTION)
    distribution["DistributionConfig"].update(members)
    return distribution


def answer(body: bytes | str = b"", status: int = 200, **headers: str) -> Response:
    """Return a response. An underscore in a header's name stands for a hyphen."""
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Response(status, headers_of(pairs), body if isinstance(body, bytes) else body.encode())


Reply = Response | OriginError | Callable[[Request], Response]


class Origins:
    """Origins that answer what a test puts in. They keep the requests that they get."""

    def __init__(self, **replies: Reply) -> None:
        self.replies: dict[str, Reply] = replies
        self.received: list[tuple[str, Request]] = []
        self._lock = threading.Lock()

    def __call__(self, origin: Mapping[str, Any], request: Request) -> Response:
        with self._lock:
            self.received.append((origin["Id"], request))
        reply = self.replies[origin["Id"]]
        if isinstance(reply, OriginError):
            raise reply
        return reply if isinstance(reply, Response) else reply(request)

    @property
    def count(self) -> int:
        """How many requests the origins have got."""
        return len(self.received)

    @property
    def names(self) -> list[str]:
        """The ids of the origins that were asked, in order."""
        return [name for name, _ in self.received]


class Stand:
    """The stand-in with origins, one edge function and a virtual clock."""

    def __init__(
        self,
        distribution: Mapping[str, Any] = DISTRIBUTION,
        policies: Policies = POLICIES,
        function: Callable[[dict[str, Any]], Any] = lambda event: event["request"],
        **replies: Reply,
    ) -> None:
        self.clock = VirtualClock()
        self.origins = Origins(**replies)
        self.events: list[dict[str, Any]] = []
        self._function = function
        self.edge = Edge(distribution, policies, self.origins, self._invoke, self.clock)

    def _invoke(self, arn: str, event: dict[str, Any]) -> Any:
        assert arn == AUTH
        entry = event["Records"][0]["cf"]
        self.events.append(entry)
        return self._function(copy.deepcopy(entry))

    def __call__(
        self, target: str, method: str = "GET", *, body: bytes = b"", https: bool = True, **headers: str
    ) -> Response:
        """Send a viewer's request. An underscore in a header's name stands for a hyphen."""
        pairs = [("host", "d1.cloudfront.net"), *((name.replace("_", "-"), value) for name, value in headers.items())]
        return self.edge.handle(Request(method, target, headers_of(pairs), body, https))


def result(response: Response) -> str:
    """Return what X-Cache says: Hit, Miss, RefreshHit, Error and so on."""
    return (response.header("x-cache") or "").partition(" ")[0]
