"""Reads the back offices: pulls what changed there, or a snapshot, and keeps a checkpoint per source."""
