"""Reads the pages of a back office's list, with one class per paging style, and detects a list that moves meanwhile."""
