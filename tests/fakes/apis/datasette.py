"""A table of a Datasette server."""

from typing import Any, ClassVar
from urllib.parse import quote, urlencode

from tests.fakes.apis.server import (
    ApiRequest,
    ApiResponse,
    ApiServer,
    Row,
    by_modified,
    json_response,
    parse_rfc3339,
    rfc3339_ms,
)


class Datasette(ApiServer):
    """Datasette's JSON: the URL of the next page in `next_url`, null on the last page.

    The page behind a row begins after the row's sort column and key, so a moving list loses no row. A query that takes
    too long is a 400. A deleted row leaves no trace.
    """

    ORIGINS: ClassVar = ("https://data.example.com",)

    def refuse(self, request: ApiRequest) -> ApiResponse | None:
        return None  # the table is public

    def respond(self, request: ApiRequest) -> ApiResponse:
        query = dict(request.query)
        if request.path != "/shop/products.json":
            return json_response({"ok": False, "error": "Table not found", "status": 404, "title": None}, 404)
        assert query["_shape"] == "objects"
        since = parse_rfc3339(query["updated__gte"]) if "updated__gte" in query else 0
        key = by_modified if query.get("_sort") == "updated" else _by_key
        rows = (row for row in self.living() if row.modified_ms >= since)
        page, token = self.page_after(rows, key, query.get("_next"))
        following = urlencode({**query, "_next": token}, quote_via=quote)
        payload: dict[str, Any] = {
            "ok": True,
            "rows": [self._row(row) for row in page],
            "next": token,
            "next_url": f"{self.url}{request.path}?{following}" if token else None,
            "truncated": False,
        }
        return json_response(payload)

    def rate_limit(self) -> ApiResponse:
        body = {"ok": False, "error": "SQL query took too long. The time limit is controlled by a setting."}
        return json_response(body, 503)

    def item(self, row: Row) -> tuple[str, object]:
        return f"P{row.number}", {"name": row.name}

    @staticmethod
    def _row(row: Row) -> dict[str, Any]:
        return {"id": f"P{row.number}", "name": row.name, "updated": rfc3339_ms(row.modified_ms)}


def _by_key(row: Row) -> tuple[int]:
    return (row.number,)
