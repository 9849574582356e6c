"""The references, with which the benchmarks compare Readplane: functions that do the same work with common tools.

Each reference uses its tools, such as Powertools or FastAPI, in the way that the tools' documentation recommends.
"""
