"""The stores that two or more functions use."""
