"""Reduces consecutive changes of the write log or the change stream to the newest change of each item."""

from .change import Change


def keep_newest(newest: dict[str, Change], change: Change) -> Change | None:
    """Add one change to ``newest``, a dictionary that holds the newest change of each item by the item's key.

    :returns: the change that ``newest`` doesn't keep: the older one of the item's two changes, or ``change`` if both
        have the same id. ``None`` if ``newest`` held no change of the item before the call.
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
    """The newest change of each item among consecutive changes of the write log or the change stream.

    `apply` writes a full window to DynamoDB and empties it. So `apply` needs little memory even for a large object of
    the write log. The larger the window, the more changes of one item become a single write to DynamoDB.
    """

    MAX_CHANGES = 2_000
    """A window is full if it holds changes of this many items."""

    MAX_SIZE = 2 * 1024 * 1024
    """A window is full if the data of all its changes has this many characters in total."""

    def __init__(self) -> None:
        self._newest: dict[str, Change] = {}
        self._size = 0

    def fold(self, change: Change) -> Change | None:
        """Add one change to the window.

        :returns: the change that the window doesn't keep: the older one of the item's two changes, or ``change`` if
            both have the same id. ``None`` if the window held no change of the item before the call.
        """
        loser = keep_newest(self._newest, change)
        if loser is not change:
            self._size += len(change.data or "")
            if loser is not None:
                self._size -= len(loser.data or "")
        return loser

    def version(self, key: str) -> str:
        """Return the version of the change that this window holds for the item with the key ``key``.

        :raises KeyError: if the window holds no change of the item.
        """
        return self._newest[key].version

    def is_full(self) -> bool:
        """Whether the caller must empty the window before it adds another change."""
        return len(self._newest) >= self.MAX_CHANGES or self._size >= self.MAX_SIZE

    def take(self) -> list[Change]:
        """Return the window's changes, one for each item, and empty the window."""
        changes = list(self._newest.values())
        self._newest, self._size = {}, 0
        return changes
