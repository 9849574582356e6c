"""The accounts of a Dynamics 365 environment, as Dataverse's OData Web API lists them with change tracking."""

from collections.abc import Callable
from typing import Any, ClassVar
from urllib.parse import urlencode

from tests.fakes.apis.oauth2 import TokenEndpoint
from tests.fakes.apis.server import (
    SECRET,
    ApiRequest,
    ApiResponse,
    ApiServer,
    Row,
    by_modified,
    json_response,
    rfc3339_seconds,
    status_response,
)

CLIENT_ID = "11111111-2222-4333-8444-555555555555"
_PATH = "/api/data/v9.2/accounts"


class Dynamics(ApiServer):
    """Dataverse with change tracking: the last page has a delta link, from which the next pass begins.

    A deleted record has only its id and a reason, and no modification time. A delta link expires, and the request then
    fails with a 400. The token endpoint is at another host, Microsoft Entra ID.
    """

    ORIGINS: ClassVar = ("https://example.crm4.dynamics.com", "https://login.microsoftonline.com")

    def __init__(self, clock: Callable[[], int]) -> None:
        super().__init__(clock)
        self._first_token = 0
        """The oldest delta token that the server still knows."""
        self._changes = 0
        self._numbers: dict[int, int] = {}  # the number of the newest change of each record
        expected = {"grant_type": "client_credentials", "scope": f"{self.url}/.default"}
        self.tokens = TokenEndpoint(CLIENT_ID, SECRET, expected, {"expires_in": 3599, "ext_expires_in": 3599})

    def put(self, number: int, name: str) -> Row:
        row = super().put(number, name)
        self._count(number)
        return row

    def delete(self, number: int) -> None:
        super().delete(number)
        self._count(number)

    def expire_delta_links(self) -> None:
        """Forget all delta tokens, as Dataverse does after the days that its organization table names."""
        self._changes += 1
        self._first_token = self._changes

    def refuse(self, request: ApiRequest) -> ApiResponse | None:
        if request.path.endswith("/oauth2/v2.0/token"):
            return self.tokens.respond(request)
        return None if self.tokens.accepts(request) else status_response(401, {"Content-Type": "text/plain"})

    def respond(self, request: ApiRequest) -> ApiResponse:
        query = dict(request.query)
        if request.path != _PATH:
            return json_response({"error": {"code": "0x80060888", "message": "Resource not found"}}, 404)
        preferences = request.headers.get("prefer", "")
        delta = int(query.get("$deltatoken", "0"))
        if "$deltatoken" in query and delta < self._first_token:
            message = "The version stamp that the client has sent has expired. Perform a full sync."
            return json_response({"error": {"code": "0x80044352", "message": message}}, 400)
        until = int(query.get("until", self._changes))
        rows = [row for row in self.rows.values() if delta < self._numbers[row.number] <= until or not delta]
        if not delta:
            rows = [row for row in rows if row.deleted_ms is None]
        page, cursor = self.page_after(rows, by_modified, query.get("$skiptoken"))
        payload: dict[str, Any] = {
            "@odata.context": f"{self.url}/api/data/v9.2/$metadata#accounts(name,accountnumber)/$delta",
            "value": [self._account(row) for row in page],
        }
        if cursor:
            following = {**query, "until": str(until), "$skiptoken": cursor}
            payload["@odata.nextLink"] = f"{self.url}{_PATH}?{urlencode(following)}"
        elif "odata.track-changes" in preferences:
            following = {"$select": query["$select"], "$deltatoken": str(until)}
            payload["@odata.deltaLink"] = f"{self.url}{_PATH}?{urlencode(following)}"
        return json_response(payload)

    def rate_limit(self) -> ApiResponse:
        body = {"error": {"code": "0x80072322", "message": "Number of requests exceeded the limit of 6000."}}
        return json_response(body, 429, {"Retry-After": "1"})

    def item(self, row: Row) -> tuple[str, object]:
        return _account_id(row), {"name": row.name, "number": f"A{row.number}"}

    def _account(self, row: Row) -> dict[str, Any]:
        if row.deleted_ms is not None:
            context = f"{self.url}/api/data/v9.2/$metadata#accounts/$deletedEntity"
            return {"@odata.context": context, "id": _account_id(row), "reason": "deleted"}
        return {
            "@odata.etag": f'W/"{self._numbers[row.number]}"',
            "accountid": _account_id(row),
            "name": row.name,
            "accountnumber": f"A{row.number}",
            "modifiedon": rfc3339_seconds(row.modified_ms),
        }

    def _count(self, number: int) -> None:
        self._changes += 1
        self._numbers[number] = self._changes


def _account_id(row: Row) -> str:
    return f"00000000-0000-4000-8000-{row.number:012}"
