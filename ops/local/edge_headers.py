"""CloudFront's response headers policies: what CloudFront removes from, and adds to, every response for viewers."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Callable, Mapping
from typing import Any

from ops.local.edge_messages import Request, Response

ALL_METHODS = "GET, HEAD, PUT, POST, PATCH, DELETE, OPTIONS"
"""What the method `ALL` of a policy stands for."""


def apply_policy(policy: Mapping[str, Any] | None, request: Request, response: Response) -> Response:
    """Return a response with the headers that a response headers policy gives it.

    :param policy: a ResponseHeadersPolicyConfig, as boto3 returns it; None for no policy
    :param request: the viewer's request
    """
    # understanding-response-headers-policies.html: the policy changes what viewers get, not what the cache keeps.
    if policy is None:
        return response
    headers = {name: list(values) for name, values in response.headers.items()}
    # The same page, "Remove headers": CloudFront removes these headers of the origin's response.
    for entry in policy.get("RemoveHeadersConfig", {}).get("Items", []):
        headers.pop(entry["Header"].lower(), None)

    def put(name: str, value: str, override: bool) -> None:
        # The same page, "Origin override": without it, the policy's header counts only if the origin sends none.
        if override or name.lower() not in headers:
            headers[name.lower()] = [value]

    _cors(policy.get("CorsConfig"), request, put)
    _security(policy.get("SecurityHeadersConfig", {}), put)
    for entry in policy.get("CustomHeadersConfig", {}).get("Items", []):
        put(entry["Header"], entry["Value"], entry["Override"])
    return dataclasses.replace(response, headers=headers)


Put = Callable[[str, str, bool], None]


def _cors(config: Mapping[str, Any] | None, request: Request, put: Put) -> None:
    # See understanding-response-headers-policies.html: CloudFront adds
    # these headers to the answers to CORS requests, which have the header Origin. It names the origin that asks, or
    # `*`.
    origin = request.header("origin")
    if config is None or origin is None:
        return
    override = config["OriginOverride"]
    allowed = config["AccessControlAllowOrigins"]["Items"]
    if "*" not in allowed and not any(fnmatch.fnmatchcase(origin, pattern) for pattern in allowed):
        return
    put("Access-Control-Allow-Origin", "*" if "*" in allowed else origin, override)
    if config["AccessControlAllowCredentials"]:
        put("Access-Control-Allow-Credentials", "true", override)
    if exposed := config.get("AccessControlExposeHeaders", {}).get("Items"):
        put("Access-Control-Expose-Headers", ", ".join(exposed), override)
    # The same page: the other headers answer a preflight, which is an OPTIONS request with
    # Access-Control-Request-Method.
    if request.method != "OPTIONS" or request.header("access-control-request-method") is None:
        return
    methods = config["AccessControlAllowMethods"]["Items"]
    put("Access-Control-Allow-Methods", ALL_METHODS if "ALL" in methods else ", ".join(methods), override)
    put("Access-Control-Allow-Headers", ", ".join(config["AccessControlAllowHeaders"].get("Items", [])), override)
    if "AccessControlMaxAgeSec" in config:
        put("Access-Control-Max-Age", str(config["AccessControlMaxAgeSec"]), override)


def _security(config: Mapping[str, Any], put: Put) -> None:
    # See understanding-response-headers-policies.html
    values: dict[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
        "ContentTypeOptions": ("X-Content-Type-Options", lambda _: "nosniff"),
        "FrameOptions": ("X-Frame-Options", lambda entry: entry["FrameOption"]),
        "ReferrerPolicy": ("Referrer-Policy", lambda entry: entry["ReferrerPolicy"]),
        "ContentSecurityPolicy": ("Content-Security-Policy", lambda entry: entry["ContentSecurityPolicy"]),
        "StrictTransportSecurity": ("Strict-Transport-Security", _transport_security),
        "XSSProtection": ("X-XSS-Protection", _xss_protection),
    }
    for member, (name, value) in values.items():
        if entry := config.get(member):
            put(name, value(entry), entry["Override"])


def _transport_security(entry: Mapping[str, Any]) -> str:
    text = f"max-age={entry['AccessControlMaxAgeSec']}"
    text += "; includeSubDomains" if entry.get("IncludeSubdomains") else ""
    return text + ("; preload" if entry.get("Preload") else "")


def _xss_protection(entry: Mapping[str, Any]) -> str:
    if not entry["Protection"]:
        return "0"
    report = f"; report={entry['ReportUri']}" if entry.get("ReportUri") else ""
    return "1" + ("; mode=block" if entry.get("ModeBlock") else report)
