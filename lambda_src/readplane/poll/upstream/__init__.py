"""Reads a back office over HTTP: sends requests with a secret, reads responses, and goes through pages."""
