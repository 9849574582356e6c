"""Benchmarks with a back office: what clients notice of its outage, and how fast Readplane reads many changes."""
