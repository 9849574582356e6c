"""Test that the numbers of the collections' schemas stay exact."""

import hashlib
import io
from decimal import Decimal
from typing import Any

from readplane.config import ConfigObject
from readplane.stores.schemas import read_schemas


class FakeS3:
    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        assert operation == "GetObject" and parameters == {"Bucket": "b", "Key": "k", "VersionId": "v"}
        return {"Body": io.BytesIO(CONTENT)}


CONTENT = b'{"prices": {"maximum": 9007199254740992.50, "minimum": 1}}'


def test_a_schemas_numbers_keep_every_digit() -> None:
    schemas = read_schemas(FakeS3(), ConfigObject("b", "k", "v", hashlib.sha256(CONTENT).hexdigest()))
    assert schemas["prices"] == {"maximum": Decimal("9007199254740992.50"), "minimum": 1}
