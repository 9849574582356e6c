"""The issues of a project, as GitLab's REST API lists them."""

from typing import ClassVar

from tests.fakes.apis.server import (
    SECRET,
    ApiRequest,
    ApiResponse,
    ApiServer,
    Row,
    by_created,
    json_response,
    parse_rfc3339,
    rfc3339_ms,
)


class GitLab(ApiServer):
    """GitLab's list of issues: the number of the next page in the header `X-Next-Page`, empty on the last page.

    The pages are cut by counting. So an issue that leaves an earlier page moves the later ones. A deleted issue leaves
    no trace. GitLab leaves out `X-Total` if the list is long, so this server never sends it.
    """

    ORIGINS: ClassVar = ("https://gitlab.example.com",)

    def refuse(self, request: ApiRequest) -> ApiResponse | None:
        if request.headers.get("private-token") == SECRET:
            return None
        return json_response({"message": "401 Unauthorized"}, 401)

    def respond(self, request: ApiRequest) -> ApiResponse:
        query = request.query
        if request.path != "/api/v4/projects/42/issues":
            return json_response({"message": "404 Project Not Found"}, 404)
        assert query["order_by"] == "created_at" and query["sort"] == "asc"
        since = parse_rfc3339(query["updated_after"]) if "updated_after" in query else 0
        rows = sorted((row for row in self.living() if row.modified_ms >= since), key=by_created)
        number = int(query.get("page", "1"))
        page = rows[(number - 1) * self.page_size : number * self.page_size]
        is_last = number * self.page_size >= len(rows)
        headers = {"X-Page": str(number), "X-Per-Page": "100", "X-Next-Page": "" if is_last else str(number + 1)}
        return json_response([self._issue(row) for row in page], headers=headers)

    def rate_limit(self) -> ApiResponse:
        headers = {
            "RateLimit-Limit": "600",
            "RateLimit-Remaining": "0",
            "Retry-After": "1",
            "Content-Type": "text/plain",
        }
        return ApiResponse(429, b"Retry later\n", headers)

    def item(self, row: Row) -> tuple[str, object]:
        return str(row.number), {"title": row.name, "state": "opened", "labels": ["bug"]}

    @staticmethod
    def _issue(row: Row) -> dict[str, object]:
        return {
            "id": 76 + row.number,
            "iid": row.number,
            "title": row.name,
            "state": "opened",
            "labels": ["bug"],
            "updated_at": rfc3339_ms(row.modified_ms),
        }
