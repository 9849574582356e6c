"""Reads the bodies of a back office's responses: JSON, CSV and XML in any character set.

Each format has bounds. The size of a body is bounded by the source's ``max_bytes`` before it gets here.
"""
