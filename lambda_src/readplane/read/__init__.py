"""The `read` function: serves clients' GET requests from the stores."""
