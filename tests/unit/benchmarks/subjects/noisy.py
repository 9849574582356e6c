"""A handler module that, while it is imported, writes more to standard error than the buffer of a pipe can hold."""

import sys
from typing import Any

sys.stderr.write("no" * 100_000)


def handler(event: object, context: object) -> dict[str, Any]:
    return {"statusCode": 200}
