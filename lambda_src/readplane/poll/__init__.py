"""Polls back offices: sends their changes to Kinesis, writes their snapshots, and keeps a checkpoint per source."""
