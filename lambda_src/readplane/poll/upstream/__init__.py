"""Lambda entry points: an event in, a response out. The rules live in ``readplane.domain``."""
