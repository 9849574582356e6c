"""`backend_auth`: decides which backend an API key opens."""
