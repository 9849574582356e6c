"""Readplane: a read plane that always answers and a write plane that never loses a change, for any back office."""
