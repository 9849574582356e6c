"""A `write` handler that does nothing. Its cost is the lower bound of every measurement."""


def handler(event: dict[str, object], context: object) -> dict[str, object]:
    """Lambda entry point."""
    return {"statusCode": 202, "headers": {}, "body": "", "isBase64Encoded": False}
