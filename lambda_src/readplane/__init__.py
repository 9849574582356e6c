"""Readplane: a read plane that always answers and a write plane that never loses, in front of any back office."""
