"""A source: what an operator declares about one back office, and how its records are translated."""
