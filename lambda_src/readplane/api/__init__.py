"""The HTTP layer of `read` and `write`: parses API Gateway's events, and returns responses and problem documents."""
