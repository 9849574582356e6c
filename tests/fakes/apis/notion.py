"""The pages of a Notion data source."""

from typing import Any, ClassVar

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

DATA_SOURCE = "b55c9c91-384d-452b-81db-d1ef79372b75"


class Notion(ApiServer):
    """Notion's query of a data source: a POST whose body holds the filter and the cursor of the page.

    An edit's time is rounded down to the minute, so two edits within a minute have the same time. A page in the trash
    isn't returned. The first request must leave out `start_cursor`.
    """

    ORIGINS: ClassVar = ("https://api.notion.com",)
    RESOLUTION_MS: ClassVar = 60_000

    def respond(self, request: ApiRequest) -> ApiResponse:
        if (request.method, request.path) != ("POST", f"/v1/data_sources/{DATA_SOURCE}/query"):
            return json_response({"object": "error", "code": "object_not_found"}, 404)
        if request.headers.get("notion-version") != "2025-09-03":
            return json_response({"object": "error", "code": "missing_version"}, 400)
        body = request.json()
        last = body.get("start_cursor")
        assert body["filter"]["timestamp"] == "last_edited_time"
        assert body["sorts"] == [{"timestamp": "last_edited_time", "direction": "ascending"}]
        if "start_cursor" in body and not last:
            return json_response({"object": "error", "code": "validation_error"}, 400)
        since = parse_rfc3339(body["filter"]["last_edited_time"]["on_or_after"])
        rows = (row for row in self.living() if row.modified_ms >= since)
        page, next_cursor = self.page_after(rows, by_modified, last)
        payload: dict[str, Any] = {
            "object": "list",
            "results": [self._page(row) for row in page],
            "next_cursor": next_cursor,
            "has_more": next_cursor is not None,
        }
        return json_response(payload)

    def item(self, row: Row) -> tuple[str, object]:
        return _page_id(row), {"name": row.name, "price": row.number}

    @staticmethod
    def _page(row: Row) -> dict[str, Any]:
        half = len(row.name) // 2
        texts = [{"plain_text": row.name[:half]}, {"plain_text": row.name[half:]}]
        return {
            "object": "page",
            "id": _page_id(row),
            "last_edited_time": rfc3339_ms(row.modified_ms),
            "in_trash": False,
            "properties": {
                "Name": {"type": "title", "title": texts},
                "Price": {"type": "number", "number": row.number},
            },
        }


def _page_id(row: Row) -> str:
    return f"00000000-0000-4000-8000-{row.number:012x}"
