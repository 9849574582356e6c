"""The tools of operators and developers. No function runs this code."""
