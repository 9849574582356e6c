"""A source's settings, which describe one back office, and the translation of the back office's records into items."""
