"""What API Gateway sends to S3 and to a back office, and what it makes of their responses, in process.

This module evaluates the integrations of the API's document: parameter mappings, request templates and response
mappings. It knows only what Terraform writes into them; anything else fails the test.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote, unquote_plus


class UnsupportedMediaTypeError(Exception):
    """No request template is for the request's Content-Type, so API Gateway responds 415 without calling anybody."""


class Message(NamedTuple):
    """An HTTP response, of the API or of what is behind it. The names of its headers are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: str


class Call(NamedTuple):
    """A request as it arrives at a method of the API.

    :param path: the path parameters, as the client encoded them.
    :param query: the query parameters, decoded, in the order in which the client sent them.
    :param headers: the headers, in the client's spelling and order.
    :param claims: the claims of the access token; empty on a method without an authorizer.
    :param request_id: the id that the client has chosen, or API Gateway's own.
    :param extended_request_id: API Gateway's own id.
    """

    method: str
    path: Mapping[str, str]
    query: Sequence[tuple[str, str]]
    headers: Sequence[tuple[str, str]]
    body: str
    claims: Mapping[str, str]
    request_id: str
    extended_request_id: str

    def header(self, name: str) -> str | None:
        """Return a header, whatever its spelling. Of repeated headers, return the last."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return values[-1] if values else None

    def parameter(self, name: str) -> str | None:
        """Return a query parameter. Of repeated parameters, return the last."""
        values = [value for key, value in self.query if key == name]
        return values[-1] if values else None


class Outgoing(NamedTuple):
    """A request from API Gateway to S3 or to a back office. The names of its headers are lower-case."""

    method: str
    url: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: str


Endpoint = Callable[[Outgoing], Message]


def send(integration: Mapping[str, Any], call: Call, endpoint: Endpoint) -> Message:
    """Send a call to the endpoint of an integration, and return the response of the API.

    :raises UnsupportedMediaTypeError: if API Gateway refuses the request's Content-Type.
    """
    if integration["type"] == "http_proxy":
        return endpoint(_proxied(integration, call))
    assert integration["type"] in ("aws", "http"), integration["type"]
    return _response(integration, endpoint(_mapped(integration, call)), call)


def _proxied(integration: Mapping[str, Any], call: Call) -> Outgoing:
    """Return the request of a proxy integration: the client's own, with what the integration maps."""
    mapped = _parameters(integration, call)
    headers = {name.lower(): value for name, value in call.headers} | mapped["header"]
    url = _fill(integration["uri"], mapped["path"])
    return Outgoing(integration["httpMethod"], url, dict(call.query) | mapped["querystring"], headers, call.body)


def _mapped(integration: Mapping[str, Any], call: Call) -> Outgoing:
    """Return the request of any other integration, which holds only what the integration maps.

    API Gateway adds headers of its own, such as User-Agent and X-Amzn-Trace-Id. A client can choose its trace id, but a
    back office whose response depends on that can't be cached behind API Gateway at all.
    """
    mapped = _parameters(integration, call)
    body, headers = call.body, mapped["header"]
    template = _template(integration, call)
    if template is None:
        # "The request payload is not transformed and is sent to the backend as-is" (Integration passthrough behaviors).
        # AWS doesn't say which Content-Type is sent with it. Send the client's, which is worse for Readplane.
        headers = {"content-type": call.header("Content-Type") or "application/json"} | headers
    else:
        body, overrides = _Template(call).evaluate(template)
        for (place, name), value in overrides.items():
            mapped[place][name] = value
    url = _fill(integration["uri"], mapped["path"])
    return Outgoing(integration["httpMethod"], url, mapped["querystring"], headers, body)


def _template(integration: Mapping[str, Any], call: Call) -> str | None:
    """Return the request template for the call; ``None`` if API Gateway passes the body on.

    "API Gateway uses the request's Content-Type header value as the key to select the mapping template", without that
    header "application/json", and "only the MIME type is used" (Request and response data mappings). What happens if
    there is no such template is in the tables of Integration passthrough behaviors. These tables are about requests
    with a body. Apply them to requests without one too, because AWS doesn't exclude those.
    """
    templates = integration.get("requestTemplates", {})
    media_type = (call.header("Content-Type") or "application/json").split(";")[0].strip().lower()
    if media_type in templates:
        return str(templates[media_type])
    behaviour = integration.get("passthroughBehavior", "when_no_match")
    if behaviour == "never" or (behaviour == "when_no_templates" and templates):
        raise UnsupportedMediaTypeError(media_type)
    return None


def _parameters(integration: Mapping[str, Any], call: Call) -> dict[str, dict[str, str]]:
    """Return the path parameters, query parameters and headers that an integration maps.

    A mapping finds a header in any spelling, although AWS says that "header names and query parameters are processed in
    a case-sensitive way" (Important notes for REST APIs). A cache key compares them with case. So a header that is in
    the key and is mapped too is the worst case for Readplane.

    An empty value counts as none, as in a cache key.
    """
    mapped: dict[str, dict[str, str]] = {"path": {}, "querystring": {}, "header": {}}
    for target, source in integration.get("requestParameters", {}).items():
        place, name = re.fullmatch(r"integration\.request\.(path|querystring|header)\.(.+)", target).groups()  # type: ignore[union-attr]
        value = _source(source, call)
        if value:
            mapped[place][name.lower() if place == "header" else name] = value
    return mapped


def _source(source: str, call: Call) -> str | None:
    if source.startswith("'"):
        return source[1:-1]
    place, name = re.fullmatch(r"method\.request\.(path|querystring|header)\.(.+)", source).groups()  # type: ignore[union-attr]
    if place == "path":
        # "In general, REST APIs decode URL-encoded request parameters before passing them to backend integrations"
        # (Important notes for REST APIs).
        return unquote(call.path[name])
    return call.parameter(name) if place == "querystring" else call.header(name)


def _fill(uri: str, path: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: path[found[1]], uri)


def _response(integration: Mapping[str, Any], response: Message, call: Call) -> Message:
    """Return the API's response to the response of S3 or a back office: the first whose pattern matches the status."""
    patterns = [name for name in integration["responses"] if name != "default"]
    name = next((name for name in patterns if re.fullmatch(name, str(response.status))), "default")
    mapping = integration["responses"][name]
    headers = {"content-type": "application/json"}  # what API Gateway sends if no mapping sets it
    for target, source in mapping.get("responseParameters", {}).items():
        value = source[1:-1]
        if not source.startswith("'"):
            value = response.headers.get(source.removeprefix("integration.response.header.").lower())
        if value is not None:
            headers[target.removeprefix("method.response.header.").lower()] = value
    # API Gateway chooses a template by the request's Accept. Only one template is allowed here, which is then used
    # whatever the client accepts.
    templates = list(mapping.get("responseTemplates", {}).values())
    assert len(templates) <= 1, "several templates would make the response depend on Accept"
    body = templates[0] if templates else response.body
    if templates:
        body = body.replace("$context.requestId", call.request_id)
        body = body.replace("$context.extendedRequestId", call.extended_request_id)
    return Message(int(mapping["statusCode"]), headers, body)


class _Template:
    """Evaluates a request template: ``#set``, ``#if`` with ``matches``, and overrides of path parameters."""

    _DIRECTIVE = re.compile(
        r"##.*|#set\((\$[\w.]+) = ((?:\"[^\"]*\"|[^\"])*?)\)(?=#|\n|$)|#if\((.*?)\)(?=#)|#end|[^#]+"
    )
    _OVERRIDE = re.compile(r"\$context\.requestOverride\.(path|querystring|header)\.(.+)")
    _CONDITION = re.compile(r"(\$\w+)\.matches\('([^']*)'\)")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._variables: dict[str, str] = {}
        self._overrides: dict[tuple[str, str], str] = {}

    def evaluate(self, template: str) -> tuple[str, dict[tuple[str, str], str]]:
        """Return what a template prints, and the parameters that it overrides."""
        printed: list[str] = []
        branches: list[bool] = []  # whether each enclosing #if holds
        parts = list(self._DIRECTIVE.finditer(template))
        assert "".join(part[0] for part in parts) == template, template
        for part in parts:
            if part[0] == "#end":
                branches.pop()
            elif part[3] is not None:
                branches.append(all(branches) and self._holds(part[3]))
            elif all(branches) and part[1] is not None:
                self._set(part[1], self._value(part[2]))
            elif all(branches) and not part[0].startswith("#"):
                printed.append(part[0])
        return "".join(printed), self._overrides

    def _set(self, target: str, value: str) -> None:
        if override := self._OVERRIDE.fullmatch(target):
            key = (override[1], override[2])
            assert key not in self._overrides, "API Gateway responds 5XX to a second override of a parameter"
            self._overrides[key] = value
        else:
            self._variables[target] = value

    def _holds(self, condition: str) -> bool:
        checks = [self._CONDITION.fullmatch(check) for check in condition.split(" && ")]
        assert all(checks), condition
        return all(re.fullmatch(check[2], self._variables[check[1]]) for check in checks if check)

    def _value(self, expression: str) -> str:
        expression = expression.strip('"')
        if decoded := re.fullmatch(r"\$util\.urlDecode\((.+)\)", expression):
            # "Decodes an application/x-www-form-urlencoded string", so a plus sign becomes a space.
            return unquote_plus(self._value(decoded[1]))
        if path := re.fullmatch(r"\$input\.params\(\)\.path\.get\('(\w+)'\)", expression):
            return self._call.path[path[1]]
        if claim := re.fullmatch(r"\$context\.authorizer\.claims\.(\w+)", expression):
            return self._call.claims.get(claim[1], "")
        return self._variables[expression]
