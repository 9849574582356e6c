"""Tools for the operators and developers of Readplane. No Lambda function runs this code."""
