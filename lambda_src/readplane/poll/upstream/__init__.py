"""Reads a back office over HTTP: sends requests with a secret, reads the responses, and requests page after page."""
