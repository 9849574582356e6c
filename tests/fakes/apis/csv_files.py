"""Two CSV files on a web server."""

import hashlib
from typing import ClassVar

from tests.fakes.apis.server import SECRET, ApiRequest, ApiResponse, ApiServer, Row, json_response, status_response

CHARSET = "cp1252"


class CsvFiles(ApiServer):
    """A price list and a file of exchange rates, which an old system exports in the character set of Windows.

    The server doesn't name the character set. It answers 304 to a request with a current ETag. A deleted row is simply
    no longer in the file.
    """

    ORIGINS: ClassVar = ("https://files.example.com",)

    def refuse(self, request: ApiRequest) -> ApiResponse | None:
        if request.headers.get("x-api-key") == SECRET:
            return None
        return ApiResponse(403, b"<html><body>Forbidden</body></html>", {"Content-Type": "text/html"})

    def respond(self, request: ApiRequest) -> ApiResponse:
        if request.path not in ("/prices.csv", "/rates.csv"):
            return json_response({}, 404)
        lines = ["sku;name;price"] if request.path == "/prices.csv" else ["currency;rate"]
        for row in self.living():
            columns = (f"A{row.number}", f'"{row.name}"', f"{row.number},50")
            lines.append(";".join(columns) if request.path == "/prices.csv" else f"{row.name};{row.number},50")
        body = "".join(f"{line}\r\n" for line in lines).encode(CHARSET)
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        headers = {"Content-Type": "text/csv", "ETag": etag}
        if request.headers.get("if-none-match") == etag:
            return status_response(304, {"ETag": etag})
        return ApiResponse(200, body, headers)

    def rate_limit(self) -> ApiResponse:
        return ApiResponse(503, b"<html><body>Busy</body></html>", {"Content-Type": "text/html", "Retry-After": "1"})

    def item(self, row: Row) -> tuple[str, object]:
        return f"A{row.number}", {"name": row.name, "price": f"{row.number},50"}
