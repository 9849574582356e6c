"""The tools of operators and developers. No Lambda function runs this code."""
