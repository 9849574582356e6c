"""The only place that talks to AWS or a database: one module per store."""
