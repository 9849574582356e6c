"""Feeds the documents from the stream of the items table."""
