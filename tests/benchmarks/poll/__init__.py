"""Benchmarks with a back office: what its stalls and its outage cost a client, and how fast `poll` catches up."""
