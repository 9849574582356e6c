"""Reads a back office over HTTP, page after page. The requests carry the secret of the source, if it has one."""
