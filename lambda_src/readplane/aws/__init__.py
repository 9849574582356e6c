"""The clients that call AWS (the slim client and the boto3 client), their common interface, and their errors."""
