"""Benchmarks that compare Readplane with the usual tools. ``make bench`` runs them."""
