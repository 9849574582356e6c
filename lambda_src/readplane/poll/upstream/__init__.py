"""The back office over HTTP: its requests, its responses, its pages, and the secrets that it asks for."""
