"""The model: changes and the rules that they follow. It uses no AWS, no HTTP, no environment, no clock."""
