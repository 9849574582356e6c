"""The issues of a repository, as GitHub's REST API lists them."""

import hashlib
from typing import ClassVar
from urllib.parse import urlencode

from tests.fakes.apis.server import (
    ApiRequest,
    ApiResponse,
    ApiServer,
    Row,
    by_created,
    by_modified,
    json_response,
    parse_rfc3339,
    rfc3339_seconds,
    status_response,
)


class GitHub(ApiServer):
    """GitHub's list of issues: links in the `Link` header, pull requests among the issues, rate limits told as 403.

    The links name the repository by its number instead of its name. A deleted issue leaves no trace. A request with a
    current ETag gets a 304. The ETag stays the same if a full page gets a successor, because it covers the body only.
    """

    ORIGINS: ClassVar = ("https://api.github.com",)
    RESOLUTION_MS: ClassVar = 1000

    def respond(self, request: ApiRequest) -> ApiResponse:
        if request.path not in ("/repos/octo-org/shop/issues", "/repositories/1296269/issues"):
            return json_response({"message": "Not Found"}, 404)
        query = dict(request.query)
        assert query["state"] == "all" and query["direction"] == "asc", "the default is open issues, newest first"
        since = parse_rfc3339(query["since"]) if "since" in query else 0
        key = by_modified if query["sort"] == "updated" else by_created
        rows = (row for row in self.living() if row.modified_ms >= since)
        page, cursor = self.page_after(rows, key, query.get("after"))
        headers = {}
        if cursor:
            following = urlencode({**query, "after": cursor})
            link = f"{self.url}/repositories/1296269/issues?{following}"
            headers["Link"] = f'<{link}>; rel="next", <{self.url}/repositories/1296269/issues?page=9>; rel="last"'
        response = json_response([self._issue(row) for row in page], headers=headers)
        etag = f'W/"{hashlib.sha256(response.body).hexdigest()}"'
        if request.headers.get("if-none-match") == etag:
            return status_response(304, {"ETag": etag})
        return response._replace(headers={**response.headers, "ETag": etag})

    def rate_limit(self) -> ApiResponse:
        reset = self._clock() // 1000 + 1
        headers = {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}
        return json_response({"message": "API rate limit exceeded for user ID 1."}, 403, headers)

    def item(self, row: Row) -> tuple[str, object]:
        return str(row.number), {"title": row.name, "state": "open", "labels": ["bug"]}

    def items(self) -> dict[str, object]:
        return dict(self.item(row) for row in self.living() if not _is_pull_request(row))

    @staticmethod
    def _issue(row: Row) -> dict[str, object]:
        issue: dict[str, object] = {
            "id": 1_000_000 + row.number,
            "number": row.number,
            "title": row.name,
            "state": "open",
            "labels": [{"id": 1, "name": "bug"}],
            "updated_at": rfc3339_seconds(row.modified_ms),
        }
        return {**issue, "pull_request": {"url": "…"}} if _is_pull_request(row) else issue


def _is_pull_request(row: Row) -> bool:
    """A row is a pull request, not an issue, if its number ends with 4, 5 or 6. So a whole page may have no issue."""
    return row.number % 10 in (4, 5, 6)
