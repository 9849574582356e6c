"""A `read` handler that does nothing. Its cost is the lower bound of every measurement."""


def handler(event: dict[str, object], context: object) -> dict[str, object]:
    """Lambda entry point."""
    return {"statusCode": 204, "headers": {}, "body": "", "isBase64Encoded": False}
