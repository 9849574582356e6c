"""A handler whose module writes more to standard error than a pipe holds."""

import sys
from typing import Any

sys.stderr.write("no" * 100_000)


def handler(event: object, context: object) -> dict[str, Any]:
    return {"statusCode": 200}
