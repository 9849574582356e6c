"""Polls back offices: sends what changed there to Kinesis or writes snapshots, and keeps a checkpoint per source."""
