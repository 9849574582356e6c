"""What `poll` does with one source: its pages, its passes, its sweeps, its snapshot."""
