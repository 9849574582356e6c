"""Accepts a client's write and makes it durable before it acknowledges it."""
