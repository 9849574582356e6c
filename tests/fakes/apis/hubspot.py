"""The contacts of a HubSpot account: the search for changed ones, and the list of archived ones."""

from typing import Any, ClassVar

from tests.fakes.apis.server import ApiRequest, ApiResponse, ApiServer, Row, by_modified, json_response, rfc3339_ms


class HubSpot(ApiServer):
    """HubSpot's search: a POST with filters in its body. It returns no record behind the first 10,000 of a search.

    The tokens of pages are offsets, so a contact that changes moves the later ones. An archived contact isn't found by
    the search, only by the list of archived ones.
    """

    ORIGINS: ClassVar = ("https://api.hubapi.com",)
    cap = 10_000
    """How many records of a search HubSpot returns. A request behind them gets a 400."""

    def respond(self, request: ApiRequest) -> ApiResponse:
        if (request.method, request.path) == ("POST", "/crm/v3/objects/contacts/search"):
            return self._search(request.json())
        if (request.method, request.path) == ("GET", "/crm/v3/objects/contacts"):
            assert request.query["archived"] == "true"
            archived = [row for row in self.rows.values() if row.deleted_ms is not None]
            archived.sort(key=lambda row: row.number)
            return self._page(archived, int(request.query.get("after", "0")), self.page_size)
        return json_response({"status": "error", "category": "OBJECT_NOT_FOUND"}, 404)

    def _search(self, body: dict[str, Any]) -> ApiResponse:
        (group,) = body["filterGroups"]
        (condition,) = group["filters"]
        assert (condition["propertyName"], condition["operator"]) == ("lastmodifieddate", "GTE")
        assert body["sorts"] == [{"propertyName": "lastmodifieddate", "direction": "ASCENDING"}]
        since, start = int(condition["value"]), int(body.get("after", "0"))
        if start + body["limit"] > self.cap:
            return json_response({"status": "error", "category": "VALIDATION_ERROR"}, 400)
        rows = sorted((row for row in self.living() if row.modified_ms >= since), key=by_modified)
        return self._page(rows, start, body["limit"], total=len(rows))

    def _page(self, rows: list[Row], start: int, size: int, total: int | None = None) -> ApiResponse:
        payload: dict[str, Any] = {"results": [_contact(row) for row in rows[start : start + size]]}
        if total is not None:
            payload["total"] = total
        if start + size < len(rows):
            payload["paging"] = {"next": {"after": str(start + size), "link": "https://api.hubapi.com/…"}}
        return json_response(payload)

    def rate_limit(self) -> ApiResponse:
        body = {"status": "error", "errorType": "RATE_LIMIT", "policyName": "SECONDLY"}
        return json_response(body, 429)

    def item(self, row: Row) -> tuple[str, object]:
        return str(row.number), {"email": f"{row.number}@example.com", "first_name": row.name}


def _contact(row: Row) -> dict[str, Any]:
    contact: dict[str, Any] = {
        "id": str(row.number),
        "properties": {"email": f"{row.number}@example.com", "firstname": row.name},
        "createdAt": rfc3339_ms(row.created_ms),
        "updatedAt": rfc3339_ms(row.modified_ms),
        "archived": row.deleted_ms is not None,
    }
    return contact if row.deleted_ms is None else {**contact, "archivedAt": rfc3339_ms(row.deleted_ms)}
