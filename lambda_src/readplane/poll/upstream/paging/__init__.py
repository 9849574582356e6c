"""The pages of a back office's list: one class per paging style, and what notices that the list moved in between."""
