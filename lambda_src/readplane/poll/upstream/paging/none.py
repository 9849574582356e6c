"""The paging style ``none``: one response holds the whole list."""

from .base import Paginator


class NonePaginator(Paginator):
    """Reads a single page, which is the whole list.

    Use this style for an API that returns all records in one response: ``GET /rates`` -> ``{"rows": […]}``.
    """
