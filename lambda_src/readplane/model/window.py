"""Windows: consecutive changes of a log or stream, reduced to the newest change of each item."""

from .change import Change


def keep_newest(newest: dict[str, Change], change: Change) -> Change | None:
    """Fold one change into ``newest``, which holds the newest change by item key.

    :returns: the change that loses: ``change`` or the one that it replaces. ``None`` for an item's first change.
    """
    key = change.key
    previous = newest.get(key)
    if previous is None:
        newest[key] = change
        return None
    if change.change_id > previous.change_id:
        newest[key] = change
        return previous
    return change


class Window:
    """Consecutive changes of a log or stream, reduced to the newest change of each item.

    A full window is written and emptied, so an object of the write log needs the same memory whatever its size. The
    larger the window, the more changes of one item become a single write to DynamoDB.
    """

    MAX_CHANGES = 2_000
    """The number of items at which a window is full."""

    MAX_SIZE = 2 * 1024 * 1024
    """The number of characters of data at which a window is full."""

    def __init__(self) -> None:
        self._newest: dict[str, Change] = {}
        self._size = 0

    def fold(self, change: Change) -> Change | None:
        """Add one change; return the change that loses to another change of the same item, if any."""
        loser = keep_newest(self._newest, change)
        if loser is not change:
            self._size += len(change.data or "")
            if loser is not None:
                self._size -= len(loser.data or "")
        return loser

    def version(self, key: str) -> str:
        """Return the newest version of an item in this window.

        :raises KeyError: if the window holds no change of the item.
        """
        return self._newest[key].version

    def is_full(self) -> bool:
        """Whether the caller should empty the window before it adds another change."""
        return len(self._newest) >= self.MAX_CHANGES or self._size >= self.MAX_SIZE

    def take(self) -> list[Change]:
        """Empty the window and return its changes, one for each item."""
        changes = list(self._newest.values())
        self._newest, self._size = {}, 0
        return changes
