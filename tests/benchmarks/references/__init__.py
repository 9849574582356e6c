"""The references: functions that do the same work as Readplane, as the documentation of their tools recommends."""
