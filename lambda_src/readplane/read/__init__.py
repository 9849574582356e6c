"""Answers a client's reads from the stores."""
