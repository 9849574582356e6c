"""A `read` handler that does nothing. It shows the least time and memory that any handler takes in the benchmarks."""


def handler(event: dict[str, object], context: object) -> dict[str, object]:
    return {"statusCode": 204, "headers": {}, "body": "", "isBase64Encoded": False}
