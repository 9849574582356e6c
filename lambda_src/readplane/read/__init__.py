"""The `read` function: serves clients' GET requests from DynamoDB and S3."""
