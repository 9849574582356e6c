"""The back office over HTTP: requests, pages and the secrets they need."""
