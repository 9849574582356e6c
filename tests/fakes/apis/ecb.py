"""The exchange rates that the European Central Bank publishes as an XML file."""

from typing import ClassVar
from xml.sax.saxutils import quoteattr

from tests.fakes.apis.server import ApiRequest, ApiResponse, ApiServer, Row, utc


class EuropeanCentralBank(ApiServer):
    """The file of the day. The values are attributes, the names have a namespace, and nothing says what is new."""

    ORIGINS: ClassVar = ("https://www.ecb.europa.eu",)

    def refuse(self, request: ApiRequest) -> ApiResponse | None:
        return None  # the file is public

    def respond(self, request: ApiRequest) -> ApiResponse:
        if request.path != "/stats/eurofxref/eurofxref-daily.xml":
            return ApiResponse(404, b"<html><body>Not found</body></html>", {"Content-Type": "text/html"})
        rates = "".join(f"<Cube currency='X{row.number}' rate={quoteattr(row.name)}/>\n" for row in self.living())
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01"'
            ' xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">\n<gesmes:subject>Reference rates'
            f"</gesmes:subject>\n<Cube>\n<Cube time='{utc(self._clock()):%Y-%m-%d}'>\n{rates}</Cube>\n</Cube>\n"
            "</gesmes:Envelope>"
        )
        return ApiResponse(200, text.encode(), {"Content-Type": "text/xml"})

    def rate_limit(self) -> ApiResponse:
        return ApiResponse(503, b"<html><body>Busy</body></html>", {"Content-Type": "text/html"})

    def item(self, row: Row) -> tuple[str, object]:
        return f"X{row.number}", {"rate": row.name}
