"""The products of a shop, as Shopify's GraphQL Admin API lists them."""

import re
from collections.abc import Callable
from typing import Any, ClassVar

from tests.fakes.apis.server import (
    SECRET,
    ApiRequest,
    ApiResponse,
    ApiServer,
    Row,
    by_modified,
    cursor_after,
    json_response,
    parse_rfc3339,
    rfc3339_seconds,
)

_FILTER = re.compile(r"(updated_at|occurred_at):>='([^']+)'")


class Shopify(ApiServer):
    """Shopify's GraphQL: cursor connections for products and for the events of deleted ones.

    Every response has the status 200, also if the query has errors or the client asks too often. The last page has an
    `endCursor` too. An id such as `gid://shopify/Product/7` has characters that no item id may have.
    """

    ORIGINS: ClassVar = ("https://example.myshopify.com",)
    RESOLUTION_MS: ClassVar = 1000

    def refuse(self, request: ApiRequest) -> ApiResponse | None:
        if request.headers.get("x-shopify-access-token") == SECRET:
            return None
        return json_response({"errors": "[API] Invalid API key or access token"}, 401)

    def respond(self, request: ApiRequest) -> ApiResponse:
        if (request.method, request.path) != ("POST", "/admin/api/2026-01/graphql.json"):
            return json_response({"errors": "Not Found"}, 404)
        assert request.headers["content-type"] == "application/json", "Shopify refuses other content types"
        body = request.json()
        match = _FILTER.fullmatch(body["variables"]["filter"])
        if not match:
            return json_response({"errors": [{"message": "syntax error", "extensions": {"code": "BAD_REQUEST"}}]})
        since, last = parse_rfc3339(match[2]), body["variables"].get("after")
        if "deletionEvents(" in body["query"]:
            rows = [row for row in self.rows.values() if row.deleted_ms is not None and row.deleted_ms >= since]
            return self._connection("deletionEvents", rows, last, _deletion_event)
        rows = [row for row in self.living() if row.modified_ms >= since]
        return self._connection("products", rows, last, _product)

    def rate_limit(self) -> ApiResponse:
        return json_response({"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]})

    def item(self, row: Row) -> tuple[str, object]:
        return f"gid~3A~2F~2Fshopify~2FProduct~2F{row.number}", {"title": row.name, "status": "ACTIVE"}

    def _connection(
        self, name: str, rows: list[Row], last: str | None, node: Callable[[Row], dict[str, Any]]
    ) -> ApiResponse:
        page, next_cursor = self.page_after(rows, by_modified, last)
        end_cursor = cursor_after(by_modified(page[-1])) if page else None
        info = {"hasNextPage": next_cursor is not None, "endCursor": end_cursor}
        connection = {"nodes": [node(row) for row in page], "pageInfo": info}
        cost = {"requestedQueryCost": 12, "actualQueryCost": len(page)}
        return json_response({"data": {name: connection}, "extensions": {"cost": cost}})


def _product(row: Row) -> dict[str, Any]:
    product_id = f"gid://shopify/Product/{row.number}"
    return {"id": product_id, "title": row.name, "status": "ACTIVE", "updatedAt": rfc3339_seconds(row.modified_ms)}


def _deletion_event(row: Row) -> dict[str, Any]:
    assert row.deleted_ms is not None
    return {"subjectId": f"gid://shopify/Product/{row.number}", "occurredAt": rfc3339_seconds(row.deleted_ms)}
