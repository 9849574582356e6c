"""The vulnerabilities (CVE) of the National Vulnerability Database."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from tests.fakes.apis.server import (
    SECRET,
    ApiRequest,
    ApiResponse,
    ApiServer,
    Row,
    json_response,
    rfc3339_ms,
    status_response,
)

_DAY_MS = 86_400_000


class Nvd(ApiServer):
    """NVD's list of CVEs: a window of at most 120 days, offsets, and times in UTC without an offset.

    A request with a longer window is a 404. A rate limit is a 403 that no header explains. A CVE isn't deleted, its
    status becomes `Rejected`. A CVE that changes leaves the window that `poll` reads, and moves the later ones.
    """

    ORIGINS: ClassVar = ("https://services.nvd.nist.gov",)

    def refuse(self, request: ApiRequest) -> ApiResponse | None:
        return None if request.headers.get("apikey") == SECRET else status_response(403)

    def respond(self, request: ApiRequest) -> ApiResponse:
        query = request.query
        if request.path != "/rest/json/cves/2.0":
            return status_response(404)
        first, last = _parse(query["lastModStartDate"]), _parse(query["lastModEndDate"])
        if not 0 < last - first <= 120 * _DAY_MS:
            return status_response(404, {"message": "The range of the dates exceeds 120 days."})
        found = [row for row in self.rows.values() if first <= row.modified_ms <= last]
        found.sort(key=lambda row: row.number)
        start = int(query.get("startIndex", "0"))
        page = found[start : start + self.page_size]
        payload = {
            "resultsPerPage": len(page),
            "startIndex": start,
            "totalResults": len(found),
            "format": "NVD_CVE",
            "vulnerabilities": [{"cve": self._cve(row)} for row in page],
        }
        return json_response(payload)

    def rate_limit(self) -> ApiResponse:
        return status_response(403)

    def item(self, row: Row) -> tuple[str, object]:
        return f"CVE-2026-{row.number:04}", {"status": "Analyzed", "summary": row.name}

    @staticmethod
    def _cve(row: Row) -> dict[str, Any]:
        return {
            "id": f"CVE-2026-{row.number:04}",
            "lastModified": rfc3339_ms(row.modified_ms).removesuffix("Z"),
            "vulnStatus": "Analyzed" if row.deleted_ms is None else "Rejected",
            "descriptions": [{"lang": "es", "value": "queso"}, {"lang": "en", "value": row.name}],
        }


def _parse(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
