"""A handler module that raises an exception while it is imported, to test how a failed measurement is reported."""

raise ZeroDivisionError
