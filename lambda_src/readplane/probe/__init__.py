"""The `probe` function: calls the API every minute, as a client does."""
