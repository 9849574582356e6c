"""Says which backend an API key opens."""
