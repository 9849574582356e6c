"""The paging style ``none``: one response holds the whole list."""

from .base import Paginator


class NonePaginator(Paginator):
    """Reads a single page, which is the whole list.

    Fits an API that returns everything at once: ``GET /rates`` -> ``{"rows": […]}``.
    """
