"""The `backend_auth` function: decides which backend a caller with an API key may call."""
