"""Benchmarks that compare Readplane with boto3, Powertools, Chalice and FastAPI. ``make bench`` runs them."""
