"""The HTTP layer of `read`, `query` and `write`: parses API Gateway's events, and returns responses and problems."""
