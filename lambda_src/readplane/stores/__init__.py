"""The stores that two or more Lambda functions use: documents, items and JSON Schemas."""
