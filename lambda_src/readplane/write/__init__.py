"""The `write` function: makes a client's write durable before it acknowledges it."""
