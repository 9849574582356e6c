"""The paging style ``none``: one response holds the whole list."""

from .base import Paginator


class NonePaginator(Paginator):
    """Reads one page and ends.

    Fits an API that returns everything at once: ``GET /rates`` -> ``{"rows": […]}``.
    """
