"""The accounts of a Salesforce organization, as its REST API returns them for a SOQL query."""

import re
from collections.abc import Callable
from typing import Any, ClassVar

from tests.fakes.apis.oauth2 import TokenEndpoint
from tests.fakes.apis.server import (
    SECRET,
    ApiRequest,
    ApiResponse,
    ApiServer,
    Row,
    by_modified,
    json_response,
    parse_rfc3339,
    utc,
)

_SOQL = re.compile(
    r"SELECT Id,Name,Industry,IsDeleted,SystemModstamp FROM Account"
    r"(?: WHERE SystemModstamp >= (\S+) ORDER BY SystemModstamp)?"
)
_DATA = "/services/data/v66.0"


class Salesforce(ApiServer):
    """Salesforce's queries: `queryAll` finds deleted records too, a relative link leads to the next page.

    The token endpoint doesn't say when a token expires. A session that has ended is a 401. An error's body is a list.
    The server keeps the result of a query, so the next pages show the records as they were. A time has an offset
    without a colon.
    """

    ORIGINS: ClassVar = ("https://example.my.salesforce.com",)
    RESOLUTION_MS: ClassVar = 1000

    def __init__(self, clock: Callable[[], int]) -> None:
        super().__init__(clock)
        self.tokens = TokenEndpoint("3MVG9example", SECRET, {"grant_type": "client_credentials"})
        self._results: list[list[dict[str, Any]]] = []

    def refuse(self, request: ApiRequest) -> ApiResponse | None:
        if request.path == "/services/oauth2/token":
            return self.tokens.respond(request)
        if self.tokens.accepts(request):
            return None
        return json_response([{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}], 401)

    def respond(self, request: ApiRequest) -> ApiResponse:
        if match := re.fullmatch(_DATA + r"/query/01g(\d+)-(\d+)", request.path):
            return self._page(int(match[1]), int(match[2]))
        soql = _SOQL.fullmatch(request.query.get("q", ""))
        if request.path not in (f"{_DATA}/query", f"{_DATA}/queryAll") or not soql:
            return json_response([{"message": "unexpected token", "errorCode": "MALFORMED_QUERY"}], 400)
        with_deleted = request.path.endswith("queryAll")
        since = parse_rfc3339(soql[1]) if soql[1] else 0
        rows = [
            row for row in self.rows.values() if row.modified_ms >= since and (with_deleted or row.deleted_ms is None)
        ]
        self._results.append([self._account(row) for row in sorted(rows, key=by_modified)])
        return self._page(len(self._results) - 1, 0)

    def rate_limit(self) -> ApiResponse:
        return json_response([{"message": "Server too busy", "errorCode": "SERVER_UNAVAILABLE"}], 503)

    def item(self, row: Row) -> tuple[str, object]:
        return _account_id(row), {"name": row.name, "industry": "Retail"}

    def _page(self, result: int, start: int) -> ApiResponse:
        rows, end = self._results[result], start + self.page_size
        payload: dict[str, Any] = {"totalSize": len(rows), "done": end >= len(rows), "records": rows[start:end]}
        if end < len(rows):
            payload["nextRecordsUrl"] = f"{_DATA}/query/01g{result}-{end}"
        return json_response(payload)

    @staticmethod
    def _account(row: Row) -> dict[str, Any]:
        return {
            "attributes": {"type": "Account", "url": f"{_DATA}/sobjects/Account/{_account_id(row)}"},
            "Id": _account_id(row),
            "Name": row.name,
            "Industry": "Retail",
            "IsDeleted": row.deleted_ms is not None,
            "SystemModstamp": utc(row.modified_ms).strftime("%Y-%m-%dT%H:%M:%S.000+0000"),
        }


def _account_id(row: Row) -> str:
    return f"001{row.number:012}AAA"
