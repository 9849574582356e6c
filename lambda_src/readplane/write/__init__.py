"""The `write` function: makes a client's change durable before it acknowledges the request."""
