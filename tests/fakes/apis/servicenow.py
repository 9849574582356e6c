"""The incidents of a ServiceNow instance, as its Table API lists them."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

from tests.fakes.apis.oauth2 import TokenEndpoint
from tests.fakes.apis.server import SECRET, ApiRequest, ApiResponse, ApiServer, Row, json_response, utc

REFRESH_TOKEN = "refresh-token-of-the-instance"
_FORMAT = "%Y-%m-%d %H:%M:%S"


class ServiceNow(ApiServer):
    """ServiceNow's Table API: offsets count the rows that the query found, before access rules hide some of them.

    So a page may be shorter than its limit, or empty, and not be the last one. A `Link` header names the next page; it
    has no spaces, and its URLs have commas. Deleted records stand in the table `sys_audit_delete`. Times have no offset
    and mean UTC.
    """

    ORIGINS: ClassVar = ("https://example.service-now.com",)
    RESOLUTION_MS: ClassVar = 1000

    def __init__(self, clock: Callable[[], int]) -> None:
        super().__init__(clock)
        expected = {"grant_type": "refresh_token", "refresh_token": REFRESH_TOKEN}
        extra = {"expires_in": 1799, "refresh_token": REFRESH_TOKEN, "scope": "useraccount"}
        self.tokens = TokenEndpoint("0123456789abcdef", SECRET, expected, extra)
        self.hidden: set[int] = set()
        """The numbers of the records that access rules hide from `poll`."""

    def items(self) -> dict[str, object]:
        return dict(self.item(row) for row in self.living() if row.number not in self.hidden)

    def refuse(self, request: ApiRequest) -> ApiResponse | None:
        if request.path == "/oauth_token.do":
            return self.tokens.respond(request)
        if self.tokens.accepts(request):
            return None
        return json_response({"error": {"message": "User Not Authenticated"}, "status": "failure"}, 401)

    def respond(self, request: ApiRequest) -> ApiResponse:
        query = request.query["sysparm_query"]
        if request.path == "/api/now/table/incident":
            match = re.fullmatch(r"(?:sys_updated_on>=(.*)\^)?ORDERBYsys_id", query)
            assert match, query
            since = _parse(match[1]) if match[1] else 0
            found = [row for row in self.living() if row.modified_ms >= since]
            return self._page(request, found, _incident)
        if request.path == "/api/now/table/sys_audit_delete":
            match = re.fullmatch(r"tablename=incident\^sys_created_on>=(.*)\^ORDERBYsys_created_on", query)
            assert match, query
            since = _parse(match[1])
            deleted = [row for row in self.rows.values() if row.deleted_ms is not None and row.deleted_ms >= since]
            deleted.sort(key=lambda row: (row.deleted_ms or 0, row.number))
            return self._page(request, deleted, _audit)
        return json_response({"error": {"message": "Invalid table"}, "status": "failure"}, 400)

    def _page(self, request: ApiRequest, found: list[Row], show: Callable[[Row], dict[str, Any]]) -> ApiResponse:
        limit, start = int(request.query["sysparm_limit"]), int(request.query.get("sysparm_offset", "0"))
        shown = [show(row) for row in found[start : start + limit] if row.number not in self.hidden]
        links = {"first": 0}
        if start + limit < len(found):
            links["next"] = start + limit
        texts = []
        for rel, offset in links.items():
            parameters = {**request.query, "sysparm_offset": str(offset)}
            target = f"{self.url}{request.path}?{urlencode(parameters, safe=',', quote_via=quote)}"
            texts.append(f'<{target}>;rel="{rel}"')
        return json_response({"result": shown}, headers={"Link": ",".join(texts)})

    def rate_limit(self) -> ApiResponse:
        body = {"error": {"message": "Rate limit exceeded"}}
        return json_response(body, 429, {"Retry-After": "1", "X-RateLimit-Limit": "1000"})

    def item(self, row: Row) -> tuple[str, object]:
        data = {"number": f"INC{row.number:07}", "short_description": row.name, "state": "1"}
        return f"{row.number:032x}", data


def _incident(row: Row) -> dict[str, Any]:
    return {
        "sys_id": f"{row.number:032x}",
        "number": f"INC{row.number:07}",
        "short_description": row.name,
        "state": "1",
        "sys_updated_on": utc(row.modified_ms).strftime(_FORMAT),
    }


def _audit(row: Row) -> dict[str, Any]:
    assert row.deleted_ms is not None
    return {"documentkey": f"{row.number:032x}", "sys_created_on": utc(row.deleted_ms).strftime(_FORMAT)}


def _parse(text: str) -> int:
    return round(datetime.strptime(text, _FORMAT).replace(tzinfo=UTC).timestamp() * 1000)
