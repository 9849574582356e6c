"""Tests of parsing an API Gateway event into a request."""

import pytest

from readplane.api.request import request_of
from readplane.model.errors import InvalidError
from tests.unit.write.support import put


def test_a_base64_body_is_decoded_or_invalid() -> None:
    assert request_of(put("eyJuYW1lIjoiw6QifQ==") | {"isBase64Encoded": True}).body() == '{"name":"ä"}'.encode()
    for broken in ("***", "eyJuYW1lIjoiw6QifQ", "ä==="):
        with pytest.raises(InvalidError) as caught:
            request_of(put(broken) | {"isBase64Encoded": True}).body()
        assert caught.value.pointer == ""
