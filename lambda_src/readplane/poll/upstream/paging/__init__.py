"""Reads a back office's list in pages, with one class per paging style, and detects records that move between pages."""
