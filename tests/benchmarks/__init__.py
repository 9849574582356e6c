"""What a request and a bulk of changes cost, beside what people use today: ``python -m tests.benchmarks``."""
