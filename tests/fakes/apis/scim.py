"""The users of an identity provider, by SCIM 2.0 (RFC 7644)."""

import re
from typing import Any, ClassVar

from tests.fakes.apis.server import (
    ApiRequest,
    ApiResponse,
    ApiServer,
    Row,
    by_created,
    json_response,
    parse_rfc3339,
    rfc3339_seconds,
)


class Scim(ApiServer):
    """A SCIM service: the first record has the index 1, and an empty list has no member `Resources`.

    The pages are cut by counting. A deleted user leaves no trace.
    """

    ORIGINS: ClassVar = ("https://iam.example.com",)
    RESOLUTION_MS: ClassVar = 1000

    def respond(self, request: ApiRequest) -> ApiResponse:
        query = request.query
        if request.path != "/scim/v2/Users":
            return json_response({"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": "404"}, 404)
        match = re.fullmatch(r'meta\.lastModified ge "(.*)"', query.get("filter", 'meta.lastModified ge "1970-01-01Z"'))
        assert match and query["sortBy"] == "meta.created"
        since = 0 if match[1] == "1970-01-01Z" else parse_rfc3339(match[1])
        found = sorted((row for row in self.living() if row.modified_ms >= since), key=by_created)
        start = max(1, int(query.get("startIndex", "1")))
        page = found[start - 1 : start - 1 + self.page_size]
        payload: dict[str, Any] = {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": len(found),
            "startIndex": start,
            "itemsPerPage": len(page),
        }
        if page:
            payload["Resources"] = [self._user(row) for row in page]
        return json_response(payload)._replace(headers={"Content-Type": "application/scim+json"})

    def item(self, row: Row) -> tuple[str, object]:
        return f"2819c223-{row.number:04}", {"user_name": row.name, "active": True}

    @staticmethod
    def _user(row: Row) -> dict[str, Any]:
        return {
            "id": f"2819c223-{row.number:04}",
            "userName": row.name,
            "active": True,
            "meta": {"resourceType": "User", "lastModified": rfc3339_seconds(row.modified_ms)},
        }
