"""The code of the function `poll`. It reads back offices, and sends their changes to Kinesis or their snapshots to S3.

It keeps one checkpoint per source in DynamoDB.
"""
