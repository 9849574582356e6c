"""Compute which limit of AWS binds at which load, and simulate the queues of the write path.

`limits.json` holds the limits, `capacity.py` what a read and a write use of them, `queues.py` a simulation of queues,
`pipeline.py` the write path and the starts of Lambda in that simulation, and `tables.py` the tables of docs/scale.md.
"""
