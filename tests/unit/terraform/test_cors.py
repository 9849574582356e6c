"""Check that API Gateway and the functions agree on CORS headers, although each has its own list of them."""

import re

from ops.console import ROOT
from readplane.api.response import EXPOSED_HEADERS
from readplane.write import refused_headers

CORS = (ROOT / "terraform/modules/api/cors.tf").read_text()


def names(headers: str) -> set[str]:
    """Return the lower-case names of headers in a text that separates them by commas."""
    return {name.strip().lower() for name in headers.split(",")}


def test_scripts_may_read_the_same_headers_of_a_function_as_of_api_gateway() -> None:
    exposed = re.search(r'"Access-Control-Expose-Headers" = "([^"]+)"', CORS)
    assert exposed
    assert names(exposed[1]) == names(EXPOSED_HEADERS)


def test_scripts_may_send_every_header_that_write_refuses() -> None:
    """Without this permission, a browser would hide from the script which header `write` refuses."""
    sent = re.search(r"sent_headers = concat\((.*?)^  \)", CORS, re.M | re.S)
    assert sent
    assert {name.lower() for name in refused_headers._REFUSALS} <= {
        name.lower() for name in re.findall(r'"([^"]+)"', sent[1])
    }
