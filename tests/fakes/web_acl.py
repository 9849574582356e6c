"""Evaluates the rules of a planned web ACL as AWS WAF documents them, as far as AWS says how they work.

Statements about addresses, countries, sizes, bytes and rates are evaluated. AWS doesn't say what its managed groups
match, nor its statements about SQL injection and cross-site scripting, so these never match here. Tests can ask which
parts of a request they look at.

https://docs.aws.amazon.com/waf/latest/developerguide/waf-rule-statements.html
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

Block = Mapping[str, Any]
"""A block of the planned web ACL. Each nested block is a list."""

RATE_BASED = "rate_based_statement"
CLOSED = ("managed_rule_group_statement", "sqli_match_statement", "xss_match_statement")
"""Statements whose matches AWS doesn't document."""


class Request(NamedTuple):
    """A request.

    :param headers: the headers, with names in lower case
    :param country: two letters
    """

    path: str = "/v1/items/notes/a"
    query: str = ""
    headers: Mapping[str, str] = {}
    body: bytes = b""
    address: str = "192.0.2.1"
    country: str = "DE"


class Verdict(NamedTuple):
    """What a web ACL decides.

    :param action: ``allow`` or ``block``
    :param rule: the rule that decided; None if no rule did
    :param status: the status of the response to a refused request
    :param body: the body of that response
    :param headers: further headers of that response
    :param counted: the rules that matched and only count, in their order
    """

    action: str
    rule: str | None = None
    status: int | None = None
    body: str | None = None
    headers: Mapping[str, str] = {}
    counted: tuple[str, ...] = ()


class WebAcl:
    """A web ACL, with the requests that its rate rules have seen."""

    def __init__(self, values: Block, ip_sets: Mapping[str, list[str]]) -> None:
        """Take the planned web ACL.

        :param ip_sets: ARN of an IP set -> its ranges
        """
        self.rules: list[Block] = sorted(values["rule"], key=lambda rule: rule["priority"])
        self._default = "allow" if values["default_action"][0]["allow"] else "block"
        self._bodies = {body["key"]: body["content"] for body in values["custom_response_body"]}
        self._ip_sets = ip_sets
        self._seen: defaultdict[tuple[str, str], list[float]] = defaultdict(list)

    def judge(self, request: Request, now: float = 0) -> Verdict:
        """Decide on a request.

        :param now: time in seconds
        """
        counted: list[str] = []
        for rule in self.rules:
            if not self._matches(rule["name"], rule["statement"][0], request, now):
                continue
            action = rule["action"][0]
            if action["count"]:
                counted.append(rule["name"])
            elif action["allow"]:
                return Verdict("allow", rule["name"], counted=tuple(counted))
            else:
                response = action["block"][0]["custom_response"][0]
                return Verdict(
                    "block",
                    rule["name"],
                    response["response_code"],
                    self._bodies[response["custom_response_body_key"]],
                    {header["name"]: header["value"] for header in response["response_header"]},
                    tuple(counted),
                )
        return Verdict(self._default, counted=tuple(counted))

    def _matches(self, rule: str, statement: Block, request: Request, now: float) -> bool:
        kind, settings = _only(statement)
        if kind in CLOSED:
            return False
        if kind == "not_statement":
            return not self._matches(rule, settings["statement"][0], request, now)
        if kind == "or_statement":
            return any(self._matches(rule, nested, request, now) for nested in settings["statement"])
        if kind == RATE_BASED:
            return self._is_too_fast(rule, settings, request, now)
        if kind == "ip_set_reference_statement":
            address = ip_address(request.address)
            return any(address in ip_network(text) for text in self._ip_sets[settings["arn"]])
        if kind == "geo_match_statement":
            return request.country in settings["country_codes"]
        content = _content(settings["field_to_match"][0], request)
        if kind == "size_constraint_statement":
            assert settings["comparison_operator"] == "GT"
            return content is not None and len(content) > settings["size"]
        assert kind == "byte_match_statement" and settings["positional_constraint"] == "EXACTLY", kind
        return bool(content == settings["search_string"].encode())

    def _is_too_fast(self, rule: str, settings: Block, request: Request, now: float) -> bool:
        """Count the request, and compare with the limit. AWS WAF counts no request that lacks the key."""
        key: str | None = request.address
        if settings["aggregate_key_type"] == "CUSTOM_KEYS":
            key = request.headers.get(settings["custom_key"][0]["header"][0]["name"])
        if key is None:
            return False
        seen = self._seen[rule, key]
        seen.append(now)
        seen[:] = [moment for moment in seen if moment > now - settings["evaluation_window_sec"]]
        return bool(len(seen) > settings["limit"])


def fields_of(statement: Block) -> Iterator[str]:
    """Yield the parts of a request that a statement looks at: the names of its blocks `field_to_match`."""
    _, settings = _only(statement)
    for nested in settings.get("statement") or ():
        yield from fields_of(nested)
    for field in settings.get("field_to_match") or ():
        yield _only(field)[0]


def _content(field: Block, request: Request) -> bytes | None:
    kind, settings = _only(field)
    if kind == "single_header":
        value = request.headers.get(settings["name"])
        return None if value is None else value.encode()
    return {"uri_path": request.path, "query_string": request.query}[kind].encode()


def _only(block: Block) -> tuple[str, Block]:
    """Return the only nested block that a block has. An empty one, such as `query_string {}`, is null in a plan."""
    ((kind, nested),) = [(name, value) for name, value in block.items() if value and isinstance(value, list)]
    return kind, nested[0] or {}
