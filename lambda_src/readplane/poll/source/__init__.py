"""A source: what an operator declares about one back office, and how Readplane translates its records."""
