"""The HTTP edge of `read` and `write`: API Gateway events in, responses and problem documents out."""
