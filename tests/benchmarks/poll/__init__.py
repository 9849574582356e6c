"""Benchmarks with a back office: how its stalls and outages affect clients, and how fast Readplane catches up."""
