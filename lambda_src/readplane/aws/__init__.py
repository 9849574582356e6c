"""Calls to AWS: one interface, two clients that implement it (slim and boto3), and one family of errors."""
