"""The `backend_auth` function: decides which backend an API key opens."""
