"""The search for issues in Jira Cloud."""

import base64
import re
from datetime import datetime
from typing import ClassVar
from zoneinfo import ZoneInfo

from tests.fakes.apis.server import (
    SECRET,
    ApiRequest,
    ApiResponse,
    ApiServer,
    Row,
    by_modified,
    json_response,
    utc,
)

ZONE = ZoneInfo("Europe/Berlin")
"""The time zone in the profile of the user as whom `poll` signs in."""

_JQL = re.compile(r'project = SHOP AND updated >= "(\d{4}-\d\d-\d\d \d\d:\d\d)" ORDER BY updated ASC')


class Jira(ApiServer):
    """Jira's search: a POST whose body holds the query and the token of the page.

    The query's times have whole minutes and mean the time zone in the user's profile. The times in the response have an
    offset without a colon. A query without a restriction is refused. A deleted issue leaves no trace.
    """

    ORIGINS: ClassVar = ("https://example.atlassian.net",)
    fold = 0
    """Which of the two hours a time of the autumn clock change means: 0 for the first, 1 for the second."""

    def refuse(self, request: ApiRequest) -> ApiResponse | None:
        basic = base64.b64encode(f"poll@example.com:{SECRET}".encode()).decode()
        if request.headers.get("authorization") == f"Basic {basic}":
            return None
        return json_response({"message": "Client must be authenticated to access this resource."}, 401)

    def respond(self, request: ApiRequest) -> ApiResponse:
        if (request.method, request.path) != ("POST", "/rest/api/3/search/jql"):
            return json_response({"errorMessages": ["not found"]}, 404)
        body = request.json()
        match = _JQL.fullmatch(body["jql"])
        if not match or body["fields"] != ["summary", "status", "updated"] or not body["maxResults"]:
            return json_response({"errorMessages": ["Unbounded or invalid JQL queries are not allowed here."]}, 400)
        local = datetime.strptime(match[1], "%Y-%m-%d %H:%M").replace(tzinfo=ZONE, fold=self.fold)
        since = local.timestamp() * 1000
        token = body.get("nextPageToken")
        if token == "":
            return json_response({"errorMessages": ["The nextPageToken is invalid."]}, 400)
        rows = (row for row in self.living() if row.modified_ms >= since)
        page, next_token = self.page_after(rows, by_modified, token)
        payload: dict[str, object] = {"issues": [self._issue(row) for row in page], "isLast": next_token is None}
        if next_token:
            payload["nextPageToken"] = next_token
        return json_response(payload)

    def item(self, row: Row) -> tuple[str, object]:
        return str(10_000 + row.number), {"key": f"SHOP-{row.number}", "summary": row.name, "status": "To Do"}

    @staticmethod
    def _issue(row: Row) -> dict[str, object]:
        local = utc(row.modified_ms).astimezone(ZONE)
        updated = f"{local:%Y-%m-%dT%H:%M:%S}.{row.modified_ms % 1000:03}{local:%z}"
        fields = {"summary": row.name, "status": {"name": "To Do"}, "updated": updated}
        return {"id": str(10_000 + row.number), "key": f"SHOP-{row.number}", "fields": fields}
