"""The posts of a WordPress site, as its REST API lists them."""

import base64
from datetime import datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from tests.fakes.apis.server import SECRET, ApiRequest, ApiResponse, ApiServer, Row, json_response, utc

ZONE = ZoneInfo("America/New_York")
"""The time zone of the site."""


class WordPress(ApiServer):
    """WordPress's list of posts: numbered pages, and a 400 behind the last one.

    The filter `modified_after` leaves out the second that it names, and reads a time without an offset as the site's
    local time. The times in the response have no offset: `modified` is local, `modified_gmt` is UTC. A post in the
    trash is still listed; a post that is deleted for good leaves no trace.
    """

    ORIGINS: ClassVar = ("https://blog.example.com",)
    RESOLUTION_MS: ClassVar = 1000

    def refuse(self, request: ApiRequest) -> ApiResponse | None:
        basic = base64.b64encode(f"poll:{SECRET}".encode()).decode()
        if request.headers.get("authorization") == f"Basic {basic}":
            return None
        return json_response({"code": "rest_forbidden_context", "message": "…", "data": {"status": 401}}, 401)

    def respond(self, request: ApiRequest) -> ApiResponse:
        query = request.query
        if request.path != "/wp-json/wp/v2/posts":
            return json_response({"code": "rest_no_route", "message": "…", "data": {"status": 404}}, 404)
        assert query["context"] == "edit" and query["status"] == "publish,trash"
        assert query["orderby"] == "id" and query["order"] == "asc"
        rows = sorted(self.rows.values(), key=lambda row: row.number)
        if text := query.get("modified_after"):
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=ZONE)
            rows = [row for row in rows if row.modified_ms > moment.timestamp() * 1000]
        number = int(query.get("page", "1"))
        pages = -(-len(rows) // self.page_size)
        if number > pages and rows:
            code = "rest_post_invalid_page_number"
            return json_response({"code": code, "message": "…", "data": {"status": 400}}, 400)
        page = rows[(number - 1) * self.page_size : number * self.page_size]
        headers = {"X-WP-Total": str(len(rows)), "X-WP-TotalPages": str(pages)}
        return json_response([self._post(row) for row in page], headers=headers)

    def rate_limit(self) -> ApiResponse:
        html = b"<!DOCTYPE html><html><body>Briefly unavailable for scheduled maintenance.</body></html>"
        return ApiResponse(503, html, {"Content-Type": "text/html; charset=utf-8", "Retry-After": "1"})

    def item(self, row: Row) -> tuple[str, object]:
        return str(row.number), {"title": row.name, "link": f"https://blog.example.com/?p={row.number}"}

    @staticmethod
    def _post(row: Row) -> dict[str, Any]:
        modified = utc(row.modified_ms)
        return {
            "id": row.number,
            "title": {"raw": row.name, "rendered": row.name},
            "link": f"https://blog.example.com/?p={row.number}",
            "status": "publish" if row.deleted_ms is None else "trash",
            "modified": modified.astimezone(ZONE).strftime("%Y-%m-%dT%H:%M:%S"),
            "modified_gmt": modified.strftime("%Y-%m-%dT%H:%M:%S"),
        }
